//! The conversation on a connection of market streams: each stream is judged, and what a client says is said anew. No key
//! has any business here, and none passes. Never sends, never reads.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::outcome::GivenUp;
use super::pending::{Found, Pending};
use super::reply::{object, plain_id, spelt};
use super::{Asked, Ending, Socket};
use crate::decide::outbound::{self as decide, StreamPermit};
use crate::model::clock::Now;
use crate::model::denial::{Advice, Cause, Denial};
use crate::pipeline::outbound::way::WayOut;
use crate::record::{Execution, OpenRecord};
use crate::transform::outbound::{Control, OutboundFrame, stream_control};

#[cfg(test)]
mod tests;

/// Streams of one connection, as Binance has it.
pub(super) const STREAMS_MAX: usize = 1024;

/// Messages that Binance takes of one connection in a second; who sends more is cut off.
const MESSAGES_MAX: usize = 5;

/// In this time.
const MESSAGES_IN: Duration = Duration::from_secs(1);

/// Bytes of an answer to a frame: a list of all streams fits.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// What one connection listens to, and what was said on it.
pub(super) struct Subscriptions(Mutex<State>);

struct State {
    streams: BTreeSet<StreamPermit>,
    /// When the last few frames were sent.
    said: VecDeque<Instant>,
    pending: Pending<(OpenRecord, Now), GivenUp>,
    /// Whether one of them had no identifier: an answer without one may be its.
    is_nameless: bool,
}

/// A frame of a client. A member that is not named here is refused with the frame.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Vec<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

impl Subscriptions {
    /// Those that the path or the query has named.
    pub(super) fn new(streams: BTreeSet<StreamPermit>) -> Self {
        Self(Mutex::new(State {
            streams,
            said: VecDeque::with_capacity(MESSAGES_MAX),
            pending: Pending::default(),
            is_nameless: false,
        }))
    }

    /// Whether all that is listened to is still allowed.
    pub(super) fn stands(&self, way: &WayOut) -> Result<(), &'static str> {
        let state = self.state();
        let mut streams = state.streams.iter();
        match streams.all(|stream| decide::stream(&way.policy, stream.name()).is_ok()) {
            true => Ok(()),
            false => Err("no line of allow names a stream of this any more"),
        }
    }

    /// Judges a frame of the client.
    pub(super) fn ask(&self, socket: &Socket, text: &str) -> Asked {
        let mut record = socket.open_record();
        record.received(text.len() as u64);
        let said: Option<Said<'_>> = object(text);
        let id = said.as_ref().and_then(|said| said.id);
        let key = id.and_then(|id| plain_id(id.get()));
        let judged = match &said {
            Some(said) => self.judge(socket, said, key, &mut record),
            None => Err(no_frame("no JSON object with method, params and id")),
        };
        match judged {
            Ok(out) => {
                self.send(socket, key, record);
                Asked::Send(out)
            }
            Err(denial) => Asked::Refused(socket.refuse(&denial, key, record)),
        }
    }

    fn judge(
        &self,
        socket: &Socket,
        said: &Said<'_>,
        key: Option<&str>,
        record: &mut OpenRecord,
    ) -> Result<OutboundFrame, Box<Denial>> {
        let (generation, way) = socket.way()?;
        record.config(generation);
        socket.still_stands(generation, &way, || self.stands(&way))?;
        if said.id.is_some_and(|id| id.get() != "null") && key.is_none() {
            return Err(no_frame("an id that is neither a number nor a plain text"));
        }
        let id = said.id.filter(|_| key.is_some());
        let mut state = self.state();
        state.pending.admit(key, way.sockets.in_flight_max)?;
        match &*said.method {
            "SUBSCRIBE" => {
                record.frame_named("STREAM", "SUBSCRIBE");
                let streams = permits(&said.params, &way)?;
                let fresh = streams.iter().filter(|one| !state.streams.contains(*one));
                if state.streams.len() + fresh.count() > STREAMS_MAX {
                    let why = "more streams than one connection may have";
                    return Err(Denial::new(Cause::ExchangeLimit, why));
                }
                state.say()?;
                state.streams.extend(streams.iter().cloned());
                Ok(stream_control(Control::Subscribe(&streams), id))
            }
            "UNSUBSCRIBE" => {
                record.frame_named("STREAM", "UNSUBSCRIBE");
                let streams = permits(&said.params, &way)?;
                state.say()?;
                state.streams.retain(|one| !streams.contains(one));
                Ok(stream_control(Control::Unsubscribe(&streams), id))
            }
            "LIST_SUBSCRIPTIONS" if said.params.is_empty() => {
                record.frame_named("STREAM", "LIST_SUBSCRIPTIONS");
                state.say()?;
                Ok(stream_control(Control::List, id))
            }
            "GET_PROPERTY" if texts(&said.params) == ["\"combined\""] => {
                record.frame_named("STREAM", "GET_PROPERTY");
                state.say()?;
                Ok(stream_control(Control::IsCombined, id))
            }
            "SET_PROPERTY" => {
                record.frame_named("STREAM", "SET_PROPERTY");
                let on = match *texts(&said.params) {
                    ["\"combined\"", "true"] => true,
                    ["\"combined\"", "false"] => false,
                    _ => return Err(no_frame("a property that streams do not have")),
                };
                state.say()?;
                Ok(stream_control(Control::Combine(on), id))
            }
            _ => {
                let why = "streams know no such method";
                Err(Denial::new(Cause::ExchangeNotAllowed, why))
            }
        }
    }

    fn send(&self, socket: &Socket, key: Option<&str>, mut record: OpenRecord) {
        let now = socket.clock.now();
        record.forwarded(now, &socket.metrics);
        if let Some(told) = record.exchange_mut() {
            told.attempts = 1;
            told.execution = Execution::Unknown;
        }
        let mut state = self.state();
        match key {
            Some(key) => state.pending.insert(key, (record, now)),
            None => {
                state.is_nameless = true;
                drop(state);
                // Nobody can tell its answer.
                record.close(now);
            }
        }
    }

    /// Looks for answers among what is streamed, as long as one is waited for.
    pub(super) fn hear(&self, socket: &Socket, text: &str) {
        #[derive(Deserialize)]
        struct Reply<'a> {
            #[serde(borrow)]
            id: &'a RawValue,
            #[serde(borrow)]
            error: Option<&'a RawValue>,
            code: Option<i64>,
        }
        let waits = !self.state().pending.is_empty();
        if !waits || text.len() > ANSWER_BYTES_MAX || !text.contains("\"id\"") {
            return;
        }
        let Some(reply) = object::<Reply<'_>>(text) else {
            return;
        };
        // Both spellings of an error are used.
        let status = match (reply.error, reply.code) {
            (None, None) => StatusCode::OK,
            (Some(_), _) | (_, Some(_)) => StatusCode::BAD_REQUEST,
        };
        let mut state = self.state();
        let found = match reply.id.get() {
            "null" if state.is_nameless => Found::Nobodys,
            "null" => state.pending.take_sole(),
            id => state.pending.take(&spelt(id)),
        };
        drop(state);
        match found {
            Found::Waiting((mut record, _)) => {
                if let Some(told) = record.exchange_mut() {
                    told.code = reply.code;
                    told.execution = Execution::Answered;
                }
                let now = socket.clock.now();
                record.answered(now, status);
                record.sent(text.len() as u64);
                record.close(now);
            }
            Found::GivenUp(given_up) => {
                given_up.record(socket, status, reply.code, Execution::Answered);
            }
            Found::Nobodys => {}
        }
    }

    /// Gives up what was asked so long ago that its answer is no use any more: what the client is told of each, and how many
    /// were given up altogether.
    pub(super) fn expire(&self, socket: &Socket, after: Duration) -> (Vec<String>, usize) {
        let mut state = self.state();
        let keep = |(record, sent): &(OpenRecord, Now)| GivenUp::of(record, *sent);
        let expired = state.pending.expire(after, keep);
        let given_up = state.pending.given_up().len();
        drop(state);
        let denial = Denial::new(Cause::UpstreamTimeout, Ending::Late.why());
        let told = expired
            .into_iter()
            .map(|(id, (record, _))| socket.refuse(&denial, Some(&id), record));
        (told.collect(), given_up)
    }

    /// Ends every request that has no answer: the connection is over.
    pub(super) fn end(&self, socket: &Socket, ending: Ending) -> usize {
        let left = self.state().pending.end();
        let count = left.len();
        for (record, _) in left {
            // Where the client has gone, the record says `aborted`.
            if ending != Ending::ClientGone {
                socket.lost(&Denial::new(Cause::UpstreamBroken, ending.why()), record);
            }
        }
        count
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves sets of whole entries.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes one of the few messages of this second.
    fn say(&mut self) -> Result<(), Box<Denial>> {
        let now = Instant::now();
        let since = |said: &Instant| now.duration_since(*said);
        if self.said.len() >= MESSAGES_MAX {
            let oldest = self.said.front().map(since).unwrap_or_default();
            if oldest < MESSAGES_IN {
                let why = "more messages in a second than the exchange takes";
                let wait = Advice::RetryAfter(MESSAGES_IN.saturating_sub(oldest));
                return Err(Denial::new(Cause::ExchangeLimit, why).advising(wait));
            }
            self.said.pop_front();
        }
        self.said.push_back(now);
        Ok(())
    }
}

/// Each stream by its name, or the first refusal.
fn permits(params: &[&RawValue], way: &WayOut) -> Result<Vec<StreamPermit>, Box<Denial>> {
    if params.len() > STREAMS_MAX {
        let why = "more streams than one connection may have";
        return Err(Denial::new(Cause::ExchangeLimit, why));
    }
    let judged = params.iter().map(|param| {
        let name: Result<String, _> = serde_json::from_str(param.get());
        let name = name.map_err(|_| no_frame("a stream's name that is no text"))?;
        decide::stream(&way.policy, &name)
    });
    judged.collect()
}

fn texts<'a>(params: &[&'a RawValue]) -> Vec<&'a str> {
    params.iter().map(|param| param.get()).collect()
}

fn no_frame(why: &'static str) -> Box<Denial> {
    Denial::new(Cause::ExchangeFrame, why)
}
