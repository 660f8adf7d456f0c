//! The corpus of http-desync-guardian, each case as wire bytes. What it calls compliant is forwarded in good framing;
//! what it calls ambiguous or severe is refused, or at most one request of it leaves and the connection ends. Every
//! deviation stands in `desync-exceptions.yaml` with its reason, and every line there must be needed.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::support::oracle::Stage;
use crate::support::wire::{NoAnswer, PATIENCE, Response, SILENCE, describe, shown};
use crate::world::shared;

const FILES: &[&str] = &[
    "acceptable",
    "ambiguous",
    "bad-header-characters",
    "edge-cases",
    "more-compliant-tests",
    "real-life-test-cases",
    "rfc-compliant",
    "severe",
    "single-case",
    "uri-specific-test-cases",
];

const ROUTES: &str = "  bounds: { headers_max: 100 }
  routes:
    - { name: probe, match: { method: GET, path: /probe }, anonymous: true }
    - { name: all, match: { path: /** }, anonymous: true }
";

#[derive(Deserialize)]
struct Listed {
    name: String,
    uri: String,
    method: String,
    version: String,
    headers: Option<Vec<Header>>,
    expected: Expected,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: Option<String>,
}

#[derive(Deserialize)]
struct Expected {
    tier: String,
}

#[derive(Deserialize)]
struct Exception {
    case: String,
    got: Outcome,
    reason: String,
}

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// Nothing left for the service.
    Refused,
    /// One request left, in good framing, and the connection went on.
    Forwarded,
    /// One request left, in good framing, and the connection ended.
    Last,
}

#[test]
fn every_case_is_judged_as_the_corpus_says_or_has_a_reason() {
    let exceptions: Vec<Exception> =
        serde_saphyr::from_str(include_str!("desync-exceptions.yaml")).unwrap();
    let mut exceptions: BTreeMap<String, Exception> = exceptions
        .into_iter()
        .map(|exception| (exception.case.clone(), exception))
        .collect();
    let mut stage = Stage::start(ROUTES);
    let mut seen = BTreeMap::new();
    for file in FILES {
        let Some(text) = shared(&format!("corpora/http-desync-guardian/{file}.yaml")) else {
            return;
        };
        let cases: Vec<Listed> = serde_saphyr::from_str(&text).unwrap();
        for case in cases {
            let turn = seen
                .entry(format!("{file}/{}", case.name))
                .and_modify(|turn| *turn += 1)
                .or_insert(1);
            let id = match turn {
                1 => format!("{file}/{}", case.name),
                turn => format!("{file}/{} ({turn})", case.name),
            };
            try_one(&mut stage, &id, &case, exceptions.remove(&id));
        }
    }
    for id in exceptions.keys() {
        stage.fail(id, "this exception names no case");
    }
    stage.settle();
}

fn try_one(stage: &mut Stage, id: &str, case: &Listed, exception: Option<Exception>) {
    let bytes = case.bytes();
    let before = stage.origin.mark();
    let mut wire = stage.fresh(None);
    wire.send(&bytes);
    let head_only = case.method == "HEAD";
    let mut answer = wire.answer_to(head_only, SILENCE);
    if matches!(answer, Err(NoAnswer::Late(_))) {
        wire.finish();
        answer = wire.answer_to(head_only, PATIENCE);
    }
    // A connection that goes on answers the next request; one that ended does not.
    wire.send("GET /probe HTTP/1.1\r\nHost: a\r\n\r\n");
    let goes_on = wire.answer().is_ok_and(|next| next.status == 200);
    let upstream = stage.origin.since(before);
    let own = upstream.iter().filter(|got| got.target != "/probe").count();
    let outcome = match (own, goes_on) {
        (0, _) => Outcome::Refused,
        (1, true) => Outcome::Forwarded,
        (1, false) => Outcome::Last,
        (count, _) => {
            stage.fail(
                id,
                format!(
                    "{count} requests at the service\n    sent {}",
                    shown(&bytes)
                ),
            );
            return;
        }
    };
    if let Err(why) = judge(&case.expected.tier, outcome, &answer, exception) {
        stage.fail(
            id,
            format!(
                "{why}; answered {}\n    sent {}",
                describe(&answer),
                shown(&bytes)
            ),
        );
    }
}

fn judge(
    tier: &str,
    outcome: Outcome,
    answer: &Result<Response, NoAnswer>,
    exception: Option<Exception>,
) -> Result<(), String> {
    let refusal = answer
        .as_ref()
        .map_or(true, |response| (400..500).contains(&response.status));
    if (outcome == Outcome::Refused) != refusal {
        return Err(format!("{outcome:?}, but not so answered"));
    }
    let expected = match tier {
        "Compliant" => outcome == Outcome::Forwarded,
        "Acceptable" => true,
        "Ambiguous" | "Severe" => outcome != Outcome::Forwarded,
        other => return Err(format!("the tier {other:?} is not known")),
    };
    match exception {
        None if expected => Ok(()),
        None => Err(format!("{tier}, but {outcome:?}")),
        Some(_) if expected => Err(format!(
            "{tier} and {outcome:?}: the exception is not needed any more"
        )),
        Some(exception) if exception.got != outcome => Err(format!(
            "{tier} and {outcome:?}, the exception says {:?}",
            exception.got
        )),
        Some(exception) if exception.reason.len() < 20 => {
            Err("the exception has no reason".to_owned())
        }
        Some(_) => Ok(()),
    }
}

impl Listed {
    /// The request on the wire, with as much of a body as its framing promises. The corpus is about framing and leaves
    /// `Host` out, so it is added where it is missing.
    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} {}\r\n", self.method, self.uri, self.version);
        for header in self.headers() {
            head.push_str(&format!(
                "{}: {}\r\n",
                header.name,
                header.value.as_deref().unwrap_or_default()
            ));
        }
        if !self
            .headers()
            .iter()
            .any(|header| header.name.trim().eq_ignore_ascii_case("host"))
        {
            head.push_str("Host: a\r\n");
        }
        head.push_str("\r\n");
        head.push_str(&self.body());
        // The corpus writes bytes as the characters of the same number.
        head.chars()
            .map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?'))
            .collect()
    }

    fn headers(&self) -> &[Header] {
        self.headers.as_deref().unwrap_or_default()
    }

    fn body(&self) -> String {
        let values = |wanted: &str| -> Vec<&str> {
            let same = self
                .headers()
                .iter()
                .filter(|header| header.name.trim().eq_ignore_ascii_case(wanted));
            same.filter_map(|header| header.value.as_deref()).collect()
        };
        if values("transfer-encoding")
            .iter()
            .any(|value| value.to_ascii_lowercase().contains("chunked"))
        {
            return "5\r\nhello\r\n0\r\n\r\n".to_owned();
        }
        let length = values("content-length")
            .first()
            .and_then(|value| value.trim().parse::<usize>().ok());
        "x".repeat(length.unwrap_or(0).min(9_000_000))
    }
}
