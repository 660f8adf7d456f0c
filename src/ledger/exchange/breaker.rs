//! When an exchange says stop: everybody here stops until it may be asked again, and then one asks for all. Counts on the
//! monotonic clock, so that a clock that is set cannot end a ban.

use std::time::{Duration, UNIX_EPOCH};

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

use super::{Lane, Moment, Refused, Which};

/// Longer than three days no exchange bans an address; who says so means something else.
const HOLD_MAX: Duration = Duration::from_secs(3 * 86_400);

/// The longest time for which a firewall's refusal of one caller's request holds up the others, whatever it says.
const FIREWALL_MAX: Duration = Duration::from_secs(60);

/// While one request asks whether the stop is over, others are told to come back after this.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// What an exchange said stop with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Halt {
    /// 429: too many requests. Nothing is sent, no cancel either: whoever goes on is banned.
    TooMany,
    /// 418: this address is banned. Nothing is sent.
    Banned,
    /// 403: its firewall took a request for an attack. One caller can cause this with what it asks for, so it holds
    /// others up only for a moment, and cancels not at all.
    Firewall,
}

impl Halt {
    /// The halt that an answer's status is, if it is one.
    #[must_use]
    pub const fn of(status: StatusCode) -> Option<Self> {
        match status.as_u16() {
            429 => Some(Self::TooMany),
            418 => Some(Self::Banned),
            403 => Some(Self::Firewall),
            _ => None,
        }
    }

    /// The word in logs, audit and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooMany => "too_many_requests",
            Self::Banned => "banned",
            Self::Firewall => "firewall",
        }
    }

    /// For how long, where the exchange does not say so.
    const fn default(self) -> Duration {
        Duration::from_secs(match self {
            // The window of weights: behind it everything is counted anew.
            Self::TooMany => 60,
            // The shortest ban there is.
            Self::Banned => 120,
            // Long enough that a caller who tries again and again is not heard, short enough for the others.
            Self::Firewall => 5,
        })
    }
}

/// What an exchange said of the time after which it may be asked again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetryAfter {
    /// Nothing, or nothing that can be read.
    #[default]
    Absent,
    /// So long from now: `Retry-After` in seconds (RFC 9110 section 10.2.3).
    In(Duration),
    /// Then, in microseconds since 1970 on the exchange's clock: `Retry-After` as a date, `retryAfter` of a WebSocket
    /// API.
    At(i64),
}

impl RetryAfter {
    /// Reads the field. Two of them are as good as none.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let mut fields = headers.get_all(RETRY_AFTER).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else {
            return Self::Absent;
        };
        let Ok(text) = field.to_str() else {
            return Self::Absent;
        };
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if plain {
            // Digits that do not fit are a time that is too long, not none.
            return Self::In(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
        }
        let date = httpdate::parse_http_date(text).ok();
        let since = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok());
        since.map_or(Self::Absent, |since| {
            Self::At(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
        })
    }

    /// `retryAfter` of a WebSocket API's error, in milliseconds since 1970.
    #[must_use]
    pub const fn at_unix_ms(unix_ms: i64) -> Self {
        Self::At(unix_ms.saturating_mul(1_000))
    }

    /// The time to wait; `None` if nothing was said, or nothing that lies ahead.
    fn wait(self, at: Moment) -> Option<Duration> {
        let wait = match self {
            Self::Absent => None,
            Self::In(wait) => Some(wait),
            Self::At(unix_us) => {
                Some(at.until_surely(unix_us)).filter(|_| unix_us > at.exchange_us())
            }
        };
        wait.filter(|wait| !wait.is_zero())
            .map(|wait| wait.min(HOLD_MAX))
    }
}

/// Closed, open until a time, or asking.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    stop: Option<Stop>,
    firewall_until_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Stop {
    halt: Halt,
    until_ns: u64,
    /// Whether the one that asks is under way.
    is_probed: bool,
    /// Stops in a row: each doubles the time where the exchange does not say one.
    strikes: u32,
}

/// What a request is let through as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// One of many.
    Plain,
    /// The one that asks whether the stop is over.
    Probe,
}

impl Breaker {
    /// Whether a request may pass now. Changes nothing; see [`Breaker::pass`].
    pub(super) fn admit(&self, lane: Lane, at: Moment) -> Result<Pass, Refused> {
        let refused = |halt: Halt, until_ns: u64| Refused {
            which: Which::Halted(halt),
            wait: Duration::from_nanos(until_ns.saturating_sub(at.mono_ns())),
        };
        match self.stop {
            Some(stop) if at.mono_ns() < stop.until_ns => Err(refused(stop.halt, stop.until_ns)),
            Some(stop) if stop.is_probed => Err(Refused {
                which: Which::Halted(stop.halt),
                wait: PROBE_WAIT,
            }),
            _ if lane == Lane::Normal && at.mono_ns() < self.firewall_until_ns => {
                Err(refused(Halt::Firewall, self.firewall_until_ns))
            }
            Some(_) => Ok(Pass::Probe),
            None => Ok(Pass::Plain),
        }
    }

    /// A request goes out as what it was admitted as.
    pub(super) const fn pass(&mut self, pass: Pass) {
        if let (Pass::Probe, Some(stop)) = (pass, &mut self.stop) {
            stop.is_probed = true;
        }
    }

    /// The exchange answered, and not with a halt. Only the one that asked ends a stop: answers to requests that were
    /// sent before it say nothing.
    pub(super) const fn answered(&mut self, pass: Pass) {
        if let Pass::Probe = pass {
            self.stop = None;
        }
    }

    /// A request ended without an answer: the next one asks.
    pub(super) const fn unanswered(&mut self, pass: Pass) {
        if let (Pass::Probe, Some(stop)) = (pass, &mut self.stop) {
            stop.is_probed = false;
        }
    }

    /// The exchange said stop. Never shortens a stop that is longer. A firewall's refusal never lengthens one either: one
    /// caller can cause it, so it ends nothing but the asking, and holds up for its own moment.
    pub(super) fn halt(&mut self, pass: Pass, halt: Halt, retry: RetryAfter, at: Moment) {
        if halt == Halt::Firewall {
            let wait = retry.wait(at).unwrap_or_else(|| halt.default());
            let until_ns = after(at, wait.min(halt.longest()));
            self.firewall_until_ns = self.firewall_until_ns.max(until_ns);
            self.unanswered(pass);
            return;
        }
        let strikes = match self.stop {
            // Answers to what was under way when the stop began are the same stop.
            Some(stop) if at.mono_ns() < stop.until_ns => stop.strikes,
            Some(stop) => stop.strikes.saturating_add(1),
            None => 0,
        };
        let doubled = halt
            .default()
            .saturating_mul(1_u32.checked_shl(strikes).unwrap_or(u32::MAX));
        let wait = retry.wait(at).unwrap_or(doubled).min(halt.longest());
        let until_ns = after(at, wait);
        let before = self.stop.map_or(0, |stop| stop.until_ns);
        self.stop = Some(Stop {
            halt: self.stop.map_or(halt, |stop| stop.halt.graver(halt)),
            until_ns: until_ns.max(before),
            is_probed: false,
            strikes,
        });
    }

    /// The stop in force, and how long it still lasts at least.
    pub(super) fn halted(&self, at: Moment) -> Option<(Halt, Duration)> {
        let refused = self.admit(Lane::Normal, at).err()?;
        match refused.which {
            Which::Halted(halt) => Some((halt, refused.wait)),
            Which::Limit { .. } => None,
        }
    }
}

fn after(at: Moment, wait: Duration) -> u64 {
    let wait_ns = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
    at.mono_ns().saturating_add(wait_ns)
}

impl Halt {
    const fn longest(self) -> Duration {
        match self {
            Self::TooMany | Self::Banned => HOLD_MAX,
            Self::Firewall => FIREWALL_MAX,
        }
    }

    const fn graver(self, other: Self) -> Self {
        match (self, other) {
            (Self::Banned, _) | (_, Self::Banned) => Self::Banned,
            (Self::TooMany, _) | (_, Self::TooMany) => Self::TooMany,
            (Self::Firewall, Self::Firewall) => Self::Firewall,
        }
    }
}
