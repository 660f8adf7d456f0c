//! The walk of a request on the way out, on one screen: the same six rooms. Never decides anything itself, and never sends
//! a second time what may have been done once.

mod answer;
mod exchange_call;
mod own;
mod question;
mod socket;
mod way;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Response};
use hyper::body::Incoming;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::accept::body::{self as bodies, BodyLimits, Need};
use crate::accept::http::{Arrival, Handler, HeadRefusal};
use crate::accept::outbound::{self as door, Bound, LocalFacts};
use crate::decide::outbound::{self as decide, Call};
use crate::identify::local;
use crate::model::clock::Clock;
use crate::model::denial::{Cause, Denial};
use crate::model::exchange::Role;
use crate::model::traceparent::Traceparent;
use crate::record::{OpenRecord, RecordedBody, Recorder, Scheme, new_id};
use crate::runtime::drain::Drain;
use crate::transform::RequestBody;
use crate::transform::outbound::{self as transform, Draft};

use super::opening::{Opening, RequestId};
use super::{Live, caught, intend};

pub use answer::OutboundBody;
pub use exchange_call::error_code;
pub use own::{OwnAnswer, short};
pub use question::{Judged, JudgedFrame, judge, judge_frame};
pub use way::{Counters, Doubts, Freshness, Site, WayOut};

use exchange_call::ExchangeCall;

/// The walk of one worker's requests to one exchange.
pub struct OutboundPipeline {
    /// What requests go by; each takes the newest at its start and keeps it to its end.
    pub live: Arc<ArcSwap<Live>>,
    /// Which way out, by its position.
    pub index: usize,
    /// Where it is bound.
    pub bound: Bound,
    /// Where requests are recorded.
    pub recorder: Recorder,
    /// What the time is.
    pub clock: Arc<dyn Clock>,
    /// Which worker this is, from 0.
    pub worker: usize,
    /// Requests that change something: they are seen to their end, whoever hangs up.
    pub orders: Drain,
    /// Told when something else is live.
    pub newest: watch::Receiver<u64>,
}

/// One request on its walk.
struct Visit {
    id: HeaderValue,
    /// Until somebody else sees it to its end.
    record: Option<OpenRecord>,
    body: RequestBody,
}

impl OutboundPipeline {
    /// One request, from its head to the head of the answer. Read it from top to bottom: each step is a room.
    async fn walk(
        &self,
        way: &Arc<WayOut>,
        arrival: Arrival,
        visit: &mut Visit,
    ) -> Result<Response<OutboundBody>, Box<Denial>> {
        let deadline = Instant::now() + way.timeouts.total;
        let record = visit.record.as_mut().ok_or_else(unrecorded)?;
        let (facts, head, body) = self.judge(way, arrival, record)?;
        let on_socket = self.bound == Bound::Unix;
        let caller = local::caller(facts.token.as_ref(), way.caller_token.as_ref(), on_socket)?;
        record.caller(&caller);
        if facts.role != Role::Rest {
            // In a box, so that a request does not carry the room that a handshake needs.
            return Box::pin(self.walk_socket(way, facts, head, caller, visit)).await;
        }
        let call = allowed(way, &facts, record)?;
        let body = admit(way, &facts, body).await?;
        visit.body = RequestBody::Settled;
        record.received(body.len() as u64);
        let now = self.clock.now();
        // Asked here, so that nothing is reserved for what cannot be signed.
        way.can_sign(call.known().security, now)?;
        let granted = decide::grant(call, &way.budget, way.moment(now));
        let mut permit = granted.inspect_err(|_| way.counters.exchange.refused())?;
        if permit.known().effect.changes()
            && let Err(denial) = intend(&self.recorder, way.audit, record).await
        {
            // Dropped, it would count as sent.
            exchange_call::give_back(permit.take_reservation(), way, self.clock.now());
            return Err(denial);
        }
        let draft = Draft::new(&permit, &facts.facts, head, body);
        let mut exchange_call = ExchangeCall {
            way: Arc::clone(way),
            role: facts.role,
            permit,
            draft,
            worker: self.worker,
            clock: Arc::clone(&self.clock),
            deadline,
            sent: None,
        };
        match exchange_call.changes() {
            false => exchange_call.ask(record).await,
            true => self.detach(exchange_call, visit).await,
        }
    }

    /// Room 1: what is recorded of a head that is refused is the head as it came.
    fn judge(
        &self,
        way: &WayOut,
        arrival: Arrival,
        record: &mut OpenRecord,
    ) -> Result<(LocalFacts, http::request::Parts, Incoming), Box<Denial>> {
        let Arrival {
            request,
            connection,
            fault,
        } = arrival;
        let (mut head, body) = request.into_parts();
        record.traceparent(Traceparent::sole(&head.headers));
        let judged = match fault {
            Some(fault) => Err(fault.denial()),
            None => door::facts(&connection, &self.bound, &mut head, &way.rules),
        };
        match judged {
            Ok(judged) => {
                record.facts(&judged.facts);
                Ok((judged, head, body))
            }
            Err(denial) => {
                record.unjudged(Some(&head.method), head.uri.path().as_bytes());
                Err(denial)
            }
        }
    }

    /// Sees a request that changes something to its end in a task of its own: from here on a client that hangs up takes
    /// nothing back, and its record tells what became of it.
    async fn detach(
        &self,
        mut exchange_call: ExchangeCall,
        visit: &mut Visit,
    ) -> Result<Response<OutboundBody>, Box<Denial>> {
        let mut record = visit.record.take().ok_or_else(unrecorded)?;
        let (tell, told) = oneshot::channel();
        let (id, clock) = (visit.id.clone(), Arc::clone(&self.clock));
        // In a box: a task's future is moved some ten times before it runs, and this one is several KiB.
        self.orders.spawn(Box::pin(async move {
            let speaks_codes = exchange_call.way.rules.preset.speaks_codes;
            let answer = caught::caught(exchange_call.order(&mut record)).await;
            let answer = answer.unwrap_or_else(|denial| {
                record.denied(&denial);
                transform::refusal(&denial, speaks_codes, &id, RequestBody::Settled)
            });
            record.answered(clock.now(), answer.status());
            record.sent(answer.body().len() as u64);
            record.close(clock.now());
            // Nobody is there to be told if the client has hung up.
            tell.send(answer).ok();
        }));
        let answer = told.await.map_err(|_| {
            let why = "the task that saw to it is gone";
            Denial::new(Cause::ExchangeUnknown, why)
        })?;
        Ok(answer.map(OutboundBody::whole))
    }
}

impl Handler for OutboundPipeline {
    type Body = RecordedBody<OutboundBody>;

    async fn handle(&self, arrival: Arrival) -> Response<Self::Body> {
        let live = self.live.load_full();
        let now = self.clock.now();
        let (recorder, generation) = (&self.recorder, live.generation);
        let opening = Opening::of(&arrival, recorder, now, generation, Scheme::Http);
        let Opening { id, record, body } = opening;
        let mut visit = Visit {
            id: id.header,
            record: Some(record),
            body,
        };
        let Some(way) = live.ways_out.get(self.index) else {
            let denial = Denial::new(Cause::Internal, "the listener has no way out");
            return self.finish(Err(denial), visit, false);
        };
        if let Some(record) = &mut visit.record {
            record.exchange(way.told());
            record.route(&way.counters.unallowed);
        }
        let answer = caught::caught(self.walk(way, arrival, &mut visit)).await;
        self.finish(answer, visit, way.rules.preset.speaks_codes)
    }

    fn refused_head(&self, refusal: HeadRefusal) {
        let now = self.clock.now();
        let mut record = self
            .recorder
            .open(now, new_id(now), refusal.peer, Scheme::Http);
        let live = self.live.load();
        record.config(live.generation);
        if let Some(way) = live.ways_out.get(self.index) {
            record.exchange(way.told());
        }
        record.denied(&Denial::new(refusal.cause, refusal.detail));
        record.close(now);
    }
}

impl OutboundPipeline {
    /// The beginning of a question of our own.
    fn own_visit(&self, way: &WayOut) -> Visit {
        let now = self.clock.now();
        let peer = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
        let uuid = new_id(now);
        let mut record = self.recorder.open(now, uuid, peer, Scheme::Http);
        record.config(self.live.load().generation);
        record.exchange(way.told());
        Visit {
            id: RequestId::own(uuid),
            record: Some(record),
            body: RequestBody::Settled,
        }
    }

    /// Shapes the answer, and gives it the record to close, unless somebody else has it.
    fn finish(
        &self,
        answer: Result<Response<OutboundBody>, Box<Denial>>,
        visit: Visit,
        speaks_codes: bool,
    ) -> Response<RecordedBody<OutboundBody>> {
        let Visit {
            id,
            mut record,
            body,
        } = visit;
        let answer = match answer {
            Ok(answer) => transform::reply(answer, &id),
            Err(denial) => {
                if let Some(record) = &mut record {
                    record.denied(&denial);
                }
                transform::refusal(&denial, speaks_codes, &id, body).map(OutboundBody::whole)
            }
        };
        let Some(mut record) = record else {
            return answer.map(RecordedBody::unrecorded);
        };
        let status = answer.status();
        record.answered(self.clock.now(), status);
        answer.map(|body| RecordedBody::new(body, status, record))
    }
}

/// Room 3, first step, and the counters of the line that allows it.
fn allowed(way: &WayOut, facts: &LocalFacts, record: &mut OpenRecord) -> Result<Call, Box<Denial>> {
    way.site(facts.role)?;
    let LocalFacts { facts, extent, .. } = facts;
    let call = decide::call(&way.policy, &facts.method, facts.path.path(), *extent)?;
    if let Some(counters) = way.counters.line(call.position()) {
        record.route(counters);
    }
    Ok(call)
}

/// The body, whole and without what the client put there to be believed.
async fn admit(way: &WayOut, facts: &LocalFacts, body: Incoming) -> Result<Bytes, Box<Denial>> {
    door::refuse_body_on_get(&facts.facts)?;
    let limits = BodyLimits {
        bytes_max: way.body_bytes_max,
        idle: way.timeouts.body_idle,
        total: way.timeouts.total,
    };
    let admitted = bodies::admit(body, Need::Whole(&way.whole_bodies), limits).await?;
    let whole = admitted.whole().cloned().unwrap_or_default();
    door::body(&facts.facts, whole, &way.rules)
}

fn unrecorded() -> Box<Denial> {
    Denial::new(Cause::Internal, "the request has no record")
}
