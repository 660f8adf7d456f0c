//! The one fetcher of keys in the process: it keeps a keyring filled from its URL, and tells when that fails and when
//! it works again. What is there stays until something better comes or it is too old. Never empties the keyring, except of
//! keys on probation.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::watch;

use crate::identify::{Keyring, Unavailable};
use crate::model::clock::{Clock, Now};
use crate::model::settings::RemoteKeys;
use crate::record::{KeyRefresh, Metrics};
use crate::runtime::drain::Drain;
use crate::runtime::fetch::{self, Fetched};
use crate::runtime::get::{GetError, Getter, Got};
use crate::runtime::readiness::Said;
use crate::runtime::trust::Unfit;

/// Where a keyring's keys come from.
#[derive(Debug)]
pub struct KeySource {
    getter: Getter,
    keyring: Arc<Keyring>,
    /// The URL without its query.
    origin: String,
    refresh: Duration,
    memory: Mutex<Memory>,
}

/// The source of the keys in force, if they are fetched; a reload may put another in its place.
pub(super) type InForce = watch::Receiver<Option<Arc<KeySource>>>;

/// Fetches for the source in force until the drain is asked to stop: for one at a time, and at once for another.
pub(super) async fn follow(
    mut in_force: InForce,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    stop: Drain,
) {
    while !stop.is_draining() {
        let source = in_force.borrow_and_update().clone();
        let replaced = async {
            tokio::select! {
                () = stop.draining() => {}
                () = replaced(&mut in_force) => {}
            }
        };
        match source {
            None => replaced.await,
            Some(source) => source.run(clock.as_ref(), &metrics, replaced).await,
        }
    }
}

async fn replaced(in_force: &mut InForce) {
    if in_force.changed().await.is_err() {
        // Nothing is reloaded on the way out, but requests are still judged.
        std::future::pending().await
    }
}

/// What is remembered from one fetch to the next.
#[derive(Debug, Default)]
struct Memory {
    /// Of the document that the keys are from.
    etag: Option<HeaderValue>,
    /// How the last fetch failed, if it did.
    failing: Option<KeyRefresh>,
}

/// A fetch that did not bring keys.
struct Failure {
    outcome: KeyRefresh,
    why: String,
}

impl KeySource {
    /// Prepares to fetch. Nothing is asked yet.
    ///
    /// # Errors
    /// The certificates to trust, or the host, cannot be used.
    pub fn new(remote: &RemoteKeys, origin: &str, keyring: Arc<Keyring>) -> Result<Self, Unfit> {
        let ca = remote.ca.as_ref().map(|ca| ca.pem.as_str());
        let bytes_max = remote.document_bytes_max.as_usize();
        Ok(Self {
            getter: Getter::new(&remote.url, ca, remote.timeout, bytes_max)?,
            keyring,
            origin: origin.to_owned(),
            refresh: remote.refresh,
            memory: Mutex::default(),
        })
    }

    /// What it fills.
    pub(super) const fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// Fetches until `stop` is done.
    async fn run(&self, clock: &dyn Clock, metrics: &Metrics, stop: impl Future<Output = ()>) {
        // Fixed keys have no source.
        let Some(requests) = self.keyring.fetch_requests() else {
            return stop.await;
        };
        let fetch = || self.fetch(clock, metrics);
        fetch::run(self.refresh, requests, stop, fetch).await;
    }

    /// For `/readyz`.
    pub(super) fn said(&self, now: Now) -> Said {
        let origin = &self.origin;
        let failing = self.memory().failing.map(KeyRefresh::name);
        match (self.keyring.available(now), failing) {
            (Ok(()), None) => Said::Good,
            (Ok(()), Some(how)) => {
                let age = self.keyring.age(now).as_secs();
                Said::Warning(format!("{age}s old, {origin} fails ({how})"))
            }
            (Err(Unavailable::NeverLoaded), None) => Said::Bad(format!("waiting for {origin}")),
            (Err(Unavailable::NeverLoaded), Some(how)) => {
                Said::Bad(format!("waiting for {origin} ({how})"))
            }
            (Err(Unavailable::TooOld), how) => Said::Bad(format!(
                "too old, {origin} fails ({})",
                how.unwrap_or("late")
            )),
        }
    }

    async fn fetch(&self, clock: &dyn Clock, metrics: &Metrics) -> Fetched {
        let asked = clock.now();
        let etag = self.memory().etag.clone();
        let taken = match self.getter.get(etag.as_ref()).await {
            Ok(Got::NotModified { fresh }) => {
                self.keyring.confirm(asked);
                Ok((KeyRefresh::Unchanged, fresh))
            }
            Ok(Got::Document { bytes, etag, fresh }) => self
                .take(&bytes, etag, asked)
                .map(|outcome| (outcome, fresh)),
            Err(error) => Err(failure(&error)),
        };
        match taken {
            Ok((outcome, fresh)) => {
                metrics.keys_refreshed(outcome);
                self.recovered();
                Fetched::Good(fresh)
            }
            Err(failure) => {
                metrics.keys_refreshed(failure.outcome);
                if self.keyring.fetch_failed() {
                    let url = self.origin.as_str();
                    tracing::warn!(
                        url,
                        "keys that only distrusted certificates vouch for are dropped"
                    );
                }
                self.failed(&failure);
                Fetched::Failed
            }
        }
    }

    fn take(
        &self,
        document: &[u8],
        etag: Option<HeaderValue>,
        asked: Now,
    ) -> Result<KeyRefresh, Failure> {
        let replaced = self.keyring.replace(document, asked);
        let replaced = replaced.map_err(|error| Failure {
            outcome: KeyRefresh::Refused,
            why: error.to_string(),
        })?;
        self.memory().etag = etag;
        if !replaced.changed {
            return Ok(KeyRefresh::Unchanged);
        }
        let (url, keys) = (&self.origin, self.keyring.key_count());
        tracing::info!(url, keys, "the keys have changed");
        for dropped in &replaced.dropped {
            tracing::warn!(url, "a key is not used: {dropped}");
        }
        Ok(KeyRefresh::Changed)
    }

    /// Told once, not with every try.
    fn failed(&self, failure: &Failure) {
        let before = self.memory().failing.replace(failure.outcome);
        if before != Some(failure.outcome) {
            tracing::warn!(
                url = self.origin,
                "the keys cannot be fetched: {}",
                failure.why
            );
        }
    }

    fn recovered(&self) {
        if self.memory().failing.take().is_some() {
            tracing::info!(url = self.origin, "the keys are fetched again");
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Whole at every step, so a panic elsewhere does not spoil it.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failure(error: &GetError) -> Failure {
    let outcome = match error {
        GetError::Timeout => KeyRefresh::Timeout,
        GetError::Unreachable(_) => KeyRefresh::Unreachable,
        GetError::Tls(_) => KeyRefresh::Tls,
        GetError::Redirect(_) => KeyRefresh::Redirect,
        GetError::Status(_) => KeyRefresh::Status,
        GetError::TooLarge(_) => KeyRefresh::TooLarge,
        GetError::Broken(_) => KeyRefresh::Broken,
    };
    Failure {
        outcome,
        why: error.to_string(),
    }
}
