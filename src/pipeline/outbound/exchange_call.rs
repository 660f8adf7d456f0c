//! One permitted request on its way to an exchange and back. A request of which no byte left takes one fresh connection,
//! stamped and signed anew; after a byte left, only what changes nothing is asked again. Never guesses what became of one.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body::Body as _;
use http_body_util::Full;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::answer::{OutboundBody, whole};
use super::way::{Site, WayOut};
use crate::decide::outbound::OutboundPermit;
use crate::forward::coalesce::{self, Coalescer, Key, Lead, Turn};
use crate::forward::{Forwarder, ResponseBody, SendFault, Sent};
use crate::ledger::exchange::{Answer, Outcome, Reservation, Settled, Told};
use crate::model::clock::{Clock, Now};
use crate::model::denial::{Cause, Denial};
use crate::model::exchange::{Effect, Role, Security};
use crate::record::{Execution, OpenRecord};
use crate::transform::outbound::{self as transform, Draft};
use crate::transform::signers::Fresh;

/// Bytes of an answer to a request that changes something; it is read whole.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Bytes of an answer that tells an error; longer ones are passed on unread.
const ERROR_BYTES_MAX: usize = 4 << 10;

/// The most connections that one request takes.
const ATTEMPTS_MAX: u32 = 2;

/// A request that may leave.
pub(super) struct ExchangeCall {
    pub(super) way: Arc<WayOut>,
    pub(super) role: Role,
    pub(super) permit: OutboundPermit,
    pub(super) draft: Draft,
    pub(super) worker: usize,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) deadline: Instant,
    /// When it was written the last time.
    pub(super) sent: Option<Now>,
}

type Reply = Response<ResponseBody<Full<Bytes>>>;

impl ExchangeCall {
    /// Whether a second one could do harm.
    pub(super) const fn changes(&self) -> bool {
        self.permit.known().effect.changes()
    }

    /// Asks something that changes nothing; the answer is passed on as it comes, or is that of somebody who asked the
    /// same.
    pub(super) async fn ask(
        &mut self,
        record: &mut OpenRecord,
    ) -> Result<Response<OutboundBody>, Box<Denial>> {
        match self.shareable() {
            Some((shared, key)) => self.ask_together(&shared, &key, record).await,
            None => self.ask_alone(record).await,
        }
    }

    async fn ask_alone(
        &mut self,
        record: &mut OpenRecord,
    ) -> Result<Response<OutboundBody>, Box<Denial>> {
        let reply = self.send(record).await.map_err(|fault| fault.denial)?;
        told(record, Execution::Answered);
        if !self.tells_error(&reply) {
            return Ok(reply.map(OutboundBody::reply));
        }
        let (head, body) = reply.into_parts();
        let Some(body) = whole(body, ERROR_BYTES_MAX).await else {
            return Err(Denial::new(Cause::UpstreamBroken, "the answer broke off"));
        };
        self.note_code(error_code(&body), record);
        Ok(Response::from_parts(head, OutboundBody::whole(body)))
    }

    /// Whether an answer to what was signed may say why it was refused, in few words.
    fn tells_error(&self, reply: &Reply) -> bool {
        let size = reply.body().size_hint().exact();
        self.permit.known().security == Security::Signed
            && reply.status() == StatusCode::BAD_REQUEST
            && size.is_some_and(|size| size <= ERROR_BYTES_MAX as u64)
    }

    /// What the exchange says of an error stands in the record.
    fn note_code(&self, code: Option<i64>, record: &mut OpenRecord) {
        if let Some(signed) = self.sent {
            self.way.freshness.note_code(code, signed);
        }
        if let (Some(code), Some(told)) = (code, record.exchange_mut()) {
            told.code = Some(code);
        }
    }

    /// Asks for all who ask the same, or takes the answer of whoever did.
    async fn ask_together(
        &mut self,
        shared: &Coalescer<Box<Denial>>,
        key: &Key,
        record: &mut OpenRecord,
    ) -> Result<Response<OutboundBody>, Box<Denial>> {
        let turn = timeout_at(self.deadline, shared.join(key, self.clock.now())).await;
        match turn {
            Ok(Turn::Lead(lead)) => self.ask_for_all(lead, record).await,
            Ok(Turn::Answered(answer)) => {
                self.settle(Settled::NotSent);
                self.way.counters.exchange.coalesced();
                Ok(given(&answer))
            }
            Ok(Turn::Failed(denial)) => {
                self.settle(Settled::NotSent);
                Err(denial)
            }
            Ok(Turn::Alone) => self.ask_alone(record).await,
            Err(_elapsed) => {
                self.settle(Settled::NotSent);
                Err(Denial::new(
                    Cause::UpstreamTimeout,
                    "no answer within `timeouts.total`",
                ))
            }
        }
    }

    /// Asks for all who wait. An answer whose length is not told, or is too great, is for this one alone.
    async fn ask_for_all(
        &mut self,
        lead: Lead<Box<Denial>>,
        record: &mut OpenRecord,
    ) -> Result<Response<OutboundBody>, Box<Denial>> {
        let reply = match self.send(record).await {
            Ok(reply) => reply,
            Err(fault) => {
                lead.fail(fault.denial.clone());
                return Err(fault.denial);
            }
        };
        told(record, Execution::Answered);
        let bytes_max = coalesce::BODY_BYTES_MAX as u64;
        let short = reply
            .body()
            .size_hint()
            .exact()
            .is_some_and(|size| size <= bytes_max);
        if !short {
            lead.release();
            return Ok(reply.map(OutboundBody::reply));
        }
        let (head, body) = reply.into_parts();
        let Some(body) = whole(body, coalesce::BODY_BYTES_MAX).await else {
            return Err(Denial::new(Cause::UpstreamBroken, "the answer broke off"));
        };
        let answer = coalesce::Answer {
            status: head.status,
            headers: head.headers,
            body,
        };
        Ok(given(&lead.answer(answer, self.clock.now())))
    }

    /// What is public, changes nothing and looks the same may be asked once for all, where the configuration says so.
    fn shareable(&self) -> Option<(Coalescer<Box<Denial>>, Key)> {
        let known = self.permit.known();
        let public = known.security == Security::None && known.effect == Effect::Read;
        let shared = self
            .way
            .shared
            .as_ref()
            .filter(|_| public && self.permit.line().is_some())?;
        let site = self.way.site(self.role).ok()?;
        let (method, target, headers) = self.draft.question();
        // A clock's answer is true at one moment only.
        if self.way.rules.preset.time == Some(target.path()) {
            return None;
        }
        let key = Key::of(method, &site.target.name, target.as_str(), headers)?;
        Some((shared.clone(), key))
    }

    /// Sends something that changes something, and reads the answer to its end: only then is it known what became of it.
    pub(super) async fn order(
        &mut self,
        record: &mut OpenRecord,
    ) -> Result<Response<Bytes>, Box<Denial>> {
        let reply = match self.send(record).await {
            Ok(reply) => reply,
            Err(fault) => return Err(came_to_nothing(fault, record)),
        };
        let (head, body) = reply.into_parts();
        let whole = timeout_at(self.deadline, whole(body, ANSWER_BYTES_MAX)).await;
        let Ok(Some(body)) = whole else {
            return Err(unknown(record, "the answer broke off"));
        };
        let code = error_code(&body);
        self.note_code(code, record);
        if is_unknown(head.status, code) {
            let why = format!(
                "the exchange answered {} and does not know itself",
                head.status
            );
            return Err(unknown(record, &why));
        }
        told(record, Execution::Answered);
        Ok(Response::from_parts(head, body))
    }

    /// Sends, and settles what was reserved by what came of it.
    async fn send(&mut self, record: &mut OpenRecord) -> Result<Reply, SendFault> {
        let sent = self.try_to_send(record).await;
        match &sent {
            Ok(reply) => self.heard(reply.status(), reply.headers(), record),
            Err(SendFault {
                sent: Sent::Nothing,
                ..
            }) => self.settle(Settled::NotSent),
            Err(SendFault {
                sent: Sent::Something,
                ..
            }) => self.settle(Settled::Unknown),
        }
        sent
    }

    /// Sends on one connection, and on a second, fresh one where nothing can be done twice by that.
    async fn try_to_send(&mut self, record: &mut OpenRecord) -> Result<Reply, SendFault> {
        let mut attempt = 1;
        let mut left = Sent::Nothing;
        loop {
            let mut fault = match self.attempt(attempt, record).await {
                Ok(reply) => return Ok(reply),
                Err(fault) => fault,
            };
            record.try_failed(self.clock.now(), &fault.denial);
            let harmless = fault.sent == Sent::Nothing || !self.changes();
            let worth_it = worth_another(&fault.denial) && Instant::now() < self.deadline;
            if fault.sent == Sent::Something {
                left = Sent::Something;
            }
            told(record, execution(left));
            if attempt >= ATTEMPTS_MAX || !harmless || !worth_it {
                fault.sent = left;
                return Err(fault);
            }
            attempt += 1;
        }
    }

    /// Waits for a connection, then stamps, signs and sends.
    async fn attempt(&mut self, attempt: u32, record: &mut OpenRecord) -> Result<Reply, SendFault> {
        let unsent = |denial| SendFault {
            denial,
            sent: Sent::Nothing,
        };
        let site = self.way.site(self.role).map_err(unsent)?;
        let forwarder = self.forwarder(site).map_err(unsent)?;
        let slot = match attempt {
            1 => forwarder.checkout(&self.permit).await,
            _ => forwarder.connect(&self.permit).await,
        };
        let slot = slot.map_err(unsent)?;
        let now = self.clock.now();
        let fresh = self.fresh(now).map_err(unsent)?;
        let signer = self.way.signer.as_ref();
        let out = transform::sign(&self.permit, &self.draft, &site.target, signer, &fresh);
        let out = out.map_err(unsent)?;
        record.forwarded(now, &site.metrics);
        if let Some(told) = record.exchange_mut() {
            told.attempts = attempt;
            told.signed |= self.permit.known().security == Security::Signed;
            // Until somebody says more: this may be cut off at any wait from here on.
            told.execution = Execution::Unknown;
        }
        self.sent = Some(now);
        slot.send_once(out, self.deadline).await
    }

    fn forwarder<'s>(&self, site: &'s Site) -> Result<&'s Forwarder<Full<Bytes>>, Box<Denial>> {
        let way = site.ways.get(self.worker);
        way.ok_or_else(|| Denial::new(Cause::Internal, "the worker has no way to the exchange"))
    }

    /// What makes this signature another one than all before; nothing where none is made.
    fn fresh(&self, now: Now) -> Result<Fresh, Box<Denial>> {
        match self.permit.known().security {
            Security::Signed => self.way.freshness.fresh(now),
            Security::None | Security::KeyOnly => Ok(Fresh {
                unix_us: now.unix_us,
                nonce: 0,
                random: [0; 32],
            }),
        }
    }

    /// What the exchange says of its limits counts for everybody, and stands in the record.
    fn heard(&mut self, status: StatusCode, headers: &HeaderMap, record: &mut OpenRecord) {
        let answer = Answer::read(status, headers);
        if let Outcome::Halt(..) = answer.outcome {
            self.way.counters.exchange.halted();
        }
        if let Some(told) = record.exchange_mut() {
            told.used = used(&answer.told);
        }
        self.settle(Settled::Answered(&answer));
    }

    fn settle(&mut self, settled: Settled<'_>) {
        if let Some(reservation) = self.permit.take_reservation() {
            let moment = self.way.moment(self.clock.now());
            reservation.settle(settled, moment);
        }
    }
}

/// Gives back what was reserved for something that is not sent.
pub(super) fn give_back(reservation: Option<Reservation>, way: &WayOut, now: Now) {
    if let Some(reservation) = reservation {
        reservation.settle(Settled::NotSent, way.moment(now));
    }
}

/// An answer that several get.
fn given(answer: &coalesce::Answer) -> Response<OutboundBody> {
    let mut response = Response::new(OutboundBody::whole(answer.body.clone()));
    *response.status_mut() = answer.status;
    response.headers_mut().clone_from(&answer.headers);
    response
}

/// A request that changes something has no answer.
fn came_to_nothing(fault: SendFault, record: &mut OpenRecord) -> Box<Denial> {
    let SendFault { denial, sent } = fault;
    if sent == Sent::Something {
        return unknown(record, &denial.detail);
    }
    // These say themselves that nothing was sent, and why.
    let own = matches!(
        denial.cause,
        Cause::ExchangeClock | Cause::ExchangeSigning | Cause::Internal
    );
    if own {
        return denial;
    }
    let why = format!("{}: {}", denial.cause.code(), denial.detail);
    Denial::new(Cause::ExchangeNotSent, why)
}

/// A connection that failed may be followed by one that does not; a key that is missing is missing a moment later too.
fn worth_another(denial: &Denial) -> bool {
    matches!(
        denial.cause,
        Cause::UpstreamUnreachable | Cause::UpstreamBroken
    )
}

fn told(record: &mut OpenRecord, execution: Execution) {
    if let Some(told) = record.exchange_mut() {
        told.execution = execution;
    }
}

/// What became of a request without an answer.
pub(super) const fn execution(left: Sent) -> Execution {
    match left {
        Sent::Nothing => Execution::NotSent,
        Sent::Something => Execution::Unknown,
    }
}

fn unknown(record: &mut OpenRecord, why: &str) -> Box<Denial> {
    told(record, Execution::Unknown);
    Denial::new(Cause::ExchangeUnknown, why)
}

/// What the exchange has counted, by the names of its limits.
pub(super) fn used(told: &Told) -> Vec<(String, u64)> {
    told.figures()
        .map(|figure| (figure.name(), figure.count))
        .collect()
}

/// Whether an answer leaves open what became of a request that changes something: every 5xx, and the codes by which
/// Binance says so itself (`UNEXPECTED_RESP` and `TIMEOUT`: "execution status unknown").
pub(super) fn is_unknown(status: StatusCode, code: Option<i64>) -> bool {
    status.is_server_error() || matches!(code, Some(-1006 | -1007))
}

/// The code of an error in the exchange's own words: the member `code`, as Binance has it. 200 is none: futures say
/// `{"code":200,"msg":"success"}`.
#[must_use]
pub fn error_code(body: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    struct Told {
        code: Option<i64>,
    }
    let told: Option<Told> = serde_json::from_slice(body).ok();
    told.and_then(|told| told.code)
        .filter(|code| *code != i64::from(StatusCode::OK.as_u16()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_outcome_is_one_that_the_exchange_does_not_know_either() {
        for (status, body, expected) in [
            (200, "{\"orderId\":1}", false),
            (200, "{\"code\":200,\"msg\":\"success\"}", false),
            (400, "{\"code\":-2010,\"msg\":\"x\"}", false),
            (400, "{\"code\":-1007,\"msg\":\"x\"}", true),
            (409, "{\"code\":-2021}", false),
            (418, "{\"code\":-1003}", false),
            (500, "", true),
            (503, "<html>", true),
            (504, "{\"code\":-1007}", true),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let found = is_unknown(status, error_code(body.as_bytes()));
            assert_eq!(found, expected, "{status} {body}");
        }
    }
}
