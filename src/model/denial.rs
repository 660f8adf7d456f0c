//! Why a request is refused: one list of causes, with what the client is told. What the operator is told stands in
//! the denial itself and never reaches the client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::node::Place;

/// The causes, and for each: its stable code, the status, what the client reads, and whether the connection can go on.
macro_rules! causes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $status:ident, $title:literal, $after:ident;)+) => {
        /// A cause of refusal. The code is public and stable; the documentation lists them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Cause { $($(#[doc = $doc])+ $name,)+ }

        impl Cause {
            /// Every cause, in the order of the journey.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The stable code, such as `authn.invalid_token`.
            #[must_use]
            pub const fn code(self) -> &'static str { match self { $(Self::$name => $code,)+ } }

            /// The status of the answer.
            #[must_use]
            pub const fn status(self) -> StatusCode { match self { $(Self::$name => StatusCode::$status,)+ } }

            /// What the client reads.
            #[must_use]
            pub const fn title(self) -> &'static str { match self { $(Self::$name => $title,)+ } }

            /// Whether the connection is closed after the answer, because what follows on it cannot be trusted.
            #[must_use]
            pub const fn closes(self) -> bool { match self { $(Self::$name => After::$after.closes(),)+ } }
        }
    };
}

enum After {
    KeepOpen,
    Close,
}

impl After {
    const fn closes(&self) -> bool {
        matches!(self, Self::Close)
    }
}

causes! {
    /// A handshake that is not TLS as we speak it; closed, with at most an alert.
    Handshake = "tls.handshake", BAD_REQUEST, "The TLS handshake failed", Close;
    /// The handshake did not end in time; closed.
    HandshakeTimeout = "tls.timeout", REQUEST_TIMEOUT, "The TLS handshake did not end in time", Close;
    /// A host that no certificate is for; closed without an answer.
    HandshakeHost = "tls.unknown_host", MISDIRECTED_REQUEST, "There is nothing here by this name", Close;
    /// A client certificate that is missing or not good; closed with an alert.
    HandshakeCertificate = "tls.client_certificate", FORBIDDEN, "The client certificate is not valid", Close;
    /// Two readings of where the message begins or ends.
    Framing = "request.framing", BAD_REQUEST, "The request's framing is ambiguous", Close;
    /// The head is not HTTP/1.1 as RFC 9112 has it.
    Head = "request.head", BAD_REQUEST, "The request head is malformed", Close;
    /// More header bytes or lines than allowed.
    HeadTooLarge = "request.head_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, "The request head is too large", Close;
    /// The head did not arrive in time; closed without an answer.
    HeadTimeout = "request.head_timeout", REQUEST_TIMEOUT, "The request head did not arrive in time", Close;
    /// The peer hung up inside the head; nobody is there to be answered.
    HeadIncomplete = "request.head_incomplete", BAD_REQUEST, "The request head is incomplete", Close;
    /// The target is longer than allowed.
    TargetTooLong = "request.target_too_long", URI_TOO_LONG, "The request target is too long", Close;
    /// No host, two hosts, or not a host.
    Host = "request.host", BAD_REQUEST, "The request does not name one valid host", Close;
    /// Not a target in origin form (or an absolute one that agrees with `Host`).
    Target = "request.target", BAD_REQUEST, "The request target is not valid", Close;
    /// A path with two readings.
    Path = "request.path", BAD_REQUEST, "The request path is ambiguous", Close;
    /// A header that a client must not send so.
    Header = "request.header", BAD_REQUEST, "A request header is not acceptable", Close;
    /// An expectation other than `100-continue`.
    Expectation = "request.expectation", EXPECTATION_FAILED, "The expectation cannot be met", Close;
    /// A body where the method has none.
    BodyNotAllowed = "request.body_not_allowed", BAD_REQUEST, "This request must not have a body", Close;
    /// A method that this proxy never forwards.
    MethodRefused = "request.method", METHOD_NOT_ALLOWED, "The method is not allowed", Close;
    /// The address is on no allow list, or on a deny list.
    Ip = "ip.denied", FORBIDDEN, "Access is denied", Close;
    /// No route has this path.
    RouteNone = "route.none", NOT_FOUND, "There is nothing here", KeepOpen;
    /// A route has this path, but not with this method.
    RouteMethod = "route.method", METHOD_NOT_ALLOWED, "The method is not allowed", KeepOpen;
    /// The route was withdrawn on a date that was told before (RFC 8594).
    RouteGone = "route.gone", GONE, "This is no longer offered", KeepOpen;
    /// A token is needed and none was sent.
    CredentialsMissing = "authn.required", UNAUTHORIZED, "Authentication is required", KeepOpen;
    /// A client certificate is needed and none was shown. Closes: one can only be shown on a new connection.
    CertificateMissing = "authn.certificate_required", FORBIDDEN, "A client certificate is required", Close;
    /// Credentials in more than one place or form.
    CredentialsSeveral = "authn.invalid_request", BAD_REQUEST, "Send one set of credentials in one place", Close;
    /// A token that is not good, for whatever reason.
    TokenInvalid = "authn.invalid_token", UNAUTHORIZED, "The access token is not valid", KeepOpen;
    /// Too many bad tokens from one address.
    FailureBudget = "authn.too_many_failures", TOO_MANY_REQUESTS, "Too many failed attempts", KeepOpen;
    /// Tokens cannot be checked at the moment.
    KeysUnavailable = "authn.unavailable", SERVICE_UNAVAILABLE, "Tokens cannot be checked at the moment", KeepOpen;
    /// The caller is known, but may not.
    PermissionMissing = "authz.insufficient_scope", FORBIDDEN, "The permission for this is missing", KeepOpen;
    /// The client certificate is good, but its holder may not.
    CertificateName = "authz.certificate", FORBIDDEN, "The client certificate does not allow this", KeepOpen;
    /// A recent second factor is needed (RFC 9470).
    MfaRequired = "authz.step_up_required", UNAUTHORIZED, "A recent second factor is required", KeepOpen;
    /// A limit is spent.
    RateLimited = "limit.exceeded", TOO_MANY_REQUESTS, "Too many requests", KeepOpen;
    /// A body of a type that the route does not take.
    ContentType = "body.content_type", UNSUPPORTED_MEDIA_TYPE, "The content type is not accepted here", KeepOpen;
    /// A body longer than allowed.
    BodyTooLarge = "body.too_large", PAYLOAD_TOO_LARGE, "The request body is too large", Close;
    /// The body did not arrive in time.
    BodyTimeout = "body.timeout", REQUEST_TIMEOUT, "The request body did not arrive in time", Close;
    /// The body broke off or was framed wrongly.
    BodyBroken = "body.broken", BAD_REQUEST, "The request body is malformed", Close;
    /// The body is not JSON, or JSON with two readings.
    Json = "body.json", BAD_REQUEST, "The request body is not well-formed JSON", KeepOpen;
    /// Every place is taken.
    Overloaded = "proxy.overloaded", SERVICE_UNAVAILABLE, "The proxy is at its limit", KeepOpen;
    /// The proxy is about to stop.
    Draining = "proxy.draining", SERVICE_UNAVAILABLE, "The proxy is stopping", Close;
    /// The record of the request could not be made durable first.
    AuditUnavailable = "audit.unavailable", SERVICE_UNAVAILABLE, "The request cannot be recorded at the moment", KeepOpen;
    /// No connection to the service.
    UpstreamUnreachable = "upstream.unreachable", BAD_GATEWAY, "The service cannot be reached", KeepOpen;
    /// The service broke off, or answered something that is not HTTP.
    UpstreamBroken = "upstream.broken", BAD_GATEWAY, "The service gave no valid answer", KeepOpen;
    /// The service did not answer in time.
    UpstreamTimeout = "upstream.timeout", GATEWAY_TIMEOUT, "The service did not answer in time", KeepOpen;
    /// On the way out: `Host` is not the listener's own.
    LocalHost = "local.host", FORBIDDEN, "This listener is not for that host", Close;
    /// On the way out: the request is of a page in a browser.
    LocalPage = "local.browser", FORBIDDEN, "Pages in browsers are not served here", Close;
    /// On the way out: the caller token is missing or another one.
    LocalCaller = "local.caller", FORBIDDEN, "The caller token is missing or not valid", KeepOpen;
    /// On the way out: where WebSockets are spoken, something else than their handshake.
    LocalHandshake = "local.handshake", BAD_REQUEST, "This is no WebSocket handshake", KeepOpen;
    /// No line of `allow` names the call.
    ExchangeNotAllowed = "exchange.not_allowed", FORBIDDEN, "This call is not allowed here", KeepOpen;
    /// A call that moves money, or that the preset does not know, and that no line opens by its exact name.
    ExchangeReserved = "exchange.reserved", FORBIDDEN, "This call is kept back unless it is opened by its exact name", KeepOpen;
    /// The client brings credentials of its own where that is refused.
    ExchangeCredentials = "exchange.credentials", BAD_REQUEST, "Send no key, time or signature of your own", KeepOpen;
    /// A parameter that stands twice, or cannot be read in one way.
    ExchangeParameters = "exchange.parameters", BAD_REQUEST, "The parameters are not acceptable", KeepOpen;
    /// A frame of a WebSocket that is not one request with an identifier of its own.
    ExchangeFrame = "exchange.frame", BAD_REQUEST, "The frame is not one request with an id of its own", KeepOpen;
    /// The exchange's time is not known well enough to sign by.
    ExchangeClock = "exchange.clock", SERVICE_UNAVAILABLE, "The exchange's time is not known well enough to sign", KeepOpen;
    /// There is no signature: no key is at hand, or none that can sign this.
    ExchangeSigning = "exchange.signing", SERVICE_UNAVAILABLE, "The request cannot be signed at the moment", KeepOpen;
    /// A limit of the exchange has no room left; asking further would be punished.
    ExchangeLimit = "exchange.limit", TOO_MANY_REQUESTS, "The exchange's limit is spent", KeepOpen;
    /// The exchange said stop, to everybody behind this address or to this key.
    ExchangeHalted = "exchange.halted", TOO_MANY_REQUESTS, "The exchange has said stop", KeepOpen;
    /// A request that changes something, of which no byte left.
    ExchangeNotSent = "exchange.not_sent", SERVICE_UNAVAILABLE, "Nothing was sent to the exchange", KeepOpen;
    /// A request that changes something was sent, and nobody knows what became of it.
    ExchangeUnknown = "exchange.unknown", GATEWAY_TIMEOUT, "It is not known whether the exchange has done this", KeepOpen;
    /// The upstream did not prove who it is; nothing was sent to it.
    UpstreamUntrusted = "upstream.untrusted", BAD_GATEWAY, "The service did not prove who it is", KeepOpen;
    /// The upstream's certificate is good, but none of the pinned keys stands in its chain; nothing was sent to it.
    PinMismatch = "upstream.pin_mismatch", BAD_GATEWAY, "The service did not prove who it is", KeepOpen;
    /// Our own mistake.
    Internal = "proxy.internal", INTERNAL_SERVER_ERROR, "The proxy failed", Close;
}

/// A refusal: its cause, who decided, and what the operator should know. Boxed wherever it is an error, because the
/// common request has none.
#[derive(Clone, Debug)]
pub struct Denial {
    /// The cause.
    pub cause: Cause,
    /// The rule that decided, if it was one that somebody wrote.
    pub rule: Option<RuleId>,
    /// For the operator and the audit log only: what exactly was wrong. Never a secret.
    pub detail: String,
    /// What the answer says beyond the cause.
    pub advice: Advice,
}

impl Denial {
    /// A refusal for which no written rule is responsible.
    pub fn new(cause: Cause, detail: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            cause,
            rule: None,
            detail: detail.into(),
            advice: Advice::None,
        })
    }

    /// The same with advice to the client.
    #[must_use]
    pub fn advising(mut self: Box<Self>, advice: Advice) -> Box<Self> {
        self.advice = advice;
        self
    }

    /// How long the client is advised to wait, if it is.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        match &self.advice {
            Advice::RetryAfter(wait) => Some(*wait),
            Advice::Quota(spent) => Some(spent.more_in),
            Advice::None | Advice::Methods(_) | Advice::Scope(_) | Advice::StepUp(_) => None,
        }
    }
}

/// A body that is at hand cannot fail.
impl From<std::convert::Infallible> for Box<Denial> {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// What an answer says beyond its cause, in the fields that standards give for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing.
    None,
    /// `Allow`: the methods that would do.
    Methods(String),
    /// RFC 6750 `scope`: the permissions needed, separated by spaces.
    Scope(String),
    /// RFC 9470 `max_age`: how recent the second factor must be.
    StepUp(Duration),
    /// `Retry-After`, without naming a limit.
    RetryAfter(Duration),
    /// `Retry-After` and the `RateLimit` fields of a spent limit.
    Quota(Quota),
}

/// A rule's name, as audit, metrics, traces and `explain` show it, and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleId {
    /// Such as `place-order/require.permissions` or `inbound/deny_ips`.
    pub name: Arc<str>,
    /// Where in the configuration.
    pub place: Place,
}

impl fmt::Display for RuleId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)
    }
}

/// The state of one limit after it was asked, as told to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The limit's name.
    pub name: Arc<str>,
    /// How many at once: the size of the bucket.
    pub burst: u32,
    /// How many are left at this moment.
    pub remaining: u32,
    /// When more is granted, rounded up to whole seconds by whoever tells it.
    pub more_in: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_documented_with_its_status() {
        let documented = include_str!("../../docs/errors.md");
        for cause in Cause::ALL {
            let row = format!("| `{}` | {} |", cause.code(), cause.status().as_u16());
            assert_eq!(
                documented.matches(&row).count(),
                1,
                "docs/errors.md has no row {row}"
            );
        }
    }

    #[test]
    fn codes_are_unique() {
        let codes: std::collections::BTreeSet<&str> =
            Cause::ALL.iter().map(|cause| cause.code()).collect();
        assert_eq!(codes.len(), Cause::ALL.len());
    }
}
