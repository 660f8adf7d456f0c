//! Certificates of every kind, also bad ones. Each is made anew; no key is kept in the repository.

use std::fs;
use std::path::Path;
use std::time::Duration;

use outrider::model::clock::{Clock as _, SystemClock};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

const DAY: u64 = 24 * 3600;

/// A CA.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate with its key, as PEM.
pub(crate) struct Made {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// What a certificate says.
pub(crate) struct Said<'s> {
    pub(crate) common_name: &'s str,
    pub(crate) names: Vec<SanType>,
    pub(crate) purpose: ExtendedKeyUsagePurpose,
    /// Days from now.
    pub(crate) from: i64,
    pub(crate) until: i64,
    /// Seconds from now, instead of days.
    pub(crate) until_seconds: Option<u64>,
}

impl Authority {
    pub(crate) fn new(common_name: &str) -> Self {
        let mut params = params(common_name, in_days(-1), in_days(365));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    pub(crate) fn make(&self, said: Said<'_>) -> Made {
        let (params, key) = prepared(said);
        Made {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// A certificate for these hosts, good for 60 days.
    pub(crate) fn server(&self, hosts: &[&str]) -> Made {
        self.make(server_of(hosts))
    }

    /// A client's certificate with a host, a mail address and a SPIFFE ID, good for 60 days.
    pub(crate) fn client(&self, name: &str) -> Made {
        self.make(client_of(name))
    }
}

pub(crate) fn server_of<'s>(hosts: &[&'s str]) -> Said<'s> {
    let dns = |host: &&str| SanType::DnsName((*host).try_into().unwrap());
    Said {
        common_name: hosts.first().unwrap(),
        names: hosts.iter().map(dns).collect(),
        purpose: ExtendedKeyUsagePurpose::ServerAuth,
        from: -1,
        until: 60,
        until_seconds: None,
    }
}

pub(crate) fn client_of(name: &str) -> Said<'_> {
    let spiffe = format!("spiffe://prod.jts/{name}");
    let (host, mail) = (format!("{name}.jts.local"), format!("{name}@jts.example"));
    Said {
        common_name: name,
        names: vec![
            SanType::URI(spiffe.as_str().try_into().unwrap()),
            SanType::DnsName(host.as_str().try_into().unwrap()),
            SanType::Rfc822Name(mail.as_str().try_into().unwrap()),
        ],
        purpose: ExtendedKeyUsagePurpose::ClientAuth,
        from: -1,
        until: 60,
        until_seconds: None,
    }
}

/// A certificate that nobody vouches for.
pub(crate) fn self_signed(said: Said<'_>) -> Made {
    let (params, key) = prepared(said);
    Made {
        certificate: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

impl Made {
    /// The certificate as it is shown in a handshake.
    pub(crate) fn der(&self) -> Vec<u8> {
        let read = CertificateDer::from_pem_slice(self.certificate.as_bytes());
        read.unwrap().to_vec()
    }

    /// Writes `NAME.crt` and `NAME.key`.
    pub(crate) fn write(&self, folder: &Path, name: &str) {
        fs::write(folder.join(format!("{name}.crt")), &self.certificate).unwrap();
        fs::write(folder.join(format!("{name}.key")), &self.key).unwrap();
    }
}

fn prepared(said: Said<'_>) -> (CertificateParams, KeyPair) {
    let until = said.until_seconds.map(|seconds| now() + seconds);
    let until = until.unwrap_or_else(|| in_days(said.until));
    let mut params = params(said.common_name, in_days(said.from), until);
    params.subject_alt_names = said.names;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![said.purpose];
    params.use_authority_key_identifier_extension = true;
    (params, KeyPair::generate().unwrap())
}

fn params(common_name: &str, from: u64, until: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "JTS, Inc.");
    subject.push(DnType::CommonName, common_name);
    params.distinguished_name = subject;
    let at = |seconds| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
    params.not_before = at(from);
    params.not_after = at(until);
    params
}

fn now() -> u64 {
    SystemClock::new().now().unix_seconds().unsigned_abs()
}

/// Seconds since 1970.
fn in_days(days: i64) -> u64 {
    let seconds = now().checked_add_signed(days * DAY.cast_signed());
    seconds.unwrap()
}
