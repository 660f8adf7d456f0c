//! From a changed file to the next generation: read, judge, build beside, swap; or keep the one before and say why.
//! Everything that can change while running changes here, in one store.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use crate::accept::listener::Gate;
use crate::config::{self, Contents, Report};
use crate::model::clock::Clock;
use crate::model::fault::Severity;
use crate::pipeline::{Live, Streams};
use crate::record::{ConfigLoaded, ConfigRejected, Metrics, Recorder, SecretRead};
use crate::runtime::drain::Drain;
use crate::runtime::reload::Watch;
use crate::runtime::signals::ReloadSignal;

use super::admin::ConfigInForce;
use super::certificates;
use super::generation::{Generation, Parts};
use super::keys::KeySource;

/// What serves, and how it is replaced.
pub(super) struct Reloader {
    /// The configuration.
    pub(super) path: PathBuf,
    pub(super) parts: Parts,
    /// What is in force.
    pub(super) current: Generation,
    pub(super) live: Arc<ArcSwap<Live>>,
    /// Tells the workers that something else is live.
    pub(super) newest: watch::Sender<u64>,
    /// Tells the fetcher and `/readyz` where keys come from.
    pub(super) key_source: watch::Sender<Option<Arc<KeySource>>>,
    pub(super) streams: Arc<Streams>,
    pub(super) gate: Arc<Gate>,
    pub(super) recorder: Recorder,
    pub(super) clock: Arc<dyn Clock>,
    /// What the admin listener shows of it.
    pub(super) config: Arc<ArcSwap<ConfigInForce>>,
    /// Notified when somebody orders a reload there.
    pub(super) ordered: Arc<Notify>,
    /// What the configuration that was refused last was read from, as long as it stands.
    pub(super) refused: Option<Contents>,
}

impl Reloader {
    /// Reloads whenever a file changes or somebody asks, until the drain begins.
    pub(super) async fn run(mut self, mut asked: ReloadSignal, drain: Drain) {
        let mut watch = Watch::new(&self.current.files);
        loop {
            let asked = tokio::select! {
                () = drain.draining() => return,
                () = asked.next() => true,
                () = self.ordered.notified() => true,
                () = watch.changed() => false,
            };
            self.reload(&mut watch, asked);
        }
    }

    /// Tells that what serves now has come into force.
    pub(super) fn tell_first(&self) {
        let metrics = self.recorder.metrics();
        metrics.config_in_force(self.clock.now());
        show_certificates(metrics, &self.current);
        self.recorder.config_loaded(&ConfigLoaded {
            origin: &self.path.display().to_string(),
            digest: &self.current.fingerprint,
            generation: self.current.live.generation,
            previous: None,
            changes: &[],
        });
        self.tell_secrets(&self.current, None);
    }

    /// Tells which secrets a generation was made with; never a value.
    fn tell_secrets(&self, generation: &Generation, before: Option<&Generation>) {
        let metrics = self.recorder.metrics();
        let since = generation.secrets.since();
        metrics.secrets(since.map(|(name, since)| (name, since.unix_seconds())));
        let before = before.map(|before| before.secrets.as_ref());
        for access in generation.secrets.accesses(before) {
            if access.changed {
                metrics.secret_changed();
            }
            self.recorder.secret_read(&SecretRead {
                name: access.name,
                source: access.source,
                version: access.version,
                changed: access.changed,
            });
        }
    }

    /// Reads everything again. What is read as it was before is left alone, unless somebody asked.
    fn reload(&mut self, watch: &mut Watch, asked: bool) {
        let loaded = match config::load(&self.path, std::env::vars_os()) {
            Ok(loaded) => loaded,
            Err(report) => return self.refuse(&report, watch, asked),
        };
        let same = loaded.warnings.contents() == self.current.contents;
        if same && self.refused.is_none() && !asked {
            return;
        }
        match self.current.next(loaded, &self.parts) {
            Ok(next) => self.take(next, watch),
            Err(report) => self.refuse(&report, watch, asked),
        }
    }

    fn take(&mut self, next: Generation, watch: &mut Watch) {
        let now = self.clock.now();
        let changes = next.changes_since(&self.current);
        self.live.store(Arc::clone(&next.live));
        self.newest.send_replace(next.live.generation);
        self.key_source.send_if_modified(|source| {
            let same = match (&*source, &next.key_source) {
                (Some(old), Some(new)) => Arc::ptr_eq(old, new),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            source.clone_from(&next.key_source);
            !same
        });
        let config = ConfigInForce::of(&next, now);
        self.config.store(Arc::new(config));
        self.gate.retune(&next.limits, next.timeouts.response_idle);
        let cut = self.streams.judge(&next.live, now);
        let metrics = self.recorder.metrics();
        metrics.config_in_force(now);
        metrics.config_reloaded(true);
        show_certificates(metrics, &next);
        self.recorder.config_loaded(&ConfigLoaded {
            origin: &self.path.display().to_string(),
            digest: &next.fingerprint,
            generation: next.live.generation,
            previous: Some(&self.current.fingerprint),
            changes: &changes,
        });
        self.tell_secrets(&next, Some(&self.current));
        tracing::info!(
            generation = next.live.generation,
            digest = next.fingerprint,
            previous = self.current.fingerprint,
            changes = changes.join(", "),
            streams_cut = cut,
            "the configuration was reloaded"
        );
        watch.follow(&next.files);
        self.current = next;
        self.refused = None;
    }

    /// Keeps what is in force. The same faulty text is told once, however often it is read, unless somebody asked.
    fn refuse(&mut self, report: &Report, watch: &mut Watch, asked: bool) {
        watch.also(report.files());
        if !asked && self.refused.is_some() && self.refused == report.contents() {
            return;
        }
        self.recorder.metrics().config_reloaded(false);
        let mut errors = report.faults().iter();
        let first = errors.find(|fault| fault.severity == Severity::Error);
        self.recorder.config_rejected(&ConfigRejected {
            origin: &self.path.display().to_string(),
            digest: report.fingerprint(),
            generation: self.current.live.generation,
            previous: &self.current.fingerprint,
            errors: report.errors(),
            detail: first.map_or("", |fault| &fault.message),
        });
        tracing::error!(
            generation = self.current.live.generation,
            digest = report.fingerprint(),
            errors = report.errors(),
            "the configuration is refused, the one before stays in force:\n{}",
            report.render(false).trim_end()
        );
        self.refused = report.contents();
    }
}

fn show_certificates(metrics: &Metrics, generation: &Generation) {
    if let Some(door) = &generation.live.tls {
        certificates::show(metrics, door.state());
    }
}
