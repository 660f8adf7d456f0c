//! The metrics and their text form. Labels come from the configuration and from closed lists only, so that no client
//! can make a series; children are resolved once, so that a request counts without a hash.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use crate::model::clock::Now;
use crate::model::denial::Cause;
use crate::model::pins::PinMode;

use super::durations;
use super::exchange_metrics::{ExchangeFamilies, ExchangeMetrics};
use super::key_metrics::{KeyMetrics, KeyRefresh};
use super::pin_metrics::{EndpointShown, PinMetrics};
use super::route_metrics::{RouteMetrics, Scheme};
use super::secrets::SecretMetrics;
use super::shown::{Gauges, SpanMetrics};
use super::told::Shadowed;

/// OpenTelemetry's buckets for `http.server.request.duration`, in seconds.
const REQUEST_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// From 5 microseconds to 50 milliseconds: where the proxy's own time lies.
const STAGE_BUCKETS: &[f64] = &[
    0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005,
    0.01, 0.025, 0.05,
];
/// The name of the route of requests that have none.
const NO_ROUTE: &str = "_NONE";

/// Every metric of the process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    pub(super) families: Arc<Families>,
    /// For requests without a route, by [`Scheme`].
    unrouted: [Arc<RouteMetrics>; 2],
    audit: AuditMetrics,
    keys: KeyMetrics,
    pub(super) spans: SpanMetrics,
    pub(super) gauges: Gauges,
    secrets: SecretMetrics,
    exchanges: ExchangeFamilies,
    pins: PinMetrics,
}

pub(super) struct Families {
    pub(super) requests: IntCounterVec,
    pub(super) durations: HistogramVec,
    pub(super) client_durations: HistogramVec,
    denials: Box<[IntCounter]>,
    shadow_denials: IntCounterVec,
    stages: [Histogram; Stage::ALL.len()],
    pub(super) connections: IntGauge,
    pub(super) connections_refused: [IntCounter; CONNECTIONS_REFUSED.len()],
    pub(super) token_cache_hits: IntCounter,
    pub(super) token_cache_misses: IntCounter,
    pub(super) token_cache_entries: IntGauge,
    config_taken: IntCounter,
    config_rejected: IntCounter,
    config_success: IntGauge,
    config_timestamp: IntGauge,
}

/// What the audit spool counts.
#[derive(Clone)]
pub(super) struct AuditMetrics {
    pub(super) events: IntCounter,
    pub(super) dropped: IntCounter,
    pub(super) folded: IntCounter,
    pub(super) evicted: IntCounter,
    pub(super) writer_failures: IntCounter,
    pub(super) spool_bytes: IntGauge,
    pub(super) failing: IntGauge,
}

/// A part of a request's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From the head read to the request handed on, without the waits below: the proxy's own time.
    Decide,
    /// Waiting for a body that is looked at whole.
    Body,
    /// Waiting for an intent to be durable.
    Intent,
    /// Waiting for a connection to the service.
    Connect,
    /// From the request handed on to the head of the service's answer.
    Upstream,
}

impl Stage {
    const ALL: [Self; 5] = [
        Self::Decide,
        Self::Body,
        Self::Intent,
        Self::Connect,
        Self::Upstream,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Body => "body",
            Self::Intent => "intent",
            Self::Connect => "connect",
            Self::Upstream => "upstream",
        }
    }
}

/// Why a connection was refused before a request was read.
const CONNECTIONS_REFUSED: [&str; 2] = ["per_ip", "system"];

impl Metrics {
    /// Registers every family. `version` is the program's.
    pub fn new(version: &str) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let make = Make(&registry);
        let families = Arc::new(Families::new(&make)?);
        let audit = AuditMetrics::new(&make)?;
        let keys = KeyMetrics::new(&make, &registry)?;
        let spans = SpanMetrics::new(&make)?;
        let gauges = Gauges::new(&make)?;
        let secrets = SecretMetrics::new(&make)?;
        let exchanges = ExchangeFamilies::new(&make, &registry)?;
        let pins = PinMetrics::new(&make)?;
        make.gauges("outrider_build_info", "The program's version", &["version"])?
            .get_metric_with_label_values(&[version])?
            .set(1);
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        let unrouted = |scheme| {
            Arc::new(RouteMetrics::new(
                NO_ROUTE,
                "",
                scheme,
                Arc::clone(&families),
            ))
        };
        let unrouted = Scheme::ALL.map(unrouted);
        Ok(Self {
            registry,
            families,
            unrouted,
            audit,
            keys,
            spans,
            gauges,
            secrets,
            exchanges,
            pins,
        })
    }

    /// The children of one route. Made once when the configuration is loaded; `template` is its path as written.
    #[must_use]
    pub fn route(&self, name: &str, template: &str, scheme: Scheme) -> Arc<RouteMetrics> {
        Arc::new(RouteMetrics::new(
            name,
            template,
            scheme,
            Arc::clone(&self.families),
        ))
    }

    /// The children of one outbound, by its name in the configuration.
    #[must_use]
    pub fn exchange(&self, outbound: &str) -> ExchangeMetrics {
        self.exchanges.outbound(outbound)
    }

    /// A configuration came into force: the first one, or one that was read later.
    pub fn config_in_force(&self, now: Now) {
        self.families.config_success.set(1);
        self.families.config_timestamp.set(now.unix_seconds());
    }

    /// A configuration that was read while running came into force, or was refused and the one before stays.
    pub fn config_reloaded(&self, taken: bool) {
        if taken {
            self.families.config_taken.inc();
        } else {
            self.families.config_rejected.inc();
            self.families.config_success.set(0);
        }
    }

    /// The keys are so old and so many.
    pub fn keys(&self, age: Duration, keys: usize) {
        self.keys.show(age, keys);
    }

    /// A fetch of the keys has ended.
    pub fn keys_refreshed(&self, outcome: KeyRefresh) {
        self.keys.refreshed(outcome);
    }

    /// These secrets are in force, each with the second in which its value was first seen.
    pub fn secrets<'n>(&self, since: impl IntoIterator<Item = (&'n str, i64)>) {
        self.secrets.show(since);
    }

    /// A secret has another value than before.
    pub fn secret_changed(&self) {
        self.secrets.changed();
    }

    /// These endpoints of exchanges are in use, and this was seen of them.
    pub fn endpoints<'n>(&self, shown: impl IntoIterator<Item = EndpointShown<'n>>) {
        self.pins.show(shown);
    }

    /// A server was met whose certificate is good, but none of whose keys is pinned.
    pub fn pins_missed(&self, upstream: &str, host: &str, mode: PinMode) {
        self.pins.missed(upstream, host, mode);
    }

    /// A stage of a request took so long.
    pub fn stage(&self, stage: Stage, took: Duration) {
        if let Some(histogram) = self.families.stages.get(stage as usize) {
            histogram.observe(took.as_secs_f64());
        }
    }

    /// Everything in the Prometheus text format.
    #[must_use]
    pub fn text(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_default()
    }

    pub(super) const fn audit(&self) -> &AuditMetrics {
        &self.audit
    }

    pub(super) const fn unrouted(&self, scheme: Scheme) -> &Arc<RouteMetrics> {
        let [clear, secure] = &self.unrouted;
        match scheme {
            Scheme::Http => clear,
            Scheme::Https => secure,
        }
    }

    pub(super) fn denied(&self, cause: Cause) {
        if let Some(counter) = self.families.denials.get(cause as usize) {
            counter.inc();
        }
    }

    pub(super) fn shadow_denied(&self, noted: &Shadowed) {
        // Only a route in trial pays for this look-up; the rule's name is from the configuration.
        let rule = noted.rule.as_deref().unwrap_or(NO_ROUTE);
        if let Ok(counter) = self
            .families
            .shadow_denials
            .get_metric_with_label_values(&[rule])
        {
            counter.inc();
        }
    }
}

impl Families {
    fn new(make: &Make<'_>) -> prometheus::Result<Self> {
        let denials = make.counters("outrider_denials_total", "Refusals by cause", &["code"])?;
        let cache = make.counters(
            "outrider_token_cache_total",
            "Look-ups among the verified tokens",
            &["result"],
        )?;
        let refused = make.counters(
            "outrider_connections_refused_total",
            "Connections refused before a request was read",
            &["reason"],
        )?;
        let stages = make.histograms(
            "outrider_stage_duration_seconds",
            "Time of a part of a request",
            STAGE_BUCKETS,
            &["stage"],
        )?;
        let reloads = make.counters(
            "outrider_config_reloads_total",
            "Configurations read while running, by what became of them",
            &["outcome"],
        )?;
        let refusal = |why: &str| refused.with_label_values(&[why]);
        let stage = |stage: Stage| stages.with_label_values(&[stage.name()]);
        let denial = |cause: &Cause| denials.with_label_values(&[cause.code()]);
        Ok(Self {
            requests: make.counters(
                "outrider_requests_total",
                "Requests by how they ended",
                &["route", "outcome", "code"],
            )?,
            durations: make.histograms(
                "http_server_request_duration_seconds",
                "From the head of a request to the end of its answer",
                REQUEST_BUCKETS,
                &labels("http_route", "url_scheme"),
            )?,
            client_durations: make.histograms(
                "http_client_request_duration_seconds",
                "From a request handed to the service to the head of its answer",
                REQUEST_BUCKETS,
                &labels("server_address", "server_port"),
            )?,
            denials: Cause::ALL.iter().map(denial).collect(),
            shadow_denials: make.counters(
                "outrider_shadow_denials_total",
                "Refusals that were only noted",
                &["rule"],
            )?,
            stages: Stage::ALL.map(stage),
            connections: make.gauge("outrider_connections", "Open client connections")?,
            connections_refused: CONNECTIONS_REFUSED.map(refusal),
            config_taken: reloads.get_metric_with_label_values(&["success"])?,
            config_rejected: reloads.get_metric_with_label_values(&["rejected"])?,
            config_success: make.gauge(
                "outrider_config_last_reload_success",
                "0 while the newest configuration is refused and the one before is in force",
            )?,
            config_timestamp: make.gauge(
                "outrider_config_last_reload_timestamp_seconds",
                "When the configuration in force was taken",
            )?,
            token_cache_hits: cache.get_metric_with_label_values(&["hit"])?,
            token_cache_misses: cache.get_metric_with_label_values(&["miss"])?,
            token_cache_entries: make
                .gauge("outrider_token_cache_entries", "Verified tokens remembered")?,
        })
    }
}

impl AuditMetrics {
    fn new(make: &Make<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            events: make.counter("outrider_audit_events_total", "Audit events queued")?,
            dropped: make.counter(
                "outrider_audit_events_dropped_total",
                "Audit events lost because the buffer was full",
            )?,
            folded: make.counter(
                "outrider_audit_refusals_folded_total",
                "Refusals of strangers that were counted in an event of many",
            )?,
            evicted: make.counter(
                "outrider_audit_events_evicted_total",
                "Audit events removed because the spool was full",
            )?,
            writer_failures: make.counter(
                "outrider_audit_writer_failures_total",
                "Failed tries to write or sync the spool",
            )?,
            spool_bytes: make.gauge("outrider_audit_spool_bytes", "Bytes of all segments")?,
            failing: make.gauge(
                "outrider_audit_failing",
                "1 while the spool cannot be written",
            )?,
        })
    }
}

/// The labels of a table of durations.
fn labels<'l>(one: &'l str, two: &'l str) -> [&'l str; 5] {
    let [method, status, error] = durations::LABELS;
    [one, two, method, status, error]
}

/// Makes and registers families.
pub(super) struct Make<'r>(&'r Registry);

impl Make<'_> {
    pub(super) fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        let made = IntCounter::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        let made = IntGauge::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    pub(super) fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntGaugeVec> {
        let made = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    pub(super) fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        let made = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        labels: &[&str],
    ) -> prometheus::Result<HistogramVec> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let made = HistogramVec::new(options, labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};

    use super::*;
    use crate::record::outcome::Code;
    use crate::record::{ConnectionTotals, Outcome};

    #[test]
    fn a_hostile_client_cannot_grow_the_series() {
        let metrics = Metrics::new("1").unwrap();
        let route = metrics.route("orders", "/orders", Scheme::Http);
        let round = |from: u32| {
            for at in from..from + 20_000 {
                let method = Method::from_bytes(format!("M{at}").as_bytes()).unwrap();
                let status = StatusCode::from_u16(100 + u16::try_from(at % 900).unwrap()).unwrap();
                route.observe(Some(&method), Some(status), None, Duration::ZERO);
                metrics.unrouted(Scheme::Http).observe(
                    Some(&method),
                    Some(status),
                    None,
                    Duration::ZERO,
                );
                route.count(Outcome::Success, Code::None);
            }
            metrics.text().lines().count()
        };
        let before = round(0);
        assert_eq!(round(1_000_000), before);
    }

    #[test]
    fn the_text_names_the_families() {
        let metrics = Metrics::new("1.2.3").unwrap();
        let route = metrics.route("orders", "/orders", Scheme::Http);
        route.count(Outcome::Denied, Code::Cause(Cause::TokenInvalid));
        metrics.denied(Cause::TokenInvalid);
        let totals = ConnectionTotals {
            open: 3,
            refused_per_ip: 1,
            ..ConnectionTotals::default()
        };
        metrics.show_connections(totals);
        metrics.show_connections(totals);
        let text = metrics.text();
        for line in [
            "outrider_build_info{version=\"1.2.3\"} 1",
            "outrider_requests_total{code=\"authn.invalid_token\",outcome=\"denied\",route=\"orders\"} 1",
            "outrider_denials_total{code=\"authn.invalid_token\"} 1",
            "outrider_connections 3",
            "outrider_connections_refused_total{reason=\"per_ip\"} 1",
            "outrider_audit_events_total 0",
            "process_open_fds",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
