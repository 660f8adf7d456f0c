//! What clients are told of limits, and limits that only tell.

use crate::support::oracle::{Stage, demand};
use crate::world::{get, request};

fn policy(fields: &str) -> String {
    format!(
        "  limit_headers: {fields}
  routes:
    - {{ name: probe, match: {{ method: GET, path: /probe }}, anonymous: true }}
    - name: limited
      match: {{ method: GET, path: /limited }}
      anonymous: true
      limits:
        - {{ name: hour, per: client_ip, rate: 100/h, burst: 50 }}
        - {{ name: few, per: client_ip, rate: 3/h, burst: 2 }}
    - name: trial
      match: {{ method: GET, path: /trial }}
      anonymous: true
      limits:
        - {{ name: trial, per: client_ip, rate: 1/h, burst: 1, mode: shadow }}
        - {{ name: wide, per: client_ip, rate: 100/min, burst: 10 }}
    - name: only-shadow
      match: {{ method: GET, path: /only-shadow }}
      anonymous: true
      limits: [{{ name: quiet, per: all, rate: 1/h, burst: 1, mode: shadow }}]
"
    )
}

#[test]
fn the_tightest_limit_is_told() {
    for (fields, draft, legacy) in [
        ("draft", true, false),
        ("legacy", false, true),
        ("both", true, true),
        ("none", false, false),
    ] {
        let mut stage = Stage::start(&policy(fields));
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(stage.fresh(None).ask(get("/limited")).unwrap());
        }
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        stage.expect(
            fields,
            demand(statuses == [200, 200, 429], format!("{statuses:?}")),
        );
        for (answer, left) in answers.iter().zip([1, 0, 0]) {
            let told = answer.one("ratelimit").unwrap_or_default().to_owned();
            let sound = told.starts_with(&format!("\"few\";r={left};t="));
            stage.expect(
                fields,
                demand(
                    sound == draft && told.is_empty() != draft,
                    format!("RateLimit: {told}"),
                ),
            );
            let policy = answer
                .one("ratelimit-policy")
                .unwrap_or_default()
                .to_owned();
            let expected = "\"hour\";q=50;w=1800, \"few\";q=2;w=2400";
            stage.expect(
                fields,
                demand(
                    (policy == expected) == draft,
                    format!("RateLimit-Policy: {policy}"),
                ),
            );
            let told = (
                answer.one("x-ratelimit-limit"),
                answer.one("x-ratelimit-remaining"),
            );
            let left = left.to_string();
            let expected = (Some("2"), Some(left.as_str()));
            stage.expect(
                fields,
                demand(
                    (told == expected) == legacy,
                    format!("X-RateLimit: {told:?}"),
                ),
            );
            let reset = answer
                .one("x-ratelimit-reset")
                .is_some_and(|text| text.parse::<u64>().is_ok());
            stage.expect(fields, demand(reset == legacy, "X-RateLimit-Reset"));
        }
        let waits: Vec<Option<u64>> = answers
            .iter()
            .map(|answer| answer.one("retry-after").and_then(|text| text.parse().ok()))
            .collect();
        stage.expect(
            fields,
            demand(
                waits[0].is_none() && waits[2].is_some_and(|wait| (1..=1200).contains(&wait)),
                format!("Retry-After {waits:?}"),
            ),
        );
        stage.settle();
    }
}

/// A limit on trial spends its own bucket and changes neither statuses nor fields.
#[test]
fn a_shadowed_limit_only_tells() {
    let mut stage = Stage::start(&policy("both"));
    for turn in 0..3 {
        let answer = stage.fresh(None).ask(get("/trial")).unwrap();
        let told = answer.one("ratelimit").unwrap_or_default().to_owned();
        stage.expect(
            "trial",
            demand(answer.status == 200, format!("{turn}: {answer}")),
        );
        stage.expect(
            "trial",
            demand(
                told.starts_with("\"wide\";r="),
                format!("RateLimit: {told}"),
            ),
        );
        let policy = answer
            .one("ratelimit-policy")
            .unwrap_or_default()
            .to_owned();
        stage.expect(
            "trial",
            demand(
                !policy.contains("trial"),
                format!("RateLimit-Policy: {policy}"),
            ),
        );
        let quiet = stage.fresh(None).ask(get("/only-shadow")).unwrap();
        let silent = quiet.status == 200
            && quiet.all("ratelimit").is_empty()
            && quiet.all("x-ratelimit-limit").is_empty();
        stage.expect(
            "only shadow",
            demand(silent, format!("{turn}: {:?}", quiet.headers)),
        );
    }
    let told = || {
        let name = "outrider_shadow_denials_total";
        stage.sidecar.metric(name, &["trial/limits.trial"])
    };
    // Counted when a request has ended, which its client knows first.
    stage.sidecar.wait_until("counted", || told() > 1.5);
    let told = told();
    stage.expect(
        "trial",
        demand((told - 2.0).abs() < 0.1, format!("counted {told}")),
    );
    stage.settle();
}

/// A refusal by something else before costs nothing; a limit that was spent is not given back.
#[test]
fn refusals_before_the_limit_cost_nothing() {
    let mut stage = Stage::start(&policy("draft"));
    for _ in 0..5 {
        let answer = stage
            .fresh(None)
            .ask(request("DELETE", "/limited", ""))
            .unwrap();
        stage.expect(
            "405",
            demand(
                answer.status == 405 && answer.all("ratelimit").is_empty(),
                format!("{answer}"),
            ),
        );
    }
    let statuses: Vec<u16> = (0..3)
        .map(|_| stage.fresh(None).ask(get("/limited")).unwrap().status)
        .collect();
    stage.expect(
        "then",
        demand(statuses == [200, 200, 429], format!("{statuses:?}")),
    );
    stage.settle();
}
