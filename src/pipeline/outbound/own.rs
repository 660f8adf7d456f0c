//! What this program asks of an exchange by itself, its time and its limits, and whether it accepts a key: the same walk as
//! a service's questions, with the same permit, pins, limits and record. Never anything that changes something.

use bytes::Bytes;
use http::{Request, Response};
use tokio::time::Instant;

use super::answer::whole;
use super::exchange_call::ExchangeCall;
use super::way::WayOut;
use super::{OutboundBody, OutboundPipeline, Visit, unrecorded};
use crate::accept::outbound as door;
use crate::decide::outbound::{self as decide, OwnQuestion};
use crate::model::caller::{Caller, LocalProof};
use crate::model::clock::Now;
use crate::model::denial::{Cause, Denial};
use crate::pipeline::caught;
use crate::record::RecordedBody;
use crate::transform::outbound::Draft;

use std::sync::Arc;

/// An answer to a question of this program's own.
pub struct OwnAnswer {
    /// The exchange's answer, or why there is none.
    pub response: Response<RecordedBody<OutboundBody>>,
    /// Why there is no answer of the exchange, for the operator.
    pub refused: Option<Box<Denial>>,
    /// When the question was written, if it was.
    pub sent: Option<Now>,
    /// When the head of the answer was there.
    pub received: Now,
}

impl OutboundPipeline {
    /// The way out that is in force.
    #[must_use]
    pub fn way_out(&self) -> Option<Arc<WayOut>> {
        self.live.load().ways_out.get(self.index).cloned()
    }

    /// Asks.
    pub async fn own(&self, way: &Arc<WayOut>, question: OwnQuestion) -> OwnAnswer {
        let mut visit = self.own_visit(way);
        let mut sent = None;
        let answer = caught::caught(self.own_walk(way, question, &mut visit, &mut sent)).await;
        let received = self.clock.now();
        let refused = answer.as_ref().err().cloned();
        OwnAnswer {
            refused,
            response: self.finish(answer, visit, false),
            sent,
            received,
        }
    }

    async fn own_walk(
        &self,
        way: &Arc<WayOut>,
        question: OwnQuestion,
        visit: &mut Visit,
        sent: &mut Option<Now>,
    ) -> Result<Response<OutboundBody>, Box<Denial>> {
        let record = visit.record.as_mut().ok_or_else(unrecorded)?;
        record.route(&way.counters.own);
        record.caller(&Caller::Local(LocalProof::Own));
        let call = decide::own(&way.policy, question)?;
        let path = question.path(way.policy.preset).unwrap_or_default();
        let request = Request::get(path).header("host", "localhost").body(());
        let request = request.map_err(|_| Denial::new(Cause::Internal, "no request"))?;
        let (head, ()) = request.into_parts();
        let facts = door::own(&head, &way.rules)?;
        record.facts(&facts.facts);
        let now = self.clock.now();
        // Asked here, so that nothing is reserved for what cannot be signed.
        way.can_sign(call.known().security, now)?;
        let permit = decide::grant(call, &way.budget, way.moment(now))?;
        let draft = Draft::own(&facts.facts);
        let mut exchange_call = ExchangeCall {
            way: Arc::clone(way),
            role: facts.role,
            permit,
            draft,
            worker: self.worker,
            clock: Arc::clone(&self.clock),
            deadline: Instant::now() + way.timeouts.total,
            sent: None,
        };
        let answer = exchange_call.ask(record).await;
        *sent = exchange_call.sent;
        answer
    }
}

/// The bytes of an answer that is short.
pub async fn short(
    response: Response<RecordedBody<OutboundBody>>,
    bytes_max: usize,
) -> Option<Bytes> {
    whole(response.into_body(), bytes_max).await
}
