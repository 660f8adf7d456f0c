//! How long the exchange has said nothing, and when it is asked whether it is there. Never sends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How often an exchange that says nothing is asked whether it is there, before it is taken to be gone.
const PINGS: u32 = 3;

/// When the exchange was heard the last time.
pub(super) struct Heard {
    began: Instant,
    /// Milliseconds since then.
    last: AtomicU64,
}

impl Heard {
    pub(super) fn now() -> Self {
        Self {
            began: Instant::now(),
            last: AtomicU64::new(0),
        }
    }

    pub(super) fn note(&self) {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(since, Ordering::Relaxed);
    }

    fn last(&self) -> Duration {
        Duration::from_millis(self.last.load(Ordering::Relaxed))
    }
}

/// The pings that were sent since the exchange was heard.
#[derive(Default)]
pub(super) struct Pings {
    sent: u32,
    /// When it was heard before them.
    since: Duration,
}

impl Pings {
    /// Whether it is time for the next: they are spread over the longest silence, so that there is time to answer the last.
    pub(super) fn is_due(&mut self, heard: &Heard, silence_max: Duration) -> bool {
        let last = heard.last();
        if last != self.since {
            *self = Self {
                sent: 0,
                since: last,
            };
        }
        let quiet = heard.began.elapsed().saturating_sub(last);
        let next = self.sent + 1;
        let is_due = next <= PINGS && quiet >= silence_max / (PINGS + 1) * next;
        self.sent += u32::from(is_due);
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_exchange_is_asked_a_few_times_and_anew_when_it_was_heard() {
        const SILENCE: Duration = Duration::from_secs(8);
        let (heard, mut pings) = (Heard::now(), Pings::default());
        let mut asked = Vec::new();
        for second in 1..=20 {
            tokio::time::advance(Duration::from_secs(1)).await;
            if pings.is_due(&heard, SILENCE) {
                asked.push(second);
            }
            if second == 12 {
                heard.note();
            }
        }
        assert_eq!(asked, [2, 4, 6, 14, 16, 18]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_answers_each_time_is_asked_for_ever() {
        const SILENCE: Duration = Duration::from_secs(4);
        let (heard, mut pings) = (Heard::now(), Pings::default());
        let mut asked = 0;
        for _second in 0..60 {
            tokio::time::advance(Duration::from_secs(1)).await;
            if pings.is_due(&heard, SILENCE) {
                heard.note();
                asked += 1;
            }
        }
        assert_eq!(asked, 60);
    }
}
