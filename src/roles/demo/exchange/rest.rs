//! REST: a request is read, judged in the order of the exchange's checks, performed and answered, with whatever fault
//! was asked for. Never signs and never asks anybody else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::door::{Door, Line};
use super::evidence::count;
use super::faults::Fault;
use super::gate;
use super::headers;
use super::keys::ApiKey;
use super::limits::Moment;
use super::paced::Paced;
use super::params::{Params, Raw};
use super::present::Times;
use super::refusal::Refusal;
use super::routes::{Found, Operation, Route, Security, find};
use super::socket;
use super::state::State;
use super::trading::Ask;

/// Bytes of a request's body.
const BODY_MAX: usize = 64 * 1024;

/// A request, read.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    query: Bytes,
    pub(super) headers: HeaderMap,
    body: Bytes,
}

/// The connection ends without an answer.
#[derive(Debug)]
pub(super) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("cut off, as was asked for")
    }
}

impl std::error::Error for Cut {}

/// Answers a request, or ends the connection where a fault says so.
pub(super) async fn answer(
    door: &Door,
    line: &Arc<Line>,
    request: Request<Incoming>,
) -> Result<Response<Paced>, Cut> {
    let state = &door.state;
    let route = format!("{} {}", request.method(), request.uri().path());
    state.evidence.seen(&route);
    headers::watch(state, &route, request.headers());
    let fault = state.faults.take(&route);
    match fault {
        Some(Fault::ResetBeforeBody) => return cut(line),
        Some(Fault::Unavailable) => return Ok(unavailable()),
        Some(Fault::Forbidden) => return Ok(forbidden()),
        Some(Fault::Conflict) => return Ok(conflict()),
        _ => {}
    }
    if socket::is_asked_for(request.headers()) {
        return Ok(socket::open(door, request));
    }
    let call = Call::read(request).await?;
    if fault == Some(Fault::ResetAfterBody) {
        return cut(line);
    }
    let judged = judge(state, &route, &call);
    match fault {
        Some(Fault::ResetAfterwards) => return cut(line),
        Some(Fault::UnknownOutcome(wait)) => {
            tokio::time::sleep(wait).await;
            let refusal = Refusal::unknown_outcome();
            return Ok(refused(&refusal).map(Paced::whole));
        }
        Some(Fault::Slow(wait)) => tokio::time::sleep(wait).await,
        _ => {}
    }
    Ok(judged.map(|text| body(text, fault)))
}

fn body(text: String, fault: Option<Fault>) -> Paced {
    match fault {
        Some(Fault::HalfAnswer) => Paced::half(text),
        Some(Fault::Drip(pause)) => Paced::drops(text, pause),
        Some(Fault::Chunked) => Paced::chunked(text),
        _ => Paced::whole(text),
    }
}

fn cut(line: &Line) -> Result<Response<Paced>, Cut> {
    line.reset();
    Err(Cut)
}

impl Call {
    async fn read(request: Request<Incoming>) -> Result<Self, Cut> {
        let (head, mut incoming) = request.into_parts();
        let mut body = Vec::new();
        while let Some(frame) = incoming.frame().await {
            let data = frame.map_err(|_| Cut)?.into_data().unwrap_or_default();
            body.extend_from_slice(&data);
            if body.len() > BODY_MAX {
                return Err(Cut);
            }
        }
        let query = head.uri.query().unwrap_or_default();
        Ok(Self {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: Bytes::copy_from_slice(query.as_bytes()),
            headers: head.headers,
            body: body.into(),
        })
    }

    fn raw(&self) -> Raw<'_> {
        Raw {
            query: &self.query,
            body: &self.body,
        }
    }

    fn times(&self) -> Times {
        let unit = self.headers.get("x-mbx-time-unit");
        match unit.map(HeaderValue::as_bytes) {
            Some(b"MICROSECOND" | b"microsecond") => Times::Microseconds,
            _ => Times::Milliseconds,
        }
    }

    /// Whether the body is one that this method and the exchange take.
    fn check_form(&self) -> Result<(), Refusal> {
        if self.body.is_empty() {
            return Ok(());
        }
        if self.method == Method::GET {
            let msg = "A GET request has no body.";
            return Err(Refusal::bad(-1000, msg));
        }
        let kind = self.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let form = b"application/x-www-form-urlencoded";
        if !kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with(form)) {
            let msg = "The body must be application/x-www-form-urlencoded.";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, -1000, msg));
        }
        Ok(())
    }
}

/// The checks in their order. Limits are those of an address, and come before anything that a key could change.
fn judge(state: &State, name: &str, call: &Call) -> Response<String> {
    let route = match find(state.dialect.rest, &call.method, &call.path) {
        Found::Route(route) => route,
        Found::OtherMethod => return plain(StatusCode::METHOD_NOT_ALLOWED),
        Found::Nothing => return plain(StatusCode::NOT_FOUND),
    };
    let weight = route.cost.on_arrival(&call.raw().params());
    let moment = match arrive(state, name, weight) {
        Ok(moment) => moment,
        Err(refused) => return refused,
    };
    let outcome = admit(state, name, route, call, moment);
    let mut response = match &outcome {
        Ok((value, _)) => json_of(StatusCode::OK, value),
        Err(refusal) => refused(refusal),
    };
    if outcome.is_err() {
        state.meter().charge(moment, route.cost.on_refusal());
    }
    if let Ok((_, account)) = &outcome
        && route.operation.counts_orders()
    {
        for (counted, used) in state.meter().orders_used(moment, account) {
            set(&mut response, counted.header(), used);
        }
    }
    weighed(state, moment, response)
}

/// Counts a request that has arrived, and gives the moment of its arrival.
///
/// # Errors
///
/// The answer, when a limit is reached.
#[expect(
    clippy::result_large_err,
    reason = "the answer goes straight to the client"
)]
pub(super) fn arrive(state: &State, name: &str, weight: u64) -> Result<Moment, Response<String>> {
    let moment = state.moment();
    let arrived = state.admit(name, moment, weight);
    arrived
        .map(|()| moment)
        .map_err(|refusal| weighed(state, moment, refused(&refusal)))
}

/// Form, key, time, parameters and signature; then what was asked for, and whose account it is.
fn admit(
    state: &State,
    name: &str,
    route: Route,
    call: &Call,
    moment: Moment,
) -> Result<(Value, String), Refusal> {
    if matches!(route.operation, Operation::Withdraw) {
        count(&state.evidence.counts.withdrawals);
        state
            .evidence
            .violation(format!("a withdrawal reached the exchange: `{name}`"));
    }
    call.check_form()?;
    let params = call.raw().params();
    let is_signed = params.has("signature") || params.has("timestamp");
    let account = match route.security {
        Security::None => {
            headers::watch_key(state, name, &call.headers);
            headers::watch_signature(state, name, is_signed);
            call.raw().names_once()?;
            String::new()
        }
        Security::Key => {
            headers::watch_signature(state, name, is_signed);
            call.raw().names_once()?;
            key(state, route, call)?.account.clone()
        }
        Security::UserData | Security::Trade => signed(state, name, route, call, &params, moment)?,
    };
    let ask = Ask {
        params: &params,
        account: &account,
        moment,
        times: call.times(),
    };
    let value = state.perform(route.operation, &ask)?;
    Ok((value, account))
}

/// The account whose key has signed the request.
fn signed(
    state: &State,
    name: &str,
    route: Route,
    call: &Call,
    params: &Params,
    moment: Moment,
) -> Result<String, Refusal> {
    let key = &key(state, route, call)?;
    gate::time(params, moment.unix_us)?;
    let signature = gate::signature(key, call.raw())?;
    let changes = call.method != Method::GET;
    gate::remember(state, key, &signature, name, changes);
    Ok(key.account.clone())
}

/// The key that a request names.
fn key(state: &State, route: Route, call: &Call) -> Result<Arc<ApiKey>, Refusal> {
    let mut ids = call.headers.get_all(headers::KEY).iter();
    let id = ids.next().and_then(|id| id.to_str().ok());
    let id = id.filter(|_| ids.next().is_none());
    gate::key(state, id, route.security)
}

fn weighed(state: &State, moment: Moment, mut response: Response<String>) -> Response<String> {
    let used = state.meter().used(moment);
    for name in state.dialect.weight_headers {
        set(&mut response, name, used);
    }
    response
}

fn set(response: &mut Response<String>, name: &'static str, number: u64) {
    let name = HeaderName::from_static(name);
    response.headers_mut().insert(name, number.into());
}

fn refused(refusal: &Refusal) -> Response<String> {
    let mut response = json_of(refusal.status, &refusal.body());
    if let Some(wait) = refusal.retry_after {
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, seconds(wait).into());
    }
    response
}

/// Whole seconds, rounded up: who waits for them has waited long enough.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn json_of(status: StatusCode, value: &Value) -> Response<String> {
    text(status, "application/json;charset=UTF-8", value.to_string())
}

/// An answer without a body.
pub(super) fn plain(status: StatusCode) -> Response<String> {
    text(status, "text/html", String::new())
}

fn text(status: StatusCode, kind: &'static str, text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn unavailable() -> Response<Paced> {
    let msg =
        "Server is currently overloaded with other requests. Please try again in a few minutes.";
    let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, -1008, msg);
    refused(&refusal).map(Paced::whole)
}

fn forbidden() -> Response<Paced> {
    let page = "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n</body>\r\n</html>\r\n";
    text(StatusCode::FORBIDDEN, "text/html", page.to_owned()).map(Paced::whole)
}

fn conflict() -> Response<Paced> {
    let mut refusal = Refusal::new(
        StatusCode::CONFLICT,
        -2021,
        "Order cancel-replace partially failed.",
    );
    refusal.data = Some(json!({"cancelResult": "SUCCESS", "newOrderResult": "FAILURE"}));
    refused(&refusal).map(Paced::whole)
}
