//! The schedule, with time that does not pass by itself.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;

const REFRESH: Duration = Duration::from_secs(300);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// When fetches began and how they end, told by a script whose last word goes on for ever.
struct Source {
    began: Rc<RefCell<Vec<Duration>>>,
    requests: FetchRequests,
}

impl Source {
    fn new() -> Self {
        Self {
            began: Rc::default(),
            requests: FetchRequests::default(),
        }
    }

    /// Runs for `time`; `meanwhile` runs beside it.
    async fn run(
        &self,
        time: Duration,
        script: &[Fetched],
        meanwhile: impl Future<Output = ()>,
    ) -> Vec<Duration> {
        let start = Instant::now();
        let fetch = || {
            let count = self.began.borrow().len();
            self.began.borrow_mut().push(start.elapsed());
            let last = script.last().copied().unwrap_or(Fetched::Failed);
            std::future::ready(script.get(count).copied().unwrap_or(last))
        };
        tokio::join!(run(REFRESH, &self.requests, sleep(time), fetch), meanwhile);
        self.began.borrow().clone()
    }
}

/// The pauses between fetches.
fn pauses(began: &[Duration]) -> Vec<Duration> {
    began.windows(2).map(|two| two[1] - two[0]).collect()
}

fn within(pause: Duration, full: Duration) -> bool {
    // Timers have a resolution of a millisecond.
    (full * 4 / 5..=full + Duration::from_millis(2)).contains(&pause)
}

#[tokio::test(start_paused = true)]
async fn a_good_source_is_asked_on_schedule_and_never_at_the_same_time_as_the_fleet() {
    let source = Source::new();
    let began = source
        .run(seconds(36_000), &[Fetched::Good(None)], async {})
        .await;
    assert_eq!(began[0], Duration::ZERO, "the first at once");
    let pauses = pauses(&began);
    assert!(pauses.len() >= 119, "{}", pauses.len());
    assert!(
        pauses.iter().all(|pause| within(*pause, REFRESH)),
        "{pauses:?}"
    );
    let (low, high) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
    assert!(*high - *low > seconds(30), "no jitter: {low:?} to {high:?}");
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again_sooner_and_sooner_is_bounded() {
    let script = [[Fetched::Failed; 9].as_slice(), &[Fetched::Good(None)]].concat();
    let began = Source::new().run(seconds(700), &script, async {}).await;
    let expected = [1, 2, 4, 8, 16, 32, 60, 60, 60, 300];
    let pauses = pauses(&began);
    for (pause, full) in pauses.iter().zip(expected) {
        assert!(
            within(*pause, seconds(full)),
            "{pause:?}, not {full} s: {pauses:?}"
        );
    }
    let many = pause(REFRESH, Fetched::Failed, u32::MAX);
    assert_eq!(many, RETRY_MAX);
    assert_eq!(
        pause(seconds(5), Fetched::Failed, 9),
        seconds(5),
        "never later than by schedule"
    );
}

#[test]
fn what_the_source_says_counts_within_bounds() {
    for (said, taken) in [(0, 30), (10, 30), (90, 90), (86_400, 300)] {
        let fetched = Fetched::Good(Some(seconds(said)));
        assert_eq!(pause(REFRESH, fetched, 0), seconds(taken), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_without_end_are_one_fetch_for_each_cooldown() {
    let source = Source::new();
    let asking = async {
        for number in 0..10_000 {
            source.requests.miss(&format!("kid-{number}"));
            sleep(Duration::from_millis(20)).await;
        }
    };
    let began = source
        .run(seconds(200), &[Fetched::Good(None)], asking)
        .await;
    let pauses = pauses(&began);
    assert!((6..=7).contains(&began.len()), "{began:?}");
    assert!(pauses.iter().all(|pause| *pause >= COOLDOWN), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_name_is_asked_for_once_between_two_fetches_by_schedule() {
    let source = Source::new();
    let asking = async {
        for _ in 0..100 {
            source.requests.miss("retired");
            sleep(seconds(2)).await;
        }
    };
    let began = source
        .run(seconds(230), &[Fetched::Good(None)], asking)
        .await;
    assert_eq!(began.len(), 2, "{began:?}");
    assert!((30..32).contains(&began[1].as_secs()), "{began:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_during_a_fetch_is_met_by_the_next() {
    let requests = FetchRequests::default();
    let began = RefCell::new(Vec::new());
    let start = Instant::now();
    let fetch = || {
        began.borrow_mut().push(start.elapsed().as_secs());
        async {
            sleep(seconds(2)).await;
            Fetched::Good(None)
        }
    };
    let asking = async {
        sleep(seconds(1)).await;
        requests.miss("new");
    };
    tokio::join!(run(REFRESH, &requests, sleep(seconds(100)), fetch), asking);
    assert_eq!(*began.borrow(), [0, 30]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_fetch() {
    let requests = FetchRequests::default();
    let start = Instant::now();
    run(REFRESH, &requests, sleep(seconds(1)), std::future::pending).await;
    assert_eq!(start.elapsed(), seconds(1));
}

#[test]
fn missed_names_take_no_more_room_than_there_is() {
    let requests = FetchRequests::default();
    for number in 0..100_000 {
        requests.miss(&number.to_string());
    }
    let full = requests
        .missed
        .iter()
        .filter(|slot| slot.load(Ordering::Relaxed) != 0);
    assert_eq!(full.count(), MISSED_MAX);
}
