//! The WebSocket API: requests in frames, sessions that a key has authenticated, and what happens to the accounts that
//! a session listens to. Signs nothing; verifies raw UTF-8 where REST verifies percent-encoded bytes.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::door::Door;
use super::faults::Fault;
use super::frame::{Frame, answer};
use super::gate;
use super::keys::ApiKey;
use super::limits::Moment;
use super::params::Params;
use super::present::Times;
use super::refusal::Refusal;
use super::routes::{Route, Security, find_method};
use super::socket::Reply;
use super::state::{State, UserEvent};
use super::trading::Ask;

/// Accounts that one session listens to.
const SUBSCRIPTIONS_MAX: usize = 1000;

/// What a method of a session weighs.
const SESSION_WEIGHT: u64 = 2;

/// One connection to the WebSocket API.
pub(super) struct Session {
    state: Arc<State>,
    events: broadcast::Receiver<Arc<UserEvent>>,
    times: Times,
    shows_limits: bool,
    connected_us: i64,
    logged_on: Option<LoggedOn>,
    /// By number: whose account.
    subscriptions: Vec<(u64, String)>,
    next_subscription: u64,
}

struct LoggedOn {
    key: String,
    since_us: i64,
}

/// What a frame comes to.
struct Outcome {
    result: Result<Value, Failure>,
    /// Whose orders the answer counts.
    account: Option<String>,
}

/// Why a frame is not answered with a result.
enum Failure {
    Refused(Refusal),
    /// The key was revoked while the session used it: the answer names no request.
    Revoked,
}

impl Session {
    pub(super) fn new(door: &Door, params: &Params) -> Self {
        let state = Arc::clone(&door.state);
        let unit = params.get("timeUnit");
        let micro = unit.is_some_and(|unit| unit.eq_ignore_ascii_case("MICROSECOND"));
        Self {
            events: state.events.subscribe(),
            times: if micro {
                Times::Microseconds
            } else {
                Times::Milliseconds
            },
            shows_limits: params.get("returnRateLimits") != Some("false"),
            connected_us: state.clock.now_us(),
            state,
            logged_on: None,
            subscriptions: Vec::new(),
            next_subscription: 0,
        }
    }

    /// The next event of an account that it listens to; none when it is too far behind.
    pub(super) async fn event(&mut self) -> Option<String> {
        loop {
            let event = self.events.recv().await.ok()?;
            let of_account = |(_, account): &&(u64, String)| *account == event.account;
            if let Some((id, _)) = self.subscriptions.iter().find(of_account) {
                return Some(json!({"subscriptionId": id, "event": event.event}).to_string());
            }
        }
    }

    pub(super) fn notice(&self) -> String {
        let now = self.shown(self.state.clock.now_us());
        json!({"event": {"e": "serverShutdown", "E": now}}).to_string()
    }

    /// Answers a frame.
    pub(super) async fn hear(&mut self, text: &str) -> Reply {
        let frame = match Frame::read(text) {
            Ok(frame) => frame,
            Err(refusal) => return Reply::Text(answer(&Value::Null, Err(refusal), None)),
        };
        let name = format!("ws {}", frame.method);
        self.state.evidence.seen(&name);
        let fault = self.state.faults.take(&name);
        let never_done = match fault {
            Some(Fault::ResetBeforeBody | Fault::ResetAfterBody) => return Reply::Close(None),
            Some(Fault::Unavailable) => Some(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                -1008,
                "Server is currently overloaded with other requests.",
            )),
            _ => None,
        };
        if let Some(refusal) = never_done {
            return Reply::Text(answer(&frame.id, Err(refusal), None));
        }
        let reply = self.judge(&name, &frame);
        match fault {
            Some(Fault::ResetAfterwards | Fault::HalfAnswer) => Reply::Close(None),
            Some(Fault::UnknownOutcome(wait)) => {
                tokio::time::sleep(wait).await;
                Reply::Text(answer(&frame.id, Err(Refusal::unknown_outcome()), None))
            }
            Some(Fault::Slow(wait)) => {
                tokio::time::sleep(wait).await;
                reply
            }
            _ => reply,
        }
    }

    fn judge(&mut self, name: &str, frame: &Frame) -> Reply {
        let params = frame.params();
        let moment = self.state.moment();
        let route = find_method(self.state.dialect.methods, &frame.method);
        let weight = match route {
            Some(route) => route.cost.on_arrival(&params),
            None => SESSION_WEIGHT,
        };
        let admitted = self.state.admit(name, moment, weight);
        let outcome = match (admitted, route) {
            (Err(refusal), _) => Outcome::refused(limited(refusal, moment)),
            (Ok(()), Some(route)) => self.perform(name, frame, &params, route, moment),
            (Ok(()), None) => self.session(name, frame, &params, moment).into(),
        };
        if let (Some(route), true) = (route, outcome.result.is_err()) {
            self.state.meter().charge(moment, route.cost.on_refusal());
        }
        self.reply(frame, &params, outcome, moment)
    }

    fn reply(&self, frame: &Frame, params: &Params, outcome: Outcome, moment: Moment) -> Reply {
        let result = match outcome.result {
            Ok(result) => Ok(result),
            Err(Failure::Refused(refusal)) => Err(refusal),
            Err(Failure::Revoked) => {
                return Reply::Text(answer(&Value::Null, Err(Refusal::key()), None));
            }
        };
        let shown = match params.get("returnRateLimits") {
            Some(wanted) => wanted == "true",
            None => self.shows_limits,
        };
        let account = outcome.account.as_deref();
        let limits = shown.then(|| self.state.meter().reported(moment, account));
        Reply::Text(answer(&frame.id, result, limits))
    }

    /// A method that REST has as well.
    fn perform(
        &mut self,
        name: &str,
        frame: &Frame,
        params: &Params,
        route: Route,
        moment: Moment,
    ) -> Outcome {
        let account = if route.security == Security::None {
            if ["apiKey", "signature", "timestamp"]
                .iter()
                .any(|name| params.has(name))
            {
                let text = format!("a credential came with `{name}`, which needs none");
                self.state.evidence.violation(text);
            }
            String::new()
        } else {
            match self.authenticate(name, frame, params, route.security, moment) {
                Ok(key) => key.account.clone(),
                Err(failure) => return Err(failure).into(),
            }
        };
        let ask = Ask {
            params,
            account: &account,
            moment,
            times: self.times,
        };
        let result = self.state.perform(route.operation, &ask);
        let counted = route.operation.counts_orders() && result.is_ok();
        Outcome {
            result: result.map_err(Failure::Refused),
            account: counted.then_some(account),
        }
    }

    /// The key of a request: the session's, or the one that has signed it.
    fn authenticate(
        &mut self,
        name: &str,
        frame: &Frame,
        params: &Params,
        security: Security,
        moment: Moment,
    ) -> Result<Arc<ApiKey>, Failure> {
        if security == Security::Key && (params.has("timestamp") || params.has("signature")) {
            let text = format!("a signature or timestamp came with `{name}`, which needs none");
            self.state.evidence.violation(text);
        }
        if let Some(logged_on) = self.logged_on.as_ref().filter(|_| !params.has("apiKey")) {
            let Ok(key) = gate::key(&self.state, Some(&logged_on.key), security) else {
                self.logged_on = None;
                return Err(Failure::Revoked);
            };
            if security != Security::Key {
                gate::time(params, moment.unix_us)?;
            }
            return Ok(key);
        }
        let id = params.required("apiKey")?;
        let key = gate::key(&self.state, Some(id), security)?;
        if security == Security::Key {
            return Ok(key);
        }
        gate::time(params, moment.unix_us)?;
        let signature = params.required("signature")?;
        if !key.verifies(frame.payload().as_bytes(), signature) {
            return Err(Refusal::signature().into());
        }
        let changes = security == Security::Trade;
        gate::remember(&self.state, &key, signature, name, changes);
        Ok(key)
    }

    /// A method that only a session has.
    fn session(
        &mut self,
        name: &str,
        frame: &Frame,
        params: &Params,
        moment: Moment,
    ) -> Result<Value, Failure> {
        match frame.method.as_str() {
            "session.logon" => {
                params.required("apiKey")?;
                let key = self.authenticate(name, frame, params, Security::UserData, moment)?;
                if !key.may_log_on() {
                    let msg = "HMAC_SHA256 API key is not supported.";
                    return Err(Refusal::bad(-4056, msg).into());
                }
                self.logged_on = Some(LoggedOn {
                    key: key.id.clone(),
                    since_us: moment.unix_us,
                });
                Ok(self.status(moment))
            }
            "session.status" => Ok(self.status(moment)),
            "session.logout" => {
                self.logged_on = None;
                Ok(self.status(moment))
            }
            _ if !self.state.dialect.subscribes => Err(unsupported()),
            "session.subscriptions" => {
                let ids = self.subscriptions.iter();
                Ok(ids.map(|(id, _)| json!({"subscriptionId": id})).collect())
            }
            "userDataStream.subscribe" => {
                let Some(logged_on) = &self.logged_on else {
                    let msg = "WebSocket session not authenticated.";
                    return Err(Refusal::bad(-2015, msg).into());
                };
                let key = gate::key(&self.state, Some(&logged_on.key), Security::UserData)?;
                Ok(self.subscribe(&key)?)
            }
            "userDataStream.subscribe.signature" => {
                params.required("apiKey")?;
                let key = self.authenticate(name, frame, params, Security::UserData, moment)?;
                Ok(self.subscribe(&key)?)
            }
            "userDataStream.unsubscribe" => Ok(self.unsubscribe(params)?),
            "userDataStream.start" | "userDataStream.ping" | "userDataStream.stop" => {
                let msg = "This endpoint has been removed.";
                Err(Refusal::new(StatusCode::GONE, -1020, msg).into())
            }
            _ => Err(unsupported()),
        }
    }

    fn subscribe(&mut self, key: &ApiKey) -> Result<Value, Refusal> {
        if self.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            return Err(Refusal::bad(-1020, "Too many subscriptions."));
        }
        if self
            .subscriptions
            .iter()
            .any(|(_, account)| *account == key.account)
        {
            return Err(Refusal::bad(-1020, "Already subscribed."));
        }
        let id = self.next_subscription;
        self.next_subscription += 1;
        self.subscriptions.push((id, key.account.clone()));
        Ok(json!({"subscriptionId": id}))
    }

    fn unsubscribe(&mut self, params: &Params) -> Result<Value, Refusal> {
        match params.number("subscriptionId")? {
            Some(wanted) => self.subscriptions.retain(|(id, _)| *id != wanted),
            None => self.subscriptions.clear(),
        }
        Ok(json!({}))
    }

    fn status(&self, moment: Moment) -> Value {
        let logged_on = self.logged_on.as_ref();
        json!({
            "apiKey": logged_on.map(|logged_on| &logged_on.key),
            "authorizedSince": logged_on.map(|logged_on| self.shown(logged_on.since_us)),
            "connectedSince": self.shown(self.connected_us),
            "returnRateLimits": self.shows_limits,
            "serverTime": self.shown(moment.unix_us),
            "userDataStream": !self.subscriptions.is_empty(),
        })
    }

    fn shown(&self, us: i64) -> i64 {
        self.times.shown(us)
    }
}

impl Outcome {
    fn refused(refusal: Refusal) -> Self {
        Err(refusal.into()).into()
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Result<Value, Failure>> for Outcome {
    fn from(result: Result<Value, Failure>) -> Self {
        Self {
            result,
            account: None,
        }
    }
}

fn unsupported() -> Failure {
    Refusal::bad(-1020, "This operation is not supported.").into()
}

/// Says when to come back, as WebSockets are told: as a moment, in milliseconds.
fn limited(mut refusal: Refusal, moment: Moment) -> Refusal {
    let now_ms = moment.unix_us.div_euclid(1000);
    let wait = refusal.retry_after.unwrap_or_default();
    let wait_ms = i64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
    refusal.data = Some(json!({
        "serverTime": now_ms, "retryAfter": now_ms.saturating_add(wait_ms),
    }));
    refusal
}
