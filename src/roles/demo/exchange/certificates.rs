//! The exchange's certificates: the right chain, its backup, and every kind of wrong one. Made anew at each start; no
//! key is ever written down.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, SanType, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};

use crate::model::clock::{Clock as _, SystemClock};
use crate::runtime::crypto::provider;

const DAY: u64 = 24 * 3600;

/// How the exchange shows itself in a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Leaf and intermediate below the first root.
    Right,
    /// The right names and every key another, below the backup root.
    Backup,
    /// The right names below a root that is trusted and not pinned: what an intruder with a friendly CA has.
    WrongKey,
    /// The right chain, with a private key that is not the leaf's.
    StolenCertificate,
    /// As right, and over since yesterday.
    Expired,
    /// As right, for another host.
    WrongHost,
    /// Below a root that nobody trusts.
    UnknownCa,
    /// Without any issuer.
    SelfSigned,
    /// As right, and without TLS 1.3.
    Tls12Only,
}

/// SHA-256 of each SubjectPublicKeyInfo in base64, as pins are written (RFC 7469, section 2.4).
#[derive(Clone, Debug)]
pub struct Pins {
    /// The first root.
    pub root: String,
    /// The issuer of the leaf.
    pub intermediate: String,
    /// The right leaf.
    pub leaf: String,
    /// The root of the backup chain.
    pub backup_root: String,
    /// The issuer of the backup leaf.
    pub backup_intermediate: String,
    /// The leaf of the backup chain.
    pub backup_leaf: String,
    /// The trusted root whose leaf has the wrong key.
    pub other_root: String,
}

/// What a chain is made of.
struct Chain {
    root: Authority,
    intermediate: Authority,
    leaf: Leaf,
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
    pin: String,
}

struct Leaf {
    key: KeyPair,
    der: CertificateDer<'static>,
}

/// Every chain, and what a client needs to trust them.
pub(super) struct Certificates {
    right: Chain,
    backup: Chain,
    other: Chain,
    stranger: Chain,
    names: Vec<String>,
    root_pem: String,
    pins: Pins,
}

impl Certificates {
    /// Makes certificates for these names.
    ///
    /// # Errors
    ///
    /// When a name cannot stand in a certificate.
    pub(super) fn new(names: &[String]) -> io::Result<Self> {
        let right = Chain::new("Stand-in", names)?;
        let backup = Chain::new("Stand-in Backup", names)?;
        let other = Chain::new("Another Trusted", names)?;
        let stranger = Chain::new("Unknown", names)?;
        let pins = Pins {
            root: right.root.pin.clone(),
            intermediate: right.intermediate.pin.clone(),
            leaf: pin(&right.leaf.key),
            backup_root: backup.root.pin.clone(),
            backup_intermediate: backup.intermediate.pin.clone(),
            backup_leaf: pin(&backup.leaf.key),
            other_root: other.root.pin.clone(),
        };
        Ok(Self {
            root_pem: [&right, &backup, &other]
                .map(|chain| chain.root.pem.as_str())
                .concat(),
            names: names.to_vec(),
            right,
            backup,
            other,
            stranger,
            pins,
        })
    }

    /// The roots that a client trusts: the first, the backup's and another one.
    pub(super) fn root_pem(&self) -> &str {
        &self.root_pem
    }

    pub(super) const fn pins(&self) -> &Pins {
        &self.pins
    }

    /// The configuration that shows it; a new one, so that no session of another is resumed.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be made or used.
    pub(super) fn configuration(&self, shown: Shown) -> io::Result<Arc<ServerConfig>> {
        let right = &self.right;
        let (chain, key) = match shown {
            Shown::Right | Shown::Tls12Only => right.shown(&right.leaf),
            Shown::Backup => self.backup.shown(&self.backup.leaf),
            Shown::WrongKey => self.other.shown(&self.other.leaf),
            Shown::UnknownCa => self.stranger.shown(&self.stranger.leaf),
            Shown::StolenCertificate => (right.shown(&right.leaf).0, private(&self.other.leaf.key)),
            Shown::Expired => right.shown(&Leaf::new(&right.intermediate, &self.names, -1)?),
            Shown::WrongHost => {
                let names = ["elsewhere.invalid".to_owned()];
                right.shown(&Leaf::new(&right.intermediate, &names, 60)?)
            }
            Shown::SelfSigned => self_signed(&self.names)?,
        };
        let versions = if shown == Shown::Tls12Only {
            &[&TLS12]
        } else {
            &[&TLS13]
        };
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder
            .with_protocol_versions(versions)
            .map_err(io::Error::other)?;
        let key = provider()
            .key_provider
            .load_private_key(key)
            .map_err(io::Error::other)?;
        // Not checked against each other: a certificate with a key that is not its own can be shown too.
        let shown = Always(Arc::new(CertifiedKey::new(chain, key)));
        let mut configuration = builder
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(shown));
        configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(configuration))
    }
}

impl Chain {
    fn new(owner: &str, names: &[String]) -> io::Result<Self> {
        let root = Authority::root(&format!("{owner} Root"))?;
        let intermediate = root.below(&format!("{owner} Intermediate"))?;
        let leaf = Leaf::new(&intermediate, names, 60)?;
        Ok(Self {
            root,
            intermediate,
            leaf,
        })
    }

    fn shown(&self, leaf: &Leaf) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = vec![leaf.der.clone(), self.intermediate.der.clone()];
        (chain, private(&leaf.key))
    }
}

impl Authority {
    fn root(name: &str) -> io::Result<Self> {
        let (params, key) = (authority(name), pair()?);
        let made = params.self_signed(&key).map_err(io::Error::other)?;
        Ok(Self {
            pem: made.pem(),
            der: made.der().clone(),
            pin: pin(&key),
            issuer: Issuer::new(params, key),
        })
    }

    fn below(&self, name: &str) -> io::Result<Self> {
        let (mut params, key) = (authority(name), pair()?);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let made = params
            .signed_by(&key, &self.issuer)
            .map_err(io::Error::other)?;
        Ok(Self {
            pem: made.pem(),
            der: made.der().clone(),
            pin: pin(&key),
            issuer: Issuer::new(params, key),
        })
    }
}

impl Leaf {
    /// A leaf that ends in so many days.
    fn new(issuer: &Authority, names: &[String], days: i64) -> io::Result<Self> {
        let (params, key) = (server(names, days)?, pair()?);
        let made = params
            .signed_by(&key, &issuer.issuer)
            .map_err(io::Error::other)?;
        Ok(Self {
            der: made.der().clone(),
            key,
        })
    }
}

/// Shows the same certificate to everybody, whatever name they ask for.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn self_signed(
    names: &[String],
) -> io::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let (params, key) = (server(names, 60)?, pair()?);
    let made = params.self_signed(&key).map_err(io::Error::other)?;
    Ok((vec![made.der().clone()], private(&key)))
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name, 365);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn server(names: &[String], days: i64) -> io::Result<CertificateParams> {
    let name = names.first().map_or("exchange", String::as_str);
    let mut params = params(name, days);
    let names = names.iter().map(|name| match name.parse() {
        Ok(ip) => Ok(SanType::IpAddress(ip)),
        Err(_) => name.as_str().try_into().map(SanType::DnsName),
    });
    let names: Result<_, rcgen::Error> = names.collect();
    params.subject_alt_names = names.map_err(io::Error::other)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn params(name: &str, days: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = SystemClock::new().now().unix_seconds().unsigned_abs();
    let day = |days: i64| {
        let seconds = now.saturating_add_signed(days.saturating_mul(DAY.cast_signed()));
        date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    };
    params.not_before = day(-30);
    params.not_after = day(days);
    params
}

fn pair() -> io::Result<KeyPair> {
    KeyPair::generate().map_err(io::Error::other)
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))
}

fn pin(key: &KeyPair) -> String {
    STANDARD.encode(digest(&SHA256, &key.subject_public_key_info()))
}
