//! Where the library asks whether to believe a server: the same for every judge. The certificate must be for the name and
//! lead to a trusted root; what more is asked of it the judge says.

use std::fmt;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use super::trust::TrustFault;
use crate::runtime::crypto;

/// What a server shows in a handshake.
pub(super) struct Shown<'a> {
    /// Its own certificate.
    pub(super) own: &'a CertificateDer<'a>,
    /// Those that it sent along.
    pub(super) sent: &'a [CertificateDer<'a>],
    /// Who it should be.
    pub(super) name: &'a ServerName<'a>,
    pub(super) now: UnixTime,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

/// Judges the server of one handshake.
pub(super) trait Judging: Send + Sync {
    /// Whether it is believed.
    fn judge(&self, shown: &Shown<'_>) -> Result<(), TrustFault>;
}

/// A judge, as the library asks one.
pub(super) struct Verifier<J> {
    pub(super) judge: J,
    algorithms: WebPkiSupportedAlgorithms,
}

impl<J: Judging> Verifier<J> {
    pub(super) fn new(judge: J) -> Self {
        let algorithms = crypto::provider().signature_verification_algorithms;
        Self { judge, algorithms }
    }
}

impl Shown<'_> {
    /// Whether the certificate is for the name, in date, for servers, and has a path to one of the roots that `takes`
    /// takes. Each path that holds is shown to it until it takes one; any error of it means: try another.
    pub(super) fn paths(
        &self,
        roots: &[TrustAnchor<'_>],
        takes: &dyn Fn(&VerifiedPath<'_>) -> Result<(), webpki::Error>,
    ) -> Result<(), TrustFault> {
        let of = |error| TrustFault::of(&error);
        let own = EndEntityCert::try_from(self.own).map_err(of)?;
        own.verify_is_valid_for_subject_name(self.name)
            .map_err(of)?;
        let (all, usage) = (self.algorithms.all, KeyUsage::server_auth());
        let built = own.verify_for_usage(all, roots, self.sent, self.now, usage, None, Some(takes));
        built.map(|_path| ()).map_err(of)
    }
}

impl<J> fmt::Debug for Verifier<J> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Verifier")
    }
}

impl<J: Judging> ServerCertVerifier for Verifier<J> {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = Shown {
            own,
            sent,
            name,
            now,
            algorithms: self.algorithms,
        };
        let judged = self.judge.judge(&shown);
        judged.map_err(|fault| fault.error())?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, own, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, own, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
