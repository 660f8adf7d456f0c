//! The demo's certificates: authorities that are made at start, and what they issue. Never used outside the demo, and
//! no key of an authority is ever written.

use std::io;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, SanType, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::model::clock::{Clock as _, SystemClock};
use crate::model::ip::LOOPBACK;
use crate::model::secret::Secret;

/// Clocks of machines differ; a certificate counts from a little before it was made.
const BEFORE: Duration = Duration::from_secs(3600);

/// How long certificates count. Longer than anybody keeps the demo running.
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Who issues certificates.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key.
pub(super) struct Pair {
    /// PEM.
    pub(super) certificate: String,
    /// PEM.
    pub(super) key: Secret<String>,
}

impl Authority {
    /// Makes an authority of this name.
    pub(super) fn new(name: &str) -> io::Result<Self> {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let own = params.self_signed(&key).map_err(io::Error::other)?;
        Ok(Self {
            pem: own.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// Its own certificate, for those who trust it.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// Its key as it would be pinned, without what pins begin with.
    pub(super) fn pin(&self) -> String {
        let key = self.issuer.key().subject_public_key_info();
        STANDARD.encode(digest(&SHA256, &key))
    }

    /// For a server on this machine, by address and by name.
    pub(super) fn server(&self, name: &str) -> io::Result<Pair> {
        let localhost = "localhost".try_into().map_err(io::Error::other)?;
        let names = vec![SanType::IpAddress(LOOPBACK), SanType::DnsName(localhost)];
        self.issue(name, names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// For a client with this SPIFFE ID.
    pub(super) fn client(&self, name: &str, id: &str) -> io::Result<Pair> {
        let names = vec![SanType::URI(id.try_into().map_err(io::Error::other)?)];
        self.issue(name, names, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(
        &self,
        name: &str,
        names: Vec<SanType>,
        purpose: ExtendedKeyUsagePurpose,
    ) -> io::Result<Pair> {
        let mut params = params(name);
        params.subject_alt_names = names;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let issued = params.signed_by(&key, &self.issuer);
        Ok(Pair {
            certificate: issued.map_err(io::Error::other)?.pem(),
            key: Secret::new(key.serialize_pem()),
        })
    }
}

impl Pair {
    /// The certificate as a handshake shows it.
    pub(super) fn shown(&self) -> io::Result<CertificateDer<'static>> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).map_err(io::Error::other)
    }

    /// The key as a handshake needs it.
    pub(super) fn private(&self) -> io::Result<PrivateKeyDer<'static>> {
        let key = self.key.expose_secret().as_bytes();
        PrivateKeyDer::from_pem_slice(key).map_err(io::Error::other)
    }
}

/// Trust in these certificates (PEM).
pub(super) fn roots(pem: &str) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(io::Error::other)?;
        roots.add(certificate).map_err(io::Error::other)?;
    }
    Ok(roots)
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = SystemClock::new().now().unix_seconds();
    let now = Duration::from_secs(u64::try_from(now).unwrap_or_default());
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(BEFORE);
    params.not_after = epoch + now.saturating_add(LIFE);
    params
}
