//! Steady load on the sidecar while everything is changed: clients that keep their connection, clients that open one for
//! each request and show a certificate, and programs that trade at the exchange. Counts; never asks again for what has failed.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::sleep;

use crate::runtime::drain::{Drain, Drained};

use super::super::client::{Client, Connection};
use super::super::issuer::{Issuer, TRADER, VIEWER};
use super::super::wait::until;
use super::super::{EXCHANGE_ORDER, Stage};
use super::program::Program;
use super::requests::{cancel_all, finish, get};

/// Clients of each kind.
const CLIENTS: usize = 3;

/// Between two requests of a client: hundreds of requests each second, and time for everybody else.
const PAUSE: Duration = Duration::from_millis(5);

/// The same for programs that trade: a minute of them stays well below what the exchange allows.
const TRADING_PAUSE: Duration = Duration::from_millis(50);

/// How long the last requests may take.
const LAST_MAX: Duration = Duration::from_secs(30);

/// Failures that are told in full.
const TOLD_MAX: usize = 3;

/// Clients that ask without an end.
pub(super) struct Load {
    shared: Arc<Shared>,
    clients: Drain,
}

struct Shared {
    issuer: Issuer,
    viewer: Client,
    /// Replaced when the bot gets another certificate.
    bot: ArcSwap<Client>,
    program: Program,
    /// Answers that each client has had, good and bad.
    rounds: [AtomicU64; CLIENTS * 3],
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Failures {
    count: u64,
    told: Vec<String>,
}

/// How many requests there were up to some moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) asked: u64,
    pub(super) failed: u64,
}

impl Load {
    /// Starts the clients.
    pub(super) fn start(stage: &Stage) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            issuer: stage.issuer.clone(),
            viewer: stage.client()?,
            bot: ArcSwap::from_pointee(stage.bot()?),
            program: Program::of(stage),
            rounds: Default::default(),
            failures: Mutex::default(),
        });
        let clients = Drain::new();
        for number in 0..shared.rounds.len() {
            let (shared, stop) = (Arc::clone(&shared), clients.clone());
            clients.spawn(async move { shared.ask(number, &stop).await });
        }
        Ok(Self { shared, clients })
    }

    /// From now on the bot asks so.
    pub(super) fn replace_bot(&self, bot: Client) {
        self.shared.bot.store(Arc::new(bot));
    }

    /// Waits until every client has begun and ended a request from now on.
    pub(super) async fn round(&self) -> io::Result<()> {
        let now = |rounds: &[AtomicU64]| -> Vec<u64> {
            rounds
                .iter()
                .map(|one| one.load(Ordering::Relaxed))
                .collect()
        };
        let before = now(&self.shared.rounds);
        until("an answer to every client", async || {
            let after = now(&self.shared.rounds);
            // The first answer may be to a request that had begun before.
            let all = before
                .iter()
                .zip(&after)
                .all(|(before, after)| after - before >= 2);
            Ok(all.then_some(()))
        })
        .await
    }

    /// How many requests there were so far.
    pub(super) fn seen(&self) -> Seen {
        let rounds = self.shared.rounds.iter();
        Seen {
            asked: rounds.map(|one| one.load(Ordering::Relaxed)).sum(),
            failed: self.shared.failures().count,
        }
    }

    /// The first failures, for a person.
    pub(super) fn failures(&self) -> String {
        self.shared.failures().told.join("; ")
    }

    /// Lets the last requests end.
    pub(super) async fn finish(&self) -> io::Result<()> {
        match self.clients.drain(LAST_MAX).await {
            Drained::Finished => Ok(()),
            Drained::Aborted(count) => Err(io::Error::other(format!("{count} clients hang"))),
        }
    }
}

impl Shared {
    async fn ask(&self, number: usize, stop: &Drain) {
        let mut kept = None;
        while !stop.is_draining() {
            let (asked, pause) = match number / CLIENTS {
                0 => (self.ask_over(&mut kept).await, PAUSE),
                1 => (self.ask_anew().await, PAUSE),
                _ => (self.trade_over(&mut kept, number).await, TRADING_PAUSE),
            };
            if let Err(error) = asked {
                kept = None;
                let mut failures = self.failures();
                failures.count += 1;
                if failures.told.len() < TOLD_MAX {
                    failures.told.push(error.to_string());
                }
            }
            if let Some(rounds) = self.rounds.get(number) {
                rounds.fetch_add(1, Ordering::Relaxed);
            }
            sleep(pause).await;
        }
    }

    /// A viewer asks for positions over the connection that is kept.
    async fn ask_over(&self, kept: &mut Option<Connection>) -> io::Result<()> {
        let token = self.issuer.token(&VIEWER)?;
        let connection = match kept {
            Some(connection) => connection,
            None => kept.insert(self.viewer.connect().await?),
        };
        let request = get("/api/v1/positions", Some(&token))?;
        good(&connection.send(request).await?)
    }

    /// The bot cancels all over a new connection.
    async fn ask_anew(&self) -> io::Result<()> {
        let token = self.issuer.token(&TRADER)?;
        let bot = self.bot.load_full();
        good(&bot.send(cancel_all(Some(&token))?).await?)
    }

    /// A program tries an order out over the connection that is kept; it is signed and checked like any other. Each has a
    /// name of its own, as good programs do: two that are alike in one millisecond would be signed alike.
    async fn trade_over(&self, kept: &mut Option<Connection>, number: usize) -> io::Result<()> {
        let connection = match kept {
            Some(connection) => connection,
            None => kept.insert(self.program.connect().await?),
        };
        let head = self.program.head("POST", "/api/v3/order/test");
        let head = head.header("content-type", "application/x-www-form-urlencoded");
        let round = (self.rounds.get(number)).map(|rounds| rounds.load(Ordering::Relaxed));
        let round = round.unwrap_or_default();
        let order = format!("{EXCHANGE_ORDER}&newClientOrderId=load-{number}-{round}");
        good(&connection.send(finish(head, &order)?).await?)
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        // Whole at every step, so a panic elsewhere does not spoil it.
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn good(answer: &http::Response<String>) -> io::Result<()> {
    match answer.status().is_success() {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "{} {}",
            answer.status(),
            answer.body().trim_end()
        ))),
    }
}
