//! Requests on their way in: framing, hop-by-hop fields, bodies and their absence, expectations.

use crate::support::oracle::{Case, Stage, demand};
use crate::support::origin::Received;
use crate::support::wire::PATIENCE;
use crate::world::{OPEN, get, post, request};

const ROUTES: &str = "    - name: search
      match: { methods: [GET, HEAD], path: /search }
      anonymous: true
      body: { allow_on_get: true }
";

fn start() -> Stage {
    Stage::start(&format!("{OPEN}{ROUTES}"))
}

/// Requests, and how they must arrive.
#[test]
fn requests_arrive_in_one_framing() {
    let mut stage = start();
    for case in bodies().into_iter().chain(versions()).chain(fields()) {
        stage.run(case);
    }
    stage.settle();
}

fn bodies() -> Vec<Case> {
    let arrives = |id: &str,
                   bytes: Vec<u8>,
                   length: Option<&'static str>,
                   coding: Option<&'static str>,
                   body: &'static [u8]| {
        Case::forwarded(id, bytes, move |got, _| {
            let framing = (got.one("content-length"), got.one("transfer-encoding"));
            demand(
                framing == (length, coding),
                format!("framed as {framing:?}"),
            )?;
            demand(
                got.body == body,
                format!("the body {}", got.body.escape_ascii()),
            )
        })
    };
    let chunked = Some("chunked");
    let line = "Transfer-Encoding: chunked\r\n";
    let chunks = |method: &str, target: &str, chunks: &str| {
        format!("{}{chunks}", request(method, target, line)).into_bytes()
    };
    vec![
        arrives(
            "10 a body with a length",
            post("/open/x", "", "hello"),
            Some("5"),
            None,
            b"hello",
        ),
        arrives(
            "10 a body in chunks",
            chunks("POST", "/open/x", "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"),
            None,
            chunked,
            b"hello!",
        ),
        arrives(
            "10 chunk sizes in any spelling",
            chunks(
                "POST",
                "/open/x",
                "0005\r\nhello\r\nA\r\n0123456789\r\n000\r\n\r\n",
            ),
            None,
            chunked,
            b"hello0123456789",
        ),
        arrives(
            "10 no chunk but the last",
            chunks("POST", "/open/x", "0\r\n\r\n"),
            None,
            chunked,
            b"",
        ),
        arrives(
            "10 CHUNKED",
            format!(
                "{}2\r\nhi\r\n0\r\n\r\n",
                request("PUT", "/open/x", "Transfer-Encoding: CHUNKED\r\n")
            )
            .into(),
            None,
            chunked,
            b"hi",
        ),
        arrives(
            "no body adds no framing",
            get("/open/x").into(),
            None,
            None,
            b"",
        ),
        arrives(
            "DELETE without a body",
            request("DELETE", "/open/x", "").into(),
            None,
            None,
            b"",
        ),
        arrives(
            "a length of 0 stays",
            post("/open/x", "", ""),
            Some("0"),
            None,
            b"",
        ),
        arrives(
            "GET with a length of 0",
            request("GET", "/open/x", "Content-Length: 0\r\n").into(),
            Some("0"),
            None,
            b"",
        ),
        arrives(
            "10 GET with a body on a route that takes one",
            request("GET", "/search", "Content-Length: 5\r\n")
                .into_bytes()
                .into_iter()
                .chain(*b"query")
                .collect(),
            Some("5"),
            None,
            b"query",
        ),
        arrives(
            "10 GET with chunks on a route that takes them",
            chunks("GET", "/search", "5\r\nquery\r\n0\r\n\r\n"),
            None,
            chunked,
            b"query",
        ),
        Case::refused(
            "10 GET with chunks elsewhere",
            chunks("GET", "/open/x", "5\r\nquery\r\n0\r\n\r\n"),
            400,
            "request.body_not_allowed",
        ),
        Case::refused(
            "10 HEAD with a body",
            request("HEAD", "/open/x", "Content-Length: 5\r\n"),
            400,
            "request.body_not_allowed",
        ),
    ]
}

fn versions() -> Vec<Case> {
    let old = |headers: &str| format!("GET /open/x HTTP/1.0\r\n{headers}\r\n");
    vec![
        Case::forwarded("1.0 with Host", old("Host: a\r\n"), |got, response| {
            demand(
                got.head.windows(8).any(|part| part == b"HTTP/1.1"),
                "not sent on as HTTP/1.1",
            )?;
            demand(
                response.one("transfer-encoding").is_none(),
                "chunks for an HTTP/1.0 client",
            )
        }),
        Case::forwarded(
            "1.0 that wants to stay",
            old("Host: a\r\nConnection: keep-alive\r\n"),
            |got, _| demand(!got.has("connection"), "Connection arrives"),
        ),
        Case::refused("1.0 without Host", old(""), 400, "request.host"),
        Case::refused(
            "1.2",
            "GET /open/x HTTP/1.2\r\nHost: a\r\n\r\n",
            400,
            "request.head",
        )
        .or_status(505),
        Case::refused(
            "2.0",
            "GET /open/x HTTP/2.0\r\nHost: a\r\n\r\n",
            400,
            "request.head",
        )
        .or_status(505),
        Case::refused("0.9", "GET /open/x\r\n\r\n", 400, "request.head"),
        Case::cut(
            "the HTTP/2 preface",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            &["request.head"],
        ),
        Case::refused(
            "a TLS hello",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            400,
            "request.head",
        ),
    ]
}

fn fields() -> Vec<Case> {
    let lines = "Connection: X-One\r\nConnection: x-two , X-Three\r\nX-One: 1\r\nX-Two: 2\r\nX-Three: 3\r\nX-Four: 4\r\nX-Four: 5\r\n";
    let names = |got: &Received| -> Vec<String> {
        got.headers
            .iter()
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect()
    };
    vec![
        Case::forwarded(
            "1 every Connection line counts",
            request("GET", "/open/x", lines),
            move |got, _| {
                let left = names(got);
                let gone = ["x-one", "x-two", "x-three", "connection"]
                    .iter()
                    .all(|name| !left.contains(&(*name).to_owned()));
                demand(gone && got.all("x-four") == ["4", "5"], format!("{left:?}"))
            },
        ),
        Case::forwarded(
            "7 Host is written once",
            request("GET", "/open/x", ""),
            |got, _| demand(got.all("host") == ["a"], format!("{:?}", got.all("host"))),
        ),
        Case::refused(
            "12 another expectation",
            request("POST", "/open/x", "Expect: 200-ok\r\nContent-Length: 1\r\n"),
            417,
            "request.expectation",
        ),
        Case::refused(
            "12 two expectations",
            request(
                "POST",
                "/open/x",
                "Expect: 100-continue\r\nExpect: x\r\nContent-Length: 1\r\n",
            ),
            417,
            "request.expectation",
        ),
        Case::refused(
            "too many lines",
            request("GET", "/open/x", &"X-A: 1\r\n".repeat(70)),
            431,
            "request.head_too_large",
        ),
        Case::refused(
            "a head too large",
            request(
                "GET",
                "/open/x",
                &format!("X-A: {}\r\n", "x".repeat(70_000)),
            ),
            431,
            "request.head_too_large",
        ),
        Case::refused(
            "a target too long",
            get(&format!("/open/{}", "x".repeat(9_000))),
            414,
            "request.target_too_long",
        ),
        Case::forwarded(
            "values pass as they are",
            request("GET", "/open/x", "X-A:  a\tb \r\nX-B: \u{e9}\r\nX-C:\r\n"),
            |got, _| {
                let same = got.one("x-a") == Some("a\tb")
                    && got.one("x-b") == Some("\u{e9}")
                    && got.one("x-c") == Some("");
                demand(same, format!("{:?}", got.headers))
            },
        )
        .in_pieces(7),
    ]
}

/// 12: the decision falls on the head; only then is the body asked for.
#[test]
fn a_body_is_asked_for_only_after_the_decision() {
    let mut stage = start();
    let asked = |target: &str| {
        request(
            "POST",
            target,
            "Expect: 100-continue\r\nContent-Length: 5\r\n",
        )
    };
    let mut wire = stage.fresh(None);
    wire.send(asked("/nowhere"));
    let answer = wire.answer().unwrap();
    stage.expect(
        "12 refused",
        demand(answer.status == 404, format!("{answer}")),
    );
    let mut wire = stage.fresh(None);
    let before = stage.origin.mark();
    wire.send(asked("/open/x"));
    let first = wire.answer().unwrap();
    stage.expect(
        "12 allowed",
        demand(first.status == 100, format!("first {first}")),
    );
    wire.send("hello");
    let answer = wire.answer().unwrap();
    stage.expect(
        "12 allowed",
        demand(answer.status == 200, format!("then {answer}")),
    );
    let upstream = stage.origin.since(before);
    let clean = upstream.len() == 1 && !upstream[0].has("expect") && upstream[0].body == b"hello";
    stage.expect("12 allowed", demand(clean, format!("{upstream:?}")));
    drop(wire);
    stage.settle();
}

/// 13: a refusal does not wait for a body that nobody wants, and does not read it as a request.
#[test]
fn a_refusal_does_not_wait_for_the_body() {
    let mut stage = start();
    let mut wire = stage.fresh(None);
    let asked = request("POST", "/nowhere", "Content-Length: 1000000\r\n");
    let answer = wire.ask(asked).unwrap();
    stage.expect(
        "13",
        demand(
            answer.status == 404 && answer.says_close(),
            format!("{answer} {:?}", answer.headers),
        ),
    );
    let ended = wire.ends_within(PATIENCE);
    stage.expect(
        "13",
        demand(ended, "the connection is left open with a body to come"),
    );
    drop(wire);
    stage.settle();
}
