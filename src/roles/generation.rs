//! One generation of the configuration in service: all that is made of it, beside what was made of the one before and
//! stays. Never swaps anything; never touches what serves.

use std::path::PathBuf;
use std::sync::Arc;

use crate::accept::http::Http;
use crate::config::{Config, Contents, Loaded, Outbound, Report, Setting, Workers};
use crate::forward::{Forwarder, PoolLimits, Spawner};
use crate::model::clock::Clock;
use crate::model::fault::{Fault, Severity};
use crate::model::settings::{AcceptLimits, FileRead, Timeouts, Upstream};
use crate::pipeline::{Live, Upload};
use crate::record::{ClientMetrics, Metrics};
use crate::secrets::Secrets;

use super::certificates;
use super::changes::Settings;
use super::keys::KeySource;
use super::load::{self, Basis, Before};
use super::ways_out::{self, Kept, Reached};

/// Idle connections to the service that a worker keeps.
const IDLE_MAX: u32 = 64;

/// What every generation is made with.
pub(super) struct Parts {
    pub(super) metrics: Metrics,
    pub(super) clock: Arc<dyn Clock>,
    /// Starts what drives a connection to the service.
    pub(super) spawner: Spawner,
    pub(super) workers: usize,
    /// The configuration's folder.
    pub(super) folder: PathBuf,
    /// What the ways out of all generations share.
    pub(super) kept: Arc<Kept>,
}

/// A configuration and everything that is made of it.
pub(super) struct Generation {
    pub(super) live: Arc<Live>,
    /// What the configuration goes by in evidence.
    pub(super) fingerprint: String,
    /// All that it was read from, secrets too, to see whether anything has changed.
    pub(super) contents: Option<Contents>,
    /// What it was read from.
    pub(super) files: Vec<FileRead>,
    pub(super) secrets: Arc<Secrets>,
    pub(super) limits: AcceptLimits,
    pub(super) timeouts: Timeouts,
    /// Where keys come from, if they are fetched.
    pub(super) key_source: Option<Arc<KeySource>>,
    /// The interfaces of exchanges, with their pools.
    reached: Vec<Reached>,
    upstream: Option<Upstream>,
    basis: Option<Basis>,
    fixed: Vec<String>,
    settings: Settings,
    /// Every setting with its origin, for people.
    pub(super) effective: Vec<Setting>,
}

impl Generation {
    /// Makes the first one.
    pub(super) fn first(loaded: Loaded, parts: &Parts) -> Result<Self, Box<Report>> {
        Self::make(loaded, parts, None)
    }

    /// Makes the one that follows. Nothing of this one changes, whatever comes out.
    pub(super) fn next(&self, loaded: Loaded, parts: &Parts) -> Result<Self, Box<Report>> {
        let fixed = fixed_values(&loaded.config);
        let mut faults = FIXED
            .iter()
            .zip(&self.fixed)
            .zip(&fixed)
            .filter(|((_, old), new)| old != new)
            .map(|(((key, _), old), new)| Fault {
                severity: Severity::Error,
                place: loaded.place(key),
                message: format!("`{key}` cannot change while running: it is {old}, not {new}"),
                help: Some("put it back, or restart".to_owned()),
            })
            .peekable();
        if faults.peek().is_some() {
            return Err(Box::new(faults.fold(loaded.warnings.clone(), Report::with)));
        }
        drop(faults);
        Self::make(loaded, parts, Some(self))
    }

    /// What is different from the one before, a few words each, without values.
    pub(super) fn changes_since(&self, before: &Self) -> Vec<String> {
        let mut changes = self.settings.changes_since(&before.settings);
        let known = |file: &&FileRead| {
            let same = |old: &FileRead| old.path == file.path && old.digest != file.digest;
            before.files.iter().skip(1).any(same)
        };
        let rewritten = self.files.iter().skip(1).filter(known);
        changes.extend(rewritten.map(|file| format!("file {}", file.path.display())));
        let accesses = self.secrets.accesses(Some(&before.secrets));
        let replaced = accesses.filter(|access| access.changed);
        changes.extend(replaced.map(|access| format!("secret {}", access.name)));
        changes
    }

    fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    fn make(loaded: Loaded, parts: &Parts, before: Option<&Self>) -> Result<Self, Box<Report>> {
        let effective = loaded.effective();
        let settings = Settings::new(&effective);
        let fixed = fixed_values(&loaded.config);
        let Loaded {
            config, warnings, ..
        } = loaded;
        let now = parts.clock.now();
        let secrets = Secrets::following(&config.secrets, before.map(Self::secrets), now);
        let Config {
            inbound, outbound, ..
        } = config;
        let (limits, timeouts) = (inbound.limits.clone(), inbound.timeouts.clone());
        let upstream = inbound.upstream.clone();
        let tls = inbound.tls.as_ref();
        let (tls, warnings) = certificates::door(tls, timeouts.handshake, &parts.clock, warnings)?;
        let made = match load::succeeding(inbound, before.map(Self::taken_over)) {
            Ok(made) => made,
            Err(fault) => return Err(Box::new(warnings.with(*fault))),
        };
        warn(&made.dropped_keys, &warnings);
        let ways = match before {
            Some(before) if before.upstream == upstream && before.timeouts == timeouts => {
                before.live.ways.clone()
            }
            Some(_) | None => upstream.as_ref().map_or_else(Vec::new, |upstream| {
                ways(upstream, &timeouts, &limits, parts)
            }),
        };
        let known = before.map_or(&[][..], |before| &before.reached);
        let (ways_out, reached) = match ways_out::make(outbound, known, parts) {
            Ok(made) => made,
            Err(faults) => return Err(Box::new(faults.into_iter().fold(warnings, Report::with))),
        };
        let number = before.map_or(1, |before| before.live.generation + 1);
        let http = Http::new(&limits, &timeouts);
        let metrics = &parts.metrics;
        let service = upstream.as_ref();
        let service = service.map(|upstream| Arc::new(client_metrics(metrics, upstream)));
        let live = Live::new(
            number,
            made.snapshot,
            http,
            tls,
            ways,
            ways_out,
            service,
            metrics,
        );
        Ok(Self {
            live: Arc::new(live),
            fingerprint: warnings.fingerprint().to_owned(),
            contents: warnings.contents(),
            files: warnings.files().to_vec(),
            secrets: Arc::new(secrets),
            limits,
            timeouts,
            key_source: made.key_source,
            reached,
            upstream,
            basis: made.basis,
            fixed,
            settings,
            effective,
        })
    }
}

/// Tells what is not used, and what somebody should look at.
fn warn(dropped_keys: &[String], report: &Report) {
    for dropped in dropped_keys {
        tracing::warn!("a key is not used: {dropped}");
    }
    for warning in report.faults() {
        tracing::warn!(place = %warning.place, "{}", warning.message);
    }
}

impl Generation {
    /// What the next one may take over.
    fn taken_over(&self) -> Before<'_> {
        Before {
            snapshot: &self.live.snapshot,
            basis: self.basis.as_ref(),
            key_source: self.key_source.as_ref(),
        }
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

/// One way to the service for each worker.
fn ways(
    upstream: &Upstream,
    timeouts: &Timeouts,
    limits: &AcceptLimits,
    parts: &Parts,
) -> Vec<Forwarder<Upload>> {
    let limits = PoolLimits {
        connections_max: limits.connections_max,
        idle_max: IDLE_MAX,
    };
    let way = |_| {
        let spawner = Arc::clone(&parts.spawner);
        Forwarder::new(upstream.clone(), timeouts, limits, spawner)
    };
    (0..parts.workers).map(way).collect()
}

/// What is bound, opened or counted once: its key, and its value for comparison.
type Fixed = (&'static str, fn(&Config) -> String);

/// What cannot change while running.
const FIXED: &[Fixed] = &[
    ("service", |config| config.service.clone()),
    ("inbound.listen", |config| {
        let listen = config.inbound.listen.map(|listen| listen.to_string());
        listen.unwrap_or_else(|| "none".to_owned())
    }),
    ("inbound.tls", |config| {
        let spoken = config.inbound.tls.as_ref().map(|_| "TLS");
        spoken.unwrap_or("clear text").to_owned()
    }),
    ("inbound.bounds.connections_max", |config| {
        config.inbound.limits.connections_max.to_string()
    }),
    ("outbound", |config| {
        let shown = |one: &Outbound| {
            let connections = one.limits.connections_max;
            format!(
                "{} on {} with {connections} connections",
                one.name, one.listen
            )
        };
        let listeners: Vec<String> = config.outbound.iter().map(shown).collect();
        match listeners.as_slice() {
            [] => "nothing".to_owned(),
            listeners => listeners.join(", "),
        }
    }),
    ("health.listen", |config| config.health.listen.to_string()),
    ("admin.listen", |config| {
        let listen = config.admin.map(|admin| admin.listen.to_string());
        listen.unwrap_or_else(|| "none".to_owned())
    }),
    ("workers", |config| match config.workers {
        Workers::Auto => "auto".to_owned(),
        Workers::Count(count) => count.to_string(),
    }),
    ("audit.spool", |config| {
        config.audit.folder.display().to_string()
    }),
    ("audit.segment_bytes_max", |config| {
        config.audit.segment_bytes_max.0.to_string()
    }),
    ("audit.spool_bytes_max", |config| {
        config.audit.spool_bytes_max.0.to_string()
    }),
    ("audit.buffer_bytes_max", |config| {
        config.audit.buffer_bytes_max.0.to_string()
    }),
    ("audit.refusals_per_minute", |config| {
        config.audit.refusals_per_minute.to_string()
    }),
];

fn fixed_values(config: &Config) -> Vec<String> {
    FIXED.iter().map(|(_, value)| value(config)).collect()
}
