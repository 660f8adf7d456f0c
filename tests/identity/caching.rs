//! The cache: case 74, the budget of failures, its bounds, and verifiers that live beside each other.

use std::time::Duration;

use outrider::identify::cache::ENTRY_BYTES;
use outrider::identify::{Reason, Verification, Verifier, caller};
use outrider::model::caller::Caller;
use outrider::model::denial::{Advice, Cause};
use outrider::model::facts::Credentials;
use serde_json::json;

use crate::support::*;
use crate::tokens::Issuer;

fn ask(
    verifier: &Verifier,
    token: &str,
    verification: Verification,
    second: i64,
) -> Result<Caller, Cause> {
    let bearer = header(&format!("Bearer {token}")).unwrap();
    caller(
        &facts(Credentials::Bearer(bearer)),
        Some(verifier),
        verification,
        at(second),
    )
    .map_err(|refused| refused.denial.cause)
}

#[test]
fn case_74_a_cached_token_ends_when_it_ends() {
    let verifier = verifier(&ISSUER.jwks());
    let token = ISSUER.sign(&ISSUER.header(), &claims_with("exp", json!(NOW + 2)));
    for second in [NOW, NOW + 2, NOW + 2 + SKEW] {
        assert!(ask(&verifier, &token, Verification::Allowed, second).is_ok());
        assert_eq!(verifier.cached_tokens(), 1);
    }
    let late = NOW + 2 + SKEW + 1;
    assert_eq!(
        ask(&verifier, &token, Verification::Allowed, late).err(),
        Some(Cause::TokenInvalid)
    );
    assert_eq!(verifier.cached_tokens(), 0, "forgotten");
}

#[test]
fn a_cached_token_is_not_good_before_it_begins() {
    let verifier = verifier(&ISSUER.jwks());
    let token = ISSUER.sign(&ISSUER.header(), &claims_with("nbf", json!(NOW)));
    assert!(ask(&verifier, &token, Verification::Allowed, NOW).is_ok());
    let early = NOW - SKEW - 1;
    assert_eq!(
        ask(&verifier, &token, Verification::Allowed, early).err(),
        Some(Cause::TokenInvalid)
    );
}

#[test]
fn a_spent_budget_lets_only_cached_tokens_pass() {
    let verifier = verifier(&ISSUER.jwks());
    let known = good_token();
    let new = ISSUER.sign(&ISSUER.header(), &claims_with("jti", json!("other")));
    assert!(ask(&verifier, &known, Verification::Allowed, NOW).is_ok());
    let spent = Verification::BudgetSpent(Duration::from_secs(7));
    assert!(ask(&verifier, &known, spent, NOW).is_ok());
    let bearer = header(&format!("Bearer {new}")).unwrap();
    let facts_of_new = facts(Credentials::Bearer(bearer));
    let refused = caller(&facts_of_new, Some(&verifier), spent, at(NOW)).unwrap_err();
    let denial = refused.denial;
    assert_eq!(denial.cause, Cause::FailureBudget);
    assert_eq!(denial.advice, Advice::RetryAfter(Duration::from_secs(7)));
    assert!(ask(&verifier, &new, Verification::Allowed, NOW).is_ok());
    let none = caller(&facts(Credentials::None), Some(&verifier), spent, at(NOW));
    assert!(matches!(none, Ok(Caller::Anonymous)));
}

#[test]
fn bad_tokens_are_not_remembered_and_a_hit_shares_the_identity() {
    let verifier = verifier(&ISSUER.jwks());
    let bad = STRANGER.sign(&ISSUER.header(), &claims());
    assert!(ask(&verifier, &bad, Verification::Allowed, NOW).is_err());
    assert_eq!(verifier.cached_tokens(), 0);
    let token = good_token();
    let asked = || match ask(&verifier, &token, Verification::Allowed, NOW) {
        Ok(Caller::Token(identity)) => identity,
        other => panic!("{other:?}"),
    };
    assert!(std::sync::Arc::ptr_eq(&asked(), &asked()));
}

#[test]
fn entries_and_bytes_are_bounded() {
    let mut settings = settings(&ISSUER.jwks());
    settings.cache_entries_max = 20;
    let kept = [1, 100].map(|size| {
        let (verifier, _) = Verifier::new(&settings, &roles()).unwrap();
        for number in 0..60 {
            let mut claims = claims_with("jti", json!(format!("{size}-{number}")));
            let words: Vec<_> = (0..size).map(|word| format!("area-{word}:read")).collect();
            claims["permissions"] = json!(words);
            let token = ISSUER.sign(&ISSUER.header(), &claims);
            assert!(ask(&verifier, &token, Verification::Allowed, NOW).is_ok());
            assert!(verifier.cached_tokens() <= 20);
            assert!(verifier.cached_bytes() <= 20 * ENTRY_BYTES);
        }
        verifier.cached_tokens()
    });
    assert!((15..=20).contains(&kept[0]), "{kept:?}");
    assert!(
        (1..10).contains(&kept[1]),
        "{kept:?}: a large identity takes the place of several"
    );
}

#[test]
fn a_cache_of_no_entries_remembers_nothing() {
    let mut settings = settings(&ISSUER.jwks());
    settings.cache_entries_max = 0;
    let (verifier, _) = Verifier::new(&settings, &roles()).unwrap();
    assert!(ask(&verifier, &good_token(), Verification::Allowed, NOW).is_ok());
    assert_eq!(verifier.cached_tokens(), 0);
}

#[test]
fn verifiers_live_and_die_beside_each_other() {
    let first = verifier(&ISSUER.jwks());
    let token = good_token();
    drop(verifier(&ISSUER.jwks()));
    assert!(
        first.verify(token.as_bytes(), at(NOW)).is_ok(),
        "the key outlives a younger set"
    );
    let second = verifier(&ISSUER.jwks());
    drop(first);
    assert!(
        second.verify(token.as_bytes(), at(NOW)).is_ok(),
        "the key outlives an older set"
    );
    let replaced = verifier(&STRANGER.jwks());
    assert_eq!(
        replaced.verify(token.as_bytes(), at(NOW)).err(),
        Some(Reason::Signature)
    );
    drop(second);
    let again = verifier(&ISSUER.pem());
    let nameless = ISSUER.sign(&json!({"alg": "RS256"}), &claims());
    assert!(again.verify(nameless.as_bytes(), at(NOW)).is_ok());
    assert_eq!(
        again.verify(token.as_bytes(), at(NOW)).err(),
        Some(Reason::KidUnknown)
    );
}

#[test]
fn longer_keys_verify_too() {
    let issuer = Issuer::new(3072).named("long");
    let verifier = verifier(&issuer.jwks());
    let token = issuer.sign(&issuer.header(), &claims());
    assert!(verifier.verify(token.as_bytes(), at(NOW)).is_ok());
}

#[test]
fn many_threads_agree() {
    let verifier = verifier(&ISSUER.jwks());
    let good = good_token();
    let bad = STRANGER.sign(&ISSUER.header(), &claims());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert!(ask(&verifier, &good, Verification::Allowed, NOW).is_ok());
                    assert!(ask(&verifier, &bad, Verification::Allowed, NOW).is_err());
                }
            });
        }
    });
    assert_eq!(verifier.cached_tokens(), 1);
}
