//! Whom we believe when we are the client: certificates of the authorities that a file names, or else the public ones.
//! TLS 1.2 or newer; never a server without a certificate, and never one for another name.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::crypto;

/// Why nothing can ever be asked so.
#[derive(Debug)]
pub enum Unfit {
    /// The text of certificates holds none, or one that is none.
    Certificates(String),
    /// TLS cannot be set up at all.
    Tls(rustls::Error),
    /// The host is no name that a certificate can be for.
    Host(InvalidDnsNameError),
}

impl fmt::Display for Unfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificates(why) => out.write_str(why),
            Self::Tls(error) => write!(out, "TLS cannot be set up: {error}"),
            Self::Host(error) => write!(out, "no certificate can be for this host: {error}"),
        }
    }
}

impl std::error::Error for Unfit {}

/// Prepares TLS. `ca` is the PEM text of the authorities to trust, instead of the public ones.
///
/// # Errors
/// The certificates cannot be used.
pub fn connector(ca: Option<&str>) -> Result<TlsConnector, Unfit> {
    let roots = ca.map(roots).transpose()?.unwrap_or_else(public_roots);
    let config = ClientConfig::builder_with_provider(crypto::provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(Unfit::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn roots(pem: &str) -> Result<RootCertStore, Unfit> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let refused =
            |why: String| Unfit::Certificates(format!("a certificate is malformed: {why}"));
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| refused(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(Unfit::Certificates(
            "there is no certificate in it".to_owned(),
        ));
    }
    Ok(roots)
}

fn public_roots() -> RootCertStore {
    let known = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
    known.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_told_at_load() {
        for text in [
            "nothing",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            assert!(roots(text).is_err(), "{text}");
        }
        assert!(public_roots().len() > 100);
    }
}
