//! `outrider proxy`: the sidecar next to one service, from its configuration to its last record. Wiring only.

mod outbound;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc, watch};

use crate::accept::listener::Gate;
use crate::cli::exit::{self, Failure};
use crate::config::{self, Report, Workers};
use crate::forward::Forwarder;
use crate::model::clock::{Clock, SystemClock};
use crate::model::settings::SpoolSettings;
use crate::pipeline::{Live, Pipeline, Streams};
use crate::record::{ConnectionTotals, Metrics, Recorder, SpanExport};
use crate::runtime::drain::Drain;
use crate::runtime::health::Shown;
use crate::runtime::readiness::{Readiness, Said};
use crate::runtime::signals::{ReloadSignal, StopSignals};
use crate::runtime::telemetry::{self, LogLevel};

use super::admin::{ConfigInForce, Subject};
use super::certificates;
use super::generation::{Generation, Parts};
use super::keys::{self, InForce, KeySource};
use super::observe;
use super::outbound_listeners::{self, BoundListener, ListenerPlan};
use super::reload::Reloader;
use super::shutdown::{drain_inbound, drain_outbound, until_stopped};
use super::traces;
use super::ways_out;
use super::workers::{self, Shared};

/// A worker's thread.
type Worker = JoinHandle<io::Result<()>>;

/// How often counters that are as good as new are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// How long the last records may take to reach the disk.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// The version in audit events and metrics.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The arguments of `proxy`.
#[derive(clap::Args, Debug)]
pub struct ProxyArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
}

/// An address that could not be bound.
pub(super) fn unbound(key: &str, address: impl fmt::Display, error: &io::Error) -> Failure {
    let forbidden = error.kind() == io::ErrorKind::PermissionDenied;
    let code = match forbidden {
        true => exit::PERMISSION,
        false => exit::FAILURE,
    };
    Failure::new(code, format!("{key}: {address} cannot be bound: {error}"))
}

/// Runs until it is told to stop. A failure is told on the error stream and by the exit code.
#[must_use]
pub fn run(args: &ProxyArgs) -> u8 {
    match start(args) {
        Ok(()) => exit::OK,
        Err(failure) => failure.tell(),
    }
}

fn start(args: &ProxyArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::new(exit::FAILURE, error.to_string()))?;
    runtime.block_on(async {
        // First of all, so that a stop is heard while the rest is made ready.
        let signals = Signals::install()
            .map_err(|error| Failure::new(exit::FAILURE, format!("signals: {error}")))?;
        Sidecar::open(args)?.serve(signals).await
    })
}

/// What people and Kubernetes tell a process.
struct Signals {
    stop: StopSignals,
    reload: ReloadSignal,
}

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self {
            stop: StopSignals::install()?,
            reload: ReloadSignal::install()?,
        })
    }
}

/// Everything that is there once the sidecar has opened its files and found nothing wrong.
struct Sidecar {
    path: PathBuf,
    recorder: Recorder,
    metrics: Metrics,
    live: Arc<ArcSwap<Live>>,
    streams: Arc<Streams>,
    clock: Arc<dyn Clock>,
    gate: Arc<Gate>,
    /// The connections to the service.
    upstream: Drain,
    parts: Parts,
    first: Generation,
    listen: SocketAddr,
    health: SocketAddr,
    outbound: Vec<ListenerPlan>,
    admin: Option<SocketAddr>,
    /// What the admin listener tells of the configuration.
    config: Arc<ArcSwap<ConfigInForce>>,
    logs: LogLevel,
    spans: Option<SpanExport>,
    /// Notified when a reload is ordered on the admin listener.
    ordered: Arc<Notify>,
}

impl Sidecar {
    /// Reads the configuration and the keys, opens the spool. Nothing is bound yet.
    fn open(args: &ProxyArgs) -> Result<Self, Failure> {
        let refused =
            |report: Box<Report>| Failure::new(exit::CONFIGURATION, report.refusal(false));
        let loaded = config::load(&args.config, std::env::vars_os()).map_err(refused)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let logs = begin_logs(&loaded.config.service, &clock)?;
        let metrics = Metrics::new(VERSION)
            .map_err(|error| Failure::new(exit::FAILURE, format!("metrics: {error}")))?;
        let upstream = Drain::new();
        let drivers = upstream.clone();
        let parts = Parts {
            metrics: metrics.clone(),
            clock: Arc::clone(&clock),
            spawner: Arc::new(move |driver| drivers.spawn(driver)),
            workers: worker_count(loaded.config.workers),
            folder: args.config.parent().map(Path::to_owned).unwrap_or_default(),
            kept: Arc::default(),
        };
        let (service, audit) = (loaded.config.service.clone(), loaded.config.audit.clone());
        let (listen, health) = (loaded.config.inbound.listen, loaded.config.health.listen);
        let outbound = loaded
            .config
            .outbound
            .iter()
            .map(ListenerPlan::of)
            .collect();
        let admin = loaded.config.admin.map(|admin| admin.listen);
        let first = Generation::first(loaded, &parts).map_err(refused)?;
        let recorder = begin_records(&audit, &service, &clock, &metrics)?;
        parts.kept.tell(recorder.clone());
        let spans = traces::begin(&recorder, &metrics, &service, VERSION)
            .map_err(|message| Failure::new(exit::USAGE, message))?;
        let config = ConfigInForce::of(&first, clock.now());
        Ok(Self {
            path: args.config.clone(),
            recorder,
            metrics,
            live: Arc::new(ArcSwap::new(Arc::clone(&first.live))),
            streams: Arc::default(),
            clock,
            gate: Arc::new(Gate::new(&first.limits, first.timeouts.response_idle)),
            upstream,
            parts,
            first,
            listen,
            health,
            outbound,
            admin,
            config: Arc::new(ArcSwap::from_pointee(config)),
            logs,
            spans,
            ordered: Arc::default(),
        })
    }

    /// Binds, serves until a signal, and ends in order: readiness first, the last record last. What runs here runs
    /// beside the workers, so that a metrics scrape or a reload cannot delay an order.
    async fn serve(mut self, signals: Signals) -> Result<(), Failure> {
        let Signals { mut stop, reload } = signals;
        let (bound, sockets) = workers::bind(self.listen, self.parts.workers)
            .map_err(|error| unbound("inbound.listen", self.listen, &error))?;
        let health = tokio::net::TcpListener::bind(self.health)
            .await
            .map_err(|error| unbound("health.listen", self.health, &error))?;
        let mut listening = self.listen_out()?;
        let admin = observe::bind_admin(self.admin).await?;
        let health_bound = health.local_addr().unwrap_or(self.health);

        let (connections, upstream, helpers) = (Drain::new(), self.upstream.clone(), Drain::new());
        let (outbound, orders) = (Drain::new(), Drain::new());
        let (newest, renewed) = watch::channel(self.first.live.generation);
        let (key_source, in_force) = watch::channel(self.first.key_source.clone());
        let (finish, finished) = watch::channel(false);
        let asked_newest = renewed.clone();
        let shared = Shared {
            gate: Arc::clone(&self.gate),
            drain: connections.clone(),
            upstream: upstream.clone(),
            outbound: outbound.clone(),
            newest: renewed,
            finished,
        };
        let (threads, mut ended) = self.start_workers(sockets, &mut listening, &orders, shared)?;
        let readiness = self.readiness(in_force.clone());
        let shown = Shown {
            readiness: readiness.clone(),
            metrics: self.shown_metrics(&readiness),
        };
        observe::answer_probes(health, shown, &helpers);
        observe::administer(admin, self.subject(&readiness), &helpers);
        observe::export(self.spans.take(), &helpers);
        let (live, clock) = (Arc::clone(&self.live), Arc::clone(&self.clock));
        helpers.spawn(sweep(live, clock, helpers.clone()));
        let (clock, metrics) = (Arc::clone(&self.clock), self.metrics.clone());
        helpers.spawn(keys::follow(in_force, clock, metrics, helpers.clone()));
        let workers = self.parts.workers;
        // Not of the helpers: those run until the last record is written, but nothing is reloaded or asked on the way out.
        let background = Drain::new();
        self.poll_exchanges(&asked_newest, &orders, &background);
        let (live, recorder) = (Arc::clone(&self.live), self.recorder.clone());
        let reloader = self.reloader(newest, key_source);
        reloader.tell_first();
        background.spawn(reloader.run(reload, background.clone()));
        tracing::info!(listener = "inbound", address = %bound, workers, "listening");
        tracing::info!(listener = "health", address = %health_bound, "listening");

        let lost = until_stopped(&mut stop, &mut ended).await;
        readiness.set_draining();
        background.drain(Duration::from_secs(1)).await;
        let timeouts = live.load().snapshot.timeouts.clone();
        let end = drain_inbound(&connections, &timeouts, lost, &mut stop).await;
        drain_outbound(&outbound, &orders, end, &mut stop).await;
        upstream.drain(Duration::ZERO).await;
        finish.send_replace(true);
        join(threads);
        let flushed = recorder.stop(FLUSH_MAX).await;
        helpers.drain(Duration::from_secs(1)).await;
        flushed.map_err(|error| Failure::new(exit::IO, error.to_string()))?;
        match lost {
            None => Ok(()),
            Some(number) => Err(Failure::new(
                exit::FAILURE,
                format!("worker {number} ended by itself"),
            )),
        }
    }

    /// Starts a worker on each socket. The number of one that ends comes out of the receiver.
    fn start_workers(
        &self,
        sockets: Vec<TcpListener>,
        listening: &mut [BoundListener],
        orders: &Drain,
        shared: Shared,
    ) -> Result<(Vec<Worker>, mpsc::Receiver<usize>), Failure> {
        let shared = Arc::new(shared);
        let (tell, ended) = mpsc::channel(sockets.len());
        let newest = shared.newest.clone();
        let make =
            |index, worker, bound| self.outbound_pipeline(index, worker, bound, orders, &newest);
        let outbound = outbound_listeners::share_out(listening, sockets.len(), make);
        let start = |(worker, (socket, outbound))| {
            let pipeline = Pipeline {
                live: Arc::clone(&self.live),
                recorder: self.recorder.clone(),
                clock: Arc::clone(&self.clock),
                worker,
                streams: Arc::clone(&self.streams),
            };
            workers::start(
                socket,
                Arc::clone(&shared),
                pipeline,
                outbound,
                tell.clone(),
            )
            .map_err(|error| Failure::new(exit::FAILURE, error.to_string()))
        };
        let threads: Result<Vec<_>, _> = sockets
            .into_iter()
            .zip(outbound)
            .enumerate()
            .map(start)
            .collect();
        Ok((threads?, ended))
    }

    /// What operators look at and order by.
    fn subject(&self, readiness: &Readiness) -> Subject {
        Subject {
            version: VERSION,
            started: self.clock.now(),
            clock: Arc::clone(&self.clock),
            config: Arc::clone(&self.config),
            live: Arc::clone(&self.live),
            recorder: self.recorder.clone(),
            readiness: readiness.clone(),
            logs: self.logs.clone(),
            ordered: Arc::clone(&self.ordered),
        }
    }

    fn reloader(
        self,
        newest: watch::Sender<u64>,
        key_source: watch::Sender<Option<Arc<KeySource>>>,
    ) -> Reloader {
        Reloader {
            path: self.path,
            parts: self.parts,
            current: self.first,
            live: self.live,
            newest,
            key_source,
            streams: self.streams,
            gate: self.gate,
            recorder: self.recorder,
            clock: self.clock,
            config: self.config,
            ordered: self.ordered,
            refused: None,
        }
    }

    fn readiness(&self, key_source: InForce) -> Readiness {
        let readiness = Readiness::new();
        // Without a good configuration and keys of its own there is no sidecar that could be asked.
        readiness.wait_for("config").ready();
        let clock = Arc::clone(&self.clock);
        readiness.ask("keys", move || match &*key_source.borrow() {
            // They came with the configuration.
            None => Said::Good,
            Some(source) => source.said(clock.now()),
        });
        if self.first.live.tls.is_some() {
            let (live, clock) = (Arc::clone(&self.live), Arc::clone(&self.clock));
            readiness.ask("certificates", move || {
                let live = live.load();
                let door = live.tls.as_ref();
                let remark = door.and_then(|door| certificates::remark(door.state(), clock.now()));
                remark.map_or(Said::Good, Said::Warning)
            });
        }
        if !self.outbound.is_empty() {
            let (live, clock) = (Arc::clone(&self.live), Arc::clone(&self.clock));
            readiness.ask("exchanges", move || {
                ways_out::remark(&live.load(), clock.now()).map_or(Said::Good, Said::Warning)
            });
        }
        let recorder = self.recorder.clone();
        readiness.ask("audit", move || match recorder.is_failing() {
            true => Err("the spool cannot be written"),
            false => Ok(()),
        });
        readiness
    }

    /// The text of `/metrics`, with what is only counted elsewhere.
    fn shown_metrics(&self, readiness: &Readiness) -> Arc<dyn Fn() -> String + Send + Sync> {
        let (metrics, live) = (self.metrics.clone(), Arc::clone(&self.live));
        let (gate, readiness) = (Arc::clone(&self.gate), readiness.clone());
        let clock = Arc::clone(&self.clock);
        Arc::new(move || {
            let live = live.load();
            live.show(&metrics, clock.now());
            ways_out::show(&live, &metrics, clock.now());
            let counts = gate.counts();
            metrics.show_connections(ConnectionTotals {
                open: gate.taken_places(),
                accepted: counts.accepted,
                waited: counts.waited,
                refused_per_ip: counts.refused_per_peer,
                refused_by_system: counts.errors,
            });
            let open = live.ways.iter().map(Forwarder::open).sum();
            metrics.show_upstream(open, live.ways.iter().map(Forwarder::idle).sum());
            metrics.show_draining(readiness.is_draining());
            metrics.text()
        })
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

/// Logs by `RUST_LOG`, panics included.
fn begin_logs(service: &str, clock: &Arc<dyn Clock>) -> Result<LogLevel, Failure> {
    #[expect(
        clippy::disallowed_methods,
        reason = "roles read the environment, once, at start"
    )]
    let filter = std::env::var("RUST_LOG").unwrap_or_default();
    let logs = telemetry::init(&filter, service, Arc::clone(clock))
        .map_err(|message| Failure::new(exit::USAGE, message))?;
    telemetry::log_panics();
    Ok(logs)
}

/// Opens the spool.
fn begin_records(
    audit: &SpoolSettings,
    service: &str,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
) -> Result<Recorder, Failure> {
    let recorder = Recorder::start(audit, service, VERSION, Arc::clone(clock), metrics.clone());
    let (recorder, recovery) =
        recorder.map_err(|error| Failure::new(exit::IO, error.to_string()))?;
    for damaged in &recovery.quarantined {
        tracing::error!(segment = %damaged.display(), "a damaged audit segment was set aside");
    }
    Ok(recorder)
}

fn join(threads: Vec<Worker>) {
    for thread in threads {
        match thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("a worker failed: {error}"),
            Err(_) => tracing::error!("a worker panicked"),
        }
    }
}
