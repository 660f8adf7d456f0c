//! Floods of refusals of strangers: the first of like ones are recorded one by one, the rest are counted and told in one
//! event, so that nobody without a name can push older evidence out of the spool. Never folds what a known caller did.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::clock::Now;
use crate::model::denial::Cause;

/// How long refusals are counted before the count is told. What a killed process has counted is lost, as are the
/// events that it had not written.
const WINDOW: Duration = Duration::from_secs(20);

/// Windows in a minute.
const WINDOWS: u32 = 3;

/// What is like takes at most this part of all that is recorded one by one.
const SHARE: u32 = 10;

/// Causes and addresses that are counted apart in a window; beyond them, only causes.
const APART_MAX: usize = 256;

/// Refusals of strangers in the window that runs.
pub(super) struct Folds {
    /// Recorded one by one in a window.
    each_max: u32,
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    began: Option<Now>,
    recorded: u32,
    likes: HashMap<(Cause, Option<IpAddr>), Like>,
}

/// Refusals that are told as one.
struct Like {
    recorded: u32,
    folded: u64,
    first: Now,
    last: Now,
}

/// Refusals that were counted, not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Folded {
    pub(super) cause: Cause,
    /// Whose they were; without one, those of several.
    pub(super) ip: Option<IpAddr>,
    pub(super) count: u64,
    /// When the first and the last of them ended.
    pub(super) first: Now,
    pub(super) last: Now,
}

impl Folds {
    /// Records so many one by one each minute.
    pub(super) fn new(per_minute: u32) -> Self {
        Self {
            each_max: per_minute.div_ceil(WINDOWS),
            window: Mutex::default(),
        }
    }

    /// Whether a stranger's refusal is to be recorded; otherwise it is counted.
    pub(super) fn records(&self, cause: Cause, ip: IpAddr, now: Now) -> bool {
        let mut window = self.window();
        let Window {
            began,
            recorded,
            likes,
        } = &mut *window;
        began.get_or_insert(now);
        let apart = (cause, Some(ip));
        let roomy = likes.len() < APART_MAX || likes.contains_key(&apart);
        let key = if roomy { apart } else { (cause, None) };
        let like = likes.entry(key).or_insert(Like {
            recorded: 0,
            folded: 0,
            first: now,
            last: now,
        });
        if *recorded < self.each_max && like.recorded < self.each_max.div_ceil(SHARE) {
            *recorded += 1;
            like.recorded += 1;
            return true;
        }
        if like.folded == 0 {
            like.first = now;
        }
        like.folded += 1;
        like.last = now;
        false
    }

    /// What is to be told now that the window is over; empty while it runs.
    pub(super) fn due(&self, now: Now) -> Vec<Folded> {
        let mut window = self.window();
        let over = |began: Now| now.since(began) >= WINDOW;
        match window.began.is_some_and(over) {
            true => std::mem::take(&mut *window).folded(),
            false => Vec::new(),
        }
    }

    /// What was counted so far, whether or not the window is over.
    pub(super) fn rest(&self) -> Vec<Folded> {
        std::mem::take(&mut *self.window()).folded()
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        // Whole at every step, so a panic elsewhere does not spoil it.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn folded(self) -> Vec<Folded> {
        let folded = self.likes.into_iter().filter(|(_, like)| like.folded > 0);
        let folded = folded.map(|((cause, ip), like)| Folded {
            cause,
            ip,
            count: like.folded,
            first: like.first,
            last: like.last,
        });
        let mut folded: Vec<_> = folded.collect();
        folded.sort_unstable_by_key(|folded| folded.first.mono_ns);
        folded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Now {
        Now {
            mono_ns: second * 1_000_000_000,
            unix_us: 0,
        }
    }

    fn from(last: u32) -> IpAddr {
        IpAddr::V4(last.into())
    }

    const CAUSE: Cause = Cause::TokenInvalid;

    #[test]
    fn like_refusals_are_told_as_one_and_others_stay_apart() {
        let folds = Folds::new(300);
        let recorded = (0..1_000).filter(|at_| folds.records(CAUSE, from(1), at(at_ / 100)));
        assert_eq!(recorded.count(), 10);
        assert!(folds.records(CAUSE, from(2), at(10)), "another address");
        assert!(folds.records(Cause::Path, from(1), at(10)), "another cause");
        assert_eq!(folds.due(at(19)), []);
        let told = folds.due(at(20));
        let all = Folded {
            cause: CAUSE,
            ip: Some(from(1)),
            count: 990,
            first: at(0),
            last: at(9),
        };
        assert_eq!(told, [all]);
        assert_eq!(folds.due(at(60)), [], "told once");
        assert!(folds.records(CAUSE, from(1), at(61)), "a new window");
    }

    #[test]
    fn many_addresses_are_bounded_and_nothing_is_lost() {
        let folds = Folds::new(300);
        let recorded = (0..5_000).filter(|ip| folds.records(CAUSE, from(*ip), at(0)));
        let recorded = recorded.count();
        assert_eq!(recorded, 100);
        let told = folds.rest();
        assert!(told.len() <= APART_MAX + 1, "{}", told.len());
        let count: u64 = told.iter().map(|folded| folded.count).sum();
        assert_eq!(count + recorded as u64, 5_000);
        assert!(told.iter().any(|folded| folded.ip.is_none()));
        assert_eq!(folds.rest(), []);
    }

    #[test]
    fn who_wants_every_one_gets_every_one() {
        let folds = Folds::new(1_000_000);
        assert!((0..30_000).all(|_| folds.records(CAUSE, from(1), at(0))));
    }
}
