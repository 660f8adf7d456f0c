//! What is held up when an exchange's firewall refuses requests (403): at first only what is like the request that was
//! refused, everything when others are refused too. Never holds up a cancel.
//!
//! Binance says of its firewall that it refuses who asks too much or looks malicious, by address, mostly for five minutes
//! (its FAQ 360004492232), and never which of both it was. One caller's parameters can cause the second alone, so one
//! refusal says nothing of the rest; refusals of different calls say that it is the address.

use std::time::Duration;

use super::breaker::{PROBE_WAIT, RetryAfter, after};
use super::{Lane, Moment};

/// The first time: long enough that a caller who tries again and again is not heard, short enough for the others.
const HOLD: Duration = Duration::from_secs(5);

/// However often it was refused, and whatever the exchange says.
const HOLD_MAX: Duration = Duration::from_secs(60);

/// For so long after a hold it is remembered: a further refusal belongs to it.
const MEMORY: Duration = Duration::from_secs(60);

/// By what a call is known again: its method and path, without parameters. Two calls with one mark are taken for one,
/// which holds up more than needed, never less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallMark(u64);

impl CallMark {
    /// Of no call in particular.
    pub const NONE: Self = Self(0);

    /// The mark of a method and a path.
    #[must_use]
    pub fn of(method: &str, path: &str) -> Self {
        // FNV-1a: callers are this machine's own programs, and a collision gains them nothing.
        let step = |mark: u64, byte: &u8| (mark ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        let bytes = method.as_bytes().iter().chain(b" ").chain(path.as_bytes());
        Self(bytes.fold(0xcbf2_9ce4_8422_2325, step))
    }
}

/// What a firewall's refusals hold up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// One call: one method and path.
    OneCall,
    /// Everything but cancels.
    Everything,
}

/// What is remembered of the refusals.
#[derive(Debug, Default)]
pub(super) struct Firewall(Option<Hold>);

#[derive(Clone, Copy, Debug)]
struct Hold {
    /// The one call that was refused; `None` once another one was refused too.
    only: Option<CallMark>,
    until_ns: u64,
    /// Whether the one that asks is under way.
    is_probed: bool,
    /// Refusals after a hold was over: each doubles the time where the exchange does not say one.
    strikes: u32,
}

impl Firewall {
    /// Whether this passes, and whether it is the one that asks; or how long it waits.
    pub(super) fn admit(&self, call: CallMark, lane: Lane, at: Moment) -> Result<bool, Duration> {
        let held = self.remembered(at).filter(|hold| hold.holds(call, lane));
        let Some(hold) = held else {
            return Ok(false);
        };
        match hold.left(at) {
            Some(left) => Err(left),
            None if hold.is_probed => Err(PROBE_WAIT),
            None => Ok(true),
        }
    }

    /// The one that asks goes out.
    pub(super) const fn pass(&mut self) {
        if let Some(hold) = &mut self.0 {
            hold.is_probed = true;
        }
    }

    /// The one that asked was answered: it is over, unless another request was refused meanwhile.
    pub(super) const fn answered(&mut self) {
        if let Some(Hold {
            is_probed: true, ..
        }) = self.0
        {
            self.0 = None;
        }
    }

    /// The one that asked has no answer: the next one asks.
    pub(super) const fn unanswered(&mut self) {
        if let Some(hold) = &mut self.0 {
            hold.is_probed = false;
        }
    }

    /// The firewall refused this call.
    pub(super) fn refused(&mut self, call: CallMark, retry: RetryAfter, at: Moment) {
        let before = self.remembered(at);
        let only = match before {
            None => Some(call),
            Some(hold) => hold.only.filter(|only| *only == call),
        };
        let strikes = match before {
            None => 0,
            // Answers to what was under way when the hold began are the same refusal.
            Some(hold) if hold.left(at).is_some() => hold.strikes,
            Some(hold) => hold.strikes.saturating_add(1),
        };
        let doubled = HOLD.saturating_mul(1_u32.checked_shl(strikes).unwrap_or(u32::MAX));
        let wait = retry.wait(at).unwrap_or(doubled).min(HOLD_MAX);
        self.0 = Some(Hold {
            only,
            until_ns: after(at, wait).max(before.map_or(0, |hold| hold.until_ns)),
            is_probed: false,
            strikes,
        });
    }

    /// What is held up, and for how long at least.
    pub(super) fn held(&self, at: Moment) -> Option<(Extent, Duration)> {
        let hold = self.remembered(at)?;
        let left = hold
            .left(at)
            .or_else(|| hold.is_probed.then_some(PROBE_WAIT))?;
        let extent = match hold.only {
            Some(_) => Extent::OneCall,
            None => Extent::Everything,
        };
        Some((extent, left))
    }

    /// How long a hold lasts, if there is one.
    pub(super) fn left(&self, at: Moment) -> Option<Duration> {
        self.0.and_then(|hold| hold.left(at))
    }

    /// Ends a hold before its time: the next one asks.
    pub(super) const fn lift(&mut self, at: Moment) {
        if let Some(hold) = &mut self.0 {
            hold.until_ns = at.mono_ns();
        }
    }

    fn remembered(&self, at: Moment) -> Option<Hold> {
        let forgotten = |hold: &Hold| at.mono_ns() >= hold.until_ns.saturating_add(MEMORY_NS);
        self.0.filter(|hold| !forgotten(hold))
    }
}

/// [`MEMORY`] on the monotonic clock.
const MEMORY_NS: u64 = MEMORY.as_secs() * 1_000_000_000;

impl Hold {
    fn holds(&self, call: CallMark, lane: Lane) -> bool {
        lane == Lane::Normal && self.only.is_none_or(|only| only == call)
    }

    fn left(&self, at: Moment) -> Option<Duration> {
        let left = self.until_ns.saturating_sub(at.mono_ns());
        (left > 0).then(|| Duration::from_nanos(left))
    }
}
