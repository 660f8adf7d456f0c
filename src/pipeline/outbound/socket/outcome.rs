//! What becomes of one request of a WebSocket API: its answer settles it, or nothing does, or its answer comes when it was
//! given up. Each is recorded as what it is. Never matches an answer to a request.

use http::StatusCode;
use uuid::Uuid;

use super::binds::Binds;
use super::reply::Reply;
use super::{Ending, Socket};
use crate::ledger::exchange::{
    Answer, CallMark, Outcome, Reservation, Settled, Told, read_rate_limits,
};
use crate::model::clock::Now;
use crate::model::denial::{Cause, Denial};
use crate::model::exchange::Effect;
use crate::pipeline::outbound::exchange_call::{is_unknown, used};
use crate::pipeline::outbound::way::WayOut;
use crate::record::{Execution, LateAnswer, OpenRecord};
use crate::transform::signers::SignerMark;

/// A request that waits for its answer.
pub(super) struct Call {
    pub(super) record: OpenRecord,
    pub(super) reservation: Option<Reservation>,
    pub(super) effect: Effect,
    pub(super) binds: Binds,
    /// The key it was signed with.
    pub(super) mark: Option<SignerMark>,
    /// When it was stamped, on the clock that is compared with the exchange's.
    pub(super) stamped: Now,
    /// Whether an answer came that names nobody, and may have been this one's.
    pub(super) is_doubtful: bool,
}

/// What is remembered of a request that was given up and told as unknown.
pub(super) struct GivenUp {
    request: Uuid,
    name: String,
    effect: Effect,
    call: CallMark,
    sent: Now,
    pub(super) binds: Binds,
    pub(super) mark: Option<SignerMark>,
}

/// An answer, as far as it matters to the record and to limits.
pub(super) struct Said {
    pub(super) status: StatusCode,
    code: Option<i64>,
    answer: Answer,
    bytes: usize,
}

impl Said {
    /// Reads an answer of this status and length.
    pub(super) fn of(reply: &Reply<'_>, status: StatusCode, bytes: usize) -> Self {
        let told = reply
            .limits
            .and_then(|limits| read_rate_limits(limits.get().as_bytes()).ok());
        let told = told.map_or_else(Told::default, |(_, told)| told);
        let (code, retry_ms) = reply.failure();
        Self {
            status,
            code,
            answer: Answer::of_frame(status, told, retry_ms),
            bytes,
        }
    }

    /// What became of a request that has this effect.
    fn execution(&self, effect: Effect) -> Execution {
        match effect.changes() && is_unknown(self.status, self.code) {
            true => Execution::Unknown,
            false => Execution::Answered,
        }
    }

    /// Takes to heart what it says to everybody: whether the time was wrong, and whether to stop.
    fn heed(&self, way: &WayOut, stamped: Option<Now>) {
        if let Some(stamped) = stamped {
            way.freshness.note_code(self.code, stamped);
        }
        if let Outcome::Halt(..) = self.answer.outcome {
            way.counters.exchange.halted();
        }
    }
}

impl Call {
    /// Ends it by its answer: what it cost, what came of it.
    pub(super) fn settle(self, socket: &Socket, said: &Said) {
        let now = socket.clock.now();
        let Self {
            mut record,
            reservation,
            effect,
            stamped,
            ..
        } = self;
        if let Ok((_, way)) = socket.way() {
            said.heed(&way, Some(stamped));
            if let Some(reservation) = reservation {
                reservation.settle(Settled::Answered(&said.answer), way.moment(now));
            }
        }
        let execution = said.execution(effect);
        if let Some(told) = record.exchange_mut() {
            told.code = said.code;
            told.used = used(&said.answer.told);
            told.execution = execution;
        }
        let status = said.status;
        if execution == Execution::Unknown {
            let why = format!("the exchange answered {status} and does not know itself");
            record.denied(&Denial::new(Cause::ExchangeUnknown, why));
        }
        record.answered(now, status);
        record.sent(said.bytes as u64);
        record.close(now);
    }

    /// Ends it without an answer. What the client is told of it, where its `id` is given because somebody is there.
    pub(super) fn unanswered(
        self,
        socket: &Socket,
        ending: Ending,
        id: Option<&str>,
    ) -> Option<String> {
        let now = socket.clock.now();
        let Self {
            record,
            reservation,
            effect,
            is_doubtful,
            ..
        } = self;
        if let (Some(reservation), Ok((_, way))) = (reservation, socket.way()) {
            reservation.settle(Settled::Unknown, way.moment(now));
        }
        let cause = match (effect.changes(), ending) {
            (true, _) => Cause::ExchangeUnknown,
            // Nobody is there to be told, and nothing is lost: the record says `aborted`.
            (false, Ending::ClientGone) => return None,
            (false, Ending::Late) => Cause::UpstreamTimeout,
            (false, Ending::Over) => Cause::UpstreamBroken,
        };
        let why = match is_doubtful {
            true => "an answer that names no request may have been this one's",
            false => ending.why(),
        };
        let denial = Denial::new(cause, why);
        match id {
            Some(id) => Some(socket.refuse(&denial, Some(id), record)),
            None => {
                socket.lost(&denial, record);
                None
            }
        }
    }

    /// What is remembered of it when it is given up.
    pub(super) fn remembered(&self) -> GivenUp {
        GivenUp {
            request: self.record.id(),
            name: self.record.frame_name().unwrap_or_default().to_owned(),
            effect: self.effect,
            call: self
                .reservation
                .as_ref()
                .map_or(CallMark::NONE, Reservation::call),
            sent: self.stamped,
            binds: self.binds,
            mark: self.mark.clone(),
        }
    }
}

impl GivenUp {
    /// Of a request that changes nothing and binds nothing.
    pub(super) fn of(record: &OpenRecord, sent: Now) -> Self {
        Self {
            request: record.id(),
            name: record.frame_name().unwrap_or_default().to_owned(),
            effect: Effect::Read,
            call: CallMark::NONE,
            sent,
            binds: Binds::Nothing,
            mark: None,
        }
    }

    /// Records its answer after all: what was told as unknown is known now.
    pub(super) fn settle(&self, socket: &Socket, said: &Said) {
        hear_late(socket, said, self.call);
        self.record(socket, said.status, said.code, said.execution(self.effect));
    }

    /// The same for an answer of which nothing but its status is known.
    pub(super) fn record(
        &self,
        socket: &Socket,
        status: StatusCode,
        code: Option<i64>,
        execution: Execution,
    ) {
        let Ok((_, way)) = socket.way() else { return };
        way.counters.exchange.answered_late();
        socket.recorder.late_answer(&LateAnswer {
            socket: socket.id,
            request: self.request,
            name: &self.name,
            exchange: &way.told(),
            execution,
            status,
            code,
            took: socket.clock.now().since(self.sent),
        });
    }
}

/// What an answer says to everybody whose request is settled already, or not known: only a stop counts.
pub(super) fn hear_late(socket: &Socket, said: &Said, call: CallMark) {
    if let Ok((_, way)) = socket.way() {
        said.heed(&way, None);
        way.budget
            .heard(&said.answer, call, way.moment(socket.clock.now()));
    }
}
