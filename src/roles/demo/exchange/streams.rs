//! Market streams: what was subscribed to is told again and again, made up. No credential has any business here.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::amount::Amount;
use super::door::Door;
use super::market::{self, Symbol};
use super::params::Params;
use super::present::Times;
use super::socket::Reply;
use super::state::{State, UserEvent};

/// Streams of one connection.
const STREAMS_MAX: usize = 1024;

/// Messages that a client may send in a second.
const MESSAGES_MAX: u32 = 5;

/// One connection to market streams.
pub(super) struct Session {
    state: Arc<State>,
    /// What happens to accounts, of which listen keys tell.
    events: broadcast::Receiver<Arc<UserEvent>>,
    names: BTreeSet<String>,
    /// Whether each message says of which stream it is.
    combined: bool,
    ticks: Interval,
    /// What is still to be told of this tick, the next last.
    waiting: Vec<String>,
    number: u64,
    /// The second in which the last message came, and how many came in it.
    heard: (i64, u32),
}

impl Session {
    /// A session for `/ws`, `/ws/NAME/...` and `/stream?streams=NAME/...` below a root of the market; none for another
    /// path.
    pub(super) fn new(door: &Door, path: &str, params: &Params) -> Option<Self> {
        let roots = door.state.dialect.stream_roots.iter().rev();
        let path = roots.into_iter().find_map(|root| path.strip_prefix(root))?;
        let (names, combined) = match path {
            "/ws" => ("", false),
            "/stream" => (params.get("streams").unwrap_or_default(), true),
            _ => (path.strip_prefix("/ws/")?, false),
        };
        let mut ticks = interval(door.state.options.sockets.push_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let names = names.split('/').filter(|name| !name.is_empty());
        Some(Self {
            events: door.state.events.subscribe(),
            state: Arc::clone(&door.state),
            names: names.take(STREAMS_MAX).map(str::to_owned).collect(),
            combined,
            ticks,
            waiting: Vec::new(),
            number: 0,
            heard: (0, 0),
        })
    }

    /// The next message of a stream.
    pub(super) async fn event(&mut self) -> String {
        loop {
            if let Some(text) = self.waiting.pop() {
                return text;
            }
            tokio::select! {
                _tick = self.ticks.tick() => {
                    self.number += 1;
                    let names = self.names.iter().rev();
                    self.waiting = names.filter_map(|name| self.told(name)).collect();
                }
                // Who is too slow misses something.
                Ok(event) = self.events.recv() => self.waiting.extend(self.listened(&event)),
            }
        }
    }

    /// An event, if a listen key of its account was subscribed to.
    fn listened(&self, event: &UserEvent) -> Option<String> {
        let listen_keys = self.state.listen_keys();
        let mut names = self.names.iter();
        let name = names.find(|name| listen_keys.is_of(name, &event.account))?;
        Some(self.framed(name, event.event.clone()))
    }

    pub(super) fn notice(&self) -> String {
        json!({"e": "serverShutdown", "E": self.now_ms()}).to_string()
    }

    /// Subscribes, unsubscribes or lists.
    pub(super) fn hear(&mut self, text: &str) -> Reply {
        if ["apiKey", "signature"]
            .iter()
            .any(|word| text.contains(word))
        {
            let violation = "a credential came over a market stream".to_owned();
            self.state.evidence.violation(violation);
        }
        if self.is_too_much() {
            return Reply::Close(Some("Too many requests"));
        }
        let message: Value = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(error) => {
                let msg = format!("Invalid JSON: {error}");
                return Reply::Text(json!({"error": {"code": 3, "msg": msg}}).to_string());
            }
        };
        let id = message.get("id").cloned().unwrap_or_default();
        let names = message.get("params").and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        let method = message.get("method").and_then(Value::as_str);
        self.state
            .evidence
            .seen(&format!("stream {}", method.unwrap_or_default()));
        let result = match method {
            Some("SUBSCRIBE") => {
                let room = STREAMS_MAX.saturating_sub(self.names.len());
                self.names.extend(names.take(room).map(str::to_owned));
                Value::Null
            }
            Some("UNSUBSCRIBE") => {
                for name in names {
                    self.names.remove(name);
                }
                Value::Null
            }
            Some("LIST_SUBSCRIPTIONS") => json!(self.names),
            _ => {
                let error = json!({"code": 2, "msg": "Invalid request: unknown method"});
                return Reply::Text(json!({"error": error, "id": id}).to_string());
            }
        };
        Reply::Text(json!({"result": result, "id": id}).to_string())
    }

    fn is_too_much(&mut self) -> bool {
        let second = self.now_ms().div_euclid(1000);
        if self.heard.0 != second {
            self.heard = (second, 0);
        }
        self.heard.1 += 1;
        self.heard.1 > MESSAGES_MAX
    }

    fn told(&self, name: &str) -> Option<String> {
        Some(self.framed(name, self.data(name)?))
    }

    fn framed(&self, name: &str, data: Value) -> String {
        let told = if self.combined {
            json!({"stream": name, "data": data})
        } else {
            data
        };
        told.to_string()
    }

    fn data(&self, name: &str) -> Option<Value> {
        let (symbol, kind) = name.split_once('@')?;
        let symbol = (self.state.dialect)
            .symbol(&symbol.to_ascii_uppercase())
            .ok()?;
        let now = self.now_ms();
        let kind = kind.split('@').next().unwrap_or_default();
        let levels = kind.strip_prefix("depth").map(str::parse::<u64>);
        match (kind, levels) {
            ("trade", _) => Some(self.trade(symbol, now)),
            ("aggTrade", _) => Some(self.aggregate(symbol, now)),
            ("bookTicker", _) => Some(self.best(symbol)),
            ("depth", _) => Some(self.changes(symbol, now)),
            (_, Some(Ok(rows))) => Some(market::levels(symbol, rows, self.number)),
            _ => None,
        }
    }

    fn trade(&self, symbol: &Symbol, now: i64) -> Value {
        json!({
            "e": "trade", "E": now, "s": symbol.name, "t": self.number, "p": symbol.price.to_string(),
            "q": "0.01000000", "T": now, "m": false, "M": true,
        })
    }

    fn aggregate(&self, symbol: &Symbol, now: i64) -> Value {
        json!({
            "e": "aggTrade", "E": now, "s": symbol.name, "a": self.number, "p": symbol.price.to_string(),
            "q": "0.01000000", "f": self.number, "l": self.number, "T": now, "m": false, "M": true,
        })
    }

    fn best(&self, symbol: &Symbol) -> Value {
        json!({
            "u": self.number, "s": symbol.name, "b": symbol.bid().to_string(), "B": "1.50000000",
            "a": symbol.ask().to_string(), "A": "1.50000000",
        })
    }

    fn changes(&self, symbol: &Symbol, now: i64) -> Value {
        let quantity = Amount::whole(1).to_string();
        json!({
            "e": "depthUpdate", "E": now, "s": symbol.name, "U": self.number, "u": self.number,
            "b": [[symbol.bid().to_string(), quantity]], "a": [[symbol.ask().to_string(), quantity]],
        })
    }

    fn now_ms(&self) -> i64 {
        Times::Milliseconds.shown(self.state.clock.now_us())
    }
}
