//! The conversation on one WebSocket API: each frame of the client is judged, signed and recorded like a request, and each
//! answer is matched to it. Never sends, never reads; never passes a frame on that it did not understand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::binds::{Binds, LOG_ON};
use super::reply::{Reply, plain_id, spelt};
use super::{Asked, Ending, Socket};
use crate::decide::outbound::{self as decide, ExchangePolicy, OutboundPermit};
use crate::ledger::exchange::{Answer, Outcome, Reservation, Settled, Told, read_rate_limits};
use crate::model::clock::Now;
use crate::model::denial::{Cause, Denial};
use crate::model::exchange::{Effect, Extent, Known, Security};
use crate::model::frame::{Frame, FrameFault};
use crate::model::outbound::ClientCredentials;
use crate::pipeline::intend;
use crate::pipeline::outbound::exchange_call::{give_back, is_unknown, used};
use crate::pipeline::outbound::way::WayOut;
use crate::record::{Execution, OpenRecord};
use crate::transform::outbound::{self as transform, OutboundFrame};
use crate::transform::signers::{Fresh, Session, SignerMark};

/// Requests of one WebSocket that wait for their answers.
const IN_FLIGHT_MAX: usize = 256;

/// What one WebSocket API has been asked and what it knows of us.
pub(super) struct Calls {
    /// Whether this program logs the socket on by itself, so that clients may not.
    logs_on: bool,
    state: Mutex<State>,
}

struct State {
    session: Session,
    /// The key that the exchange knows this connection by: logged on, or listened with.
    bound: Option<SignerMark>,
    /// The methods by which clients may have bound it, each once: it stays as long as lines of `allow` name them.
    bound_by: Vec<&'static str>,
    in_flight: HashMap<String, Call>,
}

/// A request that waits for its answer.
struct Call {
    record: OpenRecord,
    reservation: Option<Reservation>,
    effect: Effect,
    binds: Binds,
    /// The key it was signed with.
    mark: Option<SignerMark>,
    sent: Instant,
    /// The same moment on the clock that is compared with the exchange's.
    stamped: Now,
}

impl Calls {
    pub(super) fn new(logs_on: bool) -> Self {
        Self {
            logs_on,
            state: Mutex::new(State {
                session: Session::Anonymous,
                bound: None,
                bound_by: Vec::new(),
                in_flight: HashMap::new(),
            }),
        }
    }

    /// Judges a frame of the client: what leaves for the exchange, or what the client is answered instead.
    pub(super) async fn ask(&self, socket: &Socket, text: &str) -> Asked {
        let mut record = socket.open_record();
        record.received(text.len() as u64);
        let frame = Frame::parse(text);
        let id = frame.as_ref().ok().and_then(|frame| plain_id(frame.id?));
        match self.judge(socket, frame, id, &mut record).await {
            Ok(signed) => self.send(socket, id.unwrap_or_default(), signed, record),
            Err(denial) => Asked::Refused(socket.refuse(&denial, id, record)),
        }
    }

    /// The walk of one frame. Read it from top to bottom, as that of a request.
    async fn judge(
        &self,
        socket: &Socket,
        frame: Result<Frame<'_>, FrameFault>,
        id: Option<&str>,
        record: &mut OpenRecord,
    ) -> Result<Signed, Box<Denial>> {
        let (generation, way) = socket.way()?;
        record.config(generation);
        let mut frame = frame.map_err(unclear)?;
        let id = id.ok_or_else(|| no_frame("no id that is a number or a plain text"))?;
        self.admit(id)?;
        let call = decide::frame(&way.policy, &frame.method, Extent::of_frame(&frame))?;
        record.frame_named("WS", &frame.method);
        if let Some(counters) = way.counters.line(call.position()) {
            record.route(counters);
        }
        self.refuse_session(&frame.method)?;
        let stripped = frame.strip(way.rules.preset.credentials.members);
        if stripped.any() && way.rules.credentials == ClientCredentials::Refuse {
            let why = "the frame brings a key, a time or a signature of its own";
            return Err(Denial::new(Cause::ExchangeCredentials, why));
        }
        let known = *call.known();
        let now = socket.clock.now();
        if known.security == Security::Signed {
            // Asked here, so that nothing is reserved for what cannot be signed.
            way.freshness.time(now)?;
        }
        let granted = decide::grant(call, &way.budget, way.moment(now));
        let mut permit = granted.inspect_err(|_| way.counters.exchange.refused())?;
        let signed = self.sign(socket, &way, &permit, &frame, record).await;
        let reservation = permit.take_reservation();
        match signed {
            Ok((out, mark)) => Ok(Signed {
                out,
                reservation,
                known,
                binds: Binds::of(&frame.method),
                mark,
            }),
            Err(denial) => {
                give_back(reservation, &way, socket.clock.now());
                Err(denial)
            }
        }
    }

    /// Writes the intent, where one is wanted, and then stamps and signs: after every wait.
    async fn sign(
        &self,
        socket: &Socket,
        way: &WayOut,
        permit: &OutboundPermit,
        frame: &Frame<'_>,
        record: &mut OpenRecord,
    ) -> Result<(OutboundFrame, Option<SignerMark>), Box<Denial>> {
        let known = permit.known();
        if known.effect.changes() {
            intend(&socket.recorder, way.audit, record).await?;
        }
        let fresh = fresh(way, known, socket.clock.now())?;
        let signer = way.signer.as_ref();
        let out = transform::sign_frame(permit, frame, signer, self.session(way), &fresh)?;
        Ok((out, way.mark.clone()))
    }

    /// Notes that the frame is on its way: from here on its outcome is unknown until the exchange has told it.
    fn send(&self, socket: &Socket, id: &str, signed: Signed, mut record: OpenRecord) -> Asked {
        let signed_now = signed.known.security == Security::Signed;
        let stamped = socket.clock.now();
        record.forwarded(stamped, &socket.metrics);
        if let Some(told) = record.exchange_mut() {
            told.attempts = 1;
            told.signed = signed_now;
            told.execution = Execution::Unknown;
        }
        let call = Call {
            record,
            reservation: signed.reservation,
            effect: signed.known.effect,
            binds: signed.binds,
            mark: signed.mark,
            sent: Instant::now(),
            stamped,
        };
        let mut state = self.state();
        if signed.binds == Binds::LogsOut {
            // Whether it has happened or not, a frame that names its key is understood.
            state.session = Session::Anonymous;
        }
        if let Some(method) = signed.binds.method()
            && !(self.logs_on && method == LOG_ON)
            && !state.bound_by.contains(&method)
        {
            // Noted before it has happened: an answer that is late or lost binds all the same.
            state.bound_by.push(method);
        }
        state.in_flight.insert(id.to_owned(), call);
        Asked::Send(signed.out)
    }

    /// The frame by which this program logs the connection on, where the configuration says so.
    pub(super) fn log_on(
        &self,
        socket: &Socket,
        way: &WayOut,
        id: &str,
    ) -> Result<OutboundFrame, Box<Denial>> {
        let now = socket.clock.now();
        let mut record = socket.open_own_record();
        record.frame_named("WS", LOG_ON);
        let made = decide::log_on(&way.policy).and_then(|call| {
            way.freshness.time(now)?;
            let mut permit = decide::grant(call, &way.budget, way.moment(now))?;
            let fresh = fresh(way, permit.known(), now)?;
            let out = transform::log_on(&permit, id, way.signer.as_ref(), &fresh);
            let reservation = permit.take_reservation();
            match out {
                Ok(out) => Ok((out, reservation, *permit.known())),
                Err(denial) => {
                    give_back(reservation, way, now);
                    Err(denial)
                }
            }
        });
        match made {
            Ok((out, reservation, known)) => {
                let signed = Signed {
                    out,
                    reservation,
                    known,
                    binds: Binds::LogsOn,
                    mark: way.mark.clone(),
                };
                match self.send(socket, id, signed, record) {
                    Asked::Send(out) => Ok(out),
                    Asked::Refused(_) => Err(Denial::new(Cause::Internal, "no frame")),
                }
            }
            Err(denial) => {
                record.denied(&denial);
                record.answered(now, denial.cause.status());
                record.close(now);
                Err(denial)
            }
        }
    }

    /// Whether the connection is logged on.
    pub(super) fn is_logged_on(&self) -> bool {
        self.state().session == Session::LoggedOn
    }

    /// The key that the exchange knows the connection by.
    pub(super) fn bound(&self) -> Option<SignerMark> {
        self.state().bound.clone()
    }

    /// Whether lines of `allow` name every method by which clients have bound the connection.
    pub(super) fn are_allowed(&self, policy: &Arc<ExchangePolicy>) -> bool {
        let state = self.state();
        let mut methods = state.bound_by.iter();
        methods.all(|method| decide::frame(policy, method, Extent::ALL).is_ok())
    }

    /// Takes note of what the exchange says. Whatever it is, the client gets it as it is.
    pub(super) fn hear(&self, socket: &Socket, text: &str) {
        let Ok(reply) = serde_json::from_str::<Reply<'_>>(text) else {
            return;
        };
        let status = reply
            .status
            .and_then(|code| StatusCode::from_u16(code).ok());
        let (Some(id), Some(status)) = (reply.id, status) else {
            if reply.id.is_none() && reply.status == Some(401) {
                // The key is not what it was: from now on every frame says whose it is.
                self.state().session = Session::Anonymous;
            }
            return;
        };
        let call = self.state().in_flight.remove(&spelt(id.get()));
        let Some(call) = call else { return };
        if status == StatusCode::OK {
            let mut state = self.state();
            match call.binds {
                Binds::Nothing => {}
                Binds::LogsOn => {
                    state.session = Session::LoggedOn;
                    state.bound.clone_from(&call.mark);
                }
                // A logon that was answered meanwhile is over as well.
                Binds::LogsOut => state.session = Session::Anonymous,
                Binds::Listens(_) => state.bound.clone_from(&call.mark),
            }
        }
        settle(socket, call, status, &reply, text.len());
    }

    /// Requests that wait for their answers.
    pub(super) fn in_flight(&self) -> usize {
        self.state().in_flight.len()
    }

    /// Whether one of them changes something.
    pub(super) fn is_changing(&self) -> bool {
        let state = self.state();
        let mut calls = state.in_flight.values();
        calls.any(|call| call.effect.changes())
    }

    /// Gives up what was asked so long ago that no answer comes any more.
    pub(super) fn expire(&self, socket: &Socket, after: Duration) {
        let mut late = Vec::new();
        let mut state = self.state();
        let ids: Vec<String> = state
            .in_flight
            .iter()
            .filter(|(_, call)| call.sent.elapsed() > after)
            .map(|(id, _)| id.clone())
            .collect();
        late.extend(ids.iter().filter_map(|id| state.in_flight.remove(id)));
        drop(state);
        for call in late {
            unanswered(socket, call, Ending::Late);
        }
    }

    /// Ends every request that has no answer: the connection is over.
    pub(super) fn end(&self, socket: &Socket, ending: Ending) -> usize {
        let calls: Vec<Call> = self
            .state()
            .in_flight
            .drain()
            .map(|(_, call)| call)
            .collect();
        let count = calls.len();
        for call in calls {
            unanswered(socket, call, ending);
        }
        count
    }

    /// A connection that was logged on with another key goes on as if it were not: each frame then says whose it is.
    fn session(&self, way: &WayOut) -> Session {
        let state = self.state();
        match state.bound == way.mark {
            true => state.session,
            false => Session::Anonymous,
        }
    }

    fn admit(&self, id: &str) -> Result<(), Box<Denial>> {
        let state = self.state();
        if state.in_flight.contains_key(id) {
            return Err(no_frame("a request with this id is still in flight"));
        }
        match state.in_flight.len() < IN_FLIGHT_MAX {
            true => Ok(()),
            false => Err(Denial::new(
                Cause::Overloaded,
                "too many requests of one WebSocket wait for their answers",
            )),
        }
    }

    /// Where this program has logged the connection on, nobody else does, and nobody logs it out.
    fn refuse_session(&self, method: &str) -> Result<(), Box<Denial>> {
        if self.logs_on && matches!(method, "session.logon" | "session.logout") {
            let why = "`log_on: true`: the connection is logged on already, and stays so";
            return Err(Denial::new(Cause::ExchangeNotAllowed, why));
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves a map of whole entries.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A frame that is ready to leave, and what is to be remembered of it.
struct Signed {
    out: OutboundFrame,
    reservation: Option<Reservation>,
    known: Known,
    binds: Binds,
    mark: Option<SignerMark>,
}

/// Ends a request by its answer: what it cost, what came of it.
fn settle(socket: &Socket, call: Call, status: StatusCode, reply: &Reply<'_>, bytes: usize) {
    let now = socket.clock.now();
    let told = reply
        .limits
        .and_then(|limits| read_rate_limits(limits.get().as_bytes()).ok());
    let told = told.map_or_else(Told::default, |(_, told)| told);
    let (code, retry_ms) = reply.failure();
    let answer = Answer::of_frame(status, told, retry_ms);
    let Call {
        mut record,
        reservation,
        effect,
        stamped,
        ..
    } = call;
    if let Ok((_, way)) = socket.way() {
        way.freshness.note_code(code, stamped);
        if let Outcome::Halt(..) = answer.outcome {
            way.counters.exchange.halted();
        }
        if let Some(reservation) = reservation {
            reservation.settle(Settled::Answered(&answer), way.moment(now));
        }
    }
    let unknown = effect.changes() && is_unknown(status, code);
    if let Some(told) = record.exchange_mut() {
        told.code = code;
        told.used = used(&answer.told);
        told.execution = match unknown {
            true => Execution::Unknown,
            false => Execution::Answered,
        };
    }
    if unknown {
        let why = format!("the exchange answered {status} and does not know itself");
        record.denied(&Denial::new(Cause::ExchangeUnknown, why));
    }
    record.answered(now, status);
    record.sent(bytes as u64);
    record.close(now);
}

/// Ends a request that has no answer and gets none.
fn unanswered(socket: &Socket, call: Call, ending: Ending) {
    let now = socket.clock.now();
    let Call {
        mut record,
        reservation,
        effect,
        ..
    } = call;
    if let (Some(reservation), Ok((_, way))) = (reservation, socket.way()) {
        reservation.settle(Settled::Unknown, way.moment(now));
    }
    let cause = match (effect.changes(), ending) {
        (true, _) => Cause::ExchangeUnknown,
        // Nobody is there to be told, and nothing is lost: the record says `aborted`.
        (false, Ending::ClientGone) => return,
        (false, Ending::Late) => Cause::UpstreamTimeout,
        (false, Ending::Over) => Cause::UpstreamBroken,
    };
    record.denied(&Denial::new(cause, ending.why()));
    record.answered(now, cause.status());
    record.close(now);
}

/// What a frame is signed by; nothing where it is not.
fn fresh(way: &WayOut, known: &Known, now: Now) -> Result<Fresh, Box<Denial>> {
    match known.security {
        Security::Signed => way.freshness.fresh(now),
        Security::None | Security::KeyOnly => Ok(Fresh {
            unix_us: now.unix_us,
            nonce: 0,
            random: [0; 32],
        }),
    }
}

fn unclear(fault: FrameFault) -> Box<Denial> {
    match fault {
        FrameFault::NotARequest => no_frame("no JSON object with method, params and id"),
        FrameFault::Duplicate => Denial::new(Cause::ExchangeParameters, "a parameter stands twice"),
        FrameFault::TooMany => Denial::new(
            Cause::ExchangeParameters,
            "more parameters than any call has",
        ),
    }
}

fn no_frame(why: &'static str) -> Box<Denial> {
    Denial::new(Cause::ExchangeFrame, why)
}
