//! `outrider proxy`: the sidecar next to one service, from its configuration to its last record. Wiring only.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::accept::http::Http;
use crate::accept::listener::Gate;
use crate::cli::exit;
use crate::config::{self, Config, Loaded, Setting, Workers};
use crate::forward::{Forwarder, PoolLimits, Spawner};
use crate::model::clock::{Clock, SystemClock};
use crate::model::settings::{Timeouts, Upstream};
use crate::pipeline::{Live, Pipeline, Upload};
use crate::record::{ClientMetrics, ConnectionTotals, Metrics, Recorder, SpanExport};
use crate::runtime;
use crate::runtime::drain::{Drain, Drained};
use crate::runtime::health::{self, Shown};
use crate::runtime::readiness::Readiness;
use crate::runtime::signals::StopSignals;
use crate::runtime::telemetry::{self, LogLevel};

use super::admin::{self, Subject};
use super::load;
use super::traces;
use super::workers::{self, Shared};

/// How often counters that are as good as new are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// How long the last records may take to reach the disk.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// Idle connections to the service that a worker keeps.
const IDLE_MAX: u32 = 64;

/// The version in audit events and metrics.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The arguments of `proxy`.
#[derive(clap::Args, Debug)]
pub struct ProxyArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Why the sidecar did not start, or did not end well.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn new(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// An address that could not be bound.
    fn unbound(key: &str, address: SocketAddr, error: &io::Error) -> Self {
        let forbidden = error.kind() == io::ErrorKind::PermissionDenied;
        let code = if forbidden {
            exit::PERMISSION
        } else {
            exit::FAILURE
        };
        Self::new(code, format!("{key}: {address} cannot be bound: {error}"))
    }
}

/// Runs until it is told to stop. A failure is told on the error stream and by the exit code.
#[must_use]
pub fn run(args: &ProxyArgs) -> u8 {
    match start(args) {
        Ok(()) => exit::OK,
        Err(failure) => {
            // Nobody is left to hear of an error on the error stream.
            let _unheard = writeln!(io::stderr().lock(), "{}", failure.message.trim_end());
            failure.code
        }
    }
}

fn start(args: &ProxyArgs) -> Result<(), Failure> {
    let loaded = config::load(&args.config, std::env::vars_os())
        .map_err(|report| Failure::new(exit::CONFIGURATION, report.refusal(false)))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    #[expect(
        clippy::disallowed_methods,
        reason = "roles read the environment, once, at start"
    )]
    let filter = std::env::var("RUST_LOG").unwrap_or_default();
    let logs = telemetry::init(&filter, &loaded.config.service, Arc::clone(&clock))
        .map_err(|message| Failure::new(exit::USAGE, message))?;
    let settings = loaded.effective();
    for warning in loaded.warnings.faults() {
        tracing::warn!(place = %warning.place, "{}", warning.message);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::new(exit::FAILURE, error.to_string()))?;
    runtime.block_on(Sidecar::open(loaded, clock)?.serve(logs, settings))
}

/// Everything that is there once the sidecar has opened its files and found nothing wrong.
struct Sidecar {
    recorder: Recorder,
    metrics: Metrics,
    live: Arc<ArcSwap<Live>>,
    clock: Arc<dyn Clock>,
    timeouts: Timeouts,
    upstream: Upstream,
    connections_max: u32,
    gate: Arc<Gate>,
    http: Http,
    listen: SocketAddr,
    health: SocketAddr,
    admin: Option<SocketAddr>,
    spans: Option<SpanExport>,
    workers: usize,
}

impl Sidecar {
    /// Reads the keys, opens the spool. Nothing is bound yet.
    fn open(loaded: Loaded, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let Loaded {
            config, warnings, ..
        } = loaded;
        let Config {
            service,
            inbound,
            audit,
            health,
            admin,
            workers,
        } = config;
        let (timeouts, limits) = (inbound.timeouts.clone(), inbound.limits.clone());
        let (upstream, listen) = (inbound.upstream.clone(), inbound.listen);
        let loaded = load::snapshot(inbound)
            .map_err(|fault| warnings.with(*fault).refusal(false))
            .map_err(|refusal| Failure::new(exit::CONFIGURATION, refusal))?;
        for dropped in &loaded.dropped_keys {
            tracing::warn!("a key is not used: {dropped}");
        }
        let metrics = Metrics::new(VERSION)
            .map_err(|error| Failure::new(exit::FAILURE, format!("metrics: {error}")))?;
        let recorder = Recorder::start(
            &audit,
            &service,
            VERSION,
            Arc::clone(&clock),
            metrics.clone(),
        );
        let (recorder, recovery) =
            recorder.map_err(|error| Failure::new(exit::IO, error.to_string()))?;
        for damaged in &recovery.quarantined {
            tracing::error!(segment = %damaged.display(), "a damaged audit segment was set aside");
        }
        recorder.measure(client_metrics(&metrics, &upstream));
        let spans = traces::begin(&recorder, &metrics, &service, VERSION)
            .map_err(|message| Failure::new(exit::USAGE, message))?;
        Ok(Self {
            live: Arc::new(ArcSwap::from_pointee(Live::new(loaded.snapshot, &metrics))),
            recorder,
            metrics,
            clock,
            gate: Arc::new(Gate::new(&limits, timeouts.response_idle)),
            http: Http::new(&limits, &timeouts),
            timeouts,
            upstream,
            connections_max: limits.connections_max,
            listen,
            health: health.listen,
            admin: admin.map(|admin| admin.listen),
            spans,
            workers: worker_count(workers),
        })
    }

    /// Binds, serves until a signal, and ends in order: readiness first, the last record last. What runs here runs
    /// beside the workers, so that a metrics scrape cannot delay an order.
    async fn serve(mut self, logs: LogLevel, settings: Vec<Setting>) -> Result<(), Failure> {
        let mut stop = StopSignals::install()
            .map_err(|error| Failure::new(exit::FAILURE, format!("signals: {error}")))?;
        let (bound, sockets) = workers::bind(self.listen, self.workers)
            .map_err(|error| Failure::unbound("inbound.listen", self.listen, &error))?;
        let health = TcpListener::bind(self.health)
            .await
            .map_err(|error| Failure::unbound("health.listen", self.health, &error))?;
        let admin = self.bind_admin().await?;
        let health_bound = health.local_addr().unwrap_or(self.health);

        let (connections, upstream, helpers) = (Drain::new(), Drain::new(), Drain::new());
        let (finish, finished) = watch::channel(false);
        let shared = Arc::new(Shared {
            http: self.http.clone(),
            gate: Arc::clone(&self.gate),
            drain: connections.clone(),
            upstream: upstream.clone(),
            finished,
        });
        let mut ways = Vec::with_capacity(self.workers);
        let mut threads = Vec::with_capacity(self.workers);
        for (number, socket) in sockets.into_iter().enumerate() {
            let pipeline = self.pipeline(&upstream);
            ways.push(pipeline.forwarder.clone());
            let thread = workers::start(number, socket, Arc::clone(&shared), pipeline);
            threads.push(thread.map_err(|error| Failure::new(exit::FAILURE, error.to_string()))?);
        }
        let readiness = self.readiness();
        let shown = Shown {
            readiness: readiness.clone(),
            metrics: self.shown_metrics(ways, readiness.clone()),
        };
        let stopping = helpers.clone();
        helpers.spawn(health::serve(health, shown, async move {
            stopping.draining().await
        }));
        if let Some(spans) = self.spans.take() {
            let stopping = helpers.clone();
            helpers.spawn(spans.run(async move { stopping.draining().await }));
        }
        if let Some(listener) = admin {
            let offer = admin::offer(self.subject(&readiness, logs, settings));
            let stopping = helpers.clone();
            helpers.spawn(runtime::admin::serve(listener, offer, async move {
                stopping.draining().await
            }));
        }
        helpers.spawn(sweep(
            Arc::clone(&self.live),
            Arc::clone(&self.clock),
            helpers.clone(),
        ));
        tracing::info!(listener = "inbound", address = %bound, workers = self.workers, "listening");
        tracing::info!(listener = "health", address = %health_bound, "listening");

        let signal = stop.next().await;
        tracing::info!(signal, "stopping");
        readiness.set_draining();
        end_connections(&connections, self.timeouts.drain, &mut stop).await;
        upstream.drain(Duration::ZERO).await;
        finish.send_replace(true);
        join(threads);
        let flushed = self.recorder.stop(FLUSH_MAX).await;
        helpers.drain(Duration::from_secs(1)).await;
        flushed.map_err(|error| Failure::new(exit::IO, error.to_string()))
    }

    /// What one worker walks requests with.
    fn pipeline(&self, upstream: &Drain) -> Pipeline {
        let drivers = upstream.clone();
        let limits = PoolLimits {
            connections_max: self.connections_max,
            idle_max: IDLE_MAX,
        };
        let spawner: Spawner = Arc::new(move |driver| drivers.spawn(driver));
        Pipeline {
            live: Arc::clone(&self.live),
            recorder: self.recorder.clone(),
            clock: Arc::clone(&self.clock),
            forwarder: Forwarder::new(self.upstream.clone(), &self.timeouts, limits, spawner),
        }
    }

    fn readiness(&self) -> Readiness {
        let readiness = Readiness::new();
        // Without a good configuration and keys there is no sidecar that could be asked.
        readiness.wait_for("config").ready();
        readiness.wait_for("keys").ready();
        let recorder = self.recorder.clone();
        readiness.ask("audit", move || match recorder.is_failing() {
            true => Err("the spool cannot be written"),
            false => Ok(()),
        });
        readiness
    }

    /// The socket of the admin listener, if there is to be one.
    async fn bind_admin(&self) -> Result<Option<TcpListener>, Failure> {
        let Some(address) = self.admin else {
            return Ok(None);
        };
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| Failure::unbound("admin.listen", address, &error))?;
        let bound = listener.local_addr().unwrap_or(address);
        tracing::info!(listener = "admin", address = %bound, "listening");
        Ok(Some(listener))
    }

    /// What the admin listener is about.
    fn subject(&self, readiness: &Readiness, logs: LogLevel, settings: Vec<Setting>) -> Subject {
        Subject {
            version: VERSION,
            started: self.clock.now(),
            clock: Arc::clone(&self.clock),
            settings,
            live: Arc::clone(&self.live),
            recorder: self.recorder.clone(),
            readiness: readiness.clone(),
            logs,
        }
    }

    /// The text of `/metrics`, with what is only counted elsewhere.
    fn shown_metrics(
        &self,
        ways: Vec<Forwarder<Upload>>,
        readiness: Readiness,
    ) -> Arc<dyn Fn() -> String + Send + Sync> {
        let (metrics, live) = (self.metrics.clone(), Arc::clone(&self.live));
        let gate = Arc::clone(&self.gate);
        Arc::new(move || {
            live.load().show(&metrics);
            let counts = gate.counts();
            metrics.show_connections(ConnectionTotals {
                open: gate.taken_places(),
                accepted: counts.accepted,
                waited: counts.waited,
                refused_per_ip: counts.refused_per_peer,
                refused_by_system: counts.errors,
            });
            let open = ways.iter().map(Forwarder::open).sum();
            metrics.show_upstream(open, ways.iter().map(Forwarder::idle).sum());
            metrics.show_draining(readiness.is_draining());
            metrics.text()
        })
    }
}

/// The counters of the way to the service, by the address as it is written.
fn client_metrics(metrics: &Metrics, upstream: &Upstream) -> ClientMetrics {
    match upstream {
        Upstream::Tcp { authority, .. } => {
            let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
            metrics.client(host, port)
        }
        Upstream::Unix(path) => metrics.client(&path.display().to_string(), ""),
    }
}

fn worker_count(workers: Workers) -> usize {
    match workers {
        Workers::Count(count) => count.get(),
        Workers::Auto => thread::available_parallelism().map_or(1, usize::from),
    }
}

/// Forgets counters that are as good as new, now and then.
async fn sweep(live: Arc<ArcSwap<Live>>, clock: Arc<dyn Clock>, drain: Drain) {
    loop {
        tokio::select! {
            () = drain.draining() => return,
            () = tokio::time::sleep(SWEEP_EVERY) => live.load().snapshot.ledger.sweep(clock.now()),
        }
    }
}

/// Lets requests in flight finish; a second signal means now.
async fn end_connections(connections: &Drain, patience: Duration, stop: &mut StopSignals) {
    let drained = tokio::select! {
        drained = connections.drain(patience) => drained,
        _again = stop.next() => connections.drain(Duration::ZERO).await,
    };
    match drained {
        Drained::Finished => tracing::info!("every connection ended by itself"),
        Drained::Aborted(count) => tracing::warn!(count, "connections were cut off"),
    }
}

fn join(threads: Vec<JoinHandle<io::Result<()>>>) {
    for thread in threads {
        match thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("a worker failed: {error}"),
            Err(_) => tracing::error!("a worker panicked"),
        }
    }
}
