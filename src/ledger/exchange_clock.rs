//! The exchange's time, from comparisons with its clock. Never reads a clock, never guesses: where the time is not known
//! well enough, it says why instead.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::clock::Now;

use super::exchange::{ClockSettings, Moment};

mod schedule;

#[cfg(test)]
mod tests;

/// Comparisons that are remembered. The best of the last few minutes is what counts.
const SAMPLES_MAX: usize = 8;

/// Answers that took longer say nothing: half of that is more than an exchange forgives.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);

/// How far a monotonic clock and an exchange's may drift apart, in parts of a million. Quartz in servers stays within 50.
const DRIFT_PPM: i64 = 100;

/// Clocks of one exchange's machines differ by some milliseconds: less than this is no step.
const STEP_MIN_US: i64 = 100_000;

/// This machine's clock and its monotonic one run apart by at most half a thousandth while the clock is corrected
/// slowly; more than this between two comparisons, and the clock was set or the machine was suspended.
const LOCAL_STEP_MIN_US: i64 = 500_000;

/// A time that may be off by more must not be signed: exchanges refuse what is a second ahead.
const UNCERTAINTY_MAX_US: i64 = 900_000;

/// How far off the exchange's clock may be before it was ever asked, for the edges of windows.
const UNKNOWN_US: i64 = 5_000_000;

/// Machines of one exchange change windows so close to each other, for the edges of windows.
const EDGE_MIN_US: i64 = 50_000;

/// The exchange's time of one host. Clones share what is known of it.
#[derive(Clone, Debug)]
pub struct ExchangeClock {
    shared: Arc<Mutex<State>>,
    settings: ClockSettings,
}

#[derive(Debug, Default)]
struct State {
    samples: VecDeque<Sample>,
    /// A comparison that contradicts the others. Until another one agrees with either side nothing is known.
    suspect: Option<Sample>,
    steps: u64,
    local_steps: u64,
}

/// What an exchange's clock showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerTime {
    /// The middle of what the number may mean, in microseconds since 1970.
    middle_us: i64,
    /// How far from the middle it may be.
    error_us: i64,
}

impl ServerTime {
    /// From milliseconds since 1970, of which the rest was cut off.
    #[must_use]
    pub const fn from_ms(unix_ms: i64) -> Self {
        Self {
            middle_us: unix_ms.saturating_mul(1_000).saturating_add(500),
            error_us: 500,
        }
    }

    /// From microseconds since 1970.
    #[must_use]
    pub const fn from_us(unix_us: i64) -> Self {
        Self {
            middle_us: unix_us,
            error_us: 1,
        }
    }
}

/// One comparison: the exchange's clock showed `server` at some moment between `sent` and `received`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    /// The exchange's time minus the monotonic clock, in microseconds.
    base_us: i64,
    /// This machine's time minus the monotonic clock, in microseconds.
    local_us: i64,
    /// How far from the truth the base may be.
    error_us: i64,
    /// When the answer came.
    received: Now,
}

/// What became of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It agrees with the others, or is the first.
    Agrees,
    /// It contradicts the others; another one has to decide.
    Suspect,
    /// The exchange's clock was set: this one and the one before say the same, the older ones are forgotten.
    Stepped,
    /// This machine's clock was set, or the machine was suspended and the older ones are forgotten.
    LocalStepped,
    /// It says nothing: its answer took too long, or this machine's clock was set meanwhile.
    Useless,
}

/// The exchange's time at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeTime {
    /// Microseconds since 1970.
    pub unix_us: i64,
    /// How far off it may be.
    pub uncertainty: Duration,
}

impl ExchangeTime {
    /// Milliseconds since 1970.
    #[must_use]
    pub const fn unix_ms(self) -> i64 {
        self.unix_us.div_euclid(1_000)
    }
}

/// Why the exchange's time is not known well enough to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// It was never compared.
    Never,
    /// The newest comparison is too old.
    TooOld {
        /// How old.
        age: Duration,
    },
    /// This machine's clock and the exchange's are too far apart.
    TooFarOff {
        /// The exchange's time minus this machine's, in microseconds.
        offset_us: i64,
    },
    /// The exchange's clock contradicts itself.
    Stepped,
    /// This machine's clock was set, or the machine was suspended, since the newest comparison.
    LocalStepped,
    /// No comparison is exact enough.
    Uncertain {
        /// How far off it may be.
        uncertainty: Duration,
    },
}

impl Unsynced {
    /// The word in logs, audit and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Never => "never_synced",
            Self::TooOld { .. } => "too_old",
            Self::TooFarOff { .. } => "too_far_off",
            Self::Stepped => "exchange_clock_stepped",
            Self::LocalStepped => "local_clock_stepped",
            Self::Uncertain { .. } => "uncertain",
        }
    }
}

/// What can be shown of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockState {
    /// The exchange's time minus this machine's, in microseconds, if it was ever compared.
    pub offset_us: Option<i64>,
    /// How far off that may be.
    pub uncertainty: Option<Duration>,
    /// Why nothing may be signed; `None` if it may.
    pub unsynced: Option<Unsynced>,
    /// How often the exchange's clock was set.
    pub steps: u64,
    /// How often this machine's clock was set, or the machine suspended.
    pub local_steps: u64,
}

impl ExchangeClock {
    /// A clock that was never compared.
    #[must_use]
    pub fn new(settings: ClockSettings) -> Self {
        Self {
            shared: Arc::default(),
            settings,
        }
    }

    /// The same clock with other settings.
    #[must_use]
    pub fn with(&self, settings: ClockSettings) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            settings,
        }
    }

    /// Whether anybody else has this clock.
    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.shared) > 1
    }

    /// Notes a comparison: the exchange's clock showed `server` between `sent` and `received`.
    pub fn note(&self, sent: Now, received: Now, server: ServerTime) -> Noted {
        let sample = Sample::new(sent, received, server);
        let mut state = self.state();
        sample.map_or(Noted::Useless, |sample| state.note(sample))
    }

    /// The exchange's time, to be signed.
    ///
    /// # Errors
    /// It is not known well enough; says why.
    pub fn corrected(&self, now: Now) -> Result<ExchangeTime, Unsynced> {
        self.state().corrected(now, &self.settings)
    }

    /// The moment on both clocks as far as is known, for budgets: their windows do not wait for a clock that is good
    /// enough to be signed.
    #[must_use]
    pub fn moment(&self, now: Now) -> Moment {
        let best = self.state().best(now).copied();
        let (exchange_us, error_us) = match best {
            Some(sample) => (sample.time_us(now), sample.error_at(now).max(EDGE_MIN_US)),
            None => (now.unix_us, UNKNOWN_US),
        };
        Moment::new(now.mono_ns, exchange_us, error_us.unsigned_abs())
    }

    /// What can be shown of it.
    #[must_use]
    pub fn shown(&self, now: Now) -> ClockState {
        let state = self.state();
        let best = state.best(now);
        ClockState {
            offset_us: best.map(|best| best.offset_us(now)),
            uncertainty: best.map(|best| micros(best.error_at(now))),
            unsynced: state.corrected(now, &self.settings).err(),
            steps: state.steps,
            local_steps: state.local_steps,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one push or one swap: no panic leaves it half-way.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, sample: Sample) -> Noted {
        let now = sample.received;
        let Some(best) = self.best(now).copied() else {
            return self.go_on(sample, Noted::Agrees);
        };
        let is_local_step = self
            .newest()
            .is_some_and(|newest| newest.is_local_step(sample.local_us));
        self.local_steps = self.local_steps.saturating_add(u64::from(is_local_step));
        match (best.agrees(&sample), is_local_step) {
            (true, false) => self.go_on(sample, Noted::Agrees),
            // Only the clock was set: the monotonic one went on, and so did what is known.
            (true, true) => self.go_on(sample, Noted::LocalStepped),
            // A suspended machine's monotonic clock stands still: what was known is wrong by that time.
            (false, true) => self.restart([sample], Noted::LocalStepped),
            (false, false) => self.contradict(sample),
        }
    }

    fn contradict(&mut self, sample: Sample) -> Noted {
        match self.suspect.take() {
            Some(suspect) if suspect.agrees(&sample) => {
                self.steps = self.steps.saturating_add(1);
                self.restart([suspect, sample], Noted::Stepped)
            }
            _ => {
                self.suspect = Some(sample);
                Noted::Suspect
            }
        }
    }

    fn corrected(&self, now: Now, settings: &ClockSettings) -> Result<ExchangeTime, Unsynced> {
        let (Some(best), Some(newest)) = (self.best(now), self.newest()) else {
            return Err(Unsynced::Never);
        };
        if self.suspect.is_some() {
            return Err(Unsynced::Stepped);
        }
        if newest.is_local_step(local_us(now)) {
            return Err(Unsynced::LocalStepped);
        }
        let age = now.since(newest.received);
        if age > settings.max_age {
            return Err(Unsynced::TooOld { age });
        }
        let uncertainty_us = best.error_at(now);
        let uncertainty = micros(uncertainty_us);
        if uncertainty_us > UNCERTAINTY_MAX_US {
            return Err(Unsynced::Uncertain { uncertainty });
        }
        let offset_us = best.offset_us(now);
        if u128::from(offset_us.unsigned_abs()) > settings.max_offset.as_micros() {
            return Err(Unsynced::TooFarOff { offset_us });
        }
        Ok(ExchangeTime {
            unix_us: best.time_us(now),
            uncertainty,
        })
    }

    /// The comparison that is the most exact at this moment.
    fn best(&self, now: Now) -> Option<&Sample> {
        self.samples
            .iter()
            .min_by_key(|sample| sample.error_at(now))
    }

    fn newest(&self) -> Option<&Sample> {
        self.samples.back()
    }

    fn go_on(&mut self, sample: Sample, noted: Noted) -> Noted {
        self.suspect = None;
        if self.samples.len() >= SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        noted
    }

    fn restart<const N: usize>(&mut self, samples: [Sample; N], noted: Noted) -> Noted {
        self.suspect = None;
        self.samples.clear();
        self.samples.extend(samples);
        noted
    }
}

impl Sample {
    /// `None` if it says nothing.
    fn new(sent: Now, received: Now, server: ServerTime) -> Option<Self> {
        let round_trip = received.since(sent);
        let is_ordered = received.mono_ns >= sent.mono_ns;
        if !is_ordered || round_trip > ROUND_TRIP_MAX {
            return None;
        }
        let half_us = i64::try_from(round_trip.as_micros().div_ceil(2)).ok()?;
        let local_us = local_us(received);
        if local_us.abs_diff(self::local_us(sent)) > LOCAL_STEP_MIN_US.unsigned_abs() {
            return None;
        }
        let middle_us = mono_us(sent).saturating_add(half_us);
        Some(Self {
            base_us: server.middle_us.saturating_sub(middle_us),
            local_us,
            error_us: half_us.saturating_add(server.error_us),
            received,
        })
    }

    /// The exchange's time.
    fn time_us(&self, now: Now) -> i64 {
        self.base_us.saturating_add(mono_us(now))
    }

    /// The exchange's time minus this machine's.
    fn offset_us(&self, now: Now) -> i64 {
        self.time_us(now).saturating_sub(now.unix_us)
    }

    /// How far off it may be by now: clocks drift.
    fn error_at(&self, now: Now) -> i64 {
        let age_us = mono_us(now).saturating_sub(mono_us(self.received)).max(0);
        self.error_us
            .saturating_add(age_us.saturating_mul(DRIFT_PPM) / 1_000_000)
    }

    /// Whether a later comparison may show the same clock.
    fn agrees(&self, later: &Self) -> bool {
        let apart = self.base_us.abs_diff(later.base_us);
        let allowed = self
            .error_at(later.received)
            .saturating_add(later.error_us)
            .max(STEP_MIN_US);
        apart <= allowed.unsigned_abs()
    }

    /// Whether this machine's clock has left the monotonic one since.
    const fn is_local_step(&self, local_us: i64) -> bool {
        self.local_us.abs_diff(local_us) > LOCAL_STEP_MIN_US.unsigned_abs()
    }
}

/// This machine's time minus the monotonic clock.
fn local_us(now: Now) -> i64 {
    now.unix_us.saturating_sub(mono_us(now))
}

fn mono_us(now: Now) -> i64 {
    i64::try_from(now.mono_ns / 1_000).unwrap_or(i64::MAX)
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(micros.unsigned_abs())
}
