//! One asks, all are answered; and who must not be.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use http::{HeaderName, HeaderValue, Method};

type Shared = Coalescer<&'static str>;

const KEEP: Duration = Duration::from_millis(250);

fn at(millis: u64) -> Now {
    Now {
        mono_ns: millis * 1_000_000,
        unix_us: 0,
    }
}

fn key(target: &str) -> Key {
    Key::of(&Method::GET, "api.example", target, &HeaderMap::new()).unwrap()
}

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

/// Polls once, with nobody to be woken.
fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match poll(pin!(future)) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn lead(shared: &Shared, key: &Key, millis: u64) -> Lead<&'static str> {
    match now(shared.join(key, at(millis))) {
        Turn::Lead(lead) => lead,
        turn @ (Turn::Answered(_) | Turn::Failed(_) | Turn::Alone) => panic!("{turn:?}"),
    }
}

fn body<F: fmt::Debug>(turn: Turn<F>) -> Bytes {
    match turn {
        Turn::Answered(answer) => answer.body.clone(),
        turn @ (Turn::Lead(_) | Turn::Failed(_) | Turn::Alone) => panic!("{turn:?}"),
    }
}

#[test]
fn one_asks_and_all_get_the_answer_for_a_moment() {
    let shared = Shared::new(KEEP);
    let key = key("/api/v3/depth?symbol=BTCUSDT");
    let first = lead(&shared, &key, 0);
    let clone = shared.clone();
    let (mut second, mut third) = (
        pin!(shared.join(&key, at(1))),
        pin!(clone.join(&key, at(2))),
    );
    assert!(poll(second.as_mut()).is_pending());
    assert!(poll(third.as_mut()).is_pending());
    first.answer(answer(200, "depth"), at(100));
    assert_eq!(body(now(second)), "depth");
    assert_eq!(body(now(third)), "depth");
    assert_eq!(body(now(shared.join(&key, at(349)))), "depth");
    assert_eq!(shared.held(), (1, 5));
    let again = lead(&shared, &key, 350);
    assert_eq!(shared.held(), (1, 0));
    drop(again);
    assert_eq!(shared.held(), (0, 0));
}

#[test]
fn who_asks_for_something_else_asks_for_himself() {
    let shared = Shared::new(KEEP);
    let _first = lead(&shared, &key("/a"), 0);
    let _second = lead(&shared, &key("/b"), 0);
}

#[test]
fn a_failure_is_everybodys_and_nobodys_after() {
    let shared = Shared::new(KEEP);
    let key = key("/a");
    let first = lead(&shared, &key, 0);
    let mut second = pin!(shared.join(&key, at(0)));
    assert!(poll(second.as_mut()).is_pending());
    first.fail("unreachable");
    assert!(matches!(now(second), Turn::Failed("unreachable")));
    let _next = lead(&shared, &key, 0);
}

#[test]
fn what_is_not_200_is_for_those_who_are_here() {
    for status in [204, 206, 301, 400, 403, 418, 429, 500, 503] {
        let shared = Shared::new(KEEP);
        let key = key("/a");
        let first = lead(&shared, &key, 0);
        let mut second = pin!(shared.join(&key, at(0)));
        assert!(poll(second.as_mut()).is_pending());
        first.answer(answer(status, "no"), at(0));
        assert_eq!(body(now(second)), "no");
        let _next = lead(&shared, &key, 0);
    }
}

#[test]
fn what_is_for_one_or_too_long_is_not_shared() {
    let mut cookie = answer(200, "");
    cookie
        .headers
        .insert(http::header::SET_COOKIE, HeaderValue::from_static("a=b"));
    let long = answer(200, &"x".repeat(BODY_BYTES_MAX + 1));
    for mine in [Some(cookie), Some(long), None] {
        let shared = Shared::new(KEEP);
        let key = key("/a");
        let first = lead(&shared, &key, 0);
        let mut second = pin!(shared.join(&key, at(0)));
        assert!(poll(second.as_mut()).is_pending());
        match mine {
            Some(mine) => drop(first.answer(mine, at(0))),
            None => first.release(),
        }
        assert!(matches!(now(second), Turn::Alone));
        assert_eq!(shared.held(), (0, 0));
    }
}

#[test]
fn when_the_one_that_asks_goes_the_next_takes_its_place() {
    let shared = Shared::new(KEEP);
    let key = key("/a");
    let first = lead(&shared, &key, 0);
    let (mut second, mut third) = (
        pin!(shared.join(&key, at(0))),
        pin!(shared.join(&key, at(0))),
    );
    assert!(poll(second.as_mut()).is_pending());
    assert!(poll(third.as_mut()).is_pending());
    drop(first);
    let Turn::Lead(second) = now(second) else {
        panic!("nobody took its place");
    };
    assert!(poll(third.as_mut()).is_pending());
    // Somebody who only waited goes: nothing changes for the others.
    let mut fourth = Box::pin(shared.join(&key, at(0)));
    assert!(poll(fourth.as_mut()).is_pending());
    drop(fourth);
    second.answer(answer(200, "late"), at(9));
    assert_eq!(body(now(third)), "late");
}

#[test]
fn questions_and_bytes_have_a_bound() {
    let shared = Shared::new(KEEP);
    let leads: Vec<_> = (0..QUESTIONS_MAX)
        .map(|at| lead(&shared, &key(&format!("/{at}")), 0))
        .collect();
    assert!(matches!(
        now(shared.join(&key("/more"), at(0))),
        Turn::Alone
    ));
    let long = "x".repeat(BODY_BYTES_MAX);
    for lead in leads {
        lead.answer(answer(200, &long), at(0));
    }
    let most = BODIES_BYTES_MAX / BODY_BYTES_MAX;
    assert_eq!(shared.held(), (most, most * BODY_BYTES_MAX));
    drop(lead(&shared, &key("/later"), 250));
    lead(&shared, &key("/later"), 250).answer(answer(200, "y"), at(250));
    assert_eq!(shared.held(), (1, 1));
}

#[test]
fn without_a_time_only_what_is_under_way_is_shared() {
    let shared = Shared::new(Duration::ZERO);
    let key = key("/a");
    lead(&shared, &key, 0).answer(answer(200, "once"), at(0));
    let _next = lead(&shared, &key, 0);
}

#[test]
fn a_key_is_the_whole_question() {
    let of = |host: &str, target: &str, headers: &[(&str, &str)]| {
        let headers = headers.iter().map(|(name, value)| {
            (
                name.parse::<HeaderName>().unwrap(),
                value.parse::<HeaderValue>().unwrap(),
            )
        });
        Key::of(&Method::GET, host, target, &headers.collect())
    };
    let plain = of("api.example", "/a?x=1", &[]).unwrap();
    assert_eq!(
        of(
            "api.example",
            "/a?x=1",
            &[("user-agent", "me"), ("x-request-id", "1")]
        ),
        Some(plain.clone())
    );
    for other in [
        of("api.example", "/a?x=2", &[]),
        of("api.exampl", "e/a?x=1", &[]),
        of("api.example", "/a?x=1", &[("accept", "text/html")]),
        of(
            "api.example",
            "/a?x=1",
            &[("x-mbx-time-unit", "MICROSECOND")],
        ),
        of("api.example", "/a?x=1", &[("accept-encoding", "gzip")]),
    ] {
        assert_ne!(other.unwrap(), plain);
    }
    for headers in [
        ("x-mbx-apikey", ""),
        ("authorization", "Bearer x"),
        ("cookie", "a=b"),
        ("ok-access-key", "k"),
        ("x-something-new", "1"),
        ("range", "bytes=0-1"),
        ("if-none-match", "\"x\""),
        ("cache-control", "no-cache"),
        ("content-length", "1"),
        ("expect", "100-continue"),
    ] {
        assert_eq!(of("api.example", "/a", &[headers]), None, "{headers:?}");
    }
    for target in [
        "/a?signature=1",
        "/a?x=1&SIGNATURE=1",
        "/a?timestamp=1",
        "/a?apiKey=1",
        "/a?apiKey",
        "/a?%73ignature=1",
        "/a?listenKey=x",
    ] {
        assert_eq!(of("api.example", target, &[]), None, "{target}");
    }
    for method in [
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
    ] {
        assert_eq!(
            Key::of(&method, "api.example", "/a", &HeaderMap::new()),
            None
        );
    }
    assert_eq!(format!("{plain:?}"), "Key(..)");
}

#[test]
fn a_crowd_on_many_threads_asks_once() {
    let shared = Shared::new(Duration::from_secs(3_600));
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let ask = || async {
        match shared.join(&key("/a"), at(0)).await {
            Turn::Lead(lead) => {
                asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                tokio::task::yield_now().await;
                lead.answer(answer(200, "all"), at(0)).body.clone()
            }
            turn @ (Turn::Answered(_) | Turn::Failed(_) | Turn::Alone) => body(turn),
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    for _ in 0..50 {
                        let (one, other) = tokio::join!(ask(), ask());
                        assert_eq!((&*one, &*other), (&b"all"[..], &b"all"[..]));
                    }
                });
            });
        }
    });
    assert_eq!(asked.into_inner(), 1);
}
