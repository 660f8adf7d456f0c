//! One limit of an exchange and what is spent of it. Never counts less than the exchange may have counted, as long as
//! the exchange's time lies within the uncertainty of the moments that are given.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Moment;
use super::interval::Interval;
use super::limits::{LimitKind, RateLimit};

/// One limit with the windows that matter: the one before, the one that is, and the one that comes. Near an edge nobody
/// here can know in which of two windows the exchange counts a request, so it needs room in both and is counted in both.
#[derive(Debug)]
pub(super) struct Meter {
    limit: RateLimit,
    /// The number of the window in the middle slot.
    window: i64,
    slots: [Count; 3],
    /// Reserved and not settled. Counted in every window: it may be late.
    in_flight: u64,
    /// In flight, but nobody said what became of them or when: counted at the next moment that is given.
    orphans: Orphans,
}

#[derive(Clone, Copy, Debug, Default)]
struct Orphans {
    cost: u64,
    /// The earliest window that any of them may be in.
    first: i64,
}

/// What was counted in one window by requests that are settled: the highest figure that the exchange told, and what was
/// spent without a figure. Answers may overtake each other, so neither is forgotten before a request that was sent after
/// it was noted has told a newer figure: each newer figure begins an epoch (see [`super::scope::State`]), and what was
/// noted in the epoch before is kept for one more.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    previous: Noted,
    current: Noted,
    source: Source,
}

/// Where a count comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Only what was sent from here is known.
    #[default]
    Here,
    /// The exchange told a figure with an answer, and it contains what others have sent, and this program before a
    /// restart.
    Answer,
    /// The exchange was asked for its own count.
    Asked,
}

#[derive(Clone, Copy, Debug, Default)]
struct Noted {
    /// The highest figure, of requests that told one.
    figure: u64,
    /// The sum, of requests that told none.
    untold: u64,
}

/// How a reservation ended, for one meter.
pub(super) struct Ended {
    /// What was reserved.
    pub(super) reserved: u64,
    /// What it is known or feared to have cost.
    pub(super) cost: u64,
    /// When it was reserved.
    pub(super) begun: Moment,
    /// When it was settled; `None` if nobody said, and then it is counted as sent.
    pub(super) settled: Option<Moment>,
    /// What the exchange told with the answer.
    pub(super) told: Option<u64>,
    /// Where that comes from.
    pub(super) source: Source,
    /// Whether it was reserved in the present epoch.
    pub(super) is_newer: bool,
}

const HERE: usize = 1;

impl Meter {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            window: i64::MIN / 2,
            slots: [Count::default(); 3],
            in_flight: 0,
            orphans: Orphans::default(),
        }
    }

    pub(super) const fn kind(&self) -> LimitKind {
        self.limit.kind
    }

    pub(super) const fn interval(&self) -> Interval {
        self.limit.interval
    }

    pub(super) const fn limit(&self) -> u64 {
        self.limit.limit
    }

    /// The exchange says that the limit is another one; what is spent stays spent.
    pub(super) const fn set_limit(&mut self, limit: u64) {
        self.limit.limit = limit;
    }

    /// What is spent in this window, in flight included.
    pub(super) fn used(&mut self, at: Moment) -> u64 {
        self.roll(at);
        self.spent(HERE)
    }

    /// Where the count of this window comes from.
    pub(super) const fn source(&self) -> Source {
        self.slots[HERE].source
    }

    /// How long until `amount` may fit under `cap`; `None` if it does now.
    pub(super) fn wait(&mut self, amount: u64, cap: u64, at: Moment) -> Option<Duration> {
        self.roll(at);
        let full = |slot: &usize| self.spent(*slot).saturating_add(amount) > cap;
        let last = self
            .slots_of(self.interval().windows(at))
            .filter(full)
            .last()?;
        // The window before is over as soon as the exchange is past the edge for certain.
        let begins = match last {
            0 => self.window,
            _ => self.window.saturating_add(1),
        };
        Some(at.until_surely(self.interval().begin_us(begins)))
    }

    /// Takes what [`Meter::wait`] has let pass.
    pub(super) const fn take(&mut self, amount: u64) {
        self.in_flight = self.in_flight.saturating_add(amount);
    }

    /// Gives back what was never sent.
    pub(super) const fn give_back(&mut self, amount: u64) {
        self.in_flight = self.in_flight.saturating_sub(amount);
    }

    /// Turns what was in flight into what is counted.
    pub(super) fn settle(&mut self, ended: &Ended) {
        let first = *self.interval().windows(ended.begun).start();
        let Some(at) = ended.settled else {
            self.orphan(ended.reserved, first);
            return;
        };
        self.roll(at);
        self.give_back(ended.reserved);
        let last = *self.interval().windows(at).end();
        match ended.told {
            // A figure of which it is not certain that it is this window's must not be taken for this window's.
            Some(figure) if (first, last) == (self.window, self.window) => {
                self.slots[HERE].tell(figure, ended.source, ended.is_newer);
            }
            _ => self.add(first..=last, ended.cost),
        }
    }

    const fn orphan(&mut self, cost: u64, first: i64) {
        let orphans = &mut self.orphans;
        let is_earliest = orphans.cost == 0 || first < orphans.first;
        orphans.first = if is_earliest { first } else { orphans.first };
        orphans.cost = orphans.cost.saturating_add(cost);
    }

    /// Moves on to the window of this moment.
    fn roll(&mut self, at: Moment) {
        let window = self.interval().window(at.exchange_us());
        let steps = window.saturating_sub(self.window);
        if steps < -1 {
            // The exchange's time was set back, or ours was wrong: nothing says what is counted, so all of it stays.
            self.window = window;
        }
        // One window back is only the jitter of an edge.
        for _ in 0..steps.clamp(0, 3) {
            self.slots.rotate_left(1);
            self.slots[2] = Count::default();
        }
        self.window = self.window.max(window);
        let orphans = std::mem::take(&mut self.orphans);
        if orphans.cost > 0 {
            self.give_back(orphans.cost);
            self.add(
                orphans.first..=*self.interval().windows(at).end(),
                orphans.cost,
            );
        }
    }

    /// The slots of those windows that are kept.
    fn slots_of(&self, windows: RangeInclusive<i64>) -> impl Iterator<Item = usize> + use<> {
        let first = self.window.saturating_sub(1);
        (0..3_usize)
            .zip(first..)
            .filter(move |(_, window)| windows.contains(window))
            .map(|(slot, _)| slot)
    }

    fn spent(&self, slot: usize) -> u64 {
        let counted = self.slots.get(slot).map_or(u64::MAX, Count::counted);
        counted.saturating_add(self.in_flight)
    }

    fn add(&mut self, windows: RangeInclusive<i64>, cost: u64) {
        for slot in self.slots_of(windows) {
            if let Some(count) = self.slots.get_mut(slot) {
                count.add(cost);
            }
        }
    }
}

impl Count {
    /// The latest figure is among those that are kept, and so is everything untold that it may not contain.
    fn counted(&self) -> u64 {
        let figure = self.previous.figure.max(self.current.figure);
        let untold = self.previous.untold.saturating_add(self.current.untold);
        figure.saturating_add(untold)
    }

    /// The exchange said how much it has counted, the request that asked included.
    fn tell(&mut self, figure: u64, source: Source, is_newer: bool) {
        if is_newer {
            let current = Noted { figure, untold: 0 };
            *self = Self {
                previous: self.current,
                current,
                source,
            };
        } else {
            self.current.figure = self.current.figure.max(figure);
        }
    }

    /// Something was spent of which the exchange told nothing.
    const fn add(&mut self, cost: u64) {
        self.current.untold = self.current.untold.saturating_add(cost);
    }
}
