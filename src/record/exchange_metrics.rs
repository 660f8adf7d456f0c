//! What is shown of an exchange's limits and time, for each outbound. The one label is the outbound's name, from the
//! configuration; never a host, a key or a path.

use std::time::Duration;

use prometheus::{Gauge, GaugeVec, IntCounter, IntGauge, IntGaugeVec, Opts, Registry};

use super::metrics::Make;

const LABEL: &str = "outbound";

/// The gauges and counters of one outbound. Made once when the configuration is loaded; clones are the same.
#[derive(Clone)]
pub struct ExchangeMetrics {
    weight: Full,
    orders: Full,
    halted_until: IntGauge,
    halts: IntCounter,
    refused: IntCounter,
    coalesced: IntCounter,
    late_answers: IntCounter,
    clock_offset: Gauge,
    clock_uncertainty: Gauge,
    clock_unsynced: IntGauge,
    clock_steps: IntCounter,
    sockets: IntGauge,
}

/// A WebSocket to an exchange, counted as open until this is dropped.
pub struct CountedSocket(IntGauge);

impl Drop for CountedSocket {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// How much is spent, and of how much.
#[derive(Clone)]
struct Full {
    used: IntGauge,
    limit: IntGauge,
}

/// What there is to show of an exchange's limits at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetShown {
    /// Weight spent, and the limit, of the window that is nearest to its limit.
    pub weight: Option<(u64, u64)>,
    /// Orders counted, and the limit, of the window that is nearest to its limit.
    pub orders: Option<(u64, u64)>,
    /// Until when nothing is sent because the exchange said stop, in seconds since 1970.
    pub halted_until: Option<i64>,
}

/// What there is to show of an exchange's time at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockShown {
    /// The exchange's time minus this machine's, in microseconds.
    pub offset_us: i64,
    /// How far off that may be.
    pub uncertainty: Duration,
    /// Whether nothing can be signed.
    pub is_unsynced: bool,
    /// How often either clock was set since the start.
    pub steps: u64,
}

impl ExchangeMetrics {
    /// Limits and stops as they are now.
    pub fn show_budget(&self, shown: BudgetShown) {
        self.weight.show(shown.weight);
        self.orders.show(shown.orders);
        self.halted_until.set(shown.halted_until.unwrap_or(0));
    }

    /// Time as it is now.
    pub fn show_clock(&self, shown: ClockShown) {
        self.clock_offset.set(seconds(shown.offset_us));
        self.clock_uncertainty.set(shown.uncertainty.as_secs_f64());
        self.clock_unsynced.set(i64::from(shown.is_unsynced));
        let known = self.clock_steps.get();
        self.clock_steps.inc_by(shown.steps.saturating_sub(known));
    }

    /// A request was refused here, so that the exchange need not.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// The exchange said stop.
    pub fn halted(&self) {
        self.halts.inc();
    }

    /// A public question was answered with what another one brought.
    pub fn coalesced(&self) {
        self.coalesced.inc();
    }

    /// An answer came when its request had been given up.
    pub fn answered_late(&self) {
        self.late_answers.inc();
    }

    /// A WebSocket is open from now on.
    #[must_use]
    pub fn socket(&self) -> CountedSocket {
        self.sockets.inc();
        CountedSocket(self.sockets.clone())
    }

    /// WebSockets that are open now.
    #[must_use]
    pub fn sockets(&self) -> i64 {
        self.sockets.get()
    }
}

impl Full {
    fn show(&self, full: Option<(u64, u64)>) {
        let (used, limit) = full.unwrap_or_default();
        self.used.set(i64::try_from(used).unwrap_or(i64::MAX));
        self.limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge of seconds keeps microseconds for centuries"
)]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

/// The families, of which every outbound has its children.
#[derive(Clone)]
pub(super) struct ExchangeFamilies {
    weight_used: IntGaugeVec,
    weight_limit: IntGaugeVec,
    orders_used: IntGaugeVec,
    orders_limit: IntGaugeVec,
    halted_until: IntGaugeVec,
    halts: prometheus::IntCounterVec,
    refused: prometheus::IntCounterVec,
    coalesced: prometheus::IntCounterVec,
    late_answers: prometheus::IntCounterVec,
    clock_offset: GaugeVec,
    clock_uncertainty: GaugeVec,
    clock_unsynced: IntGaugeVec,
    clock_steps: prometheus::IntCounterVec,
    sockets: IntGaugeVec,
}

impl ExchangeFamilies {
    pub(super) fn new(make: &Make<'_>, registry: &Registry) -> prometheus::Result<Self> {
        let seconds = |name: &str, help: &str| {
            let made = GaugeVec::new(Opts::new(name, help), &[LABEL])?;
            registry.register(Box::new(made.clone()))?;
            Ok::<_, prometheus::Error>(made)
        };
        let gauges = |name, help| make.gauges(name, help, &[LABEL]);
        let counters = |name, help| make.counters(name, help, &[LABEL]);
        Ok(Self {
            weight_used: gauges(
                "outrider_exchange_weight_used",
                "Request weight spent in the window that is nearest to its limit",
            )?,
            weight_limit: gauges("outrider_exchange_weight_limit", "The limit of that window")?,
            orders_used: gauges(
                "outrider_exchange_orders_used",
                "Orders counted in the window that is nearest to its limit",
            )?,
            orders_limit: gauges("outrider_exchange_orders_limit", "The limit of that window")?,
            halted_until: gauges(
                "outrider_exchange_halted_until_timestamp_seconds",
                "Until when nothing is sent because the exchange said stop; 0 if it did not",
            )?,
            halts: counters(
                "outrider_exchange_halts_total",
                "Answers with which the exchange said stop (429, 418, 403)",
            )?,
            refused: counters(
                "outrider_exchange_refused_total",
                "Requests refused here because the exchange would have refused them",
            )?,
            coalesced: counters(
                "outrider_exchange_coalesced_total",
                "Public questions answered with what another one brought",
            )?,
            late_answers: counters(
                "outrider_exchange_late_answers_total",
                "Answers to frames of WebSockets that came when they had been given up",
            )?,
            clock_offset: seconds(
                "outrider_exchange_clock_offset_seconds",
                "The exchange's time minus this machine's",
            )?,
            clock_uncertainty: seconds(
                "outrider_exchange_clock_uncertainty_seconds",
                "How far off the offset may be",
            )?,
            clock_unsynced: gauges(
                "outrider_exchange_clock_unsynced",
                "1 while the exchange's time is not known well enough to sign",
            )?,
            clock_steps: counters(
                "outrider_exchange_clock_steps_total",
                "How often the exchange's clock or this machine's was set",
            )?,
            sockets: gauges(
                "outrider_exchange_sockets",
                "WebSockets to the exchange that are open now",
            )?,
        })
    }

    /// The children of one outbound.
    pub(super) fn outbound(&self, name: &str) -> ExchangeMetrics {
        let label = [name];
        let full = |used: &IntGaugeVec, limit: &IntGaugeVec| Full {
            used: used.with_label_values(&label),
            limit: limit.with_label_values(&label),
        };
        ExchangeMetrics {
            weight: full(&self.weight_used, &self.weight_limit),
            orders: full(&self.orders_used, &self.orders_limit),
            halted_until: self.halted_until.with_label_values(&label),
            halts: self.halts.with_label_values(&label),
            refused: self.refused.with_label_values(&label),
            coalesced: self.coalesced.with_label_values(&label),
            late_answers: self.late_answers.with_label_values(&label),
            clock_offset: self.clock_offset.with_label_values(&label),
            clock_uncertainty: self.clock_uncertainty.with_label_values(&label),
            clock_unsynced: self.clock_unsynced.with_label_values(&label),
            clock_steps: self.clock_steps.with_label_values(&label),
            sockets: self.sockets.with_label_values(&label),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Metrics;

    #[test]
    fn the_text_tells_what_is_shown_by_the_name_of_the_outbound() {
        let metrics = Metrics::new("1").unwrap();
        let binance = metrics.exchange("binance");
        let _quiet = metrics.exchange("other");
        binance.show_budget(BudgetShown {
            weight: Some((5_400, 6_000)),
            orders: Some((45, 50)),
            halted_until: Some(1_795_392_000),
        });
        binance.show_clock(ClockShown {
            offset_us: -1_250_000,
            uncertainty: Duration::from_millis(15),
            is_unsynced: true,
            steps: 2,
        });
        binance.refused();
        binance.halted();
        binance.coalesced();
        binance.answered_late();
        let _open = binance.socket();
        drop(binance.socket());
        let text = metrics.text();
        for (name, value) in [
            ("weight_used", "5400"),
            ("weight_limit", "6000"),
            ("orders_used", "45"),
            ("orders_limit", "50"),
            ("halted_until_timestamp_seconds", "1795392000"),
            ("halts_total", "1"),
            ("refused_total", "1"),
            ("coalesced_total", "1"),
            ("late_answers_total", "1"),
            ("clock_offset_seconds", "-1.25"),
            ("clock_uncertainty_seconds", "0.015"),
            ("clock_unsynced", "1"),
            ("clock_steps_total", "2"),
            ("sockets", "1"),
        ] {
            let line = format!("outrider_exchange_{name}{{outbound=\"binance\"}} {value}\n");
            assert!(text.contains(&line), "{line} is not in\n{text}");
            let quiet = format!("outrider_exchange_{name}{{outbound=\"other\"}} 0\n");
            assert!(text.contains(&quiet), "{quiet}");
        }
    }
}
