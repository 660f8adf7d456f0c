//! The writer thread: takes the queue every few milliseconds, writes, syncs, answers who waits, and lives through a
//! disk that fails. Never touches a request.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::model::clock::{Clock, Now, SystemClock};

use super::disk::Disk;
use super::event::Source;
use super::folds::Folds;
use super::new_id;
use super::own::{self, Own};
use super::spool::{Spool, Waiter};

/// How often the queue is taken while events come.
const TICK: Duration = Duration::from_millis(2);
/// How often while none come: at most 100 wake-ups a second, and the first event after a pause is written this late.
const IDLE_TICK: Duration = Duration::from_millis(10);
/// So many ticks without an event are a pause.
const IDLE_AFTER: u32 = 50;
/// What nobody waits for is synced after this time or this many bytes.
const SYNC_AFTER: Duration = Duration::from_millis(20);
const SYNC_BYTES: usize = 256 * 1024;
/// Between two tries of a failing disk, doubled each time.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(1);

/// The thread's state.
pub(super) struct Writer {
    pub(super) spool: Arc<Spool>,
    pub(super) folds: Arc<Folds>,
    pub(super) disk: Disk,
    pub(super) source: Arc<Source>,
    /// For the times in events.
    pub(super) clock: Arc<dyn Clock>,
}

/// What changes from turn to turn.
struct Pace {
    /// The thread's own watch: the events' clock may stand still.
    watch: SystemClock,
    quiet_turns: u32,
    unsynced_since: Option<Now>,
    retry: Duration,
}

impl Writer {
    /// Runs until the spool is stopped and everything is on disk, or the disk fails once more after the stop.
    pub(super) fn run(mut self) {
        let mut pace = Pace {
            watch: SystemClock::new(),
            quiet_turns: 0,
            unsynced_since: None,
            retry: RETRY_FIRST,
        };
        let mut frames = Vec::new();
        loop {
            let taken = self.spool.take(&mut frames, pace.tick());
            pace.note(!frames.is_empty());
            self.disk.accept(&mut frames);
            let urgent = !taken.waiters.is_empty() || taken.stopping;
            let result = self.put_down(&mut pace, urgent);
            let failed = result.is_err();
            self.tell_change(&result);
            if taken.stopping {
                let ended = result.and_then(|()| self.disk.finish());
                self.tell_change(&ended);
                answer(taken.waiters, &ended);
                return;
            }
            answer(taken.waiters, &result);
            self.tell_losses();
            self.tell_folded();
            if failed {
                self.spool.pause(pace.back_off());
            } else {
                pace.retry = RETRY_FIRST;
            }
        }
    }

    /// Writes what is held and syncs it when it is time.
    fn put_down(&mut self, pace: &mut Pace, urgent: bool) -> io::Result<()> {
        let result = self.disk.write().and_then(|()| {
            if urgent || pace.sync_is_due(self.disk.unsynced()) {
                pace.unsynced_since = None;
                self.disk.sync()
            } else {
                Ok(())
            }
        });
        if result.is_err() {
            pace.unsynced_since = None;
            self.disk.give_up();
        }
        result
    }

    /// One log line for each change of state, a count for each failure.
    fn tell_change(&self, result: &io::Result<()>) {
        let metrics = self.spool.metrics();
        metrics.failing.set(i64::from(result.is_err()));
        match result {
            Ok(()) => {
                if self.spool.set_failing(false) {
                    tracing::info!("the audit spool takes events again");
                }
            }
            Err(error) => {
                metrics.writer_failures.inc();
                if self.spool.set_failing(true) {
                    tracing::error!(%error, "the audit spool cannot be written");
                }
            }
        }
    }

    /// Tells, as events, of events that found no room and of segments that had to go.
    fn tell_losses(&mut self) {
        let metrics = self.spool.metrics();
        let evicted = self.disk.enforce_cap();
        metrics
            .spool_bytes
            .set(i64::try_from(self.disk.bytes()).unwrap_or(i64::MAX));
        if evicted > 0 {
            metrics.evicted.inc_by(evicted);
            tracing::warn!(
                events = evicted,
                "the oldest audit events were removed: the spool is full"
            );
            self.tell_loss(evicted, "spool_bytes_max");
        }
        let dropped = self.spool.settle(self.disk.held());
        if dropped > 0 && !self.tell_loss(dropped, "buffer_bytes_max") {
            self.spool.still_dropped(dropped);
        }
    }

    /// Tells, as events, of refusals that were only counted.
    fn tell_folded(&self) {
        let now = self.clock.now();
        for folded in self.folds.due(now) {
            let mut out = Vec::new();
            let told = Own::Folded(&folded);
            let split = own::own(&mut out, &told, new_id(now), now, &self.source);
            // An event that finds no room is counted and told by the spool.
            self.spool.append(&out, split).ok();
        }
    }

    fn tell_loss(&self, count: u64, why: &'static str) -> bool {
        let mut out = Vec::new();
        let told = Own::Dropped { count, why };
        let now = self.clock.now();
        let split = own::own(&mut out, &told, new_id(now), now, &self.source);
        self.spool.append(&out, split).is_ok()
    }
}

impl Pace {
    const fn tick(&self) -> Duration {
        if self.quiet_turns < IDLE_AFTER {
            TICK
        } else {
            IDLE_TICK
        }
    }

    fn note(&mut self, something: bool) {
        self.quiet_turns = if something {
            0
        } else {
            self.quiet_turns.saturating_add(1)
        };
    }

    fn sync_is_due(&mut self, unsynced: usize) -> bool {
        if unsynced == 0 {
            return false;
        }
        let now = self.watch.now();
        let since = *self.unsynced_since.get_or_insert(now);
        unsynced >= SYNC_BYTES || now.since(since) >= SYNC_AFTER
    }

    fn back_off(&mut self) -> Duration {
        let pause = self.retry;
        self.retry = (pause * 2).min(RETRY_LAST);
        pause
    }
}

fn answer(waiters: Vec<Waiter>, result: &io::Result<()>) {
    for waiter in waiters {
        let told = match result {
            Ok(()) => Ok(()),
            Err(error) => Err(error.kind()),
        };
        // Whoever waited may have gone away.
        waiter.send(told).ok();
    }
}
