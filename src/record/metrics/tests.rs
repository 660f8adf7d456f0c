//! What the metrics say, and that names stay bounded.

use super::*;

#[test]
fn a_hostile_client_cannot_grow_the_series() {
    let metrics = Metrics::new("1").unwrap();
    let route = metrics.route("orders", "/orders");
    let round = |from: u32| {
        for at in from..from + 20_000 {
            let method = Method::from_bytes(format!("M{at}").as_bytes()).unwrap();
            let status = StatusCode::from_u16(100 + u16::try_from(at % 900).unwrap()).unwrap();
            route.observe(Some(&method), Some(status), Duration::ZERO);
            metrics
                .unrouted()
                .observe(Some(&method), Some(status), Duration::ZERO);
            route.count(Outcome::Success, None);
        }
        metrics.text().lines().count()
    };
    let before = round(0);
    assert_eq!(round(1_000_000), before);
}

#[test]
fn every_status_and_method_has_a_name() {
    assert!(STATUSES.is_sorted());
    let named = |code| status_name(status_index(Some(StatusCode::from_u16(code).unwrap())));
    assert_eq!(named(200), "200");
    assert_eq!(named(299), "2xx");
    assert_eq!(named(418), "4xx");
    assert_eq!(named(999), "5xx");
    assert_eq!(status_name(status_index(None)), "none");
    assert_eq!(METHODS[method_index(Some(&Method::PATCH))], "PATCH");
    assert_eq!(METHODS[method_index(None)], "_OTHER");
}

#[test]
fn the_text_names_the_families() {
    let metrics = Metrics::new("1.2.3").unwrap();
    let route = metrics.route("orders", "/orders");
    route.count(Outcome::Denied, Some(Cause::TokenInvalid));
    metrics.denied(Cause::TokenInvalid);
    metrics.connection_refused(ConnectionRefused::PerIp);
    let text = metrics.text();
    for line in [
        "outrider_build_info{version=\"1.2.3\"} 1",
        "outrider_requests_total{code=\"authn.invalid_token\",outcome=\"denied\",route=\"orders\"} 1",
        "outrider_denials_total{code=\"authn.invalid_token\"} 1",
        "outrider_connections_refused_total{reason=\"per_ip\"} 1",
        "outrider_audit_events_total 0",
        "process_open_fds",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
