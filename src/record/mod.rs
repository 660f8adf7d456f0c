//! Room 6: evidence and metrics of every request. An event is redacted before it exists, queued without waiting, and
//! written by a thread of its own. Never decides, and never holds a query, a token, a header value but the host, or
//! a body.

mod actor;
mod body;
mod collector;
mod disk;
mod durations;
mod event;
mod exchange;
mod exchange_metrics;
mod folds;
mod key_metrics;
mod metrics;
mod open;
mod otlp;
mod outcome;
mod own;
mod pin_metrics;
mod recovery;
mod redact;
mod route_metrics;
mod secrets;
pub mod segment;
mod shown;
mod socket;
mod spans;
mod spool;
mod told;
mod writer;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use uuid::{NoContext, Timestamp, Uuid};

use crate::model::clock::{Clock, Now};
use crate::model::settings::SpoolSettings;

pub use body::RecordedBody;
pub use exchange::{ExchangeTold, Execution};
pub use exchange_metrics::{BudgetShown, ClockShown, CountedSocket, ExchangeMetrics};
pub use key_metrics::KeyRefresh;
pub use metrics::{Metrics, Stage};
pub use open::OpenRecord;
pub use otlp::{SpanExport, TraceSettings, tracing};
pub use outcome::Outcome;
pub use own::{AdminOrder, ConfigLoaded, ConfigRejected, PinMismatch};
pub use pin_metrics::EndpointShown;
pub use recovery::{Previous, Recovery, list as list_segments};
pub use route_metrics::{RouteMetrics, Scheme};
pub use secrets::SecretRead;
pub use shown::{ClientMetrics, ConnectionTotals};
pub use socket::{ClosedBy, LateAnswer, OpenSocket, SocketEnd, SocketTold, Traffic};
pub use spans::{Sampler, Tracer};
pub use told::ByteCounter;

use disk::Disk;
use event::{Source, Split};
use folds::Folds;
use own::Own;
use spool::{Refused, Spool, Wait};
use writer::Writer;

/// Opens records. One for the process; cheap to clone.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    spool: Arc<Spool>,
    folds: Arc<Folds>,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    source: Arc<Source>,
    epoch: Uuid,
    tracer: OnceLock<Tracer>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Held as long as this process may write into the folder.
    _lock: File,
}

/// Why a spool cannot be used. Exit code 74.
#[derive(Debug)]
pub enum SpoolError {
    /// Another process writes into the folder.
    Locked(PathBuf),
    /// The folder cannot be read or written.
    Io(PathBuf, io::Error),
    /// The queue did not reach the disk in time.
    Late,
}

impl std::fmt::Display for SpoolError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Locked(folder) => write!(
                out,
                "the audit spool {} is in use by another process",
                folder.display()
            ),
            Self::Io(folder, error) => {
                write!(
                    out,
                    "the audit spool {} cannot be used: {error}",
                    folder.display()
                )
            }
            Self::Late => out.write_str("the audit events did not reach the disk in time"),
        }
    }
}

impl std::error::Error for SpoolError {}

impl Recorder {
    /// Locks and recovers the folder, begins a new epoch in it with `audit.start`, and starts the writer thread.
    /// Waits for the disk: to be called before anything is served.
    pub fn start(
        settings: &SpoolSettings,
        service: &str,
        version: &str,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Result<(Self, Recovery), SpoolError> {
        let folder = settings.folder.as_path();
        let failed = |error| SpoolError::Io(folder.to_owned(), error);
        let lock = lock(folder)?;
        let mut recovery = recovery::recover(folder).map_err(failed)?;
        let now = clock.now();
        let epoch = new_epoch(now, recovery.previous);
        let disk = Disk::begin(
            folder,
            epoch,
            settings.segment_bytes_max.0,
            settings.spool_bytes_max.0,
            std::mem::take(&mut recovery.sealed),
        )
        .map_err(failed)?;
        let spool = Spool::new(
            settings.buffer_bytes_max.as_usize(),
            metrics.audit().clone(),
        );
        let source = Arc::new(Source::new(service, epoch, version));
        let folds = Arc::new(Folds::new(settings.refusals_per_minute));
        let writer = Writer {
            spool: Arc::clone(&spool),
            folds: Arc::clone(&folds),
            disk,
            source: Arc::clone(&source),
            clock: Arc::clone(&clock),
        };
        let recorder = Self(Arc::new(Inner {
            spool,
            folds,
            metrics,
            clock,
            source,
            epoch,
            tracer: OnceLock::new(),
            writer: Mutex::new(None),
            _lock: lock,
        }));
        recorder.write_own(&Own::Start(&recovery));
        let thread = thread::Builder::new()
            .name("audit-writer".to_owned())
            .spawn(|| writer.run())
            .map_err(failed)?;
        *recorder.0.writer() = Some(thread);
        Ok((recorder, recovery))
    }

    /// Opens the record of one request. From here on exactly one `http.request` follows, whatever happens.
    pub fn open(&self, now: Now, request_id: Uuid, peer: SocketAddr, scheme: Scheme) -> OpenRecord {
        OpenRecord::new(self.clone(), now, request_id, peer, scheme)
    }

    /// Traces requests from now on. The first tracer stays.
    pub fn trace_with(&self, tracer: Tracer) {
        // A second one is dropped, and its exporter ends.
        drop(self.0.tracer.set(tracer));
    }

    /// Records what somebody ordered on the admin listener, and whether it was done.
    pub fn admin(&self, order: &AdminOrder<'_>) {
        self.write_own(&Own::Admin(order));
    }

    /// Records that a configuration is in force.
    pub fn config_loaded(&self, loaded: &ConfigLoaded<'_>) {
        self.write_own(&Own::ConfigLoad(loaded));
    }

    /// Records that a configuration was refused.
    pub fn config_rejected(&self, rejected: &ConfigRejected<'_>) {
        self.write_own(&Own::ConfigReject(rejected));
    }

    /// Records that a secret was read for the configuration that is in force from now on.
    pub fn secret_read(&self, read: &SecretRead<'_>) {
        self.write_own(&Own::Secret(read));
    }

    /// Records that a server was met whose certificate is good, but none of whose keys is pinned.
    pub fn pin_mismatch(&self, missed: &PinMismatch<'_>) {
        self.write_own(&Own::PinMismatch(missed));
    }

    /// Records that a WebSocket is open; what comes back records its end.
    pub fn socket(&self, told: SocketTold) -> OpenSocket {
        self.write_own(&Own::SocketOpen(&told));
        OpenSocket::new(self.clone(), told)
    }

    /// Records an answer that came when its request had been given up.
    pub fn late_answer(&self, answer: &LateAnswer<'_>) {
        self.write_own(&Own::LateAnswer(answer));
    }

    /// Whether new requests should be refused, because their records may find no room.
    #[must_use]
    pub fn is_saturated(&self) -> bool {
        self.0.spool.is_saturated()
    }

    /// Whether the disk takes nothing at the moment.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.0.spool.is_failing()
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The identifier of this process start.
    #[must_use]
    pub fn epoch(&self) -> Uuid {
        self.0.epoch
    }

    /// Waits until everything recorded so far is durable.
    pub async fn flush(&self, deadline: Duration) -> Result<(), SpoolError> {
        reached(self.0.spool.barrier(), deadline).await
    }

    /// Writes what was only counted and `audit.stop`, and ends the writer. What is recorded later is counted as dropped.
    pub async fn stop(&self, deadline: Duration) -> Result<(), SpoolError> {
        self.0.tell_folded();
        let mut out = Vec::new();
        let split = self.0.build_own(&mut out, &Own::Stop);
        let wait = self.0.spool.stop(Some((&out, split)));
        reached(wait, deadline).await
    }

    fn write_own(&self, own: &Own<'_>) {
        self.0.write_own(own);
    }
}

impl Inner {
    fn write_own(&self, own: &Own<'_>) {
        let mut out = Vec::new();
        let split = self.build_own(&mut out, own);
        // An event that finds no room is counted and told by the spool.
        self.spool.append(&out, split).ok();
    }

    fn build_own(&self, out: &mut Vec<u8>, own: &Own<'_>) -> Split {
        let now = self.clock.now();
        own::own(out, own, new_id(now), now, &self.source)
    }

    /// Tells of refusals that were counted so far.
    fn tell_folded(&self) {
        for folded in self.folds.rest() {
            self.write_own(&Own::Folded(&folded));
        }
    }

    fn writer(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    /// What is queued reaches the disk also when nobody stopped the recorder; the missing `audit.stop` tells it.
    fn drop(&mut self) {
        self.tell_folded();
        drop(self.spool.stop(None));
        let thread = self.writer().take();
        if let Some(thread) = thread {
            drop(thread.join());
        }
    }
}

/// A fresh request identifier (UUIDv7): sorts by time.
#[must_use]
pub fn new_id(now: Now) -> Uuid {
    let micros = u64::try_from(now.unix_us).unwrap_or_default();
    let nanos = u32::try_from(micros % 1_000_000 * 1000).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(NoContext, micros / 1_000_000, nanos))
}

/// An epoch that sorts behind the one before, even if the clock was set back.
fn new_epoch(now: Now, previous: Option<Previous>) -> Uuid {
    let fresh = new_id(now);
    match previous {
        Some(previous) if fresh <= previous.epoch => {
            let (seconds, nanos) = previous
                .epoch
                .get_timestamp()
                .map_or((0, 0), |time| time.to_unix());
            let micros = seconds
                .saturating_mul(1_000_000)
                .saturating_add(u64::from(nanos) / 1000)
                .saturating_add(1000);
            new_id(Now {
                mono_ns: now.mono_ns,
                unix_us: i64::try_from(micros).unwrap_or(now.unix_us),
            })
        }
        Some(_) | None => fresh,
    }
}

/// Makes the folder if need be, for this user alone, and takes its lock.
fn lock(folder: &Path) -> Result<File, SpoolError> {
    let failed = |error| SpoolError::Io(folder.to_owned(), error);
    if !folder.is_dir() {
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        DirBuilder::new()
            .mode(0o700)
            .create(folder)
            .map_err(failed)?;
    }
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(folder.join("lock"))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SpoolError::Locked(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

async fn reached(wait: Result<Wait, Refused>, deadline: Duration) -> Result<(), SpoolError> {
    let Ok(wait) = wait else {
        return Err(SpoolError::Late);
    };
    match tokio::time::timeout(deadline, wait).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(_)) | Err(_)) | Err(_) => Err(SpoolError::Late),
    }
}

#[cfg(test)]
mod tests;
