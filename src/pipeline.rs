//! The whole walk of a request on one screen: accept, identify, decide, transform, forward, record.
//! Never decides anything itself; imported by nothing but `roles` and `cli`.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::accept::body::{self as bodies, Admitted, BodyLimits, Need, WholeBodies};
use crate::accept::facts::{FactRules, facts, sole_origin};
use crate::accept::http::{Arrival, Handler, HeadRefusal, Http};
use crate::accept::raw_head::HeadFault;
use crate::accept::tls::TlsDoor;
use crate::decide::policy::{AuditMode, Policy, Route};
use crate::decide::{self, Admission, BodyNeeds, Evaluation, Permit};
use crate::forward::{Forwarder, Slot};
use crate::identify::{self, Verification, Verifier};
use crate::ledger::Ledger;
use crate::model::caller::Caller;
use crate::model::clock::{Clock, Now};
use crate::model::denial::{Advice, Cause, Denial};
use crate::model::facts::{Connection, Facts};
use crate::model::settings::Timeouts;
use crate::model::traceparent::Traceparent;
use crate::record::{
    ClientMetrics, Metrics, OpenRecord, RecordedBody, Recorder, RouteMetrics, Scheme, Stage, new_id,
};
use crate::transform::{self, Answers, Page, RequestBody};

mod answer;
mod caught;
mod opening;
pub mod outbound;
mod question;
mod streams;
mod upload;

pub use answer::{AnswerBody, AnswerBroken};
pub use question::{Assumed, Explanation, Question, Verdict, explain};
pub use streams::Streams;
pub use upload::Upload;

use opening::{Opening, RequestId};
use outbound::WayOut;
use streams::{Held, is_stream};

/// Everything a request goes by, made at load and never changed; a reload makes another one.
#[derive(Debug)]
pub struct Snapshot {
    /// How heads are judged.
    pub fact_rules: FactRules,
    /// Routes and rules.
    pub policy: Policy,
    /// The counters of the policy's limits.
    pub ledger: Ledger,
    /// How tokens are verified, if any are taken. Shared by snapshots that verify alike, and with it what is remembered.
    pub tokens: Option<Arc<Verifier>>,
    /// What answers carry.
    pub answers: Answers,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// The account of bodies held whole, one for the process.
    pub whole_bodies: WholeBodies,
}

impl Snapshot {
    /// Room 2, and what it costs to be wrong there: a token that was verified and is bad is charged to the address. One
    /// that is refused before that costs us nothing, so nobody who shares the address has to pay for it.
    pub fn caller(
        &self,
        facts: &Facts,
        failures_spent: Option<Duration>,
        now: Now,
    ) -> Result<Caller, Box<Denial>> {
        let verification = failures_spent.map_or(Verification::Allowed, Verification::BudgetSpent);
        let caller = identify::caller(facts, self.tokens.as_deref(), verification, now);
        caller.map_err(|refused| {
            if refused.verified {
                self.ledger.note_failure(facts.client_ip, now);
            }
            refused.denial
        })
    }
}

/// A snapshot in service, with all that is made for it. Every request keeps the one that it began with to its end.
pub struct Live {
    /// Which one it is since the start; the record of each request that it judges names it.
    pub generation: u64,
    /// What requests go by.
    pub snapshot: Snapshot,
    /// How connections are served that are taken in from now on.
    pub http: Http,
    /// Where they become TLS; without it they stay in clear text.
    pub tls: Option<TlsDoor>,
    /// The way to the service, one for each worker.
    pub ways: Vec<Forwarder<Upload>>,
    /// The ways out, in the order of the file.
    pub ways_out: Vec<Arc<WayOut>>,
    /// In the order of the policy's routes.
    routes: Vec<Arc<RouteMetrics>>,
    /// The counters of the way to the service.
    service: Arc<ClientMetrics>,
    scheme: Scheme,
}

impl Live {
    /// Makes the routes' counters once, so that no request looks one up.
    #[must_use]
    pub fn new(
        generation: u64,
        snapshot: Snapshot,
        http: Http,
        tls: Option<TlsDoor>,
        ways: Vec<Forwarder<Upload>>,
        ways_out: Vec<Arc<WayOut>>,
        service: Arc<ClientMetrics>,
        metrics: &Metrics,
    ) -> Self {
        let scheme = Scheme::of(tls.is_some());
        let counters = |route: &Route| {
            let template = route.matching.path.as_str();
            metrics.route(&route.name, template, scheme)
        };
        let routes = snapshot.policy.routes.iter().map(counters).collect();
        Self {
            generation,
            snapshot,
            http,
            tls,
            ways,
            ways_out,
            routes,
            service,
            scheme,
        }
    }

    /// Whether the client's certificate is still one that a handshake would take: whom to trust may have changed while
    /// the connection was kept.
    fn trusts(&self, facts: &Facts, now: Now) -> Result<(), Box<Denial>> {
        match (&facts.certificate, &self.tls) {
            (Some(shown), Some(door)) if !door.trusts(shown, now) => {
                let why = "`client_ca` does not vouch for the certificate any more";
                Err(Denial::new(Cause::HandshakeCertificate, why))
            }
            (Some(_) | None, Some(_) | None) => Ok(()),
        }
    }

    /// The way of one worker.
    fn way(&self, worker: usize) -> Result<&Forwarder<Upload>, Box<Denial>> {
        let way = self.ways.get(worker);
        way.ok_or_else(|| Denial::new(Cause::Internal, "the worker has no way to the service"))
    }

    /// Tells the metrics what is only known here.
    pub fn show(&self, metrics: &Metrics, now: Now) {
        if let Some(tokens) = &self.snapshot.tokens {
            let (hits, misses) = tokens.take_cache_counts();
            metrics.show_token_cache(hits, misses, tokens.cached_tokens());
            let keyring = tokens.keyring();
            metrics.keys(keyring.age(now), keyring.key_count());
        }
        metrics.show_held(self.snapshot.ledger.keys());
    }
}

/// The walk of one worker's requests. All of it is shared by all workers but the connections to the service.
pub struct Pipeline {
    /// What requests go by; each takes the newest at its start and keeps it to its end.
    pub live: Arc<ArcSwap<Live>>,
    /// Where requests are recorded.
    pub recorder: Recorder,
    /// What the time is.
    pub clock: Arc<dyn Clock>,
    /// Which worker this is, from 0: it has its own way to the service.
    pub worker: usize,
    /// Answers that are open, to be judged again when something else is live.
    pub streams: Arc<Streams>,
}

/// One request on its walk: what is known of it from the first moment, and what refusing it would need to know.
struct Visit<'l> {
    id: RequestId,
    now: Now,
    record: OpenRecord,
    route: Option<&'l Route>,
    origin: Option<HeaderValue>,
    body: RequestBody,
}

impl Pipeline {
    /// One request, from its head to the head of the answer. Read it from top to bottom: each step is a room.
    async fn walk<'l>(
        &self,
        live: &'l Live,
        arrival: Arrival,
        visit: &mut Visit<'l>,
    ) -> Result<Response<AnswerBody>, Box<Denial>> {
        let Live {
            snapshot: snap,
            routes,
            ..
        } = live;
        let Visit {
            id, now, record, ..
        } = visit;
        let now = *now;
        let evaluation = &mut Evaluation::live(&snap.ledger, now);
        let deadline = Instant::now() + snap.timeouts.total;
        let (head, body) = arrival.request.into_parts();
        let judged = judge(&head, &arrival.connection, arrival.fault, snap, record);
        visit.origin = match &judged {
            Ok(facts) => facts.origin.clone(),
            Err(_) => sole_origin(&head.headers),
        };
        let facts = judged?;
        live.trusts(&facts, now)?;
        let admitted = decide::admit(&snap.policy, &facts, evaluation);
        visit.route = match &admitted {
            Ok(admitted) => Some(admitted.route()),
            Err(rejected) => rejected.route,
        };
        if let Some(counters) = visit.route.and_then(|route| routes.get(route.index)) {
            record.route(counters);
        }
        let entry = match admitted? {
            Admission::Enters(entry) => entry,
            Admission::Answered(answer) => {
                record.preflight(answer.verdict());
                let (origin, settled) = (facts.origin.as_ref(), visit.body);
                let reply =
                    transform::preflight(&answer, origin, &snap.answers, &id.header, settled);
                return Ok(reply.map(AnswerBody::whole));
            }
        };
        let caller = snap.caller(&facts, entry.failures_spent(), now)?;
        record.caller(&caller);
        let ok = decide::head(entry, &facts, &caller, evaluation)?;
        let body = self.admit(body, ok.body_needs(), snap, record).await?;
        let whole = body.whole().map(Bytes::as_ref).unwrap_or_default();
        let permit = decide::body(ok, &facts, &caller, whole, evaluation)?;
        record.shadow(permit.shadow());
        intend(&self.recorder, permit.route().audit, record).await?;
        let slot = self.checkout(live, &permit, record).await?;
        let upload = Upload::new(body, facts.framing, record);
        let stamp = id.stamp(arrival.connection.secure, record.child_of());
        let out = transform::prepare(&permit, &facts, &caller, head, upload, &stamp);
        record.forwarded(self.clock.now(), &live.service);
        let reply = slot.send(out, deadline).await?;
        let origin = facts.origin.as_ref();
        let reply = transform::reply(&permit, reply, origin, &snap.answers, &id.header);
        if !is_stream(reply.body()) {
            return Ok(reply.map(AnswerBody::Reply));
        }
        let held = self.hold(live, facts, caller)?;
        Ok(reply.map(|body| AnswerBody::stream(body, held)))
    }

    /// Registers an answer that may stay open, and judges it if something else has come into force since it began: from
    /// here on either this or the reload sees it.
    fn hold(&self, live: &Live, facts: Facts, caller: Caller) -> Result<Held, Box<Denial>> {
        let now = self.clock.now();
        let held = Streams::hold(&self.streams, &live.snapshot, facts, caller, now);
        let newest = self.live.load();
        if newest.generation != live.generation {
            held.judge(&newest, now)?;
        }
        Ok(held)
    }

    /// The body, streamed or whole.
    async fn admit(
        &self,
        body: Incoming,
        needs: BodyNeeds,
        snap: &Snapshot,
        record: &mut OpenRecord,
    ) -> Result<Admitted, Box<Denial>> {
        let (need, bytes_max) = match needs {
            BodyNeeds::Stream { bytes_max } => (Need::Stream, bytes_max),
            BodyNeeds::Whole { bytes_max } => (Need::Whole(&snap.whole_bodies), bytes_max),
        };
        let (idle, total) = (snap.timeouts.body_idle, snap.timeouts.total);
        let limits = BodyLimits {
            bytes_max: bytes_max.0,
            idle,
            total,
        };
        let BodyNeeds::Whole { .. } = needs else {
            return bodies::admit(body, need, limits).await;
        };
        let asked = self.clock.now();
        let admitted = bodies::admit(body, need, limits).await;
        record.waited(Stage::Body, asked);
        admitted
    }

    /// A connection to the service.
    async fn checkout(
        &self,
        live: &Live,
        permit: &Permit<'_>,
        record: &mut OpenRecord,
    ) -> Result<Slot<Upload>, Box<Denial>> {
        let asked = self.clock.now();
        let slot = live.way(self.worker)?.checkout(permit).await;
        record.waited(Stage::Connect, asked);
        slot
    }
}

/// Whether the request may be forwarded as far as its record goes: durable first where its route says so, and never while
/// records find no room.
async fn intend(
    recorder: &Recorder,
    audit: AuditMode,
    record: &mut OpenRecord,
) -> Result<(), Box<Denial>> {
    match audit {
        AuditMode::BeforeForward => record.intent().await,
        AuditMode::WithAnswer if recorder.is_saturated() => {
            let denial = Denial::new(
                Cause::AuditUnavailable,
                "the buffer of `audit.buffer_bytes_max` is full",
            );
            Err(denial.advising(Advice::RetryAfter(Duration::from_secs(1))))
        }
        AuditMode::WithAnswer => Ok(()),
    }
}

impl Handler for Pipeline {
    type Body = RecordedBody<AnswerBody>;

    async fn handle(&self, arrival: Arrival) -> Response<Self::Body> {
        let live = self.live.load_full();
        let now = self.clock.now();
        let opening = Opening::of(&arrival, &self.recorder, now, live.generation, live.scheme);
        let Opening { id, record, body } = opening;
        let mut visit = Visit {
            id,
            now,
            record,
            route: None,
            origin: None,
            body,
        };
        let answer = caught::caught(self.walk(&live, arrival, &mut visit)).await;
        let Visit {
            id,
            mut record,
            route,
            origin,
            body,
            ..
        } = visit;
        let answer = answer.unwrap_or_else(|denial| {
            record.denied(&denial);
            let Snapshot {
                answers, policy, ..
            } = &live.snapshot;
            let page = Page {
                cors: route.map_or(&policy.cors, |route| &route.cors).as_deref(),
                origin: origin.as_ref(),
            };
            transform::refusal(&denial, answers, &id.header, route, &page, body)
                .map(AnswerBody::whole)
        });
        let status = answer.status();
        record.answered(self.clock.now(), status);
        answer.map(|body| RecordedBody::new(body, status, record))
    }

    fn refused_head(&self, refusal: HeadRefusal) {
        let now = self.clock.now();
        let live = self.live.load();
        let mut record = self
            .recorder
            .open(now, new_id(now), refusal.peer, live.scheme);
        record.config(live.generation);
        record.denied(&Denial::new(refusal.cause, refusal.detail));
        record.close(now);
    }
}

/// Room 1: what is recorded of a head that is refused is the head as it came.
fn judge(
    head: &Parts,
    connection: &Connection,
    hidden: Option<HeadFault>,
    snap: &Snapshot,
    record: &mut OpenRecord,
) -> Result<Facts, Box<Denial>> {
    record.traceparent(Traceparent::sole(&head.headers));
    let judged = match hidden {
        Some(fault) => Err(fault.denial()),
        None => facts(connection, head, &snap.fact_rules),
    };
    match &judged {
        Ok(facts) => record.facts(facts),
        Err(_) => record.unjudged(Some(&head.method), head.uri.path().as_bytes()),
    }
    judged
}
