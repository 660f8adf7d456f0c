//! WebSockets on the way out: the handshake walks as every request does, and what follows is a conversation of which each
//! frame is judged. Never hands a socket out that the exchange did not open for us, never leaves one without an end.

mod binds;
mod calls;
mod ends;
mod heard;
mod outcome;
mod pending;
mod relay;
mod reply;
mod subscriptions;
mod target;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Response};
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::exchange_call::{execution, used};
use super::places::Place;
use super::way::{Site, WayOut};
use super::{OutboundBody, OutboundPipeline, Visit, unrecorded};
use crate::accept::handshake as door;
use crate::accept::outbound::{Bound, LocalFacts};
use crate::decide::outbound::{self as decide, OutboundPermit};
use crate::forward::{Forwarder, SendFault, Sent, Switched, Upgrade};
use crate::identify::local;
use crate::ledger::exchange::{Answer, Outcome, Settled};
use crate::model::caller::{Caller, LocalProof};
use crate::model::clock::Clock;
use crate::model::denial::{Cause, Denial};
use crate::model::exchange::Role;
use crate::pipeline::Live;
use crate::record::{
    ClientMetrics, CountedSocket, Execution, OpenRecord, Recorder, Scheme, new_id,
};
use crate::runtime::drain::Drain;
use crate::runtime::handshake::{accept_of, new_key};
use crate::transform::outbound::{self as transform, OutboundFrame};

use calls::Calls;
use relay::{Exchange, Relay};
use subscriptions::Subscriptions;
use target::SocketTarget;

/// What a frame of the client comes to.
enum Asked {
    /// It leaves.
    Send(OutboundFrame),
    /// The client is answered at once.
    Refused(String),
}

/// Why no answer comes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// It took too long.
    Late,
    /// The client went away before.
    ClientGone,
    /// The connection is over.
    Over,
}

impl Ending {
    const fn why(self) -> &'static str {
        match self {
            Self::Late => "no answer came in time",
            Self::ClientGone => "the client went away before the answer came",
            Self::Over => "the connection ended before the answer came",
        }
    }
}

/// What is said on a WebSocket.
enum Talk {
    Calls(Calls),
    Streams(Subscriptions),
}

impl Talk {
    async fn ask(&self, socket: &Socket, text: &str) -> Asked {
        match self {
            Self::Calls(calls) => calls.ask(socket, text).await,
            Self::Streams(streams) => streams.ask(socket, text),
        }
    }

    /// Takes note of what the exchange says; gives back what the client hears instead, where it is not the same.
    fn hear(&self, socket: &Socket, text: &str) -> Option<String> {
        match self {
            Self::Calls(calls) => {
                calls.hear(socket, text);
                reply::masked(text)
            }
            Self::Streams(streams) => {
                streams.hear(socket, text);
                None
            }
        }
    }

    /// Whether an answer is worth waiting for though nobody asks any more.
    fn is_changing(&self) -> bool {
        match self {
            Self::Calls(calls) => calls.is_changing(),
            Self::Streams(_) => false,
        }
    }

    /// Gives up what has waited too long: what the client is told of it, and whether there is so much without an answer that
    /// the connection is no use.
    fn expire(&self, socket: &Socket) -> (Vec<String>, bool) {
        let Ok((_, way)) = socket.way() else {
            return (Vec::new(), true);
        };
        let after = way.timeouts.total;
        let (told, given_up) = match self {
            Self::Calls(calls) => calls.expire(socket, after),
            Self::Streams(streams) => streams.expire(socket, after),
        };
        (told, given_up > way.sockets.in_flight_max)
    }

    /// Whether the connection may stay open under what is in force now; otherwise why not.
    fn stands(&self, socket: &Socket) -> Result<(), &'static str> {
        let Ok((_, way)) = socket.way() else {
            return Err("the way out is gone");
        };
        socket.is_open_to(&way)?;
        match self {
            Self::Calls(calls) => calls.stands(&way),
            Self::Streams(streams) => streams.stands(&way),
        }
    }

    fn end(&self, socket: &Socket, ending: Ending) -> usize {
        match self {
            Self::Calls(calls) => calls.end(socket, ending),
            Self::Streams(streams) => streams.end(socket, ending),
        }
    }
}

/// One WebSocket: what stays the same from its handshake to its end.
struct Socket {
    /// The request that opened it.
    id: Uuid,
    role: Role,
    peer: SocketAddr,
    caller: Caller,
    /// What the caller has shown; judged again when something else comes into force.
    token: Option<HeaderValue>,
    live: Arc<ArcSwap<Live>>,
    index: usize,
    worker: usize,
    bound: Bound,
    recorder: Recorder,
    clock: Arc<dyn Clock>,
    newest: watch::Receiver<u64>,
    orders: Drain,
    /// The pool that its connection is of: with other pins or another host there is another one.
    forwarder: Forwarder<Full<Bytes>>,
    metrics: Arc<ClientMetrics>,
    /// The newest configuration under which it was found to stand.
    stood: AtomicU64,
    /// Counts it as open, and has its place, as long as this is here.
    _open: (CountedSocket, Place),
}

impl Socket {
    /// What is in force now: every frame goes by the newest.
    fn way(&self) -> Result<(u64, Arc<WayOut>), Box<Denial>> {
        let live = self.live.load();
        match live.ways_out.get(self.index) {
            Some(way) => Ok((live.generation, Arc::clone(way))),
            None => Err(Denial::new(Cause::Internal, "the listener has no way out")),
        }
    }

    /// The record of one frame.
    fn open_record(&self) -> OpenRecord {
        self.record_of(&self.caller)
    }

    /// The record of a frame of this program's own.
    fn open_own_record(&self) -> OpenRecord {
        self.record_of(&Caller::Local(LocalProof::Own))
    }

    fn record_of(&self, caller: &Caller) -> OpenRecord {
        let now = self.clock.now();
        let mut record = self
            .recorder
            .open(now, new_id(now), self.peer, Scheme::Http);
        record.frame(self.id);
        record.caller(caller);
        if let Ok((generation, way)) = self.way() {
            record.config(generation);
            record.route(&way.counters.unallowed);
            record.exchange(way.told());
        }
        record
    }

    /// Records a refusal, and says it in the exchange's words.
    fn refuse(&self, denial: &Denial, id: Option<&str>, mut record: OpenRecord) -> String {
        let now = self.clock.now();
        record.denied(denial);
        record.answered(now, denial.cause.status());
        let text = transform::frame_refusal(denial, id, now.unix_us.div_euclid(1_000));
        record.sent(text.len() as u64);
        record.close(now);
        text
    }

    /// Records that nothing came of a frame, and that nobody is there to be told.
    fn lost(&self, denial: &Denial, mut record: OpenRecord) {
        let now = self.clock.now();
        record.denied(denial);
        record.answered(now, denial.cause.status());
        record.close(now);
    }

    /// Asks again whether it stands where a frame is judged by a configuration that is new: the frame may be quicker than the
    /// end of the connection.
    fn still_stands(
        &self,
        generation: u64,
        way: &WayOut,
        stands: impl FnOnce() -> Result<(), &'static str>,
    ) -> Result<(), Box<Denial>> {
        if self.stood.load(Ordering::Relaxed) == generation {
            return Ok(());
        }
        let standing = self.is_open_to(way).and_then(|()| stands());
        standing.map_err(|why| Denial::new(Cause::ExchangeNotSent, why))?;
        self.stood.store(generation, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the exchange is reached as it was, and the caller is still let in.
    fn is_open_to(&self, way: &WayOut) -> Result<(), &'static str> {
        let same = way
            .way(self.role, self.worker)
            .is_some_and(|way| way.is(&self.forwarder));
        if !same {
            return Err("the exchange is reached in another way now");
        }
        let token = way.caller_token.as_ref();
        if local::caller(self.token.as_ref(), token, self.bound == Bound::Unix).is_err() {
            return Err("the caller token is another one now");
        }
        if decide::open(&way.policy, self.role).is_err() {
            return Err("no line of allow opens this any more");
        }
        Ok(())
    }
}

impl OutboundPipeline {
    /// The walk of a handshake. Read it from top to bottom: each step is a room.
    pub(super) async fn walk_socket(
        &self,
        way: &Arc<WayOut>,
        facts: LocalFacts,
        mut head: Parts,
        caller: Caller,
        visit: &mut Visit,
    ) -> Result<Response<OutboundBody>, Box<Denial>> {
        let deadline = Instant::now() + way.timeouts.total;
        let record = visit.record.as_mut().ok_or_else(unrecorded)?;
        let key = door::judge(&facts.facts, &head)?;
        let upgrading = head.extensions.remove::<OnUpgrade>();
        let upgrading = upgrading.ok_or_else(|| {
            Denial::new(Cause::LocalHandshake, "the connection cannot be switched")
        })?;
        let site = way.site(facts.role)?;
        let call = decide::open(&way.policy, facts.role)?;
        if let Some(counters) = way.counters.line(call.position()) {
            record.route(counters);
        }
        let target = target::judge(way, facts.role, facts.facts.path.target())?;
        let SocketTarget { to, streams } = target;
        let place = way.places.take(way.kept_for_cancels)?;
        let moment = way.moment(self.clock.now());
        let granted = decide::grant_connection(call, &way.budget, moment);
        let permit = granted.inspect_err(|_| way.counters.exchange.refused())?;
        let forwarder =
            site.ways.get(self.worker).cloned().ok_or_else(|| {
                Denial::new(Cause::Internal, "the worker has no way to the exchange")
            })?;
        let handshake = Handshake {
            head,
            to,
            permit,
            deadline,
        };
        let opened = self.shake(way, site, &forwarder, handshake, record);
        let switched = match opened.await? {
            Upgrade::Switched(switched) => switched,
            Upgrade::Answered(answer) => return Ok(answer.map(OutboundBody::reply)),
        };
        let talk = match facts.role {
            Role::Streams => Talk::Streams(Subscriptions::new(streams)),
            Role::Rest | Role::WsApi => Talk::Calls(Calls::new(way.log_on)),
        };
        let metrics = Arc::clone(&site.metrics);
        let open = (way.counters.exchange.socket(), place);
        let socket = self.socket(record.id(), facts, caller, forwarder, metrics, open);
        let mut exchange = Exchange::new(switched).await;
        if let Talk::Calls(calls) = &talk
            && way.log_on
        {
            relay::log_on(&socket, way, calls, &mut exchange, deadline).await?;
        }
        let relay = Relay::new(socket, talk, exchange, way);
        self.orders.spawn(relay.run(upgrading));
        let accept = key.to_str().map(accept_of).unwrap_or_default();
        let accept = HeaderValue::try_from(accept)
            .map_err(|_| Denial::new(Cause::Internal, "a proof that is no header"))?;
        Ok(transform::switched(accept).map(OutboundBody::whole))
    }

    /// Opens one at the exchange, on a connection of its own.
    async fn shake(
        &self,
        way: &WayOut,
        site: &Site,
        forwarder: &Forwarder<Full<Bytes>>,
        handshake: Handshake,
        record: &mut OpenRecord,
    ) -> Result<Upgrade<Full<Bytes>>, Box<Denial>> {
        let Handshake {
            head,
            to,
            mut permit,
            deadline,
        } = handshake;
        let key = new_key().ok_or_else(|| Denial::new(Cause::Internal, "no random bytes"))?;
        let header = HeaderValue::try_from(key.as_str())
            .map_err(|_| Denial::new(Cause::Internal, "a key that is no header"))?;
        let sent = match forwarder.connect(&permit).await {
            Ok(slot) => {
                record.forwarded(self.clock.now(), &site.metrics);
                if let Some(told) = record.exchange_mut() {
                    told.execution = Execution::Unknown;
                }
                let out = transform::upgrade(&permit, head, to, &site.target, header);
                slot.upgrade(out, deadline).await
            }
            Err(denial) => Err(SendFault {
                denial,
                sent: Sent::Nothing,
            }),
        };
        let opened = self.settle(way, &mut permit, sent, record)?;
        if let Upgrade::Switched(switched) = &opened {
            prove(switched, &key)?;
        }
        Ok(opened)
    }

    fn socket(
        &self,
        id: Uuid,
        facts: LocalFacts,
        caller: Caller,
        forwarder: Forwarder<Full<Bytes>>,
        metrics: Arc<ClientMetrics>,
        open: (CountedSocket, Place),
    ) -> Socket {
        Socket {
            id,
            role: facts.role,
            peer: facts.facts.peer,
            caller,
            token: facts.token,
            live: Arc::clone(&self.live),
            index: self.index,
            worker: self.worker,
            bound: self.bound.clone(),
            recorder: self.recorder.clone(),
            clock: Arc::clone(&self.clock),
            newest: self.newest.clone(),
            orders: self.orders.clone(),
            forwarder,
            metrics,
            // Generations begin with one.
            stood: AtomicU64::new(0),
            _open: open,
        }
    }

    /// What the exchange says to the handshake counts for everybody.
    fn settle(
        &self,
        way: &WayOut,
        permit: &mut OutboundPermit,
        sent: Result<Upgrade<Full<Bytes>>, SendFault>,
        record: &mut OpenRecord,
    ) -> Result<Upgrade<Full<Bytes>>, Box<Denial>> {
        let answer = match &sent {
            Ok(Upgrade::Switched(switched)) => {
                Some(Answer::read(switched.head.status, &switched.head.headers))
            }
            Ok(Upgrade::Answered(answer)) => Some(Answer::read(answer.status(), answer.headers())),
            Err(_) => None,
        };
        if let Some(told) = record.exchange_mut() {
            told.attempts = 1;
            told.execution = match &sent {
                Ok(_) => Execution::Answered,
                Err(fault) => execution(fault.sent),
            };
            told.used = answer.map(|answer| used(&answer.told)).unwrap_or_default();
        }
        if let Some(Answer {
            outcome: Outcome::Halt(..),
            ..
        }) = &answer
        {
            way.counters.exchange.halted();
        }
        let settled = match (&answer, &sent) {
            (Some(answer), _) => Settled::Answered(answer),
            (
                None,
                Err(SendFault {
                    sent: Sent::Nothing,
                    ..
                }),
            ) => Settled::NotSent,
            (None, _) => Settled::Unknown,
        };
        if let Some(reservation) = permit.take_reservation() {
            reservation.settle(settled, way.moment(self.clock.now()));
        }
        sent.map_err(|fault| fault.denial)
    }
}

/// What a handshake takes along.
struct Handshake {
    head: Parts,
    to: PathAndQuery,
    permit: OutboundPermit,
    deadline: Instant,
}

/// Whether the exchange has understood that a WebSocket is meant, and only that (RFC 6455 section 4.1).
fn prove(switched: &Switched, key: &str) -> Result<(), Box<Denial>> {
    let headers = &switched.head.headers;
    let proof = headers.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
    let protocol = headers.get(UPGRADE).map(HeaderValue::as_bytes);
    let is_websocket = protocol.is_some_and(|named| named.eq_ignore_ascii_case(b"websocket"));
    let unasked = headers.contains_key(SEC_WEBSOCKET_EXTENSIONS)
        || headers.contains_key(SEC_WEBSOCKET_PROTOCOL);
    if proof != Some(accept_of(key).as_bytes()) || !is_websocket || unasked {
        let why = "a 101 that does not answer our handshake";
        return Err(Denial::new(Cause::UpstreamBroken, why));
    }
    Ok(())
}
