//! The record of one request while it is under way: told things as they become known, closed exactly once. Never
//! keeps the facts whole, because they hold the token.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use uuid::Uuid;

use crate::model::caller::Caller;
use crate::model::clock::Now;
use crate::model::cors::PreflightVerdict;
use crate::model::denial::{Advice, Cause, Denial};
use crate::model::facts::Facts;
use crate::model::traceparent::Traceparent;

use super::Recorder;
use super::event::{self, Moment, Split};
use super::exchange::ExchangeTold;
use super::metrics::Stage;
use super::outcome::{Code, Outcome, outcome};
use super::redact;
use super::route_metrics::{RouteMetrics, Scheme};
use super::shown::ClientMetrics;
use super::spans::{Called, FinishedSpan, Try};
use super::told::{Asked, Asking, ByteCount, ByteCounter, Raw, Reason, Told};

/// How long a request waits for its intent to be durable.
const INTENT_WAIT_MAX: Duration = Duration::from_secs(1);
/// When a client may try again after the spool failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

thread_local! {
    /// Events are built here, so that a request allocates nothing for its event.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The record of one request. Dropped without being closed, it closes as `aborted`.
#[must_use = "a record that is dropped says that the request was aborted"]
pub struct OpenRecord {
    recorder: Recorder,
    told: Told,
    open: bool,
}

impl OpenRecord {
    pub(super) fn new(
        recorder: Recorder,
        now: Now,
        request_id: Uuid,
        peer: SocketAddr,
        scheme: Scheme,
    ) -> Self {
        Self {
            recorder,
            told: Told::new(request_id, now, peer, scheme),
            open: true,
        }
    }

    /// The request's identifier.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.told.id
    }

    /// The method, as far as it is known.
    #[must_use]
    pub const fn method(&self) -> Option<&Method> {
        self.told.method()
    }

    /// The generation of the configuration that judges the request.
    pub const fn config(&mut self, generation: u64) {
        self.told.config = Some(generation);
    }

    /// The judged head.
    pub fn facts(&mut self, facts: &Facts) {
        self.told.asked = Asked::Judged(facts.into());
    }

    /// A head that was refused before it was judged. Kept without query, capped.
    pub fn unjudged(&mut self, method: Option<&Method>, target: &[u8]) {
        self.told.asked = Asked::Raw(Box::new(Raw {
            method: method.cloned(),
            path: redact::unjudged_path(target),
        }));
    }

    /// It is no request, but a frame on the WebSocket that the request of this identifier has opened.
    pub fn frame(&mut self, socket: Uuid) {
        self.told.asked = Asked::Frame(Box::new(Asking { socket, name: None }));
    }

    /// What the frame asks: `WS` and the method. Only for names that the exchange or the configuration has.
    pub fn frame_named(&mut self, kind: &str, method: &str) {
        if let Asked::Frame(asking) = &mut self.told.asked {
            asking.name = Some(format!("{kind} {method}"));
        }
    }

    /// What the frame asks, if it is known.
    #[must_use]
    pub fn frame_name(&self) -> Option<&str> {
        match &self.told.asked {
            Asked::Frame(asking) => asking.name.as_deref(),
            Asked::Nothing | Asked::Raw(_) | Asked::Judged(_) => None,
        }
    }

    /// The client's trace, if it named one. Where requests are traced, a span begins here.
    pub fn traceparent(&mut self, sent: Option<Traceparent>) {
        let tracer = self.recorder.0.tracer.get();
        self.told.span = tracer.map(|tracer| tracer.begin(sent));
        self.told.trace = self.told.span.map(|span| span.own).or(sent);
    }

    /// What the service gets as `traceparent`: a child of our span; nothing if requests are not traced.
    #[must_use]
    pub fn child_of(&self) -> Option<HeaderValue> {
        self.told.span.and_then(|span| span.own.header())
    }

    /// Who is calling.
    pub fn caller(&mut self, caller: &Caller) {
        self.told.caller = caller.clone();
    }

    /// The route that matched.
    pub fn route(&mut self, route: &Arc<RouteMetrics>) {
        self.told.route = Some(Arc::clone(route));
    }

    /// The request is on its way out, to this exchange.
    pub fn exchange(&mut self, told: ExchangeTold) {
        self.told.exchange = Some(Box::new(told));
    }

    /// What is told of the exchange, to be told more.
    pub fn exchange_mut(&mut self) -> Option<&mut ExchangeTold> {
        self.told.exchange.as_deref_mut()
    }

    /// Refusals that were only noted.
    pub fn shadow(&mut self, denials: &[Denial]) {
        self.told.shadow.extend(denials.iter().map(Into::into));
    }

    /// Why the request is refused or has failed. The first reason stays.
    pub fn denied(&mut self, denial: &Denial) {
        if self.told.reason.is_none() {
            self.told.reason = Some(Box::new(Reason::from(denial)));
        }
    }

    /// The request is a preflight that is answered here.
    pub fn preflight(&mut self, verdict: &PreflightVerdict) {
        self.told.preflight = Some(Box::new(verdict.clone()));
    }

    /// The request has waited for somebody else, from `since` to this moment.
    pub fn waited(&mut self, stage: Stage, since: Now) {
        let took = self.recorder.0.clock.now().since(since);
        self.told.waited = self.told.waited.saturating_add(took);
        self.recorder.0.metrics.stage(stage, took);
    }

    /// The request is handed to the service from now on; `service` counts how long that takes.
    /// On the way out a span of its own begins here, which the exchange is told nothing of.
    pub fn forwarded(&mut self, now: Now, service: &Arc<ClientMetrics>) {
        self.begin_try(now, service);
        self.told.forwarded = Some((now, Arc::clone(service)));
        let took = now.since(self.told.opened);
        let own = took.saturating_sub(self.told.waited);
        self.recorder.0.metrics.stage(Stage::Decide, own);
    }

    /// What was handed to the exchange came to nothing for this reason; it may be tried again.
    pub fn try_failed(&mut self, now: Now, denial: &Denial) {
        self.end_try(now, None, Some(denial.cause));
    }

    /// The head of the answer is known: the service's, or our own.
    pub fn answered(&mut self, now: Now, status: StatusCode) {
        if let (Some((forwarded, service)), None) = (&self.told.forwarded, self.told.status) {
            let took = now.since(*forwarded);
            self.recorder.0.metrics.stage(Stage::Upstream, took);
            let cause = self.cause();
            // What is answered for the service is not the service's status.
            let own = Some(status).filter(|_| cause.is_none());
            service.observe(self.told.method(), own, cause, took);
            self.end_try(now, own, cause);
        }
        self.told.status = Some(status);
    }

    /// Bytes of the request's body, if they are known at once.
    pub fn received(&mut self, bytes: u64) {
        self.told.received = ByteCount::Known(bytes);
    }

    /// A counter for the bytes of a request's body that is streamed.
    pub fn receiving(&mut self) -> ByteCounter {
        let counter = ByteCounter::default();
        self.told.received = ByteCount::Shared(counter.clone());
        counter
    }

    /// Bytes of the answer's body, in addition to those already told.
    pub const fn sent(&mut self, bytes: u64) {
        self.told.sent_bytes = self.told.sent_bytes.saturating_add(bytes);
    }

    /// Writes an `http.intent` with the request's identifier and waits until it is durable. Nothing may be forwarded
    /// if it fails.
    pub async fn intent(&mut self) -> Result<(), Box<Denial>> {
        self.told.intended = true;
        let asked = self.recorder.0.clock.now();
        let queued = with_scratch(|out| {
            let split = self.build(out, Moment::Intent, asked);
            self.recorder.0.spool.append_durable(out, split)
        });
        let wait = queued.map_err(|refused| unavailable(&format!("the spool is {refused:?}")))?;
        let result = match tokio::time::timeout(INTENT_WAIT_MAX, wait).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(kind))) => Err(unavailable(&format!("the spool was not written: {kind}"))),
            Ok(Err(_)) => Err(unavailable("the writer has ended")),
            Err(_) => Err(unavailable("the spool did not answer in time")),
        };
        self.waited(Stage::Intent, asked);
        result
    }

    /// Closes the record: the answer is complete.
    pub fn close(mut self, now: Now) {
        let closed = event::closed(&self.told);
        self.finish(closed, now);
    }

    /// Closes at this moment, for whoever has no `now` at hand.
    pub(super) fn close_now(self) {
        let now = self.recorder.0.clock.now();
        self.close(now);
    }

    /// Closes because the answer broke off.
    pub(super) fn close_broken(mut self, why: &Denial) {
        self.denied(why);
        self.close_now();
    }

    fn finish(&mut self, moment: Moment, now: Now) {
        self.open = false;
        if let Moment::Closed(outcome) = moment {
            self.count(outcome, now);
            self.end_try(now, None, self.cause());
            self.end_span(outcome, now);
            if self.is_folded(outcome, now) {
                self.recorder.0.spool.metrics().folded.inc();
                return;
            }
        }
        with_scratch(|out| {
            let split = self.build(out, moment, now);
            // An event that finds no room is counted and told by the spool.
            self.recorder.0.spool.append(out, split).ok();
        });
    }

    /// Whether the record is one of a flood: then it is counted with those that are like it.
    fn is_folded(&self, outcome: Outcome, now: Now) -> bool {
        match (outcome, self.cause()) {
            (Outcome::Denied, Some(cause)) if self.told.is_strangers() => {
                let ip = self.told.client_ip();
                !self.recorder.0.folds.records(cause, ip, now)
            }
            _ => false,
        }
    }

    fn count(&self, outcome: Outcome, now: Now) {
        let metrics = &self.recorder.0.metrics;
        let cause = self.cause();
        let route = self
            .told
            .route
            .as_ref()
            .unwrap_or_else(|| metrics.unrouted(self.told.scheme));
        route.count(outcome, self.told.code());
        let took = now.since(self.told.opened);
        route.observe(self.told.method(), self.told.status, cause, took);
        if let Some(cause) = cause {
            metrics.denied(cause);
        }
        for noted in &self.told.shadow {
            metrics.shadow_denied(noted);
        }
    }

    fn end_span(&self, outcome: Outcome, now: Now) {
        let (Some(tracer), Some(span)) = (self.recorder.0.tracer.get(), self.told.span) else {
            return;
        };
        if span.own.sampled() {
            tracer.ended(FinishedSpan {
                span,
                called: None,
                route: self.told.route.clone(),
                scheme: self.told.scheme,
                method: self.told.method().cloned(),
                status: self.told.status,
                cause: self.cause(),
                outcome,
                began: self.told.opened,
                took: now.since(self.told.opened),
            });
        }
    }

    fn begin_try(&mut self, now: Now, server: &Arc<ClientMetrics>) {
        let told = &mut self.told;
        let (Some(tracer), Some(parent), Some(exchange)) =
            (self.recorder.0.tracer.get(), told.span, &told.exchange)
        else {
            return;
        };
        if !parent.own.sampled() {
            return;
        }
        told.trying = Some(Box::new(Try {
            span: tracer.begin(Some(parent.own)),
            began: now,
            called: Called {
                outbound: Arc::clone(&exchange.outbound),
                server: Arc::clone(server),
                resent: told.tries,
            },
        }));
        told.tries += 1;
    }

    fn end_try(&mut self, now: Now, status: Option<StatusCode>, cause: Option<Cause>) {
        let (Some(tracer), Some(tried)) = (self.recorder.0.tracer.get(), self.told.trying.take())
        else {
            return;
        };
        let Try {
            span,
            began,
            called,
        } = *tried;
        tracer.ended(FinishedSpan {
            span,
            called: Some(called),
            route: self.told.route.clone(),
            // Nothing leaves for an exchange in clear text.
            scheme: Scheme::Https,
            method: self.told.method().cloned(),
            status,
            cause,
            outcome: outcome(cause.map_or(Code::None, Code::Cause), status),
            began,
            took: now.since(began),
        });
    }

    fn cause(&self) -> Option<Cause> {
        self.told.reason.as_ref().map(|reason| reason.cause)
    }

    fn build(&self, out: &mut Vec<u8>, moment: Moment, now: Now) -> Split {
        out.clear();
        event::request(out, &self.told, moment, now, &self.recorder.0.source)
    }
}

impl Drop for OpenRecord {
    fn drop(&mut self) {
        if self.open {
            let now = self.recorder.0.clock.now();
            self.finish(Moment::Closed(Outcome::Aborted), now);
        }
    }
}

fn unavailable(detail: &str) -> Box<Denial> {
    Denial::new(Cause::AuditUnavailable, detail).advising(Advice::RetryAfter(RETRY_AFTER))
}

/// Lends the thread's buffer, or a fresh one while the thread ends.
fn with_scratch<T>(mut build: impl FnMut(&mut Vec<u8>) -> T) -> T {
    let lent = SCRATCH.try_with(|scratch| {
        let mut scratch = scratch.try_borrow_mut().ok()?;
        Some(build(&mut scratch))
    });
    match lent {
        Ok(Some(built)) => built,
        Ok(None) | Err(_) => build(&mut Vec::new()),
    }
}
