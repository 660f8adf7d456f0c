//! What a record is told of one request while it is under way. Holds no query, no header value but the host, no body
//! and no token; never decides anything.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode};
use uuid::Uuid;

use crate::model::caller::Caller;
use crate::model::certificate::ClientCertificate;
use crate::model::clock::Now;
use crate::model::cors::PreflightVerdict;
use crate::model::denial::{Cause, Denial};
use crate::model::facts::Facts;
use crate::model::traceparent::Traceparent;

use super::exchange::ExchangeTold;
use super::outcome::Code;
use super::route_metrics::{RouteMetrics, Scheme};
use super::shown::ClientMetrics;
use super::spans::{Span, Try};

/// Everything known so far.
pub(super) struct Told {
    /// The generation of the configuration that judges it; `None` until it is known.
    pub(super) config: Option<u64>,
    pub(super) id: Uuid,
    pub(super) opened: Now,
    pub(super) peer: SocketAddr,
    pub(super) scheme: Scheme,
    pub(super) asked: Asked,
    pub(super) caller: Caller,
    pub(super) route: Option<Arc<RouteMetrics>>,
    pub(super) shadow: Vec<Shadowed>,
    pub(super) reason: Option<Box<Reason>>,
    /// What a preflight came to, if the request was one that we answered.
    pub(super) preflight: Option<Box<PreflightVerdict>>,
    /// How long it has waited for others before it was handed on.
    pub(super) waited: Duration,
    /// When it was handed to the service, and what counts the way there.
    pub(super) forwarded: Option<(Now, Arc<ClientMetrics>)>,
    pub(super) status: Option<StatusCode>,
    pub(super) received: ByteCount,
    pub(super) sent_bytes: u64,
    /// The trace that the evidence names: ours if requests are traced, else the client's.
    pub(super) trace: Option<Traceparent>,
    pub(super) span: Option<Span>,
    /// On the way out, the try that is under way, and how many were before.
    pub(super) trying: Option<Box<Try>>,
    pub(super) tries: u32,
    /// Whether an intent was written: such a record belongs to the class `security`.
    pub(super) intended: bool,
    /// On the way out, what there is to tell of the exchange.
    pub(super) exchange: Option<Box<ExchangeTold>>,
}

impl Told {
    pub(super) fn new(id: Uuid, opened: Now, peer: SocketAddr, scheme: Scheme) -> Self {
        Self {
            config: None,
            id,
            opened,
            peer,
            scheme,
            asked: Asked::Nothing,
            caller: Caller::Anonymous,
            route: None,
            shadow: Vec::new(),
            reason: None,
            preflight: None,
            waited: Duration::ZERO,
            forwarded: None,
            status: None,
            received: ByteCount::Known(0),
            sent_bytes: 0,
            trace: None,
            span: None,
            trying: None,
            tries: 0,
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

    /// Whether nobody is known to have asked, and nothing was forwarded.
    pub(super) fn is_strangers(&self) -> bool {
        matches!(self.caller, Caller::Anonymous)
            && self.certificate().is_none()
            && !self.intended
            && self.forwarded.is_none()
    }

    /// On whose behalf, as far as it is known.
    pub(super) fn client_ip(&self) -> IpAddr {
        match &self.asked {
            Asked::Nothing | Asked::Raw(_) | Asked::Frame(_) => self.peer.ip().to_canonical(),
            Asked::Judged(judged) => judged.client_ip,
        }
    }

    pub(super) fn certificate(&self) -> Option<&ClientCertificate> {
        match &self.asked {
            Asked::Nothing | Asked::Raw(_) | Asked::Frame(_) => None,
            Asked::Judged(judged) => judged.certificate.as_deref(),
        }
    }

    pub(super) const fn method(&self) -> Option<&Method> {
        match &self.asked {
            Asked::Nothing | Asked::Frame(_) => None,
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
    /// A frame of a WebSocket.
    Frame(Box<Asking>),
}

/// What is asked in a frame.
pub(super) struct Asking {
    /// The request that opened the WebSocket.
    pub(super) socket: Uuid,
    /// The interface and the method, once they are known to be names of the exchange or of the configuration.
    pub(super) name: Option<String>,
}

pub(super) struct Raw {
    pub(super) method: Option<Method>,
    pub(super) path: String,
}

pub(super) struct Judged {
    pub(super) method: Method,
    pub(super) target: PathAndQuery,
    pub(super) host: HeaderValue,
    pub(super) client_ip: IpAddr,
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
