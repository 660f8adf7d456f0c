//! Area H: limits. One caller is one bucket, however it is dressed.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::oracle::{Case, Stage, demand};
use crate::support::wire::Response;
use crate::world::{TOKENS, get, get_as, issuer, request, stage, token, token_with};

pub(super) const IDS: &[u32] = &[88, 89, 91, 92];

const EXCEEDED: &str = "limit.exceeded";

const LIMITED: &str = "  client_ip: { trusted_cidrs: [127.0.0.9] }
  routes:
    - { name: probe, match: { method: GET, path: /probe }, anonymous: true }
    - name: by-user
      match: { method: GET, path: /user/** }
      limits: [{ name: user, per: user, rate: 2/h, burst: 2 }]
    - name: by-address
      match: { method: GET, path: /address/** }
      anonymous: true
      limits: [{ name: address, per: client_ip, rate: 2/h, burst: 2 }]
    - name: by-claim
      match: { method: GET, path: /claim/** }
      limits: [{ name: claim, per: \"claim:desk\", rate: 1/h, burst: 1 }]
    - name: b
      match: { method: GET, path: /b/** }
      limits: [{ name: b, per: user, rate: 1/h, burst: 1 }]
    - name: c
      match: { method: GET, path: /c/** }
      limits: [{ name: c, per: user, rate: 1/h, burst: 1 }]
    - name: burst
      match: { method: GET, path: /burst }
      anonymous: true
      limits: [{ name: burst, per: all, rate: 2/s, burst: 5 }]
";

fn ask(stage: &mut Stage, from: Option<&str>, bytes: impl AsRef<[u8]>) -> Response {
    let mut wire = stage.fresh(from.map(|from| from.parse().unwrap()));
    wire.ask(bytes).unwrap()
}

/// 88: nothing that a client can change by itself gives it a new bucket.
#[test]
fn a_caller_has_one_bucket() {
    let issuer = issuer();
    let mut stage = stage(&format!("{TOKENS}{LIMITED}"), &issuer);
    let token = token(&issuer);
    let second = token_with(&issuer, &json!({"jti": "another", "sid": "s"}));
    stage.secrets.extend([token.clone(), second.clone()]);
    let dressed = [
        (None, get_as(&token, "/user/1")),
        (Some("127.0.0.2"), get_as(&token, "/user/2?x=1")),
        (
            Some("127.0.0.3"),
            request(
                "GET",
                "/user/3",
                &format!(
                    "X-Forwarded-For: 1.2.3.4\r\nUser-Agent: b\r\nAuthorization: Bearer {token}\r\n"
                ),
            ),
        ),
        (
            Some("127.0.0.9"),
            request(
                "GET",
                "/user/3",
                &format!("X-Forwarded-For: 1.2.3.5\r\nAuthorization: bearer {token}\r\n"),
            ),
        ),
        (None, get_as(&second, "/user/4")),
        (
            None,
            request(
                "GET",
                "/user/5",
                &format!("X-Request-Id: 5\r\nCookie: a=b\r\nAuthorization: Bearer {second}\r\n"),
            ),
        ),
    ];
    for (turn, (from, bytes)) in dressed.into_iter().enumerate() {
        let answer = ask(&mut stage, from, bytes);
        let expected = if turn < 2 { 200 } else { 429 };
        stage.expect(
            "88 user",
            demand(answer.status == expected, format!("turn {turn}: {answer}")),
        );
    }
    for (turn, header) in [
        "",
        "X-Forwarded-For: 1.1.1.1\r\n",
        "X-Forwarded-For: 2.2.2.2\r\nUser-Agent: x\r\n",
        "Forwarded: for=3.3.3.3\r\n",
        "X-Real-IP: 4.4.4.4\r\n",
    ]
    .iter()
    .enumerate()
    {
        let answer = ask(
            &mut stage,
            Some("127.0.0.4"),
            request("GET", &format!("/address/{turn}"), header),
        );
        let expected = if turn < 2 { 200 } else { 429 };
        stage.expect(
            "88 address",
            demand(answer.status == expected, format!("turn {turn}: {answer}")),
        );
    }
    // One customer holds all of a /64.
    for (turn, host) in [
        "2001:db8:1:1::1",
        "2001:db8:1:1::2",
        "2001:db8:1:1:ffff::3",
        "2001:db8:1:2::1",
    ]
    .iter()
    .enumerate()
    {
        let header = format!("X-Forwarded-For: {host}\r\n");
        let answer = ask(
            &mut stage,
            Some("127.0.0.9"),
            request("GET", "/address/v6", &header),
        );
        let expected = if turn == 2 { 429 } else { 200 };
        stage.expect(
            "88 /64",
            demand(answer.status == expected, format!("{host}: {answer}")),
        );
    }
    stage.settle();
}

/// 89: two texts that look alike when joined are two buckets.
#[test]
fn keys_cannot_be_joined_into_each_other() {
    let issuer = issuer();
    let mut stage = stage(&format!("{TOKENS}{LIMITED}"), &issuer);
    let by = |sub: &str| token_with(&issuer, &json!({"sub": sub}));
    for (id, sub, path) in [
        ("89 a:b at c", "a:b", "/c/1"),
        ("89 a at b", "a", "/b/1"),
        ("89 a at c", "a", "/c/1"),
        ("89 a:b at b", "a:b", "/b/1"),
        ("89 a|b", "a|b", "/c/1"),
        ("89 c", "b", "/c/1"),
    ] {
        let answer = ask(&mut stage, None, get_as(&by(sub), path));
        stage.expect(id, demand(answer.status == 200, format!("{answer}")));
        let again = ask(&mut stage, None, get_as(&by(sub), path));
        stage.expect(id, demand(again.status == 429, format!("again: {again}")));
    }
    let desk = |value: &str| token_with(&issuer, &json!({"desk": value, "sub": "x"}));
    for value in ["1", "1:2", "a", "a "] {
        let first = ask(&mut stage, None, get_as(&desk(value), "/claim/1"));
        let second = ask(&mut stage, None, get_as(&desk(value), "/claim/1"));
        stage.expect(
            "89 claim",
            demand(
                (first.status, second.status) == (200, 429),
                format!("{value:?}: {first}, {second}"),
            ),
        );
    }
    stage.settle();
}

/// 91: bad tokens spend their address's budget, and only that address's; known tokens go on passing.
#[test]
fn a_flood_of_bad_tokens_is_cut_before_it_is_verified() {
    let issuer = issuer();
    let strict = TOKENS.replace(
        "{ rate: 100000/s, burst: 100000 }",
        "{ rate: 1/h, burst: 5 }",
    );
    let mut stage = stage(&format!("{strict}{LIMITED}"), &issuer);
    let known = token_with(&issuer, &json!({"sub": "known"}));
    let fresh = token_with(&issuer, &json!({"sub": "fresh"}));
    stage.secrets.extend([known.clone(), fresh.clone()]);
    let first = ask(&mut stage, Some("127.0.0.7"), get_as(&known, "/b/1"));
    stage.expect("91", demand(first.status == 200, format!("known: {first}")));
    let mut statuses = Vec::new();
    for turn in 0..40 {
        let bad = format!("{fresh}x{turn}");
        let answer = ask(&mut stage, Some("127.0.0.7"), get_as(&bad, "/c/1"));
        statuses.push(answer.status);
        if answer.status == 429 {
            let waits = answer
                .one("retry-after")
                .and_then(|text| text.parse::<u64>().ok());
            let sound = answer.code().as_deref() == Some("authn.too_many_failures")
                && waits.is_some_and(|wait| wait > 0);
            stage.expect("91", demand(sound, format!("{answer} {waits:?}")));
        }
    }
    let refused = statuses.iter().filter(|status| **status == 401).count();
    stage.expect(
        "91",
        demand(refused == 5, format!("{refused} of 40 were verified")),
    );
    let cut = ask(&mut stage, Some("127.0.0.7"), get_as(&fresh, "/c/1"));
    stage.expect(
        "91",
        demand(cut.status == 429, format!("a token not known yet: {cut}")),
    );
    let passes = ask(&mut stage, Some("127.0.0.7"), get_as(&known, "/c/1"));
    stage.expect(
        "91",
        demand(passes.status == 200, format!("a known token: {passes}")),
    );
    let neighbour = ask(&mut stage, Some("127.0.0.6"), get_as(&fresh, "/c/1"));
    stage.expect(
        "91",
        demand(
            neighbour.status == 200,
            format!("another address: {neighbour}"),
        ),
    );
    stage.settle();
}

/// 92: exactly the burst passes; what is told is never too early.
#[test]
fn the_burst_is_exact_and_retry_after_holds() {
    let issuer = issuer();
    let mut stage = stage(&format!("{TOKENS}{LIMITED}"), &issuer);
    let mut answers = Vec::new();
    let mut wire = stage.fresh(None);
    let asked = Instant::now();
    wire.send(get("/burst").repeat(6));
    for _ in 0..6 {
        answers.push(wire.answer().unwrap());
    }
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    let quick = asked.elapsed() < Duration::from_millis(400);
    stage.expect(
        "92",
        demand(
            !quick || statuses == [200, 200, 200, 200, 200, 429],
            format!("{statuses:?}"),
        ),
    );
    let last = answers.last().unwrap();
    let wait = last
        .one("retry-after")
        .and_then(|text| text.parse::<u64>().ok());
    stage.expect(
        "92",
        demand(
            last.status == 200 || wait.is_some_and(|wait| (1..=2).contains(&wait)),
            format!("Retry-After {wait:?}"),
        ),
    );
    stage.expect(
        "92",
        demand(
            last.status == 200 || last.code().as_deref() == Some(EXCEEDED),
            format!("{last}"),
        ),
    );
    std::thread::sleep(Duration::from_secs(wait.unwrap_or_default()));
    stage.run(Case::forwarded(
        "92 after the wait",
        get("/burst"),
        super::framing::anything,
    ));
    drop(wire);
    stage.settle();
}
