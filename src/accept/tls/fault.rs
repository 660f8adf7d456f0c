//! Why a handshake failed: a closed list of words of our own, so that no byte of a peer reaches a log or a metric.

use rustls::{CertificateError, Error, PeerIncompatible};

use crate::model::denial::Cause;

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFault {
    /// It took too long.
    Timeout,
    /// The first byte is not TLS.
    ClearText,
    /// The client named a host that no certificate is for.
    UnknownHost,
    /// The peer hung up, or the network broke.
    HungUp,
    /// No version of TLS in common.
    Version,
    /// No cipher suite, key exchange or signature in common.
    Parameters,
    /// The client speaks only other protocols than HTTP/1.1 (ALPN, RFC 7301).
    Protocol,
    /// The client sent an alert: mostly, that it does not take our certificate.
    Refused,
    /// Not TLS as the standard has it.
    Malformed,
    /// A client certificate is required, and none was shown.
    CertificateMissing,
    /// The client certificate is out of date.
    CertificateExpired,
    /// The client certificate is not from `client_ca`.
    CertificateIssuer,
    /// The client certificate is not one for clients, or not valid otherwise.
    CertificateInvalid,
    /// The client certificate is good, but its names cannot be read.
    CertificateUnreadable,
}

impl HandshakeFault {
    /// The fault that the library means.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "foreign lists that grow; what is new there is malformed, as most of what is here"
    )]
    pub(super) const fn of(error: &Error) -> Self {
        match error {
            Error::NoCertificatesPresented => Self::CertificateMissing,
            Error::InvalidCertificate(why) => match why {
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::CertificateExpired,
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    Self::CertificateIssuer
                }
                _ => Self::CertificateInvalid,
            },
            Error::AlertReceived(_) => Self::Refused,
            Error::NoApplicationProtocol => Self::Protocol,
            Error::PeerIncompatible(why) => match why {
                PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon
                | PeerIncompatible::NoCipherSuitesInCommon
                | PeerIncompatible::NoEcPointFormatsInCommon
                | PeerIncompatible::NoKxGroupsInCommon
                | PeerIncompatible::NoSignatureSchemesInCommon => Self::Parameters,
                PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::Tls13RequiredForQuic => Self::Version,
                _ => Self::Parameters,
            },
            _ => Self::Malformed,
        }
    }

    /// The cause of the refusal.
    #[must_use]
    pub const fn cause(self) -> Cause {
        match self {
            Self::Timeout => Cause::HandshakeTimeout,
            Self::UnknownHost => Cause::HandshakeHost,
            Self::CertificateMissing
            | Self::CertificateExpired
            | Self::CertificateIssuer
            | Self::CertificateInvalid
            | Self::CertificateUnreadable => Cause::HandshakeCertificate,
            Self::ClearText
            | Self::HungUp
            | Self::Version
            | Self::Parameters
            | Self::Protocol
            | Self::Refused
            | Self::Malformed => Cause::Handshake,
        }
    }

    /// What was wrong, for the operator.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Timeout => "the handshake did not end within `timeouts.handshake`",
            Self::ClearText => "not TLS; perhaps HTTP in clear text",
            Self::UnknownHost => "the client named a host that no certificate is for",
            Self::HungUp => "the peer hung up in the handshake",
            Self::Version => "no version of TLS in common",
            Self::Parameters => "no cipher suite, key exchange or signature in common",
            Self::Protocol => "the client does not offer http/1.1 (ALPN)",
            Self::Refused => "the client sent an alert; perhaps it does not take the certificate",
            Self::Malformed => "not TLS as the standard has it",
            Self::CertificateMissing => "no client certificate was shown",
            Self::CertificateExpired => "the client certificate is expired or not yet valid",
            Self::CertificateIssuer => "the client certificate is not from `client_ca`",
            Self::CertificateInvalid => "the client certificate is not valid for a client",
            Self::CertificateUnreadable => "the names in the client certificate cannot be read",
        }
    }
}
