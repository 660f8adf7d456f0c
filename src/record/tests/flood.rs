//! Refusals of strangers without end.

use super::*;

/// A clock that stands still, so that everything falls into one window.
struct Still(Now);

impl Clock for Still {
    fn now(&self) -> Now {
        self.0
    }
}

#[test]
fn a_flood_of_strangers_is_one_event_and_known_callers_have_one_each() {
    let mut bench = Bench::by(Arc::new(Still(SystemClock::new().now())));
    let metrics = bench.recorder.as_ref().unwrap().metrics().clone();
    let refuse = |cause, who: Option<&str>| {
        let mut record = bench.open();
        record.facts(&facts("/orders"));
        if let Some(who) = who {
            record.caller(&caller(who));
        }
        record.denied(&Denial::new(cause, "as often as you like"));
        record.close(bench.now());
    };
    for _ in 0..500 {
        refuse(Cause::TokenInvalid, None);
    }
    for _ in 0..50 {
        refuse(Cause::PermissionMissing, Some("alice"));
    }
    refuse(Cause::Path, None);
    let answered = bench.open();
    answered.close(bench.now());
    let events = bench.requests();
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], at + 1, "numbered without gaps");
    }
    let of = |kind: &str, code: &str| {
        let like =
            |event: &&Value| event["action"]["type"] == kind && event["reason"]["code"] == code;
        events.iter().filter(like).collect::<Vec<_>>()
    };
    // A hundred of a minute's 300, and a tenth of those for one address and cause.
    assert_eq!(of("http.request", "authn.invalid_token").len(), 10);
    assert_eq!(of("http.request", "authz.insufficient_scope").len(), 50);
    assert_eq!(of("http.request", "request.path").len(), 1);
    let folded = of("http.refusals", "authn.invalid_token");
    assert_eq!(folded.len(), 1);
    assert_eq!(folded[0]["folded"]["count"], 490);
    assert_eq!(folded[0]["actor"]["ip"], "198.51.100.7");
    assert_eq!(folded[0]["outcome"], "denied");
    let told = |name: &str| folded[0]["folded"][name].as_str().unwrap().to_owned();
    assert!(told("first") <= told("last") && told("last").ends_with('Z'));
    assert_eq!(events.len(), 10 + 50 + 1 + 1 + 1);
    let page = metrics.text();
    assert!(
        page.contains("outrider_audit_refusals_folded_total 490"),
        "{page}"
    );
}
