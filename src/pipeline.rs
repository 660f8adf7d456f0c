//! The whole walk of a request on one screen: accept, identify, decide, transform, forward, record.
//! Never decides anything itself; imported by nothing but `roles` and `cli`.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response};
use hyper::body::Incoming;
use uuid::Uuid;

use crate::accept::body::{Admitted, BodyLimits, Need};
use crate::accept::facts::{FactRules, facts};
use crate::accept::http::{Arrival, Handler, HeadRefusal};
use crate::accept::{self};
use crate::decide::{self, BodyNeeds, Permit, Spend, Trace, policy::Policy};
use crate::forward::Forwarder;
use crate::identify::{self, Verification, Verifier};
use crate::ledger::Ledger;
use crate::model::caller::Caller;
use crate::model::clock::{Clock, Now};
use crate::model::denial::{Cause, Denial};
use crate::model::facts::Facts;
use crate::model::settings::Timeouts;
use crate::record::{OpenRecord, RecordedBody, Recorder};
use crate::transform::{self, Answers, Stamp};

mod body;
mod question;

pub use body::AnswerBody;
pub use question::{Assumed, Explanation, Question, Verdict, explain};

/// Everything a request goes by, made at load and never changed; a reload makes another one.
#[derive(Debug)]
pub struct Snapshot {
    /// How heads are judged.
    pub fact_rules: FactRules,
    /// Routes and rules.
    pub policy: Policy,
    /// The counters of the policy's limits.
    pub ledger: Ledger,
    /// How tokens are verified, if any are taken.
    pub tokens: Option<Verifier>,
    /// What answers carry.
    pub answers: Answers,
    /// How long each step may take.
    pub timeouts: Timeouts,
}

/// The walk of one worker's requests. The snapshot and the recorder are shared by all workers, the connections to the
/// service are the worker's own.
pub struct Pipeline {
    /// What requests go by; each takes the newest at its start and keeps it to its end.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Where requests are recorded.
    pub recorder: Recorder,
    /// What the time is.
    pub clock: Arc<dyn Clock>,
    /// The way to the service.
    pub forwarder: Forwarder<Admitted>,
}

impl Pipeline {
    /// One request, from its head to the head of the answer. Read it from top to bottom: each step is a room.
    async fn walk(
        &self,
        snap: &Snapshot,
        arrival: Arrival,
        id: &HeaderValue,
        record: &mut OpenRecord,
    ) -> Result<Response<AnswerBody>, Box<Denial>> {
        let now = record.opened();
        let (head, body) = arrival.request.into_parts();
        record.asked(&head);
        if let Some(fault) = arrival.fault {
            return Err(fault.denial());
        }
        let facts = facts(arrival.peer, &head, &snap.fact_rules)?;
        record.facts(&facts);
        let trace = &mut Trace::Off;
        let entry = decide::admit(&snap.policy, &facts, &snap.ledger, now, Spend::Yes, trace)?;
        record.route(entry.route().index);
        let caller = self.caller(snap, &facts, entry.failures_spent(), now)?;
        record.caller(&caller);
        let head_ok = decide::head(entry, &facts, &caller, &snap.ledger, now, Spend::Yes, trace)?;
        let body = admit_body(body, head_ok.body_needs(), &snap.timeouts).await?;
        let whole = body.whole().map(Bytes::as_ref).unwrap_or_default();
        let permit = decide::body(head_ok, &facts, &caller, whole, &snap.ledger, now, Spend::Yes, trace)?;
        record.permitted(permit.shadow());
        self.intend(&permit, record).await?;
        let slot = self.forwarder.checkout(&permit).await?;
        let stamp = Stamp { request_id: id, secure: false };
        let out = transform::prepare(&permit, &facts, &caller, head, body, &stamp);
        record.forwarded();
        let reply = slot.send(out).await?;
        Ok(transform::reply(&permit, reply, &snap.answers, id).map(AnswerBody::Reply))
    }

    /// Room 2, and what it costs to be wrong there.
    fn caller(
        &self,
        snap: &Snapshot,
        facts: &Facts,
        failures_spent: Option<std::time::Duration>,
        now: Now,
    ) -> Result<Caller, Box<Denial>> {
        let verification = failures_spent.map_or(Verification::Allowed, Verification::BudgetSpent);
        let caller = identify::caller(facts, snap.tokens.as_ref(), verification, now);
        if let Err(denial) = &caller
            && denial.cause == Cause::TokenInvalid
        {
            snap.ledger.note_failure(facts.client_ip, now);
        }
        caller
    }

    /// On routes that say `audit: before_forward`, the record is durable before the request leaves.
    async fn intend(&self, permit: &Permit<'_>, record: &mut OpenRecord) -> Result<(), Box<Denial>> {
        match permit.route().audit {
            decide::policy::AuditMode::WithAnswer => Ok(()),
            decide::policy::AuditMode::BeforeForward => record.intent().await,
        }
    }
}

impl Handler for Pipeline {
    type Body = RecordedBody<AnswerBody>;

    async fn handle(&self, arrival: Arrival) -> Response<Self::Body> {
        let snap = self.snapshot.load_full();
        let id = RequestId::choose(&arrival);
        let mut record = self.recorder.open(self.clock.now(), id.uuid, arrival.peer);
        let answer = self.walk(&snap, arrival, &id.header, &mut record).await;
        let answer = answer.unwrap_or_else(|denial| {
            record.denied(&denial);
            transform::refusal(&denial, &snap.answers, &id.header).map(AnswerBody::whole)
        });
        record.answered(answer.status());
        answer.map(|body| RecordedBody::new(body, record))
    }

    fn refused_head(&self, refusal: HeadRefusal) {
        let record = self.recorder.open(self.clock.now(), Uuid::now_v7(), refusal.peer);
        record.refused_head(&Denial::new(refusal.cause, refusal.detail));
    }
}
