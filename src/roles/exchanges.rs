//! The endpoints of exchanges: what is told of a server that is not believed, and what somebody should look at. Wiring
//! only.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Outbound;
use crate::forward::exchange::{Chain, Exchange, Mismatch, OnMismatch};
use crate::model::clock::{Clock, Now};
use crate::model::fault::{Fault, Faults};
use crate::model::pins::{PinMode, SpkiPin};
use crate::record::{EndpointShown, Metrics, PinMismatch, Recorder};

/// How long before its end a certificate is remarked on. Public ones are renewed some weeks before they end.
const CERTIFICATE_BEFORE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The same for pins: time for a person to look at the chain and write new ones.
const PINS_BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);

/// What is wrong with the endpoints of the ways out: CA files without a certificate, names that no certificate has, pins
/// that have expired. Makes each as the running program does, and lets it go.
#[must_use]
pub fn judge(outbound: &[Outbound], clock: &Arc<dyn Clock>) -> Vec<Fault> {
    let mut faults = Faults::default();
    for (_, endpoint) in outbound.iter().flat_map(|one| &one.endpoints) {
        let unheard: OnMismatch = Arc::new(|_| {});
        // What is noted says it all.
        let _made = Exchange::new(endpoint.clone(), clock, unheard, &mut faults);
    }
    faults.into_sorted()
}

/// What is done about a chain none of whose keys is pinned: it is counted each time, and told in the log and in evidence
/// once a minute.
pub(super) fn tell(recorder: &Recorder, missed: &Mismatch<'_>) {
    let (endpoint, mode) = (missed.endpoint, missed.mode);
    let (upstream, host, port) = (&endpoint.upstream, &endpoint.host, endpoint.port);
    recorder.metrics().pins_missed(upstream, host, mode);
    if missed.repeated {
        return;
    }
    let keys = keys(missed.chain);
    let seen: Vec<String> = keys
        .iter()
        .map(|(level, pin)| format!("{level} {pin}"))
        .collect();
    let seen = seen.join(", ");
    match mode {
        PinMode::Enforce => tracing::error!(
            %upstream, %host, port, %seen,
            "no key of the chain is pinned; the connection was closed unused"
        ),
        PinMode::Report => tracing::warn!(
            %upstream, %host, port, %seen,
            "no key of the chain is pinned; pin_mode: enforce would close the connection"
        ),
    }
    recorder.pin_mismatch(&PinMismatch {
        upstream,
        host,
        port,
        mode,
        keys: &keys,
    });
}

/// Tells the metrics which servers there are, and when their certificates and pins end.
pub(super) fn show<'e>(metrics: &Metrics, exchanges: impl IntoIterator<Item = &'e Exchange>) {
    let shown = exchanges.into_iter().map(|exchange| {
        let (endpoint, chain) = (exchange.endpoint(), exchange.seen().chain());
        EndpointShown {
            upstream: &endpoint.upstream,
            host: &endpoint.host,
            certificates_end: chain.as_ref().and_then(|chain| chain.not_after()),
            pins_end: pins_end(exchange),
            keys: chain.map(|chain| keys(&chain)).unwrap_or_default(),
        }
    });
    metrics.endpoints(shown);
}

/// What somebody should look at: pins and certificates that soon end, pins that the next renewal breaks.
pub(super) fn remark<'e>(
    exchanges: impl IntoIterator<Item = &'e Exchange>,
    now: Now,
) -> Option<String> {
    let remarks: Vec<String> = exchanges
        .into_iter()
        .flat_map(|exchange| remarks(exchange, now.unix_seconds()))
        .collect();
    (!remarks.is_empty()).then(|| remarks.join(", "))
}

fn remarks(exchange: &Exchange, now: i64) -> Vec<String> {
    let host = &exchange.endpoint().host;
    let chain = exchange.seen().chain();
    let certificates = chain.and_then(|chain| chain.not_after());
    let ends = [
        ("a certificate", certificates, CERTIFICATE_BEFORE),
        ("the pins", pins_end(exchange), PINS_BEFORE),
    ];
    let mut remarks: Vec<String> = ends
        .into_iter()
        .filter_map(|(what, end, before)| {
            let left = end?.saturating_sub(now);
            let soon = left < i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            soon.then(|| format!("{what} of {host}: {} days left", left.max(0) / (24 * 3600)))
        })
        .collect();
    if exchange.is_pinned_only_at_leaf() {
        remarks.push(format!(
            "only the leaf of {host} is pinned, and it will be renewed"
        ));
    }
    remarks
}

fn pins_end(exchange: &Exchange) -> Option<i64> {
    let pins = exchange.endpoint().pins.as_ref();
    pins.and_then(|pins| pins.value.expires())
}

fn keys(chain: &Chain) -> Vec<(&'static str, SpkiPin)> {
    let links = chain.links().iter();
    links.map(|link| (link.level.name(), link.pin)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::model::clock::FixedClock;
    use crate::model::decode::Placed;
    use crate::model::endpoint::Endpoint;
    use crate::model::node::Place;
    use crate::model::pins::PinSet;
    use crate::model::settings::TlsVersion;

    const DAY: i64 = 24 * 3600;
    const NOW: Now = Now {
        mono_ns: 0,
        unix_us: 1_782_864_000_000_000,
    };

    fn exchange(pins_end: Option<i64>) -> Exchange {
        let pins = [1, 2].map(|number| SpkiPin::of_digest([number; 32]));
        let endpoint = Endpoint {
            upstream: "binance".to_owned(),
            host: "api.example".to_owned(),
            port: 443,
            server_name: "api.example".to_owned(),
            ca: None,
            pins: Some(Placed {
                value: PinSet::new(pins, PinMode::Enforce, pins_end).unwrap(),
                place: Place::Default,
            }),
            min_version: TlsVersion::V1_3,
            place: Place::Default,
        };
        let clock: Arc<dyn Clock> = Arc::new(FixedClock(NOW));
        let told: OnMismatch = Arc::new(|_| {});
        Exchange::new(endpoint, &clock, told, &mut Faults::default()).unwrap()
    }

    #[test]
    fn pins_that_end_soon_are_remarked_on() {
        let now = NOW.unix_seconds();
        let remarked = |end: Option<i64>| remark([&exchange(end)], NOW);
        assert_eq!(remarked(None), None);
        assert_eq!(remarked(Some(now + 30 * DAY)), None);
        let soon = remarked(Some(now + 29 * DAY + 5));
        assert_eq!(
            soon.as_deref(),
            Some("the pins of api.example: 29 days left")
        );
    }

    #[test]
    fn metrics_show_what_is_known_and_forget_what_is_gone() {
        let metrics = Metrics::new("1").unwrap();
        let end = NOW.unix_seconds() + DAY;
        let labels = "{host=\"api.example\",upstream=\"binance\"}";
        let line = format!("outrider_pin_expiry_timestamp_seconds{labels} {end}");
        show(&metrics, [&exchange(Some(end))]);
        assert!(metrics.text().contains(&line), "{}", metrics.text());
        show(&metrics, []);
        assert!(!metrics.text().contains(&line));
    }
}
