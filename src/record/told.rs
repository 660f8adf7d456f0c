//! What a record is told of one request while it is under way. Holds no query, no header value but the host, no body
//! and no token; never decides anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode};
use uuid::Uuid;

use crate::model::caller::Caller;
use crate::model::certificate::ClientCertificate;
use crate::model::clock::Now;
use crate::model::cors::PreflightVerdict;
use crate::model::denial::{Cause, Denial};
use crate::model::facts::Facts;

use super::exchange::ExchangeTold;
use super::outcome::Code;
use super::route_metrics::RouteMetrics;

/// Everything known so far.
pub(super) struct Told {
    /// The generation of the configuration that judges it; `None` until it is known.
    pub(super) config: Option<u64>,
    pub(super) id: Uuid,
    pub(super) opened: Now,
    pub(super) peer: SocketAddr,
    pub(super) asked: Asked,
    pub(super) caller: Caller,
    pub(super) route: Option<Arc<RouteMetrics>>,
    pub(super) shadow: Vec<Shadowed>,
    pub(super) reason: Option<Box<Reason>>,
    /// What a preflight came to, if the request was one that we answered.
    pub(super) preflight: Option<Box<PreflightVerdict>>,
    pub(super) forwarded: Option<Now>,
    pub(super) status: Option<StatusCode>,
    pub(super) received: ByteCount,
    pub(super) sent_bytes: u64,
    pub(super) trace: Option<Trace>,
    /// Whether an intent was written: such a record belongs to the class `security`.
    pub(super) intended: bool,
    /// On the way out, what there is to tell of the exchange.
    pub(super) exchange: Option<Box<ExchangeTold>>,
}

impl Told {
    pub(super) fn new(id: Uuid, opened: Now, peer: SocketAddr) -> Self {
        Self {
            config: None,
            id,
            opened,
            peer,
            asked: Asked::Nothing,
            caller: Caller::Anonymous,
            route: None,
            shadow: Vec::new(),
            reason: None,
            preflight: None,
            forwarded: None,
            status: None,
            received: ByteCount::Known(0),
            sent_bytes: 0,
            trace: None,
            intended: false,
            exchange: None,
        }
    }

    /// What decided, in a word that metrics may carry.
    pub(super) fn code(&self) -> Code {
        match (&self.reason, self.preflight.as_deref()) {
            (Some(reason), _) => Code::Cause(reason.cause),
            (None, Some(PreflightVerdict::Granted)) => Code::PreflightGranted,
            (None, Some(PreflightVerdict::Refused(_))) => Code::PreflightRefused,
            (None, None) => Code::None,
        }
    }

    pub(super) const fn method(&self) -> Option<&Method> {
        match &self.asked {
            Asked::Nothing => None,
            Asked::Raw(raw) => raw.method.as_ref(),
            Asked::Judged(judged) => Some(&judged.method),
        }
    }
}

/// The request itself.
pub(super) enum Asked {
    /// Not even a head was read.
    Nothing,
    /// A head that was refused before it was judged.
    Raw(Box<Raw>),
    /// A judged head.
    Judged(Judged),
}

pub(super) struct Raw {
    pub(super) method: Option<Method>,
    pub(super) path: String,
}

pub(super) struct Judged {
    pub(super) method: Method,
    pub(super) target: PathAndQuery,
    pub(super) host: HeaderValue,
    pub(super) client_ip: std::net::IpAddr,
    pub(super) certificate: Option<Arc<ClientCertificate>>,
}

impl From<&Facts> for Judged {
    fn from(facts: &Facts) -> Self {
        Self {
            method: facts.method.clone(),
            target: facts.path.target().clone(),
            host: facts.authority.as_header().clone(),
            client_ip: facts.client_ip,
            certificate: facts.certificate.clone(),
        }
    }
}

/// A refusal that was only noted.
pub(super) struct Shadowed {
    pub(super) rule: Option<Arc<str>>,
    pub(super) cause: Cause,
}

impl From<&Denial> for Shadowed {
    fn from(denial: &Denial) -> Self {
        Self {
            rule: denial.rule.as_ref().map(|rule| Arc::clone(&rule.name)),
            cause: denial.cause,
        }
    }
}

/// Why the request was refused or failed.
pub(super) struct Reason {
    pub(super) cause: Cause,
    pub(super) rule: Option<Arc<str>>,
    pub(super) detail: String,
}

impl From<&Denial> for Reason {
    fn from(denial: &Denial) -> Self {
        Self {
            cause: denial.cause,
            rule: denial.rule.as_ref().map(|rule| Arc::clone(&rule.name)),
            detail: denial.detail.clone(),
        }
    }
}

/// How many bytes of body the client sent.
pub(super) enum ByteCount {
    Known(u64),
    Shared(ByteCounter),
}

impl ByteCount {
    pub(super) fn get(&self) -> u64 {
        match self {
            Self::Known(count) => *count,
            Self::Shared(counter) => counter.0.load(Ordering::Relaxed),
        }
    }
}

/// Counts a body's bytes from wherever it is read. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ByteCounter(Arc<AtomicU64>);

impl ByteCounter {
    /// Counts further bytes.
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// The identifiers of a W3C `traceparent` that a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    trace: [u8; 32],
    span: [u8; 16],
}

impl Trace {
    /// Reads a `traceparent` (W3C Trace Context section 3.2); `None` if it is not one.
    #[must_use]
    pub fn parse(value: &HeaderValue) -> Option<Self> {
        let (version, rest) = value.as_bytes().split_first_chunk::<3>()?;
        let (trace, rest) = rest.split_first_chunk::<32>()?;
        let (span, rest) = rest.strip_prefix(b"-")?.split_first_chunk::<16>()?;
        let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let flags = rest.strip_prefix(b"-")?;
        let sound = version == b"00-"
            && flags.len() == 2
            && trace.iter().chain(span).chain(flags).all(hex)
            && trace.iter().any(|byte| *byte != b'0')
            && span.iter().any(|byte| *byte != b'0');
        sound.then_some(Self {
            trace: *trace,
            span: *span,
        })
    }

    /// The trace's identifier, 32 hex digits.
    #[must_use]
    pub fn trace(&self) -> &str {
        str::from_utf8(&self.trace).unwrap_or_default()
    }

    /// The client's span, 16 hex digits.
    #[must_use]
    pub fn span(&self) -> &str {
        str::from_utf8(&self.span).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparent_is_read_strictly() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = Trace::parse(&HeaderValue::from_static(good)).unwrap();
        assert_eq!(trace.trace(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.span(), "00f067aa0ba902b7");
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert_eq!(Trace::parse(&HeaderValue::from_static(bad)), None, "{bad}");
        }
    }
}
