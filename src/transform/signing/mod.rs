//! What signers are made of: keys, the words of signing, and the scheme in which an exchange's rule is written as YAML.
//! Pure: facts, bytes, key, time and nonce in, bytes out. Never reads a clock, a file or a random source.

#![warn(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

pub(super) mod encoding;
pub(super) mod explain;
pub(super) mod key;
mod pem;
pub(super) mod scheme;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};

use crate::model::exchange::Security;

/// A request as it was judged, with nothing of the client's own credentials left in it.
#[derive(Clone, Copy, Debug)]
pub struct SignInput<'a> {
    /// The method.
    pub method: &'a Method,
    /// The exchange's host, without a port.
    pub host: &'a str,
    /// The path, percent-encoded as it will be sent.
    pub path: &'a str,
    /// The query as it will be sent, without `?`; cleaned by [`clean`](crate::model::form::clean).
    pub query: &'a str,
    /// The body as it will be sent; a form is cleaned like the query.
    pub body: &'a Bytes,
    /// How much of the key the call gets.
    pub security: Security,
}

/// What makes each signature another one. Read after every wait, right before the request is written.
#[derive(Clone, Copy)]
pub struct Fresh {
    /// The exchange's time: microseconds since 1970-01-01T00:00:00Z.
    pub unix_us: i64,
    /// A number greater than all before it, where the signer [asks for one](Needs::nonce); else 0.
    pub nonce: u64,
    /// Bytes of the system's random generator, where the signer [asks for them](Needs::random); else zeros.
    pub random: [u8; 32],
}

/// What a signer wants in [`Fresh`] beside the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// A nonce that only grows, at least as great as the time in this unit.
    pub nonce: Option<TimeUnit>,
    /// Random bytes.
    pub random: bool,
}

/// A unit in which exchanges count time since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeUnit {
    /// Thousandths of a second.
    #[default]
    Milliseconds,
    /// Millionths of a second.
    Microseconds,
}

/// A signed request: exactly what was signed, and to be sent as it is.
#[derive(Clone)]
pub struct Signed {
    /// The query, without `?`.
    pub query: String,
    /// The body.
    pub body: Bytes,
    /// Headers to set, marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Whether a WebSocket is logged on with our key, so that frames go without key and signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// Every frame brings its key.
    Anonymous,
    /// `session.logon` was answered with 200.
    LoggedOn,
}

/// Why nothing was signed. Nothing is sent then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignFault {
    /// A body on a method whose parameters belong into the query.
    BodyOnGet,
    /// A parameter of ours is still there: the request was not cleaned.
    NotCleaned,
    /// The body is not what the rule reads (a form, a JSON object).
    Body(&'static str),
    /// A WebSocket parameter that has no one text: a list, an object, `null`.
    Parameter(String),
    /// This signer knows no WebSocket frames.
    NoFrames,
    /// Only Ed25519 keys may log a session on.
    NotAnEd25519Key,
    /// The time is before 1970 or after 9999: the clock is wrong.
    Time,
    /// The rule asks for a nonce or for random bytes and none came.
    NoNonce,
    /// A value that cannot stand in a header.
    Header(HeaderName),
    /// The cryptographic library refused.
    Crypto,
}

impl TimeUnit {
    /// A time in this unit; none before 1970.
    #[must_use]
    pub fn of(self, unix_us: i64) -> Option<u64> {
        let us = u64::try_from(unix_us).ok()?;
        Some(match self {
            Self::Milliseconds => us / 1_000,
            Self::Microseconds => us,
        })
    }
}

impl std::fmt::Display for SignFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BodyOnGet => {
                out.write_str("a GET has a body; its parameters belong into the query")
            }
            Self::NotCleaned => out.write_str("a parameter that the signer sets is already there"),
            Self::Body(expected) => write!(out, "the body is not {expected}"),
            Self::Parameter(name) => write!(
                out,
                "the parameter `{}` is neither a text, a number nor a truth value",
                crate::model::json::shown(name)
            ),
            Self::NoFrames => out.write_str("this exchange's signer signs no WebSocket frames"),
            Self::NotAnEd25519Key => out.write_str("only an Ed25519 key may log a session on"),
            Self::Time => out.write_str("the time is out of range"),
            Self::NoNonce => out.write_str("no nonce or random bytes were given"),
            Self::Header(name) => write!(
                out,
                "what is made for the header `{name}` cannot stand in one"
            ),
            Self::Crypto => out.write_str("the signature could not be made"),
        }
    }
}

impl std::error::Error for SignFault {}

/// A header value that no log shows.
pub(super) fn sensitive(name: &HeaderName, bytes: &[u8]) -> Result<HeaderValue, SignFault> {
    let mut value = HeaderValue::from_bytes(bytes).map_err(|_| SignFault::Header(name.clone()))?;
    value.set_sensitive(true);
    Ok(value)
}
