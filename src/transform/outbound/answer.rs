//! What goes back to a service that asked an exchange: the exchange's answer, or why there is none, in words that the
//! exchange's own clients understand. Never tells the operator's detail.

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Response, StatusCode, Version};
use serde::Serialize;

use super::super::problem::{PROBLEM_JSON, PROBLEMS, RequestBody, refused, wait_seconds};
use super::super::{REQUEST_ID, hop_by_hop};
use crate::model::denial::{Cause, Denial};

/// Makes the client's answer out of the exchange's. What it says of limits stays, for clients that read it.
pub fn reply<B>(mut response: Response<B>, request_id: &HeaderValue) -> Response<B> {
    response.extensions_mut().clear();
    *response.version_mut() = Version::HTTP_11;
    // Only what `switched` has made is a 101: an exchange's own is taken as such, or is no answer.
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    hop_by_hop::strip(headers, is_of_the_way);
    if switches {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    headers.insert(REQUEST_ID, request_id.clone());
    response
}

/// What is about the way to the exchange, which is not the client's: ways past this proxy, and cookies, which it takes
/// off requests.
fn is_of_the_way(name: &str) -> bool {
    matches!(name, "alt-svc" | "strict-transport-security" | "set-cookie")
}

/// The answer to a request that was refused or came to nothing.
#[must_use]
pub fn refusal(
    denial: &Denial,
    speaks_codes: bool,
    request_id: &HeaderValue,
    body: RequestBody,
) -> Response<Bytes> {
    let wait = wait_seconds(denial);
    let problem = problem(denial.cause, speaks_codes, request_id, wait);
    refused(denial, problem, media_type(speaks_codes), request_id, body)
}

/// The exchange's own where its clients look for `code` and `msg`: Binance's connector reads these in nothing that is not
/// called `application/json`.
const fn media_type(speaks_codes: bool) -> HeaderValue {
    match speaks_codes {
        true => HeaderValue::from_static("application/json"),
        false => PROBLEM_JSON,
    }
}

/// RFC 9457. Where the exchange's clients look for `code` and `msg`, these two are the exchange's, and our own code is
/// the `reason`.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    instance: &'a str,
    code: Code,
    #[serde(skip_serializing_if = "Option::is_none")]
    msg: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Code {
    Own(&'static str),
    Theirs(i64),
}

fn problem(
    cause: Cause,
    speaks_codes: bool,
    request_id: &HeaderValue,
    retry_after: Option<u64>,
) -> Bytes {
    let problem = Problem {
        r#type: format!("{PROBLEMS}{}", cause.code()),
        title: cause.title(),
        status: cause.status().as_u16(),
        instance: request_id.to_str().unwrap_or_default(),
        code: match speaks_codes {
            true => Code::Theirs(binance_code(cause)),
            false => Code::Own(cause.code()),
        },
        msg: speaks_codes.then(|| cause.title()),
        reason: speaks_codes.then(|| cause.code()),
        execution: execution(cause),
        retry_after,
    };
    // Text and numbers always have a JSON form.
    serde_json::to_vec(&problem).unwrap_or_default().into()
}

/// Whether it was done. Where a question broke off it was sent, and nothing comes of that.
fn execution(cause: Cause) -> Option<&'static str> {
    let told = match cause == Cause::ExchangeUnknown {
        true => "unknown",
        false => "not_sent",
    };
    let silent = [
        Cause::UpstreamBroken,
        Cause::UpstreamTimeout,
        Cause::Internal,
    ];
    (!silent.contains(&cause)).then_some(told)
}

/// The codes by which Binance's clients understand our refusals (errors.md of its documentation).
const BINANCE_CODES: &[(Cause, i64)] = &[
    // UNAUTHORIZED
    (Cause::LocalHost, -1002),
    (Cause::LocalPage, -1002),
    (Cause::LocalCaller, -1002),
    (Cause::ExchangeNotAllowed, -1002),
    (Cause::ExchangeReserved, -1002),
    // TOO_MANY_REQUESTS
    (Cause::ExchangeLimit, -1003),
    (Cause::ExchangeHalted, -1003),
    // TIMEOUT: "Send status unknown; execution status unknown."
    (Cause::ExchangeUnknown, -1007),
    // SERVER_BUSY: nothing was done.
    (Cause::ExchangeNotSent, -1008),
    (Cause::Overloaded, -1008),
    // INVALID_JSON
    (Cause::ExchangeFrame, -1135),
    // INVALID_TIMESTAMP
    (Cause::ExchangeClock, -1021),
    // TOO_MANY_PARAMETERS
    (Cause::ExchangeParameters, -1101),
    (Cause::ExchangeCredentials, -1101),
];

/// `UNKNOWN`, for every other cause.
const BINANCE_UNKNOWN: i64 = -1000;

pub(super) fn binance_code(cause: Cause) -> i64 {
    let known = BINANCE_CODES.iter().find(|(of, _)| *of == cause);
    known.map_or(BINANCE_UNKNOWN, |(_, code)| *code)
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;

    use super::*;

    fn told(cause: Cause, speaks_codes: bool) -> serde_json::Value {
        let id = HeaderValue::from_static("id-1");
        let denial = Denial::new(cause, "secret detail");
        let answer = refusal(&denial, speaks_codes, &id, RequestBody::Settled);
        assert_eq!(answer.status(), cause.status());
        let kind = match speaks_codes {
            true => "application/json",
            false => "application/problem+json",
        };
        assert_eq!(answer.headers()[CONTENT_TYPE], kind);
        let text = String::from_utf8(answer.into_body().to_vec()).unwrap();
        assert!(!text.contains("secret"), "{text}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_refusal_speaks_to_the_exchanges_clients() {
        let problem = told(Cause::ExchangeUnknown, true);
        assert_eq!(problem["code"], -1007);
        assert_eq!(problem["execution"], "unknown");
        assert_eq!(problem["reason"], "exchange.unknown");
        assert_eq!(problem["msg"], Cause::ExchangeUnknown.title());
        let problem = told(Cause::ExchangeNotSent, false);
        assert_eq!(problem["code"], "exchange.not_sent");
        assert_eq!(problem["execution"], "not_sent");
        assert!(problem.get("msg").is_none() && problem.get("reason").is_none());
        assert!(told(Cause::UpstreamBroken, true).get("execution").is_none());
    }
}
