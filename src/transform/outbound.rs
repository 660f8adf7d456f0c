//! The request as the exchange gets it. What is of this hop or of this house comes off once; time and signature go on for
//! each connection anew, right before the request is written.

mod answer;
mod frame;
mod upgrade;

pub use answer::{refusal, reply};
pub use frame::{Control, OutboundFrame, frame_refusal, log_on, sign_frame, stream_control};
pub use upgrade::{switched, upgrade};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HOST, USER_AGENT};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use http_body_util::Full;

use super::hop_by_hop;
use super::request::{Outbound, client_must_not_say};
use super::signers::{Fresh, SignInput, Signer};
use crate::decide::outbound::OutboundPermit;
use crate::model::denial::{Cause, Denial};
use crate::model::exchange::Security;
use crate::model::facts::Facts;

/// What the exchange must not learn of this house, beside what no upstream is told.
fn is_of_the_house(name: &str) -> bool {
    let whole = matches!(
        name,
        "authorization"
            | "cookie"
            | "expect"
            | "host"
            | "content-length"
            | "via"
            | "x-request-id"
            | "traceparent"
            | "tracestate"
            | "baggage"
            | "b3"
            | "x-correlation-id"
            | "referer"
            | "sec-fetch-mode"
            | "sentry-trace"
    );
    whole || HOUSE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Prefixes of the same kind.
const HOUSE_PREFIXES: [&str; 5] = [
    "x-b3-",
    "x-datadog-",
    "x-amzn-",
    "uber-trace-",
    "x-cloud-trace-",
];

/// Where a request goes, as the exchange is to read it.
#[derive(Clone, Debug)]
pub struct Target {
    /// `Host`.
    pub host: HeaderValue,
    /// The host without its port, as some exchanges sign it.
    pub name: String,
}

/// What this program calls itself.
const OWN_AGENT: &str = concat!("outrider/", env!("CARGO_PKG_VERSION"));

/// A request without time and signature. Each attempt makes a new one of it.
#[derive(Debug)]
pub struct Draft {
    method: Method,
    target: PathAndQuery,
    headers: HeaderMap,
    body: Bytes,
}

impl Draft {
    /// Takes off what must not leave. The client's `User-Agent` stays: exchanges tell programs apart by it.
    #[must_use]
    pub fn new(permit: &OutboundPermit, facts: &Facts, head: Parts, body: Bytes) -> Self {
        let mut headers = head.headers;
        strip(&mut headers);
        if permit.known().effect.changes() {
            // What an answer says of an order is read here, and so must not be compressed.
            headers.remove(ACCEPT_ENCODING);
        }
        Self {
            method: facts.method.clone(),
            target: facts.path.target().clone(),
            headers,
            body,
        }
    }

    /// A request of this program itself.
    #[must_use]
    pub fn own(facts: &Facts) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(OWN_AGENT));
        Self {
            method: facts.method.clone(),
            target: facts.path.target().clone(),
            headers,
            body: Bytes::new(),
        }
    }

    /// The method, the path with its query, and the fields that leave: what makes two public questions the same.
    #[must_use]
    pub const fn question(&self) -> (&Method, &PathAndQuery, &HeaderMap) {
        (&self.method, &self.target, &self.headers)
    }
}

/// Stamps and signs. Called after every wait, once for each connection.
///
/// # Errors
/// [`Cause::ExchangeSigning`]: there is no key, or none that can sign this.
pub fn sign(
    permit: &OutboundPermit,
    draft: &Draft,
    target: &Target,
    signer: Option<&Signer>,
    fresh: &Fresh,
) -> Result<Outbound<Full<Bytes>>, Box<Denial>> {
    let input = SignInput {
        method: &draft.method,
        host: &target.name,
        path: draft.target.path(),
        query: draft.target.query().unwrap_or_default(),
        body: &draft.body,
        security: permit.known().security,
    };
    let mut headers = draft.headers.clone();
    headers.insert(HOST, target.host.clone());
    let (uri, body) = match (input.security, signer) {
        (Security::Signed, Some(signer)) if !signer.signs(input.method, input.path) => {
            // The rule itself calls it public.
            (Uri::from(draft.target.clone()), draft.body.clone())
        }
        (Security::None, _) => (Uri::from(draft.target.clone()), draft.body.clone()),
        (Security::KeyOnly | Security::Signed, None) => {
            return Err(unsigned("no key is configured"));
        }
        (Security::KeyOnly | Security::Signed, Some(signer)) => {
            let signed = signer
                .sign(&input, fresh)
                .map_err(|fault| unsigned(&fault.to_string()))?;
            headers.extend(
                signed
                    .headers
                    .into_iter()
                    .map(|(name, value)| (Some(name), value)),
            );
            (uri(input.path, &signed.query)?, signed.body)
        }
    };
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = draft.method.clone();
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers;
    Ok(Outbound::of(request))
}

fn uri(path: &str, query: &str) -> Result<Uri, Box<Denial>> {
    let target = match query {
        "" => PathAndQuery::try_from(path),
        query => PathAndQuery::try_from([path, "?", query].concat()),
    };
    let target = target.map_err(|_| unsigned("what was signed is no request target"))?;
    Ok(Uri::from(target))
}

fn unsigned(why: &str) -> Box<Denial> {
    Denial::new(Cause::ExchangeSigning, why)
}

fn strip(headers: &mut HeaderMap) {
    hop_by_hop::strip(headers, |name| {
        is_of_the_house(name) || client_must_not_say(name)
    });
}
