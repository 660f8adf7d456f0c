//! When an exchange says stop: everybody here stops until it may be asked again, and then one asks for all. Counts on the
//! monotonic clock, so that a clock that is set cannot end a ban.

use std::time::{Duration, UNIX_EPOCH};

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

use super::firewall::{CallMark, Extent, Firewall};
use super::{Lane, Moment, Refused, Which};

/// Longer than three days no exchange bans an address; who says so means something else.
const HOLD_MAX: Duration = Duration::from_secs(3 * 86_400);

/// While one request asks whether the stop is over, others are told to come back after this.
pub(super) const PROBE_WAIT: Duration = Duration::from_secs(1);

/// Stops that are lifted by hand in [`LIFTS_IN`]: whoever reaches the admin listener must not be able to talk to an exchange
/// that bans as if it did not.
const LIFTS_MAX: u32 = 5;

/// In this time.
const LIFTS_IN: Duration = Duration::from_secs(3_600);

/// What an exchange said stop with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Halt {
    /// 429: too many requests. Nothing is sent, no cancel either: whoever goes on is banned.
    TooMany,
    /// 418: this address is banned. Nothing is sent.
    Banned,
    /// 403: its firewall refused a request. One caller can cause this with what it asks for, so the first one holds up
    /// only the same call, and cancels are never held up; see `super::firewall`.
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

    /// The halt of this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        let all = [Self::TooMany, Self::Banned, Self::Firewall];
        all.into_iter().find(|halt| halt.name() == word)
    }

    /// For how long, where the exchange does not say so.
    const fn default(self) -> Duration {
        Duration::from_secs(match self {
            // The window of weights: behind it everything is counted anew.
            Self::TooMany => 60,
            // The shortest ban there is.
            Self::Banned | Self::Firewall => 120,
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
    pub(super) fn wait(self, at: Moment) -> Option<Duration> {
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

/// A stop in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce {
    /// What the exchange said stop with.
    pub halt: Halt,
    /// What it holds up.
    pub extent: Extent,
    /// How long it lasts at least.
    pub left: Duration,
}

/// Why a stop was not lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLifted {
    /// It is not in force.
    NoSuchStop,
    /// So many were lifted that none is for so long.
    TooMany(Duration),
}

/// Closed, open until a time, or asking.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    stop: Option<Stop>,
    firewall: Firewall,
    lifts: Lifts,
}

/// How many stops were lifted since a moment.
#[derive(Debug, Default)]
struct Lifts {
    since_ns: u64,
    count: u32,
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

/// What a request is let through as: one of many, or the one that asks whether a stop is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pass {
    asks_stop: bool,
    asks_firewall: bool,
}

impl Breaker {
    /// Whether a request may pass now. Changes nothing; see [`Breaker::pass`].
    pub(super) fn admit(&self, call: CallMark, lane: Lane, at: Moment) -> Result<Pass, Refused> {
        if let Some(stop) = &self.stop
            && let Some(wait) = stop.wait(at)
        {
            return Err(Refused::halted(stop.halt, wait));
        }
        let asks_firewall = self.firewall.admit(call, lane, at);
        Ok(Pass {
            asks_stop: self.stop.is_some(),
            asks_firewall: asks_firewall.map_err(|wait| Refused::halted(Halt::Firewall, wait))?,
        })
    }

    /// A request goes out as what it was admitted as.
    pub(super) const fn pass(&mut self, pass: Pass) {
        if let (true, Some(stop)) = (pass.asks_stop, &mut self.stop) {
            stop.is_probed = true;
        }
        if pass.asks_firewall {
            self.firewall.pass();
        }
    }

    /// The exchange answered, and not with a halt. Only the one that asked ends a stop: answers to requests that were
    /// sent before it say nothing.
    pub(super) const fn answered(&mut self, pass: Pass) {
        if pass.asks_stop {
            self.stop = None;
        }
        if pass.asks_firewall {
            self.firewall.answered();
        }
    }

    /// A request ended without an answer: the next one asks.
    pub(super) const fn unanswered(&mut self, pass: Pass) {
        if let (true, Some(stop)) = (pass.asks_stop, &mut self.stop) {
            stop.is_probed = false;
        }
        if pass.asks_firewall {
            self.firewall.unanswered();
        }
    }

    /// The exchange said stop to this call. Never shortens a stop that is longer. A firewall's refusal never lengthens one
    /// either: one caller can cause it, so it ends nothing but the asking, and holds up by its own rule.
    pub(super) fn halt(
        &mut self,
        (call, pass): (CallMark, Pass),
        halt: Halt,
        retry: RetryAfter,
        at: Moment,
    ) {
        self.unanswered(pass);
        if halt == Halt::Firewall {
            self.firewall.refused(call, retry, at);
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
        let wait = retry.wait(at).unwrap_or(doubled).min(HOLD_MAX);
        let until_ns = after(at, wait);
        let before = self.stop.map_or(0, |stop| stop.until_ns);
        self.stop = Some(Stop {
            halt: self.stop.map_or(halt, |stop| stop.halt.graver(halt)),
            until_ns: until_ns.max(before),
            is_probed: false,
            strikes,
        });
    }

    /// Every stop in force: the exchange's own, and its firewall's.
    pub(super) fn in_force(&self, at: Moment) -> [Option<InForce>; 2] {
        let stop = self.stop.and_then(|stop| {
            let left = stop.wait(at)?;
            let (halt, extent) = (stop.halt, Extent::Everything);
            Some(InForce { halt, extent, left })
        });
        let firewall = self.firewall.held(at).map(|(extent, left)| InForce {
            halt: Halt::Firewall,
            extent,
            left,
        });
        [stop, firewall]
    }

    /// Ends a stop before its time, if it is in force: the next request asks for all whether it is over, so that one that
    /// is none of the exchange's mistakes stands again with the next answer. Says how long it would have lasted.
    ///
    /// # Errors
    /// It is not in force, or so many were lifted that it stays.
    pub(super) fn resume(&mut self, halt: Halt, at: Moment) -> Result<Duration, NotLifted> {
        let stop = self.stop.as_mut().filter(|stop| stop.halt == halt);
        let left = match (halt, &stop) {
            (Halt::Firewall, _) => self.firewall.left(at),
            (Halt::TooMany | Halt::Banned, stop) => stop.as_ref().and_then(|stop| stop.left(at)),
        };
        let left = left.ok_or(NotLifted::NoSuchStop)?;
        self.lifts.take(at).map_err(NotLifted::TooMany)?;
        match stop {
            Some(stop) => stop.until_ns = at.mono_ns(),
            None => self.firewall.lift(at),
        }
        Ok(left)
    }
}

impl Lifts {
    /// Counts one, or says how long none is lifted.
    fn take(&mut self, at: Moment) -> Result<(), Duration> {
        let begun = Duration::from_nanos(at.mono_ns().saturating_sub(self.since_ns));
        if self.count == 0 || begun >= LIFTS_IN {
            *self = Self {
                since_ns: at.mono_ns(),
                count: 0,
            };
        } else if self.count >= LIFTS_MAX {
            return Err(LIFTS_IN.saturating_sub(begun));
        }
        self.count += 1;
        Ok(())
    }
}

impl Stop {
    /// How long a request waits; `None` for the one that asks whether it is over.
    fn wait(&self, at: Moment) -> Option<Duration> {
        let asked = || self.is_probed.then_some(PROBE_WAIT);
        self.left(at).or_else(asked)
    }

    /// How long it lasts at least, if it is not over.
    fn left(&self, at: Moment) -> Option<Duration> {
        let left = self.until_ns.saturating_sub(at.mono_ns());
        (left > 0).then(|| Duration::from_nanos(left))
    }
}

impl Refused {
    const fn halted(halt: Halt, wait: Duration) -> Self {
        let which = Which::Halted(halt);
        Self { which, wait }
    }
}

pub(super) fn after(at: Moment, wait: Duration) -> u64 {
    let wait_ns = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
    at.mono_ns().saturating_add(wait_ns)
}

impl Halt {
    const fn graver(self, other: Self) -> Self {
        match (self, other) {
            (Self::Banned, _) | (_, Self::Banned) => Self::Banned,
            (Self::TooMany, _) | (_, Self::TooMany) => Self::TooMany,
            (Self::Firewall, Self::Firewall) => Self::Firewall,
        }
    }
}
