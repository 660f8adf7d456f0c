//! Frames of WebSockets: those that leave, signed after a permit, and those by which this program refuses one in the
//! exchange's own shape. Never passes on a member that was not read, never tells the operator's detail.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::answer::binance_code;
use super::unsigned;
use crate::decide::outbound::{OutboundPermit, StreamPermit};
use crate::model::denial::{Cause, Denial};
use crate::model::exchange::Security;
use crate::model::frame::Frame;
use crate::transform::signers::{Fresh, Session, Signer};

/// A text frame that may leave for an exchange. Only the functions of this file make one, and they ask for a permit.
#[derive(Debug)]
pub struct OutboundFrame(String);

impl OutboundFrame {
    /// The text as it goes onto the wire.
    #[must_use]
    pub fn into_text(self) -> String {
        self.0
    }
}

/// Stamps and signs a frame from which the client's own credentials were taken. Called after every wait, once.
///
/// # Errors
/// [`Cause::ExchangeSigning`]: there is no key, or none that can sign this.
pub fn sign_frame(
    permit: &OutboundPermit,
    frame: &Frame<'_>,
    signer: Option<&Signer>,
    session: Session,
    fresh: &Fresh,
) -> Result<OutboundFrame, Box<Denial>> {
    let security = permit.known().security;
    let text = match (signer, security) {
        (None, Security::None) => Ok(frame.text()),
        (None, Security::KeyOnly | Security::Signed) => {
            return Err(unsigned("no key is configured"));
        }
        (Some(signer), _) => signer.sign_frame(frame, security, session, fresh),
    };
    text.map(OutboundFrame)
        .map_err(|fault| unsigned(&fault.to_string()))
}

/// The frame that logs a WebSocket on with our key; `id` is a JSON text.
///
/// # Errors
/// [`Cause::ExchangeSigning`]: there is no key, or none that may.
pub fn log_on(
    _permit: &OutboundPermit,
    id: &str,
    signer: Option<&Signer>,
    fresh: &Fresh,
) -> Result<OutboundFrame, Box<Denial>> {
    let signer = signer.ok_or_else(|| unsigned("no key is configured"))?;
    let text = signer.log_on(id, fresh);
    text.map(OutboundFrame)
        .map_err(|fault| unsigned(&fault.to_string()))
}

/// What a client may say on a connection of streams.
#[derive(Clone, Copy, Debug)]
pub enum Control<'a> {
    /// `SUBSCRIBE`.
    Subscribe(&'a [StreamPermit]),
    /// `UNSUBSCRIBE`.
    Unsubscribe(&'a [StreamPermit]),
    /// `LIST_SUBSCRIPTIONS`.
    List,
    /// `GET_PROPERTY`: whether each message says of which stream it is.
    IsCombined,
    /// `SET_PROPERTY`: the same, said.
    Combine(bool),
}

/// The frame that says it, made anew; `id` is a JSON text. No key belongs on a stream, and none can stand in it.
#[must_use]
pub fn stream_control<'a>(control: Control<'a>, id: Option<&'a RawValue>) -> OutboundFrame {
    #[derive(Serialize)]
    struct Said<'a> {
        method: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        params: Option<Params<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Params<'a> {
        Names(Vec<&'a str>),
        Property((&'static str, bool)),
    }
    let names =
        |of: &'a [StreamPermit]| Some(Params::Names(of.iter().map(StreamPermit::name).collect()));
    let (method, params) = match control {
        Control::Subscribe(streams) => ("SUBSCRIBE", names(streams)),
        Control::Unsubscribe(streams) => ("UNSUBSCRIBE", names(streams)),
        Control::List => ("LIST_SUBSCRIPTIONS", None),
        Control::IsCombined => ("GET_PROPERTY", Some(Params::Names(vec!["combined"]))),
        Control::Combine(on) => ("SET_PROPERTY", Some(Params::Property(("combined", on)))),
    };
    let said = Said { method, params, id };
    // Text and truth values always have a JSON form.
    OutboundFrame(serde_json::to_string(&said).unwrap_or_default())
}

/// What goes back in place of an answer where a frame is refused: the exchange's own shape, which its clients read. `id`
/// is the frame's, a JSON text; `now_ms` is the time in milliseconds since 1970.
#[must_use]
pub fn frame_refusal(denial: &Denial, id: Option<&str>, now_ms: i64) -> String {
    #[derive(Serialize)]
    struct Refusal<'a> {
        id: Option<&'a RawValue>,
        status: u16,
        error: Error,
    }
    #[derive(Serialize)]
    struct Error {
        code: i64,
        msg: &'static str,
        data: Data,
    }
    /// Beside our own code, when to ask again: as a moment, as Binance tells it over WebSockets.
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        reason: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        server_time: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<i64>,
    }
    let limited = matches!(denial.cause, Cause::ExchangeLimit | Cause::ExchangeHalted);
    let wait = denial.wait().filter(|_| limited);
    let refusal = Refusal {
        id: id.and_then(|id| serde_json::from_str(id).ok()),
        status: denial.cause.status().as_u16(),
        error: Error {
            code: binance_code(denial.cause),
            msg: denial.cause.title(),
            data: Data {
                reason: denial.cause.code(),
                server_time: wait.map(|_| now_ms),
                retry_after: wait.map(|wait| now_ms.saturating_add(millis(wait))),
            },
        },
    };
    serde_json::to_string(&refusal).unwrap_or_default()
}

/// Rounded up: who comes back a moment early is refused once more.
fn millis(wait: Duration) -> i64 {
    i64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::denial::Advice;

    fn refused(denial: &Denial, id: Option<&str>) -> serde_json::Value {
        serde_json::from_str(&frame_refusal(denial, id, 1_000)).unwrap()
    }

    #[test]
    fn a_refusal_has_the_exchanges_shape_and_no_detail() {
        let denial = Denial::new(Cause::ExchangeNotAllowed, "for the operator");
        let told = refused(&denial, Some("\"a-1\""));
        let expected = serde_json::json!({
            "id": "a-1", "status": 403,
            "error": {
                "code": -1002, "msg": Cause::ExchangeNotAllowed.title(),
                "data": {"reason": "exchange.not_allowed"},
            },
        });
        assert_eq!(told, expected);
        assert!(refused(&denial, None)["id"].is_null());
    }

    #[test]
    fn a_spent_limit_says_when_to_come_back() {
        let wait = Advice::RetryAfter(Duration::from_micros(2_500));
        let denial = Denial::new(Cause::ExchangeLimit, "").advising(wait);
        let told = refused(&denial, Some("7"));
        assert_eq!((&told["id"], &told["status"]), (&7.into(), &429.into()));
        let data = serde_json::json!({
            "reason": "exchange.limit", "serverTime": 1_000, "retryAfter": 1_003,
        });
        assert_eq!(told["error"]["data"], data);
        assert_eq!(told["error"]["code"], -1003);
    }

    #[test]
    fn controls_are_made_anew() {
        let id = serde_json::value::to_raw_value(&3).unwrap();
        let text = |control, id| stream_control(control, id).into_text();
        assert_eq!(
            text(Control::Combine(true), Some(&*id)),
            r#"{"method":"SET_PROPERTY","params":["combined",true],"id":3}"#
        );
        assert_eq!(
            text(Control::List, None),
            r#"{"method":"LIST_SUBSCRIPTIONS"}"#
        );
        assert_eq!(
            text(Control::Subscribe(&[]), None),
            r#"{"method":"SUBSCRIBE","params":[]}"#
        );
    }
}
