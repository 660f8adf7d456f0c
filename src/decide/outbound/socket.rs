//! WebSockets on the way out: which may be opened, which frames may be sent on them, and which streams may be listened to.
//! Pure, as everything here; a frame is judged like a request.

use std::sync::Arc;

use crate::ledger::exchange::CallMark;
use crate::model::denial::{Cause, Denial};
use crate::model::exchange::{Effect, Extent, Known, Role, Security};

use super::{AllowLine, Call, ExchangePolicy, Names};

/// The method that binds a WebSocket to a key.
const LOG_ON: &str = "session.logon";

/// The pattern of a line that names everything.
const EVERYTHING: &str = "**";

/// Finds the line that opens the door: a `WS` line opens the WebSocket API's path, a `STREAM` line those of streams.
///
/// # Errors
/// [`Cause::ExchangeNotAllowed`]: there is no such line, or the interface is none of WebSockets.
pub fn open(policy: &Arc<ExchangePolicy>, role: Role) -> Result<Call, Box<Denial>> {
    let (names, weight) = match role {
        Role::WsApi => (Names::Ws, policy.preset.ws_api_opens),
        Role::Streams => (Names::Stream, 0),
        Role::Rest => {
            let why = "this interface speaks no WebSocket";
            return Err(Denial::new(Cause::ExchangeNotAllowed, why));
        }
    };
    let line = policy
        .allow
        .iter()
        .position(|line| *line.names() == names)
        .ok_or_else(|| {
            let why = "no line of `allow` opens this WebSocket";
            Denial::new(Cause::ExchangeNotAllowed, why)
        })?;
    Ok(Call {
        policy: Arc::clone(policy),
        line: Some(line),
        known: Known {
            security: Security::None,
            effect: Effect::Read,
            weight,
            orders: 0,
            is_free_on_success: false,
            reserve: None,
        },
        mark: CallMark::of("GET", role.as_str()),
    })
}

/// Finds the line that allows a method of the WebSocket API. One that the preset does not know goes only by its exact
/// name.
///
/// # Errors
/// [`Cause::ExchangeNotAllowed`], [`Cause::ExchangeReserved`].
pub fn frame(
    policy: &Arc<ExchangePolicy>,
    method: &str,
    extent: Extent,
) -> Result<Call, Box<Denial>> {
    let known = policy.preset.known_frame(method, extent);
    let covers = |line: &AllowLine| line.allows_frame(method);
    let named = |line: &AllowLine| covers(line) && (known.reserve.is_none() || line.is_exact());
    if let Some(line) = policy.allow.iter().position(named) {
        return Ok(Call {
            policy: Arc::clone(policy),
            line: Some(line),
            known,
            mark: CallMark::of("WS", method),
        });
    }
    let covered = policy.allow.iter().find(|line| covers(line));
    let (cause, detail) = match covered {
        Some(_) => (
            Cause::ExchangeReserved,
            "the preset does not know this method, and no line of `allow` opens it by its exact name",
        ),
        None => (
            Cause::ExchangeNotAllowed,
            "no line of `allow` names this method",
        ),
    };
    Err(policy.refusal(cause, detail, covered))
}

/// What this program asks of a WebSocket API by itself, where the configuration says so: to be logged on with our key.
///
/// # Errors
/// [`Cause::ExchangeNotAllowed`]: the exchange has no such method.
pub fn log_on(policy: &Arc<ExchangePolicy>) -> Result<Call, Box<Denial>> {
    let known = policy.preset.known_frame(LOG_ON, Extent::ALL);
    match known.reserve {
        None => Ok(Call {
            policy: Arc::clone(policy),
            line: None,
            known,
            mark: CallMark::of("WS", LOG_ON),
        }),
        Some(_) => Err(Denial::new(
            Cause::ExchangeNotAllowed,
            "the exchange's WebSockets cannot be logged on",
        )),
    }
}

/// Proof that one stream may be listened to, or let go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamPermit(String);

impl StreamPermit {
    /// The stream's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// Bytes of a stream's name; the longest that exchanges have are below a hundred.
const STREAM_BYTES_MAX: usize = 128;

/// Says whether a stream may be listened to. Names of market streams hold an `@` or begin with `!`; another one is a key
/// to somebody's account (what futures call a listen key), and `STREAM **` does not open those.
///
/// # Errors
/// [`Cause::ExchangeParameters`]: it is no name of a stream. [`Cause::ExchangeNotAllowed`].
pub fn stream(policy: &ExchangePolicy, stream: &str) -> Result<StreamPermit, Box<Denial>> {
    let plain = |char: char| char.is_alphanumeric() || "@!_.-+:".contains(char);
    if stream.is_empty() || stream.len() > STREAM_BYTES_MAX || !stream.chars().all(plain) {
        let why = "this is not the name of a stream";
        return Err(Denial::new(Cause::ExchangeParameters, why));
    }
    let is_market = stream.contains('@') || stream.starts_with('!');
    let named = |line: &AllowLine| {
        line.allows_stream(stream) && (is_market || line.pattern() != EVERYTHING)
    };
    match policy.allow.iter().any(named) {
        true => Ok(StreamPermit(stream.to_owned())),
        false => Err(Denial::new(
            Cause::ExchangeNotAllowed,
            "no line of `allow` names this stream",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::exchange::Preset;
    use crate::model::node::Place;

    fn policy(lines: &[&str]) -> Arc<ExchangePolicy> {
        let read = |line: &&str| AllowLine::parse(line, &Place::Default).unwrap();
        Arc::new(ExchangePolicy {
            name: Arc::from("binance"),
            preset: Preset::named("binance-spot").unwrap(),
            allow: lines.iter().map(read).collect(),
        })
    }

    fn refused(lines: &[&str], method: &str) -> Option<Cause> {
        frame(&policy(lines), method, Extent::ALL)
            .err()
            .map(|denial| denial.cause)
    }

    #[test]
    fn a_frame_needs_a_line_and_an_unknown_one_its_exact_name() {
        let table: [(&[&str], &str, Option<Cause>); 7] = [
            (&["WS order.place"], "order.place", None),
            (&["WS order.*"], "order.cancel", None),
            (
                &["WS order.place"],
                "order.cancel",
                Some(Cause::ExchangeNotAllowed),
            ),
            (&["GET /**"], "time", Some(Cause::ExchangeNotAllowed)),
            (
                &["WS **"],
                "capital.withdraw",
                Some(Cause::ExchangeReserved),
            ),
            (&["WS capital.withdraw"], "capital.withdraw", None),
            (
                &["STREAM **"],
                "order.place",
                Some(Cause::ExchangeNotAllowed),
            ),
        ];
        for (lines, method, expected) in table {
            assert_eq!(refused(lines, method), expected, "{lines:?} {method}");
        }
    }

    #[test]
    fn a_line_of_its_kind_opens_the_door_and_no_other() {
        let opened = |lines: &[&str], role| open(&policy(lines), role).is_ok();
        assert!(opened(&["WS order.place"], Role::WsApi));
        assert!(!opened(&["WS order.place"], Role::Streams));
        assert!(opened(&["GET /x", "STREAM btcusdt@trade"], Role::Streams));
        assert!(!opened(&["STREAM **", "GET /**"], Role::WsApi));
        assert!(!opened(&["WS **", "STREAM **"], Role::Rest));
    }

    #[test]
    fn orders_of_the_socket_are_known_as_such() {
        let place = frame(&policy(&["WS **"]), "order.place", Extent::ALL).unwrap();
        assert_eq!(place.known().effect, Effect::Change);
        assert_eq!(place.known().orders, 1);
        let cancel = frame(&policy(&["WS **"]), "order.cancel", Extent::ALL).unwrap();
        assert_eq!(cancel.known().effect, Effect::Cancel);
    }

    #[test]
    fn streams_need_a_line_and_listen_keys_another_one_than_everything() {
        let listen_key = "pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1";
        for (line, name, expected) in [
            ("STREAM *@trade", "btcusdt@trade", true),
            ("STREAM *@trade", "btcusdt@depth", false),
            ("STREAM **", "!miniTicker@arr", true),
            ("STREAM **", "btcusdt@kline_1d@+08:00", true),
            ("STREAM **", listen_key, false),
            ("STREAM *", listen_key, true),
            ("WS **", "btcusdt@trade", false),
            ("STREAM **", "", false),
            ("STREAM **", "a@b/c@d", false),
            ("STREAM **", "a@b?apiKey=c", false),
        ] {
            let found = stream(&policy(&[line]), name).is_ok();
            assert_eq!(found, expected, "{line} {name}");
        }
    }
}
