//! The boundaries, to the second.

use serde_json::json;

use super::*;

const NOW: i64 = 1_800_000_000;
const SKEW: i64 = 30;
const LIFE: i64 = 3_600;

fn judge(claims: &serde_json::Value, now: i64) -> Result<Window, Reason> {
    let claims: Object = serde_json::from_value(claims.clone()).unwrap();
    let tolerance = Tolerance::new(Duration::from_secs(30), Duration::from_secs(3_600));
    Times::read(&claims)?.judge(tolerance, now)
}

#[test]
fn boundaries() {
    let good = NOW + 60;
    for (claims, expected) in [
        (json!({"exp": NOW - SKEW - 1}), Some(Reason::Expired)),
        (json!({"exp": NOW - SKEW}), None),
        (json!({"exp": NOW}), None),
        (json!({"exp": good, "nbf": NOW + SKEW}), None),
        (
            json!({"exp": good, "nbf": NOW + SKEW + 1}),
            Some(Reason::NotYetValid),
        ),
        (json!({"exp": good, "iat": NOW + SKEW}), None),
        (
            json!({"exp": good, "iat": NOW + SKEW + 1}),
            Some(Reason::IssuedInFuture),
        ),
        (
            json!({"exp": good + LIFE, "iat": NOW + 3_600}),
            Some(Reason::IssuedInFuture),
        ),
        (json!({"exp": NOW + LIFE, "iat": NOW}), None),
        (
            json!({"exp": NOW + LIFE + 1, "iat": NOW}),
            Some(Reason::Lifetime),
        ),
        (json!({"exp": NOW + LIFE}), None),
        (json!({"exp": NOW + LIFE + 1}), Some(Reason::Lifetime)),
        (
            json!({"exp": NOW + 5, "iat": NOW + 6}),
            Some(Reason::Lifetime),
        ),
        (json!({"exp": NOW + 5, "iat": NOW + 5}), None),
    ] {
        assert_eq!(judge(&claims, NOW).err(), expected, "{claims}");
    }
}

#[test]
fn fractions_count_against_the_token() {
    #[expect(clippy::cast_precision_loss, reason = "small enough")]
    let at = |offset: f64| NOW as f64 + offset;
    for (claims, expected) in [
        (json!({"exp": 1.5e9}), Some(Reason::Expired)),
        (json!({"exp": at(-30.0)}), None),
        (json!({"exp": at(-30.5)}), Some(Reason::Expired)),
        (
            json!({"exp": at(60.0), "nbf": at(30.5)}),
            Some(Reason::NotYetValid),
        ),
        (json!({"exp": at(60.0), "nbf": at(29.5)}), None),
        (
            json!({"exp": at(60.0), "iat": at(30.1)}),
            Some(Reason::IssuedInFuture),
        ),
        (
            json!({"exp": at(3600.5), "iat": at(0.0)}),
            Some(Reason::Lifetime),
        ),
        (
            json!({"exp": at(3600.0), "iat": at(-0.5)}),
            Some(Reason::Lifetime),
        ),
    ] {
        assert_eq!(judge(&claims, NOW).err(), expected, "{claims}");
    }
}

#[test]
fn what_is_not_a_time() {
    for name in ["exp", "nbf", "iat"] {
        for value in [
            json!("99999999999"),
            json!("never"),
            json!(null),
            json!(true),
            json!(-1),
            json!(-0.5),
            json!([NOW]),
            json!(1e300),
            json!(u64::MAX),
            json!(LIMIT),
            json!(LIMIT_F64),
        ] {
            let mut claims = json!({"exp": NOW + 60, "iat": NOW});
            claims[name] = value;
            assert_eq!(judge(&claims, NOW).err(), Some(Reason::Claims), "{claims}");
        }
    }
    assert_eq!(judge(&json!({}), NOW).err(), Some(Reason::Claims));
}

#[test]
fn the_window_says_what_a_new_judgement_would() {
    for claims in [
        json!({"exp": NOW + 60}),
        json!({"exp": NOW + 60, "nbf": NOW + 10}),
        json!({"exp": NOW + 60, "iat": NOW - 20, "nbf": NOW - 50}),
        json!({"exp": NOW + 60, "iat": NOW - 50, "nbf": NOW + 25}),
        json!({"exp": NOW + LIFE - 5}),
    ] {
        let window = judge(&claims, NOW).unwrap();
        for now in NOW - 200..NOW + LIFE + 200 {
            assert_eq!(
                window.contains(now),
                judge(&claims, now).is_ok(),
                "{claims} at {now}"
            );
        }
    }
}
