//! What is counted elsewhere and shown as metrics when somebody asks, and what becomes of spans. Never on a request's
//! path, but for the way to the service.

use std::time::Duration;

use http::{Method, StatusCode};
use prometheus::{IntCounter, IntGauge, IntGaugeVec};

use crate::model::denial::Cause;

use super::durations::Durations;
use super::metrics::{Make, Metrics};

/// What becomes of spans.
#[derive(Clone)]
pub(super) struct SpanMetrics {
    pub(super) exported: IntCounter,
    pub(super) queue_full: IntCounter,
    pub(super) export_failed: IntCounter,
}

/// What is counted elsewhere and only shown here.
#[derive(Clone)]
pub(super) struct Gauges {
    connections_accepted: IntCounter,
    connections_waited: IntCounter,
    upstream_busy: IntGauge,
    upstream_idle: IntGauge,
    limit_keys: IntGauge,
    draining: IntGauge,
    certificate_ends: IntGaugeVec,
}

/// What the door has counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionTotals {
    /// Open now.
    pub open: usize,
    /// Connections that got a place.
    pub accepted: u64,
    /// Connections that had to wait for a place.
    pub waited: u64,
    /// Connections refused because their address had enough of them.
    pub refused_per_ip: u64,
    /// Connections lost because the system gave no socket.
    pub refused_by_system: u64,
}

/// The service behind the proxy, as the client's side of the semantic conventions names it.
pub struct ClientMetrics {
    /// Its address, or its host's name.
    pub(super) address: String,
    /// Its port; empty for a socket of the file system.
    pub(super) port: String,
    durations: Durations,
}

impl ClientMetrics {
    /// The head of an answer was there after so long, or was given up.
    pub(super) fn observe(
        &self,
        method: Option<&Method>,
        status: Option<StatusCode>,
        cause: Option<Cause>,
        took: Duration,
    ) {
        self.durations.observe(method, status, cause, took);
    }
}

impl Metrics {
    /// The children of the way to a service. `port` is empty for a socket of the file system.
    #[must_use]
    pub fn client(&self, address: &str, port: &str) -> ClientMetrics {
        let family = self.families.client_durations.clone();
        let labels = [address.to_owned(), port.to_owned()];
        ClientMetrics {
            address: address.to_owned(),
            port: port.to_owned(),
            durations: Durations::new(family, labels),
        }
    }

    /// What the door has counted since the start.
    pub fn show_connections(&self, totals: ConnectionTotals) {
        let families = &self.families;
        families.connections.set(gauge(totals.open));
        let [per_ip, system] = &families.connections_refused;
        raise(per_ip, totals.refused_per_ip);
        raise(system, totals.refused_by_system);
        raise(&self.gauges.connections_accepted, totals.accepted);
        raise(&self.gauges.connections_waited, totals.waited);
    }

    /// Connections to the service over all workers: busy ones, and ones that wait for a request.
    pub fn show_upstream(&self, open: usize, idle: usize) {
        self.gauges
            .upstream_busy
            .set(gauge(open.saturating_sub(idle)));
        self.gauges.upstream_idle.set(gauge(idle));
    }

    /// Counters that the limits hold.
    pub fn show_held(&self, limit_keys: usize) {
        self.gauges.limit_keys.set(gauge(limit_keys));
    }

    /// Whether the process is on its way out.
    pub fn show_draining(&self, draining: bool) {
        self.gauges.draining.set(i64::from(draining));
    }

    /// These certificate files are in use, by their names in the configuration, with their last seconds.
    pub fn certificates<'n>(&self, ends: impl IntoIterator<Item = (&'n str, i64)>) {
        let family = &self.gauges.certificate_ends;
        family.reset();
        for (name, end) in ends {
            family.with_label_values(&[name]).set(end);
        }
    }

    /// Look-ups among the verified tokens since this was told last, and how many are remembered now.
    pub fn show_token_cache(&self, hits: u64, misses: u64, entries: usize) {
        self.families.token_cache_hits.inc_by(hits);
        self.families.token_cache_misses.inc_by(misses);
        self.families.token_cache_entries.set(gauge(entries));
    }

    pub(super) const fn spans(&self) -> &SpanMetrics {
        &self.spans
    }
}

impl SpanMetrics {
    pub(super) fn new(make: &Make<'_>) -> prometheus::Result<Self> {
        let dropped = make.counters(
            "outrider_spans_dropped_total",
            "Spans lost on their way to the collector",
            &["reason"],
        )?;
        Ok(Self {
            exported: make.counter(
                "outrider_spans_exported_total",
                "Spans that the collector took",
            )?,
            queue_full: dropped.get_metric_with_label_values(&["queue_full"])?,
            export_failed: dropped.get_metric_with_label_values(&["export_failed"])?,
        })
    }
}

impl Gauges {
    pub(super) fn new(make: &Make<'_>) -> prometheus::Result<Self> {
        let upstream = make.gauges(
            "outrider_upstream_connections",
            "Connections to the service",
            &["state"],
        )?;
        Ok(Self {
            connections_accepted: make.counter(
                "outrider_connections_accepted_total",
                "Connections that got a place",
            )?,
            connections_waited: make.counter(
                "outrider_connections_waited_total",
                "Connections that had to wait for a place",
            )?,
            upstream_busy: upstream.get_metric_with_label_values(&["busy"])?,
            upstream_idle: upstream.get_metric_with_label_values(&["idle"])?,
            limit_keys: make.gauge("outrider_limit_keys", "Counters that the limits hold")?,
            draining: make.gauge("outrider_draining", "1 while the process is on its way out")?,
            certificate_ends: make.gauges(
                "outrider_tls_cert_expiry_timestamp_seconds",
                "The last second at which a certificate file is valid",
                &["certificate"],
            )?,
        })
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Brings a counter up to a total that is counted elsewhere.
fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}
