//! Whom to trust: the public certificate authorities, or those of a file and nobody else. Never the system's store, which
//! whoever intercepts connections would add to.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, TrustAnchor};
use webpki::anchor_from_trusted_cert;

/// The public certificate authorities, as Mozilla has them.
#[must_use]
pub fn public() -> Vec<TrustAnchor<'static>> {
    webpki_roots::TLS_SERVER_ROOTS.to_vec()
}

/// The authorities of a PEM text.
///
/// # Errors
/// There is none in it, or one that cannot be read; a clause that follows the file's name.
pub fn of_pem(pem: &[u8]) -> Result<Vec<TrustAnchor<'static>>, &'static str> {
    let mut anchors = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| "is broken: a block of it is not PEM")?;
        let anchor = anchor_from_trusted_cert(&certificate);
        let anchor = anchor.map_err(|_| "holds a certificate that cannot be read")?;
        anchors.push(anchor.to_owned());
    }
    if anchors.is_empty() {
        return Err("holds no certificate");
    }
    Ok(anchors)
}
