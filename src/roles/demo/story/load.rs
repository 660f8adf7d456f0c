//! Steady load on the sidecar while everything is changed: clients that keep their connection, and clients that open one
//! for each request and show a certificate. Counts; never asks again for what has failed.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::sleep;

use crate::runtime::drain::{Drain, Drained};

use super::super::Stage;
use super::super::client::{Client, Connection};
use super::super::issuer::{Issuer, TRADER, VIEWER};
use super::super::wait::until;
use super::requests::{cancel_all, get};

/// Clients of each kind.
const CLIENTS: usize = 3;

/// Between two requests of a client: hundreds of requests each second, and time for everybody else.
const PAUSE: Duration = Duration::from_millis(5);

/// How long the last requests may take.
const LAST_MAX: Duration = Duration::from_secs(10);

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
    /// Answers that each client has had, good and bad.
    rounds: [AtomicU64; CLIENTS * 2],
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
        let (mut kept, keeps) = (None, number < CLIENTS);
        while !stop.is_draining() {
            let asked = match keeps {
                true => self.ask_over(&mut kept).await,
                false => self.ask_anew().await,
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
            sleep(PAUSE).await;
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
