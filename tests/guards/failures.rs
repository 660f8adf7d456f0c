//! The budget of failures: once an address has spent it, its unknown tokens are no longer looked at.

use outrider::accept::facts::facts;
use outrider::decide::{self, Evaluation};
use outrider::identify::{self, Verification};
use outrider::model::denial::{Advice, Cause};
use outrider::pipeline::Snapshot;
use serde_json::json;
use std::time::Duration;

use crate::support::{Ask, ISSUER, START, entered, get, policy};
use crate::tokens::Issuer;

const SECOND: u64 = 1_000_000_000;
const ROUTE: &str = "- { name: here, match: { path: /** }, anonymous: true }";

/// How long the address of this request must wait, as the admission says.
fn spent(snapshot: &Snapshot, request: &Ask) -> Option<Duration> {
    let facts = facts(&request.connection(), &request.head(), &snapshot.fact_rules).unwrap();
    let (policy, ledger) = (&snapshot.policy, &snapshot.ledger);
    let evaluation = &mut Evaluation::live(ledger, request.now());
    let entry = decide::admit(policy, &facts, evaluation);
    entered(entry.unwrap()).failures_spent()
}

fn fail(snapshot: &Snapshot, request: &Ask) {
    let address = request.connection().peer.ip();
    snapshot.ledger.note_failure(address, request.now());
}

#[test]
fn an_address_has_its_burst_and_then_waits() {
    let snapshot = policy("", ROUTE);
    let request = get().from("192.0.2.1");
    for _ in 0..3 {
        assert_eq!(spent(&snapshot, &request), None);
        fail(&snapshot, &request);
    }
    assert_eq!(
        spent(&snapshot, &request),
        Some(Duration::from_secs(60)),
        "one a minute comes back"
    );
    let later = |ns| request.clone().after(ns);
    assert_eq!(
        spent(&snapshot, &later(60 * SECOND - 1)),
        Some(Duration::from_nanos(1))
    );
    assert_eq!(spent(&snapshot, &later(60 * SECOND)), None);
}

#[test]
fn failures_are_counted_by_client_address_and_v6_by_its_64() {
    let snapshot = policy("client_ip: { trusted_cidrs: [10.0.0.0/8] }", ROUTE);
    let v6 = get().from("2001:db8::1");
    for _ in 0..3 {
        fail(&snapshot, &v6);
        fail(&snapshot, &get().from("192.0.2.1"));
    }
    for (request, is_spent) in [
        (get().from("2001:db8::2"), true),
        (get().from("2001:db8:0:1::1"), false),
        (get().from("::ffff:192.0.2.1"), true),
        (get().from("192.0.2.2"), false),
        (
            get()
                .from("192.0.2.1")
                .with("x-forwarded-for", "198.51.100.1"),
            true,
        ),
        (
            get().from("10.0.0.1").with("x-forwarded-for", "192.0.2.1"),
            true,
        ),
        (
            get()
                .from("10.0.0.1")
                .with("x-forwarded-for", "198.51.100.1"),
            false,
        ),
    ] {
        assert_eq!(
            spent(&snapshot, &request).is_some(),
            is_spent,
            "{request:?}"
        );
    }
}

#[test]
fn once_spent_only_tokens_that_are_known_pass() {
    let snapshot = policy("", ROUTE);
    let token = |subject: &str| {
        let claims = json!({
            "iss": "https://auth.example", "aud": "orders", "sub": subject,
            "iat": START, "exp": START + 600,
        });
        ISSUER.sign(&ISSUER.header(), &claims)
    };
    let call = |token: &str, verification| {
        let request = get().token(token);
        let facts = facts(&request.connection(), &request.head(), &snapshot.fact_rules).unwrap();
        let tokens = snapshot.tokens.as_deref();
        identify::caller(&facts, tokens, verification, request.now())
            .map_err(|refused| refused.denial)
    };
    let wait = Duration::from_secs(7);
    let (known, unknown) = (token("known"), token("unknown"));
    call(&known, Verification::Allowed).unwrap();
    call(&known, Verification::BudgetSpent(wait)).unwrap();
    let denial = call(&unknown, Verification::BudgetSpent(wait)).unwrap_err();
    assert_eq!(denial.cause, Cause::FailureBudget);
    assert_eq!(denial.advice, Advice::RetryAfter(wait));
    call(&unknown, Verification::Allowed).unwrap();
}

/// What `outrider` itself asks: the refusal, and whether the address has to wait afterwards.
fn called(snapshot: &Snapshot, request: &Ask) -> (Option<Cause>, bool) {
    let facts = facts(&request.connection(), &request.head(), &snapshot.fact_rules).unwrap();
    let caller = snapshot.caller(&facts, spent(snapshot, request), request.now());
    let cause = caller.err().map(|denial| denial.cause);
    (cause, spent(snapshot, request).is_some())
}

#[test]
fn a_failure_that_cost_a_verification_is_charged() {
    let stranger = Issuer::new(2048);
    let claims = |exp: i64| json!({"iss": "https://auth.example", "aud": "orders", "sub": "a", "iat": START - 60, "exp": exp});
    let mut forged = ISSUER.header();
    forged["jku"] = json!("https://evil.example");
    for bad in [
        stranger.sign(&ISSUER.header(), &claims(START + 600)),
        stranger.sign(&forged, &claims(START + 600)),
        ISSUER.sign(&ISSUER.header(), &claims(START - 59)),
        ISSUER.sign(&ISSUER.header(), &json!({})),
    ] {
        let snapshot = policy("", ROUTE);
        let request = get().token(&bad);
        for is_spent in [false, false, true] {
            let told = called(&snapshot, &request);
            assert_eq!(told, (Some(Cause::TokenInvalid), is_spent), "{bad}");
        }
        let told = called(&snapshot, &request);
        assert_eq!(told, (Some(Cause::FailureBudget), true), "{bad}");
    }
}

#[test]
fn a_failure_that_cost_nothing_is_free() {
    let claims =
        json!({"iss": "https://auth.example", "aud": "orders", "sub": "a", "exp": START + 60});
    let header = |header: serde_json::Value| ISSUER.sign(&header, &claims);
    let snapshot = policy("", ROUTE);
    let basic = get().with("authorization", "Basic eDp5");
    let twice = basic.clone().with("authorization", "Bearer x");
    assert_eq!(called(&snapshot, &twice).0, Some(Cause::CredentialsSeveral));
    for request in [
        basic,
        get().token("x"),
        get().token("a.b.c"),
        get().token(&"x".repeat(20_000)),
        get().token(&header(json!({"alg": "none"}))),
        get().token(&header(json!({"alg": "RS256", "kid": "nobody"}))),
        get().token(&header(json!({"alg": "RS256", "typ": "id"}))),
        get().token(&header(json!({"alg": "RS256", "crit": []}))),
    ] {
        for _ in 0..9 {
            let told = called(&snapshot, &request);
            assert_eq!(told, (Some(Cause::TokenInvalid), false), "{request:?}");
        }
    }
}
