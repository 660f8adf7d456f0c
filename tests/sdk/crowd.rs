//! Callers that push at the same time, over connections that they keep, and what each of them was answered. Holds no
//! expectation.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::wire::{NoAnswer, Wire};
use crate::world::{ORDER, told, wait_until};

/// Between two requests of one caller.
const PAUSE: Duration = Duration::from_millis(5);

/// What a caller was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The status, and our reason or else the exchange's code.
    pub told: String,
    /// Whether it was an order.
    pub order: bool,
}

/// Callers at work.
pub struct Crowd {
    callers: Vec<JoinHandle<Vec<Outcome>>>,
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
}

impl Crowd {
    /// So many, who ask for their account and place an order in turn until they are told to stop.
    pub fn start(at: SocketAddr, count: usize) -> Self {
        let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let callers = (0..count).map(|_| {
            let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
            thread::spawn(move || push(at, &over, &answered))
        });
        Self {
            callers: callers.collect(),
            over,
            answered,
        }
    }

    /// Waits for so many more answers.
    pub fn wait_for(&self, count: usize) {
        let goal = self.answered.load(Ordering::SeqCst) + count;
        wait_until("answered", || self.answered.load(Ordering::SeqCst) >= goal);
    }

    /// Tells them to stop, and gives what they were answered.
    pub fn stop(self) -> Vec<Outcome> {
        self.over.store(true, Ordering::SeqCst);
        let all = self
            .callers
            .into_iter()
            .map(|caller| caller.join().unwrap());
        all.flatten().collect()
    }
}

fn push(at: SocketAddr, over: &AtomicBool, answered: &AtomicUsize) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut wire = Wire::connect(at);
    for turn in 0.. {
        if over.load(Ordering::SeqCst) {
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
        outcomes.push(Outcome { told, order });
        answered.fetch_add(1, Ordering::SeqCst);
        if ends {
            wire = Wire::connect(at);
        }
        thread::sleep(PAUSE);
    }
    outcomes
}

/// How often each thing was told.
pub fn tally(outcomes: &[Outcome]) -> BTreeMap<&str, usize> {
    let mut tally = BTreeMap::new();
    for outcome in outcomes {
        *tally.entry(outcome.told.as_str()).or_default() += 1;
    }
    tally
}
