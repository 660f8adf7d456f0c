//! Why there is no connection to an exchange: in words of our own, so that no byte of a peer reaches a log.

use std::fmt;
use std::io;

use rustls::{AlertDescription, Error, PeerIncompatible};

use super::trust::TrustFault;
use crate::model::denial::{Cause, Denial};

/// Why there is no connection. Nothing was sent but the handshake.
#[derive(Debug)]
pub enum DialFault {
    /// The host's name cannot be resolved.
    Name(io::Error),
    /// Nobody answers there.
    Connect(io::Error),
    /// Nobody answers there in time, or the name was not resolved in time.
    ConnectTimeout,
    /// The handshake took too long.
    HandshakeTimeout,
    /// The peer hung up in the handshake, or the network broke.
    HungUp(io::Error),
    /// No version of TLS in common.
    Version,
    /// No cipher suite, key exchange or signature in common, or another alert.
    Refused,
    /// It speaks another protocol than HTTP/1.1 (ALPN, RFC 7301).
    Protocol,
    /// Not TLS as the standard has it.
    Malformed,
    /// It is not the exchange, as far as anybody can prove.
    Trust(TrustFault),
}

impl DialFault {
    /// The fault that a failed handshake means.
    pub(super) fn of(error: io::Error) -> Self {
        let inner = error.get_ref();
        match inner.and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(error) => Self::of_tls(error),
            None => Self::HungUp(error),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "foreign lists that grow; what is new there is malformed, as most of what is here"
    )]
    const fn of_tls(error: &Error) -> Self {
        match error {
            Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::Version,
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Self::Version,
            Error::AlertReceived(AlertDescription::NoApplicationProtocol)
            | Error::NoApplicationProtocol => Self::Protocol,
            Error::AlertReceived(_) | Error::PeerIncompatible(_) => Self::Refused,
            // The chain was judged before, and is good; what is signed with its key is not (RFC 8446 section 4.4.3).
            Error::InvalidCertificate(_) => Self::Trust(TrustFault::Key),
            _ => Self::Malformed,
        }
    }

    /// The cause of the refusal.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        match self {
            Self::Trust(TrustFault::Pins(_)) => Cause::PinMismatch,
            Self::Trust(_) => Cause::UpstreamUntrusted,
            Self::Name(_)
            | Self::Connect(_)
            | Self::ConnectTimeout
            | Self::HandshakeTimeout
            | Self::HungUp(_)
            | Self::Version
            | Self::Refused
            | Self::Protocol
            | Self::Malformed => Cause::UpstreamUnreachable,
        }
    }
}

impl fmt::Display for DialFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => write!(out, "the name cannot be resolved: {error}"),
            Self::Connect(error) => write!(out, "no connection: {error}"),
            Self::ConnectTimeout => out.write_str("no connection within `timeouts.connect`"),
            Self::HandshakeTimeout => {
                out.write_str("the handshake did not end within `timeouts.handshake`")
            }
            Self::HungUp(error) => write!(out, "the peer hung up in the handshake: {error}"),
            Self::Version => out.write_str("no version of TLS in common"),
            Self::Refused => out.write_str("the peer refused the handshake"),
            Self::Protocol => out.write_str("the peer does not speak http/1.1 (ALPN)"),
            Self::Malformed => out.write_str("not TLS as the standard has it"),
            Self::Trust(fault) => fault.fmt(out),
        }
    }
}

impl std::error::Error for DialFault {}

impl From<DialFault> for Box<Denial> {
    fn from(fault: DialFault) -> Self {
        Denial::new(fault.cause(), format!("connect: {fault}"))
    }
}
