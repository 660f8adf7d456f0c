//! What the exchange answers when it refuses: status, code and text as Binance documents them. Never what Outrider
//! itself answers.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

/// A refusal, for REST and WebSocket alike.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: i32,
    pub(super) msg: Cow<'static, str>,
    /// How long to stay away, with 429 and 418.
    pub(super) retry_after: Option<Duration>,
    /// What `error.data` says besides.
    pub(super) data: Option<Value>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: i32, msg: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            msg: msg.into(),
            retry_after: None,
            data: None,
        }
    }

    /// 400 with a code.
    pub(super) fn bad(code: i32, msg: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, msg)
    }

    /// A mandatory parameter is missing, empty or malformed.
    pub(super) fn missing(name: &str) -> Self {
        let msg =
            format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed.");
        Self::bad(-1102, msg)
    }

    pub(super) fn illegal(name: &str) -> Self {
        Self::bad(
            -1100,
            format!("Illegal characters found in parameter '{name}'."),
        )
    }

    pub(super) fn signature() -> Self {
        Self::bad(-1022, "Signature for this request is not valid.")
    }

    pub(super) fn key_format() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, -2014, "API-key format invalid.")
    }

    pub(super) fn key() -> Self {
        let msg = "Invalid API-key, IP, or permissions for action.";
        Self::new(StatusCode::UNAUTHORIZED, -2015, msg)
    }

    pub(super) fn order(msg: &'static str) -> Self {
        Self::bad(-2010, msg)
    }

    /// The outcome is not known to the sender: the exchange's back end did not answer in time.
    pub(super) fn unknown_outcome() -> Self {
        let msg = "Timeout waiting for response from backend server. Send status unknown; execution status unknown.";
        Self::new(StatusCode::REQUEST_TIMEOUT, -1007, msg)
    }

    pub(super) fn too_many(limit: u64, banned: bool, retry_after: Duration) -> Self {
        let status = if banned {
            StatusCode::IM_A_TEAPOT
        } else {
            StatusCode::TOO_MANY_REQUESTS
        };
        let msg = if banned {
            "Way too much request weight used; IP banned. Please use WebSocket Streams for live updates to avoid bans."
                .into()
        } else {
            format!(
                "Too much request weight used; current limit is {limit} request weight per 1 MINUTE."
            )
        };
        let mut refusal = Self::new(status, -1003, msg);
        refusal.retry_after = Some(retry_after);
        refusal
    }

    /// The body on REST.
    pub(super) fn body(&self) -> Value {
        match &self.data {
            Some(data) => json!({"code": self.code, "msg": self.msg, "data": data}),
            None => json!({"code": self.code, "msg": self.msg}),
        }
    }
}
