//! The conversation on one WebSocket API: each frame of the client is judged, signed and recorded like a request, and each
//! answer is matched to it. Never sends, never reads; never passes a frame on that it did not understand.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;

use super::binds::{Binds, LOG_ON};
use super::outcome::{Call, GivenUp, Said, hear_late};
use super::pending::{Found, Pending};
use super::reply::{Reply, object, plain_id, spelt};
use super::{Asked, Ending, Socket};
use crate::decide::outbound::{self as decide, OutboundPermit};
use crate::ledger::exchange::{CallMark, Reservation};
use crate::model::clock::Now;
use crate::model::denial::{Cause, Denial};
use crate::model::exchange::{Extent, Known, Security};
use crate::model::frame::{Frame, FrameFault};
use crate::model::outbound::ClientCredentials;
use crate::pipeline::intend;
use crate::pipeline::outbound::exchange_call::give_back;
use crate::pipeline::outbound::way::WayOut;
use crate::record::{Execution, OpenRecord};
use crate::transform::outbound::{self as transform, OutboundFrame};
use crate::transform::signers::{Fresh, Session, SignerMark};

/// What one WebSocket API has been asked and what it knows of us.
pub(super) struct Calls {
    /// Whether this program logs the socket on by itself, so that clients may not.
    logs_on: bool,
    state: Mutex<State>,
}

struct State {
    session: Session,
    /// The key that the exchange knows this connection by, or may: logged on, or listened with.
    bound: Option<SignerMark>,
    /// The methods by which clients may have bound it, each once: it stays as long as lines of `allow` name them.
    bound_by: Vec<&'static str>,
    pending: Pending<Call, GivenUp>,
}

impl Calls {
    pub(super) fn new(logs_on: bool) -> Self {
        Self {
            logs_on,
            state: Mutex::new(State {
                session: Session::Anonymous,
                bound: None,
                bound_by: Vec::new(),
                pending: Pending::default(),
            }),
        }
    }

    /// Judges a frame of the client: what leaves for the exchange, or what the client is answered instead. Nothing is waited
    /// for between the last look at what is in force and the end of this.
    pub(super) async fn ask(&self, socket: &Socket, text: &str) -> Asked {
        let mut record = socket.open_record();
        record.received(text.len() as u64);
        let frame = Frame::parse(text);
        let id = frame.as_ref().ok().and_then(|frame| plain_id(frame.id?));
        let mut asking = match asking(frame, id) {
            Ok(asking) => asking,
            Err(denial) => return Asked::Refused(socket.refuse(&denial, id, record)),
        };
        let mut is_intended = false;
        let signed = loop {
            let judged = self.judge(socket, &mut asking, &mut record);
            let judged = match judged {
                Ok(judged) if judged.is_changing() && !is_intended => {
                    is_intended = true;
                    judged.intend(socket, &mut record).await
                }
                judged => judged,
            };
            match judged {
                // Something else has come into force meanwhile: what it says goes.
                Ok(judged) if !judged.is_newest(socket) => judged.give_back(socket),
                Ok(judged) => break self.sign(socket, &asking.frame, judged),
                Err(denial) => break Err(denial),
            }
        };
        match signed {
            Ok(signed) => self.send(socket, asking.id, signed, record),
            Err(denial) => Asked::Refused(socket.refuse(&denial, id, record)),
        }
    }

    /// The walk of one frame. Read it from top to bottom, as that of a request.
    fn judge(
        &self,
        socket: &Socket,
        asking: &mut Asking<'_>,
        record: &mut OpenRecord,
    ) -> Result<Judged, Box<Denial>> {
        let (generation, way) = socket.way()?;
        record.config(generation);
        let Asking { frame, id, brings } = asking;
        let max = way.sockets.in_flight_max;
        self.state().pending.admit(Some(id), max)?;
        let call = decide::frame(&way.policy, &frame.method, Extent::of_frame(frame))?;
        record.frame_named("WS", &frame.method);
        if let Some(counters) = way.counters.line(call.position()) {
            record.route(counters);
        }
        self.refuse_session(&frame.method)?;
        *brings |= frame.strip(way.rules.preset.credentials.members).any();
        if *brings && way.rules.credentials == ClientCredentials::Refuse {
            let why = "the frame brings a key, a time or a signature of its own";
            return Err(Denial::new(Cause::ExchangeCredentials, why));
        }
        socket.still_stands(generation, &way, || self.stands(&way))?;
        let now = socket.clock.now();
        if call.known().security == Security::Signed {
            // Asked here, so that nothing is reserved for what cannot be signed.
            way.freshness.time(now)?;
        }
        let granted = decide::grant(call, &way.budget, way.moment(now));
        let permit = granted.inspect_err(|_| way.counters.exchange.refused())?;
        Ok(Judged {
            generation,
            way,
            permit,
        })
    }

    /// Stamps and signs: after every wait.
    fn sign(
        &self,
        socket: &Socket,
        frame: &Frame<'_>,
        judged: Judged,
    ) -> Result<Signed, Box<Denial>> {
        let Judged {
            way, mut permit, ..
        } = judged;
        let now = socket.clock.now();
        let known = *permit.known();
        let out = fresh(&way, &known, now).and_then(|fresh| {
            let signer = way.signer.as_ref();
            transform::sign_frame(&permit, frame, signer, self.session(&way), &fresh)
        });
        let reservation = permit.take_reservation();
        match out {
            Ok(out) => Ok(Signed {
                out,
                reservation,
                known,
                binds: Binds::of(&frame.method),
                mark: way.mark.clone(),
            }),
            Err(denial) => {
                give_back(reservation, &way, now);
                Err(denial)
            }
        }
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
            stamped,
            is_doubtful: false,
        };
        let mut state = self.state();
        if signed.binds == Binds::LogsOut {
            // Whether it has happened or not, a frame that names its key is understood.
            state.session = Session::Anonymous;
        }
        if let Some(method) = signed.binds.method() {
            // Noted before it has happened: an answer that is late or lost binds all the same.
            state.bound.clone_from(&call.mark);
            let is_own = self.logs_on && method == LOG_ON;
            if !is_own && !state.bound_by.contains(&method) {
                state.bound_by.push(method);
            }
        }
        state.pending.insert(id, call);
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

    /// Whether the connection may stay open under what is in force now: by the key that it is bound to, and the methods.
    pub(super) fn stands(&self, way: &WayOut) -> Result<(), &'static str> {
        let state = self.state();
        if state.bound.is_some() && state.bound != way.mark {
            return Err("the key is another one now");
        }
        let allowed = |method: &&str| decide::frame(&way.policy, method, Extent::ALL).is_ok();
        match state.bound_by.iter().all(allowed) {
            true => Ok(()),
            false => Err("no line of allow names what this was bound by any more"),
        }
    }

    /// Takes note of what the exchange says, whatever it is.
    pub(super) fn hear(&self, socket: &Socket, text: &str) {
        let Some(reply) = object::<Reply<'_>>(text) else {
            return;
        };
        let Some(status) = reply.status else { return };
        let Ok(status) = StatusCode::from_u16(status) else {
            return;
        };
        let said = Said::of(&reply, status, text.len());
        let mut state = self.state();
        let found = match reply.id {
            Some(id) => state.pending.take(&spelt(id.get())),
            None => state.take_nameless(status),
        };
        match found {
            Found::Waiting(call) => {
                state.note(call.binds, call.mark.as_ref(), status);
                drop(state);
                call.settle(socket, &said);
            }
            Found::GivenUp(given_up) => {
                state.note(given_up.binds, given_up.mark.as_ref(), status);
                drop(state);
                given_up.settle(socket, &said);
            }
            Found::Nobodys => {
                drop(state);
                hear_late(socket, &said, CallMark::NONE);
            }
        }
    }

    /// Requests that wait for their answers.
    pub(super) fn in_flight(&self) -> usize {
        self.state().pending.waiting().count()
    }

    /// Whether one of them changes something.
    pub(super) fn is_changing(&self) -> bool {
        let state = self.state();
        let mut calls = state.pending.waiting();
        calls.any(|call| call.effect.changes())
    }

    /// Gives up what was asked so long ago that its answer is no use any more: what the client is told of each, and how many
    /// were given up altogether.
    pub(super) fn expire(&self, socket: &Socket, after: Duration) -> (Vec<String>, usize) {
        let mut state = self.state();
        let expired = state.pending.expire(after, Call::remembered);
        let given_up = state.pending.given_up().len();
        drop(state);
        let told = expired
            .into_iter()
            .filter_map(|(id, call)| call.unanswered(socket, Ending::Late, Some(&id)));
        (told.collect(), given_up)
    }

    /// Ends every request that has no answer: the connection is over.
    pub(super) fn end(&self, socket: &Socket, ending: Ending) -> usize {
        let calls = self.state().pending.end();
        let count = calls.len();
        for call in calls {
            let _nobody_is_told = call.unanswered(socket, ending, None);
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

impl State {
    /// Whose an answer is that names no request: the only one's that it can be. Where it can be several's, each goes on
    /// waiting; the one that it was will have no other.
    fn take_nameless(&mut self, status: StatusCode) -> Found<Call, GivenUp> {
        if status == StatusCode::UNAUTHORIZED {
            // The key is not what it was: from now on every frame says whose it is.
            self.session = Session::Anonymous;
        }
        let found = self.pending.take_sole();
        if let Found::Nobodys = found {
            let waiting = self.pending.waiting_mut();
            waiting.for_each(|call| call.is_doubtful = true);
        }
        found
    }

    /// Notes what an answer makes of the connection.
    fn note(&mut self, binds: Binds, mark: Option<&SignerMark>, status: StatusCode) {
        if status != StatusCode::OK {
            return;
        }
        let waiting = self.pending.waiting().map(|call| call.binds);
        let given_up = self.pending.given_up().map(|given_up| given_up.binds);
        let mut unanswered = waiting.chain(given_up);
        match binds {
            // A logout without an answer may have come behind it; frames that say whose they are go either way.
            Binds::LogsOn if unanswered.any(|binds| binds == Binds::LogsOut) => {}
            Binds::LogsOn => {
                self.session = Session::LoggedOn;
                self.bound = mark.cloned();
            }
            // A logon that was answered meanwhile is over as well.
            Binds::LogsOut => self.session = Session::Anonymous,
            Binds::Nothing | Binds::Listens(_) => {}
        }
    }
}

/// A frame of a client that can be judged.
struct Asking<'a> {
    frame: Frame<'a>,
    id: &'a str,
    /// Whether it has brought a key, a time or a signature of its own.
    brings: bool,
}

fn asking<'a>(
    frame: Result<Frame<'a>, FrameFault>,
    id: Option<&'a str>,
) -> Result<Asking<'a>, Box<Denial>> {
    let frame = frame.map_err(unclear)?;
    let id = id.ok_or_else(|| no_frame("no id that is a number or a plain text"))?;
    Ok(Asking {
        frame,
        id,
        brings: false,
    })
}

/// A frame that may be sent, as long as the configuration is in force that it was judged by.
struct Judged {
    generation: u64,
    way: Arc<WayOut>,
    permit: OutboundPermit,
}

impl Judged {
    fn is_changing(&self) -> bool {
        self.permit.known().effect.changes()
    }

    fn is_newest(&self, socket: &Socket) -> bool {
        socket
            .way()
            .is_ok_and(|(generation, _)| generation == self.generation)
    }

    /// Writes the intent, where one is wanted.
    async fn intend(self, socket: &Socket, record: &mut OpenRecord) -> Result<Self, Box<Denial>> {
        match intend(&socket.recorder, self.way.audit, record).await {
            Ok(()) => Ok(self),
            Err(denial) => {
                self.give_back(socket);
                Err(denial)
            }
        }
    }

    /// Gives back what was reserved.
    fn give_back(mut self, socket: &Socket) {
        give_back(
            self.permit.take_reservation(),
            &self.way,
            socket.clock.now(),
        );
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
