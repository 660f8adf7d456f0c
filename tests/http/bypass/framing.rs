//! Area A: where a message begins and ends. One reading, or a refusal and the end of the connection.

use super::demand_numbers;
use crate::support::oracle::{Case, Stage, demand};
use crate::support::origin::Received;
use crate::support::wire::Response;
use crate::world::{OPEN, get, issuer, post, request, stage, token};

pub(super) const IDS: &[u32] = &[1, 2, 4, 5, 7, 8, 10, 11, 13, 14, 16, 17, 19];
/// Cases of several requests on one connection.
pub(super) const SEQUENCES: &[u32] = &[20, 23];

const FRAMING: &str = "request.framing";
const HEAD: &str = "request.head";

#[test]
fn heads_with_two_framings_are_refused() {
    let mut cases = both_framings();
    cases.extend(lengths());
    cases.extend(codings());
    run(cases);
}

#[test]
fn chunks_that_are_not_chunks_never_make_a_request() {
    run(chunks());
}

#[test]
fn heads_with_two_readings_are_refused() {
    let mut cases = lines();
    cases.extend(names());
    cases.extend(zeros());
    cases.push(body_on_get());
    run(cases);
}

#[test]
fn the_numbers_are_complete() {
    let all = [
        both_framings(),
        lengths(),
        codings(),
        chunks(),
        lines(),
        names(),
        zeros(),
    ];
    let mut all: Vec<Case> = all.into_iter().flatten().collect();
    all.push(body_on_get());
    demand_numbers(IDS, &all);
}

/// 20: the body of a refused request is never read as a request.
#[test]
fn a_refused_requests_body_is_not_the_next_request() {
    let issuer = issuer();
    let mut stage = stage(&crate::world::guarded(), &issuer);
    stage.secrets.push(token(&issuer));
    let smuggled = "GET /admin HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let mut wire = stage.fresh(None);
    let before = stage.origin.mark();
    let first = wire.ask(post("/orders", "", smuggled)).unwrap();
    stage.expect(
        "20",
        demand(first.status == 401, format!("expected 401, got {first}")),
    );
    wire.send(get("/open/second"));
    match wire.answer() {
        Ok(second) => {
            let own = second.status == 200 && second.text().ends_with("GET /open/second");
            stage.expect("20", demand(own, format!("the second answer is {second}")));
        }
        Err(_) => stage.expect(
            "20",
            demand(
                wire.ends_within(crate::support::wire::PATIENCE),
                "neither answered nor closed",
            ),
        ),
    }
    let smuggled = stage
        .origin
        .since(before)
        .iter()
        .any(|got| got.target == "/admin");
    stage.expect(
        "20",
        demand(!smuggled, "the body was forwarded as a request"),
    );
    drop(wire);
    stage.settle();
}

/// 23: answers come in the order of the requests, whatever becomes of one of them.
#[test]
fn pipelined_answers_do_not_shift() {
    let issuer = issuer();
    let mut stage = stage(&crate::world::guarded(), &issuer);
    let mut wire = stage.fresh(None);
    wire.send([get("/open/1"), get("/admin"), get("/open/3")].concat());
    let first = wire.answer().unwrap();
    let second = wire.answer().unwrap();
    stage.expect(
        "23",
        demand(
            first.text().ends_with("GET /open/1"),
            format!("first: {first}"),
        ),
    );
    stage.expect(
        "23",
        demand(second.status == 401, format!("second: {second}")),
    );
    if let Ok(third) = wire.answer() {
        stage.expect(
            "23",
            demand(
                third.text().ends_with("GET /open/3"),
                format!("third: {third}"),
            ),
        );
    }
    let forwarded = stage
        .origin
        .since(1)
        .iter()
        .filter(|got| got.target == "/admin")
        .count();
    stage.expect(
        "23",
        demand(forwarded == 0, "the refused one was forwarded"),
    );
    drop(wire);
    stage.settle();
}

fn run(cases: Vec<Case>) {
    let mut stage = Stage::start(OPEN);
    for case in cases {
        stage.run(case);
    }
    stage.settle();
}

fn framed(id: &str, headers: &str, body: &str) -> Case {
    let bytes = format!("{}{body}", request("POST", "/open/orders", headers));
    Case::refused(id, bytes, 400, FRAMING).or_code(HEAD)
}

fn both_framings() -> Vec<Case> {
    let rest = "0\r\n\r\nX";
    let chunked = "Transfer-Encoding: chunked\r\n";
    let length = "Content-Length: 6\r\n";
    vec![
        framed("1 length first", &format!("{length}{chunked}"), rest),
        framed(
            "1 another header between",
            &format!("{length}X-A: 1\r\n{chunked}"),
            rest,
        ),
        framed(
            "1 upper case",
            "CONTENT-LENGTH: 6\r\nTRANSFER-ENCODING: CHUNKED\r\n",
            rest,
        ),
        framed(
            "1 length 0",
            &format!("Content-Length: 0\r\n{chunked}"),
            "5\r\nhello\r\n0\r\n\r\n",
        ),
        framed("2 coding first", &format!("{chunked}{length}"), rest),
        framed(
            "2 length twice",
            &format!("{chunked}{length}{length}"),
            rest,
        ),
    ]
}

fn lengths() -> Vec<Case> {
    let length = |value: &str| format!("Content-Length: {value}\r\n");
    let two = |one: &str, other: &str| format!("{}{}", length(one), length(other));
    let mut cases = vec![
        framed("4 two equal lines", &two("5", "5"), "hello"),
        framed("4 a list of equals", &length("5, 5"), "hello"),
        framed("4 two different lines", &two("5", "6"), "hello!"),
        framed("4 a list of two", &length("5, 6"), "hello!"),
        framed("4 equal but for zeros", &two("5", "05"), "hello"),
    ];
    for value in [
        "+5",
        "-0",
        "-5",
        "0x5",
        "5_0",
        "5 5",
        "",
        "18446744073709551616",
        "99999999999999999999999",
        "5.0",
        "5e0",
        "\"5\"",
        "5;",
        ",5",
        "5,",
        "five",
        "\u{ff15}",
    ] {
        cases.push(framed(&format!("5 {value:?}"), &length(value), "hello"));
    }
    // The largest number there is: no body has this length, whatever word is used for that.
    let largest = framed(
        "5 the largest number",
        &length("18446744073709551615"),
        "hello",
    );
    cases.push(
        largest
            .or_status(413)
            .or_status(431)
            .or_code("body.too_large")
            .or_code("request.head_too_large"),
    );
    cases
}

fn codings() -> Vec<Case> {
    let body = "5\r\nhello\r\n0\r\n\r\n";
    let coding = |value: &[u8]| {
        let head = b"POST /open/orders HTTP/1.1\r\nHost: a\r\n";
        [head.as_slice(), value, b"\r\n\r\n", body.as_bytes()].concat()
    };
    let refused = |id: String, value: &[u8]| {
        Case::refused(id, coding(value), 400, FRAMING)
            .or_code(HEAD)
            .or_code("request.header")
    };
    let mut cases = vec![
        refused(
            "7 identity and chunked".into(),
            b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        ),
        refused(
            "7 chunked and identity".into(),
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        ),
        refused(
            "7 chunked twice".into(),
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ),
        refused(
            "7 in one line".into(),
            b"Transfer-Encoding: identity, chunked",
        ),
        refused("7 gzip first".into(), b"Transfer-Encoding: gzip, chunked"),
        refused(
            "7 chunked not last".into(),
            b"Transfer-Encoding: chunked, gzip",
        ),
        refused("7 only identity".into(), b"Transfer-Encoding: identity"),
    ];
    let values: &[&[u8]] = &[
        b"\x0bchunked",
        b"chunked\x0b",
        b"\x0cchunked",
        b"\xa0chunked",
        b"chunked\xa0",
        b",chunked",
        b"chunked,",
        b"chunked;",
        b"chunked;q=1",
        b"\"chunked\"",
        b"'chunked'",
        b"xchunked",
        b"chunkedx",
        b"chunk\x00ed",
        b"",
        b"chunked chunked",
        b"chun\tked",
    ];
    for value in values {
        let line = [b"Transfer-Encoding: ".as_slice(), value].concat();
        cases.push(refused(format!("8 {}", value.escape_ascii()), &line));
    }
    cases.push(refused(
        "8 underscore".into(),
        b"Transfer_Encoding: chunked",
    ));
    cases.push(refused(
        "8 underscore beside a length".into(),
        b"Content-Length: 5\r\nTransfer_Encoding: chunked",
    ));
    cases.push(refused(
        "8 blank before the colon".into(),
        b"Transfer-Encoding : chunked",
    ));
    cases.push(refused(
        "8 tab before the colon".into(),
        b"Transfer-Encoding\t: chunked",
    ));
    let old = format!(
        "POST /open/orders HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
    );
    cases.push(Case::refused("8 in HTTP/1.0", old, 400, FRAMING).or_code(HEAD));
    cases
}

fn chunks() -> Vec<Case> {
    let codes = &["body.broken", FRAMING];
    let head = request("POST", "/open/orders", "Transfer-Encoding: chunked\r\n");
    let cut = |id: String, body: &[u8]| Case::cut(id, [head.as_bytes(), body].concat(), codes);
    let mut cases = Vec::new();
    for size in [
        "0x5",
        "+5",
        "-0",
        "-5",
        "5_0",
        "5these-bytes",
        " 5",
        "\t5",
        "fffffffffffffffff1",
        "ffffffffffffffff",
        "",
        "g",
        "5.",
        "\u{ff15}",
        "\"5\"",
    ] {
        let body = format!("{size}\r\nhello\r\n0\r\n\r\n");
        cases.push(cut(format!("10 {size:?}"), body.as_bytes()));
    }
    for (name, body) in [
        ("a chunk longer than its size", "5\r\nhello!\r\n0\r\n\r\n"),
        ("a chunk without its end", "5\r\nhello0\r\n\r\n"),
        ("only the end of the stream", "5\r\nhello\r\n"),
    ] {
        cases.push(cut(format!("10 {name}"), body.as_bytes()));
    }
    for (name, body) in [
        ("extension ended by LF", "5;\nhello\r\n0\r\n\r\n"),
        ("extension with LF inside", "5;a\nX\r\nhello\r\n0\r\n\r\n"),
        ("CR before the extension", "5\r;x\r\nhello\r\n0\r\n\r\n"),
        ("CR inside the extension", "5;a=b\rX\r\nhello\r\n0\r\n\r\n"),
        ("size ended by LF", "5\nhello\r\n0\r\n\r\n"),
        ("chunk ended by LF", "5\r\nhello\n0\r\n\r\n"),
        ("chunk ended by CR CR LF", "5\r\nhello\r\r\n0\r\n\r\n"),
    ] {
        cases.push(cut(format!("11 {name}"), body.as_bytes()));
    }
    // RFC 9112 section 7.1.1: an extension in good order is taken and goes no further.
    let polite = format!("{head}5;secret-extension=1\r\nhello\r\n0\r\n\r\n");
    cases.push(Case::forwarded("11 in good order", polite, |got, _| {
        let clean = !got.head.windows(9).any(|part| part == b"extension");
        demand(
            got.body == b"hello" && clean,
            format!("forwarded {:?}", got.body.escape_ascii().to_string()),
        )
    }));
    cases
}

fn lines() -> Vec<Case> {
    let refused = |id: &str, bytes: &[u8]| Case::refused(id, bytes, 400, HEAD).or_code(FRAMING);
    vec![
        refused("13 only LF", b"GET /open HTTP/1.1\nHost: a\n\n"),
        refused("13 LF after the request line", b"GET /open HTTP/1.1\nHost: a\r\n\r\n"),
        refused("13 LF after a header", b"GET /open HTTP/1.1\r\nHost: a\nX-A: 1\r\n\r\n"),
        refused("13 LF at the end", b"GET /open HTTP/1.1\r\nHost: a\r\n\n"),
        refused("13 CR in a value", b"GET /open HTTP/1.1\r\nHost: a\r\nX-A: 1\r2\r\n\r\n"),
        refused("13 CR that hides a header", b"GET /open HTTP/1.1\r\nHost: a\r\nX-A: 1\rContent-Length: 5\r\n\r\nhello"),
        refused("13 CR CR LF", b"GET /open HTTP/1.1\r\nHost: a\r\r\n\r\n"),
        refused("13 an empty line first", b"\r\nGET /open HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("13 LF first", b"\nGET /open HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("14 folded coding", b"POST /open HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n  Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        refused("14 folded by a tab", b"GET /open HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\tmore\r\n\r\n"),
        refused("14 folded to nothing", b"GET /open HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n \r\n\r\n"),
        refused("14 folded host", b"GET /open HTTP/1.1\r\nHost:\r\n a\r\n\r\n"),
    ]
}

fn names() -> Vec<Case> {
    let refused = |id: &str, bytes: &[u8]| Case::refused(id, bytes, 400, HEAD).or_code(FRAMING);
    vec![
        refused(
            "16 blank before the colon",
            b"POST /open HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello",
        ),
        refused(
            "16 tab before the colon",
            b"POST /open HTTP/1.1\r\nHost: a\r\nContent-Length\t: 5\r\n\r\nhello",
        ),
        refused(
            "16 no colon",
            b"POST /open HTTP/1.1\r\nHost: a\r\nContent-Length 5\r\n\r\nhello",
        ),
        refused(
            "16 blank before the first name",
            b"POST /open HTTP/1.1\r\n Content-Length: 5\r\nHost: a\r\n\r\nhello",
        ),
        refused(
            "16 no name",
            b"GET /open HTTP/1.1\r\nHost: a\r\n: value\r\n\r\n",
        ),
        refused(
            "16 blank in a name",
            b"GET /open HTTP/1.1\r\nHost: a\r\nX A: 1\r\n\r\n",
        ),
        refused(
            "16 a byte beyond ASCII in a name",
            b"GET /open HTTP/1.1\r\nHost: a\r\nX-\xff: 1\r\n\r\n",
        ),
    ]
}

fn zeros() -> Vec<Case> {
    let refused = |id: &str, bytes: &[u8]| {
        Case::refused(id, bytes, 400, HEAD)
            .or_code("request.target")
            .or_code("request.path")
    };
    vec![
        refused(
            "17 in a value",
            b"GET /open HTTP/1.1\r\nHost: a\r\nX-A: 1\x002\r\n\r\n",
        ),
        refused(
            "17 in a name",
            b"GET /open HTTP/1.1\r\nHost: a\r\nX\x00A: 1\r\n\r\n",
        ),
        refused(
            "17 in the path",
            b"GET /open\x00/x HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        refused(
            "17 in the method",
            b"G\x00T /open HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        refused(
            "17 in the host",
            b"GET /open HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
        ),
    ]
}

/// 19: a body of GET is refused unless a route says that it takes one; `pitfalls` has the route that does.
fn body_on_get() -> Case {
    let hidden = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";
    let bytes = format!(
        "GET /open/x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{hidden}",
        hidden.len()
    );
    Case::refused("19", bytes, 400, "request.body_not_allowed")
}

/// A check for cases in which nothing but forwarding counts.
pub(crate) fn anything(_: &Received, response: &Response) -> Result<(), String> {
    demand(response.status == 200, format!("answered {response}"))
}
