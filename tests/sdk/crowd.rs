//! Callers that push at the same time, over connections that they keep, and what each of them was answered. Holds no
//! expectation.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::wire::{NoAnswer, Wire};
use crate::world::{ORDER, told, wait_until};

/// Between two requests of one caller.
const PAUSE: Duration = Duration::from_millis(5);

/// What a caller was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which caller.
    pub caller: usize,
    /// The status, and our reason or else the exchange's code.
    pub told: String,
    /// Whether it was an order.
    pub order: bool,
}

/// Callers at work.
pub struct Crowd {
    callers: Vec<JoinHandle<()>>,
    talk: Arc<Talk>,
}

/// What was answered so far, and whether there is more to ask.
#[derive(Default)]
struct Talk {
    over: AtomicBool,
    outcomes: Mutex<Vec<Outcome>>,
}

impl Crowd {
    /// So many, who ask for their account and place an order in turn until they are told to stop.
    pub fn start(at: SocketAddr, count: usize) -> Self {
        let talk = Arc::<Talk>::default();
        let callers = (0..count).map(|caller| {
            let talk = Arc::clone(&talk);
            thread::spawn(move || push(at, caller, &talk))
        });
        Self {
            callers: callers.collect(),
            talk,
        }
    }

    /// How many answers said so by now.
    pub fn count(&self, told: &str) -> usize {
        let outcomes = self.talk.outcomes.lock().unwrap();
        outcomes.iter().filter(|one| one.told == told).count()
    }

    /// Waits for so many more answers.
    pub fn wait_for(&self, count: usize) {
        let so_far = || self.talk.outcomes.lock().unwrap().len();
        let goal = so_far() + count;
        wait_until("answered", || so_far() >= goal);
    }

    /// Waits for so many more answers that say so.
    pub fn wait_for_told(&self, told: &str, count: usize) {
        let goal = self.count(told) + count;
        wait_until(told, || self.count(told) >= goal);
    }

    /// Waits until each caller has been answered twice: the second time to what it has asked after this was called.
    pub fn settle(&self) {
        let so_far = || {
            let mut counts = vec![0; self.callers.len()];
            for outcome in &*self.talk.outcomes.lock().unwrap() {
                counts[outcome.caller] += 1;
            }
            counts
        };
        let before = so_far();
        wait_until("settled", || {
            let mut pairs = so_far().into_iter().zip(&before);
            pairs.all(|(now, before)| now >= before + 2)
        });
    }

    /// Tells them to stop, and gives what they were answered.
    pub fn stop(self) -> Vec<Outcome> {
        self.talk.over.store(true, Ordering::SeqCst);
        for caller in self.callers {
            caller.join().unwrap();
        }
        let outcomes = self.talk.outcomes.lock().unwrap();
        outcomes.clone()
    }
}

fn push(at: SocketAddr, caller: usize, talk: &Talk) {
    let mut wire = Wire::connect(at);
    for turn in 0.. {
        if talk.over.load(Ordering::SeqCst) {
            break;
        }
        let order = turn % 2 == 1;
        let (line, length) = match order {
            // Two orders that are alike and are signed in the same millisecond have the same signature.
            true => (
                format!(
                    "POST {ORDER}&newClientOrderId={}-{turn}",
                    wire.local().port()
                ),
                "Content-Length: 0\r\n",
            ),
            false => ("GET /api/v3/account".to_owned(), ""),
        };
        let request = format!("{line} HTTP/1.1\r\nHost: {at}\r\n{length}\r\n");
        let answer = wire.ask(request);
        let ends = answer.as_ref().map_or(true, |answer| answer.says_close());
        let told = match answer {
            Ok(answer) => {
                let told = told(&answer);
                let why = told["reason"].as_str().map(str::to_owned);
                let why = why.or_else(|| told["code"].as_i64().map(|code| code.to_string()));
                format!("{} {}", answer.status, why.unwrap_or_default())
                    .trim_end()
                    .to_owned()
            }
            Err(NoAnswer::Closed) => "closed".to_owned(),
            Err(other) => format!("{other:?}"),
        };
        let outcome = Outcome {
            caller,
            told,
            order,
        };
        talk.outcomes.lock().unwrap().push(outcome);
        if ends {
            wire = Wire::connect(at);
        }
        thread::sleep(PAUSE);
    }
}

/// How often each thing was told.
pub fn tally(outcomes: &[Outcome]) -> BTreeMap<&str, usize> {
    let mut tally = BTreeMap::new();
    for outcome in outcomes {
        *tally.entry(outcome.told.as_str()).or_default() += 1;
    }
    tally
}
