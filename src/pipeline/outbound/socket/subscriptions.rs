//! The conversation on a connection of market streams: each stream is judged, and what a client says is said anew. No key
//! has any business here, and none passes. Never sends, never reads.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::reply::{plain_id, spelt};
use super::{Asked, Ending, Socket};
use crate::decide::outbound::{self as decide, ExchangePolicy, StreamPermit};
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

/// Frames that wait for their answers; at five a second an exchange has a minute to answer.
const IN_FLIGHT_MAX: usize = 256;

/// Bytes of an answer to a frame: a list of all streams fits.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// What one connection listens to, and what was said on it.
pub(super) struct Subscriptions(Mutex<State>);

struct State {
    streams: BTreeSet<StreamPermit>,
    /// When the last few frames were sent.
    said: VecDeque<Instant>,
    in_flight: HashMap<String, (OpenRecord, Instant)>,
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
            in_flight: HashMap::new(),
        }))
    }

    /// Whether all that is listened to is still allowed.
    pub(super) fn are_allowed(&self, policy: &ExchangePolicy) -> bool {
        let state = self.state();
        let mut streams = state.streams.iter();
        streams.all(|stream| decide::stream(policy, stream.name()).is_ok())
    }

    /// Judges a frame of the client.
    pub(super) fn ask(&self, socket: &Socket, text: &str) -> Asked {
        let mut record = socket.open_record();
        record.received(text.len() as u64);
        let said: Result<Said<'_>, _> = serde_json::from_str(text);
        let id = said.as_ref().ok().and_then(|said| said.id);
        let key = id.and_then(|id| plain_id(id.get()));
        let judged = match &said {
            Ok(said) => self.judge(socket, said, key, &mut record),
            Err(_) => Err(no_frame("no JSON object with method, params and id")),
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
        if said.id.is_some_and(|id| id.get() != "null") && key.is_none() {
            return Err(no_frame("an id that is neither a number nor a plain text"));
        }
        let id = said.id.filter(|_| key.is_some());
        let mut state = self.state();
        state.admit(key)?;
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
        record.forwarded(socket.clock.now(), &socket.metrics);
        if let Some(told) = record.exchange_mut() {
            told.attempts = 1;
            told.execution = Execution::Unknown;
        }
        match key {
            Some(key) => {
                let entry = (record, Instant::now());
                self.state().in_flight.insert(key.to_owned(), entry);
            }
            // Nobody can tell its answer.
            None => record.close(socket.clock.now()),
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
        }
        let waits = !self.state().in_flight.is_empty();
        if !waits || text.len() > ANSWER_BYTES_MAX || !text.contains("\"id\"") {
            return;
        }
        let Ok(reply) = serde_json::from_str::<Reply<'_>>(text) else {
            return;
        };
        let found = self.state().in_flight.remove(&spelt(reply.id.get()));
        let Some((mut record, _)) = found else { return };
        let now = socket.clock.now();
        if let Some(told) = record.exchange_mut() {
            told.execution = Execution::Answered;
        }
        record.answered(
            now,
            match reply.error {
                None => http::StatusCode::OK,
                Some(_) => http::StatusCode::BAD_REQUEST,
            },
        );
        record.sent(text.len() as u64);
        record.close(now);
    }

    /// Gives up what was asked so long ago that no answer comes any more.
    pub(super) fn expire(&self, socket: &Socket, after: Duration) {
        let mut state = self.state();
        let late: Vec<String> = state
            .in_flight
            .iter()
            .filter(|(_, (_, since))| since.elapsed() > after)
            .map(|(key, _)| key.clone())
            .collect();
        let late: Vec<OpenRecord> = late
            .iter()
            .filter_map(|key| Some(state.in_flight.remove(key)?.0))
            .collect();
        drop(state);
        for record in late {
            close(socket, record, Ending::Late);
        }
    }

    pub(super) fn end(&self, socket: &Socket, ending: Ending) -> usize {
        let left: Vec<OpenRecord> = self
            .state()
            .in_flight
            .drain()
            .map(|(_, (record, _))| record)
            .collect();
        let count = left.len();
        for record in left {
            close(socket, record, ending);
        }
        count
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves sets of whole entries.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn admit(&self, key: Option<&str>) -> Result<(), Box<Denial>> {
        if key.is_some_and(|key| self.in_flight.contains_key(key)) {
            return Err(no_frame("a frame with this id is still in flight"));
        }
        match self.in_flight.len() < IN_FLIGHT_MAX {
            true => Ok(()),
            false => Err(Denial::new(
                Cause::Overloaded,
                "too many frames without an answer",
            )),
        }
    }

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

fn close(socket: &Socket, mut record: OpenRecord, ending: Ending) {
    let now = socket.clock.now();
    let cause = match ending {
        // Its record says `aborted`.
        Ending::ClientGone => return,
        Ending::Late => Cause::UpstreamTimeout,
        Ending::Over => Cause::UpstreamBroken,
    };
    record.denied(&Denial::new(cause, ending.why()));
    record.answered(now, cause.status());
    record.close(now);
}

fn no_frame(why: &'static str) -> Box<Denial> {
    Denial::new(Cause::ExchangeFrame, why)
}
