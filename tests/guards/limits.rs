//! Limits: what is counted apart, what cannot escape them, what is told, and what is never given back.

use std::time::Duration;

use outrider::decide::Said;
use outrider::model::denial::{Advice, Cause};
use outrider::pipeline::Snapshot;
use serde_json::json;

use crate::support::{Ask, ask, get, line, policy, refusable};

const SECOND: u64 = 1_000_000_000;

fn open(limits: &str) -> Snapshot {
    policy(
        "",
        &format!("- {{ name: here, match: {{ path: /** }}, anonymous: true, limits: [{limits}] }}"),
    )
}

fn known(limits: &str) -> Snapshot {
    policy(
        "",
        &format!("- {{ name: here, match: {{ path: /** }}, limits: [{limits}] }}"),
    )
}

/// The first is granted; each of the others is granted exactly if it says so.
fn after_one(snapshot: &Snapshot, first: &Ask, others: &[(Ask, bool)]) {
    assert_eq!(first.spent(snapshot), None);
    for (other, granted) in others {
        let expected = (!granted).then_some(Cause::RateLimited);
        assert_eq!(other.spent(snapshot), expected, "{other:?}");
    }
}

#[test]
fn per_user_counts_the_subject_of_the_token() {
    let snapshot = known("{ name: few, per: user, rate: 1/h }");
    let alice = |claims| get().by("alice", claims);
    after_one(
        &snapshot,
        &alice(json!({})),
        &[
            (alice(json!({})), false),
            (alice(json!({"jti": "other", "sid": "other"})), false),
            (alice(json!({"roles": ["trader"]})).from("192.0.2.1"), false),
            (get().by("bob", json!({})), true),
            (get().by("Alice", json!({})), true),
            (get().by("alice ", json!({})), true),
        ],
    );
}

#[test]
fn per_client_ip_counts_v4_whole_and_v6_by_its_64() {
    let snapshot = open("{ name: few, per: client_ip, rate: 1/h }");
    let at = |address: &str| get().from(address);
    after_one(
        &snapshot,
        &at("192.0.2.1"),
        &[
            (at("192.0.2.1"), false),
            (at("::ffff:192.0.2.1"), false),
            (at("192.0.2.2"), true),
        ],
    );
    after_one(
        &snapshot,
        &at("2001:db8:1:1::1"),
        &[
            (at("2001:db8:1:1::2"), false),
            (at("2001:db8:1:1:ffff:ffff:ffff:ffff"), false),
            (at("2001:db8:1:2::1"), true),
            (at("2001:db8:1:0:ffff::1"), true),
        ],
    );
}

#[test]
fn case_88_nothing_that_a_client_may_vary_opens_a_new_bucket() {
    let by_user = known("{ name: few, per: user, rate: 1/h }");
    let by_address = known("{ name: few, per: client_ip, rate: 1/h }");
    let host_bits = |n: u32| format!("2001:db8:9:9:{n:x}::{n:x}");
    for snapshot in [by_user, by_address] {
        let alice = || get().by("alice", json!({}));
        assert_eq!(alice().from(&host_bits(0)).spent(&snapshot), None);
        for (n, request) in (1..).zip([
            alice(),
            alice().with("x-forwarded-for", "198.51.100.1"),
            alice().with("x-real-ip", "198.51.100.1"),
            alice().with("forwarded", "for=198.51.100.1"),
            alice().with("user-agent", "another"),
            alice().with("x-request-id", "another"),
            alice().with("host", "other.example"),
            alice().with("host", "orders.example:8443"),
            ask("GET", "/A").by("alice", json!({})),
            ask("GET", "/a?nonce=1").by("alice", json!({})),
            ask("GET", "/a?").by("alice", json!({})),
            ask("POST", "/").by("alice", json!({})),
            ask("HEAD", "/").by("alice", json!({})),
        ]) {
            let request = request.from(&host_bits(n));
            let refusal = request.spent(&snapshot);
            assert_eq!(refusal, Some(Cause::RateLimited), "{request:?}");
        }
    }
}

#[test]
fn case_89_parts_of_a_key_cannot_run_into_each_other() {
    let snapshot = known("{ name: few, per: \"claim:desk\", rate: 1/h }");
    let desk = |subject: &str, desk: &str| get().by(subject, json!({"desk": desk}));
    after_one(
        &snapshot,
        &desk("a", "b:c"),
        &[
            (desk("a:b", "c"), true),
            (desk("a", "b"), true),
            (desk("a", "b:c:"), true),
            (desk("x", "b:c"), false),
        ],
    );
    let routes = "- { name: c, match: { path: /c } }\n- { name: bc, match: { path: /bc } }";
    let limit = "limits: [{ name: few, per: user, rate: 1/h }]";
    let shared = policy(limit, routes);
    let call = |subject: &str, path: &str| ask("GET", path).by(subject, json!({}));
    after_one(
        &shared,
        &call("a:b", "/c"),
        &[
            (call("a", "/bc"), true),
            (call("a:b", "/bc"), false),
            (call("a:b:c", "/c"), true),
        ],
    );
}

#[test]
fn limits_of_several_kinds_never_share_a_bucket() {
    let limits = "{ name: u, per: user, rate: 2/h }, { name: d, per: \"claim:desk\", rate: 1/h }";
    let snapshot = known(limits);
    let call = |subject: &str, desk: &str| get().by(subject, json!({"desk": desk}));
    after_one(
        &snapshot,
        &call("fx", "rates"),
        &[
            (call("rates", "fx"), true),
            (call("fx", "rates"), false),
            (call("someone", "rates"), false),
        ],
    );
}

#[test]
fn per_route_counts_by_route_and_per_all_counts_everything() {
    let routes = "- { name: one, match: { path: /one }, anonymous: true }\n\
                  - { name: two, match: { path: /two/** }, anonymous: true }";
    let by_route = policy("limits: [{ name: few, per: route, rate: 1/h }]", routes);
    after_one(
        &by_route,
        &ask("GET", "/two/a"),
        &[
            (ask("GET", "/one").from("192.0.2.1"), true),
            (ask("GET", "/two/b").from("192.0.2.2"), false),
        ],
    );
    let for_all = policy("limits: [{ name: few, per: all, rate: 1/h }]", routes);
    after_one(
        &for_all,
        &ask("GET", "/one"),
        &[
            (ask("GET", "/two").from("192.0.2.1"), false),
            (ask("POST", "/two").by("a", json!({})), false),
        ],
    );
}

#[test]
fn a_claim_that_is_missing_frees_nobody() {
    let snapshot = known("{ name: few, per: \"claim:desk\", rate: 1/h }");
    after_one(
        &snapshot,
        &get().by("a", json!({})),
        &[
            (get().by("b", json!({})), false),
            (get().by("c", json!({"desk": null})), false),
            (get().by("d", json!({"desk": ["x"]})), false),
            (get().by("e", json!({"desk": {"x": 1}})), false),
            (get().by("f", json!({"desk": "x".repeat(257)})), false),
            (get().by("g", json!({"desk": "x"})), true),
            (get().by("h", json!({"desk": 7})), true),
            (get().by("i", json!({"desk": true})), true),
        ],
    );
}

#[test]
fn case_92_exactly_the_burst_passes_and_the_wait_is_true_to_the_nanosecond() {
    let snapshot = open("{ name: few, per: all, rate: 10/s, burst: 3 }");
    for left in [2, 1, 0] {
        let quota = get().live(&snapshot).unwrap().quota.unwrap();
        assert_eq!((quota.remaining, quota.burst), (left, 3));
        assert_eq!(&*quota.name, "few");
    }
    let denial = get().live(&snapshot).unwrap_err();
    assert_eq!(denial.cause, Cause::RateLimited);
    let Advice::Quota(quota) = denial.advice else {
        panic!("a spent limit tells its state");
    };
    assert_eq!((quota.remaining, quota.burst), (0, 3));
    assert_eq!(quota.more_in, Duration::from_millis(100));
    for (after, refused) in [
        (SECOND / 10 - 1, true),
        (SECOND / 10, false),
        (SECOND / 10, true),
        (SECOND / 5, false),
    ] {
        let refusal = get().after(after).spent(&snapshot);
        assert_eq!(
            refusal,
            refused.then_some(Cause::RateLimited),
            "after {after} ns"
        );
    }
    // A bucket never holds more than its burst, however long nobody comes.
    let much_later = 1000 * SECOND;
    let granted = (0..10).filter(|_| get().after(much_later).spent(&snapshot).is_none());
    assert_eq!(granted.count(), 3);
}

#[test]
fn a_clock_that_is_set_back_revives_no_bucket() {
    let snapshot = open("{ name: few, per: all, rate: 1/h }");
    after_one(
        &snapshot,
        &get(),
        &[
            (get().on_the_wall(-3600), false),
            (get().on_the_wall(7200), false),
            (get().after(3600 * SECOND).on_the_wall(-3600), true),
        ],
    );
}

#[test]
fn without_a_burst_the_number_of_the_rate_passes_at_once() {
    let snapshot = open("{ name: few, per: all, rate: 4/min }");
    let granted = (0..10).filter(|_| get().spent(&snapshot).is_none());
    assert_eq!(granted.count(), 4);
}

#[test]
fn the_tightest_is_told() {
    let limits = "{ name: wide, per: all, rate: 100/min }, { name: narrow, per: all, rate: 2/h }";
    let snapshot = open(limits);
    for left in [1, 0] {
        let quota = get().live(&snapshot).unwrap().quota.unwrap();
        assert_eq!((&*quota.name, quota.remaining), ("narrow", left));
    }
    let denial = get().live(&snapshot).unwrap_err();
    let Advice::Quota(quota) = denial.advice else {
        panic!("a spent limit tells its state");
    };
    assert_eq!(&*quota.name, "narrow");
    assert_eq!(denial.rule.unwrap().to_string(), "here/limits.narrow");

    let equal = "{ name: quick, per: all, rate: 5/s }, { name: slow, per: all, rate: 5/d }, { name: brisk, per: all, rate: 5/min }";
    let quota = get().live(&open(equal)).unwrap().quota.unwrap();
    assert_eq!(&*quota.name, "slow", "of equals the one that lasts longest");
}

#[test]
fn the_routes_limits_are_asked_before_the_listeners() {
    let route = "- { name: here, match: { path: /** }, anonymous: true, limits: [{ name: own, per: all, rate: 1/h }] }";
    let snapshot = policy("limits: [{ name: shared, per: all, rate: 3/h }]", route);
    assert_eq!(get().spent(&snapshot), None);
    let denial = get().live(&snapshot).unwrap_err();
    assert_eq!(denial.rule.unwrap().to_string(), "here/limits.own");
    // Refused by the route's own, so the listener's is spent once only.
    let quota = get().after(3600 * SECOND).live(&snapshot).unwrap().quota;
    assert_eq!(quota.unwrap().remaining, 0);
}

#[test]
fn a_shadowed_limit_spends_its_own_bucket_and_changes_nothing() {
    let limits =
        "{ name: tried, per: all, rate: 1/h, mode: shadow }, { name: real, per: all, rate: 3/h }";
    let snapshot = open(limits);
    for (left, noted) in [(2, 0), (1, 1), (0, 1)] {
        let passed = get().live(&snapshot).unwrap();
        let quota = passed.quota.unwrap();
        assert_eq!(
            (&*quota.name, quota.remaining),
            ("real", left),
            "a shadow is not told"
        );
        assert_eq!(passed.shadow.len(), noted);
        for shadow in passed.shadow {
            assert_eq!(shadow.cause, Cause::RateLimited);
            assert_eq!(shadow.rule.unwrap().to_string(), "here/limits.tried");
        }
    }
    let denial = get().live(&snapshot).unwrap_err();
    assert_eq!(denial.rule.unwrap().to_string(), "here/limits.real");
}

#[test]
fn a_shadowed_limit_stands_in_no_policy_field() {
    let limits = "{ name: tried, per: all, rate: 1/h, mode: shadow }, { name: real, per: all, rate: 3/h, burst: 2 }";
    let snapshot = open(limits);
    let told = snapshot.policy.routes[0].limit_policy.as_ref().unwrap();
    assert_eq!(told, "\"real\";q=2;w=2400");
}

#[test]
fn a_question_spends_nothing_and_names_the_limit() {
    let snapshot = open("{ name: few, per: all, rate: 1/h }");
    for _ in 0..10 {
        let found = get().explained(&snapshot);
        assert_eq!(line(&found, "here/limits.few").said, Said::Named);
    }
    assert_eq!(snapshot.ledger.keys(), 0);
    assert_eq!(get().spent(&snapshot), None);
    let found = get().explained(&snapshot);
    assert_eq!(
        line(&found, "here/limits.few").said,
        Said::Named,
        "a spent bucket does not change the answer to a question"
    );
}

#[test]
fn what_is_refused_before_the_limit_spends_nothing() {
    let route = "- { name: here, match: { path: /here }, require: { permissions: [orders:place] }, deny_ips: [192.0.2.1], limits: [{ name: few, per: all, rate: 1/h }] }";
    let snapshot = policy("", route);
    let here = || ask("GET", "/here");
    for (request, cause) in [
        (here(), Cause::CredentialsMissing),
        (here().token("junk"), Cause::TokenInvalid),
        (here().known(), Cause::PermissionMissing),
        (here().known().from("192.0.2.1"), Cause::Ip),
        (ask("GET", "/nowhere"), Cause::RouteNone),
        (ask("GET", "/h%65re"), Cause::Path),
    ] {
        for _ in 0..3 {
            assert_eq!(request.spent(&snapshot), Some(cause));
        }
    }
    let trader = here().by("a", json!({"roles": ["trader"]}));
    assert_eq!(trader.spent(&snapshot), None);
    assert_eq!(trader.spent(&snapshot), Some(Cause::RateLimited));
}

#[test]
fn a_later_refusal_does_not_give_back_what_was_spent() {
    let route = "- { name: here, match: { path: /** }, anonymous: true, body: { json: true }, limits: [{ name: few, per: all, rate: 2/h }] }";
    let snapshot = policy("", route);
    let typed = || ask("POST", "/").with("content-type", "application/json");
    let bad = typed().body("{");
    assert_eq!(bad.spent(&snapshot), Some(Cause::Json));
    assert_eq!(bad.spent(&snapshot), Some(Cause::Json));
    let good = typed().body("{}");
    assert_eq!(good.spent(&snapshot), Some(Cause::RateLimited));

    let two =
        "{ name: first, per: all, rate: 2/h }, { name: second, per: \"client_ip\", rate: 1/h }";
    let snapshot = open(two);
    assert_eq!(get().spent(&snapshot), None);
    let denial = get().live(&snapshot).unwrap_err();
    assert_eq!(denial.rule.unwrap().to_string(), "here/limits.second");
    let denial = get().from("192.0.2.1").live(&snapshot).unwrap_err();
    assert_eq!(
        denial.rule.unwrap().to_string(),
        "here/limits.first",
        "the refusal of the second limit did not refund the first"
    );
}

#[test]
fn sweeping_forgets_full_buckets_and_no_others() {
    let snapshot = open("{ name: few, per: client_ip, rate: 1/min }");
    for last in 1..=20 {
        let early = get().from(&format!("192.0.2.{last}"));
        assert_eq!(early.spent(&snapshot), None);
    }
    let late = get().from("198.51.100.1").after(50 * SECOND);
    assert_eq!(late.spent(&snapshot), None);
    assert_eq!(snapshot.ledger.keys(), 21);
    snapshot.ledger.sweep(get().after(60 * SECOND).now());
    assert_eq!(snapshot.ledger.keys(), 1);
    let again = get().from("198.51.100.1").after(61 * SECOND);
    assert_eq!(again.spent(&snapshot), Some(Cause::RateLimited));
}

#[test]
fn limits_that_would_not_do_what_they_say_are_refused_at_load() {
    for limit in [
        "{ name: few, per: all, rate: 1/h, burst: 0 }",
        "{ name: few, per: user, rate: 1/h }",
        "{ name: few, per: \"claim:desk\", rate: 1/h }",
        "{ name: few, per: \"claim:\", rate: 1/h }",
        "{ name: few, per: header, rate: 1/h }",
        "{ name: few, rate: 1/h }",
        "{ per: all, rate: 1/h }",
        "{ name: few, per: all }",
        "{ name: Few, per: all, rate: 1/h }",
        "{ name: \"a\\\"b\", per: all, rate: 1/h }",
        "{ name: few, per: all, rate: 0/h }",
        "{ name: few, per: all, rate: 1/h, mode: off }",
        "{ name: few, per: all, rate: 1/h }, { name: few, per: route, rate: 1/h }",
    ] {
        let route = format!(
            "- {{ name: here, match: {{ path: /** }}, anonymous: true, limits: [{limit}] }}"
        );
        assert!(refusable("", &route).is_err(), "{limit}");
    }
}
