//! Area B: for whom and for what a request is. One host, one target, wherever they are named.

use super::demand_numbers;
use super::framing::anything;
use crate::support::oracle::{Case, Stage, demand};
use crate::world::{OPEN, get};

pub(super) const IDS: &[u32] = &[25, 26, 28, 29];

#[test]
fn hosts_and_targets_have_one_reading() {
    let mut cases = hosts();
    cases.extend(absolute());
    cases.extend(fragments());
    cases.extend(forms());
    demand_numbers(IDS, &cases);
    let mut stage = Stage::start(OPEN);
    let connections = stage.origin.connections();
    for case in cases {
        stage.run(case);
    }
    let after = stage.origin.connections();
    stage.expect(
        "29",
        demand(
            after == connections,
            "a request opened a connection of its own",
        ),
    );
    stage.settle();
}

fn hosts() -> Vec<Case> {
    let host = |id: &str, lines: &str| {
        let bytes = format!("GET /open HTTP/1.1\r\n{lines}\r\n");
        Case::refused(format!("25 {id}"), bytes, 400, "request.host").or_code("request.header")
    };
    let mut cases = vec![
        host("none", ""),
        host("two lines", "Host: a\r\nHost: a\r\n"),
        host("two different", "Host: a\r\nHost: b\r\n"),
    ];
    for value in [
        "a, b",
        "",
        "a@b",
        "user:pass@a",
        "a:99999",
        "a:-1",
        "a:+80",
        "a: 80",
        "a:80:80",
        "a/b",
        "a?b",
        "a#b",
        "a b",
        "[::1",
        "::1",
        "[::1]x",
        "[::zz]",
        "http://a",
        "a\\b",
        "*",
        "a%2e",
        "a\u{2028}b",
        ":80",
        "a\tb",
        "\u{ff41}",
    ] {
        cases.push(host(&format!("{value:?}"), &format!("Host: {value}\r\n")));
    }
    for value in ["a", "A.Example:8443", "[::1]:80", "127.0.0.1", "a_b"] {
        let bytes = format!("GET /open HTTP/1.1\r\nHost: {value}\r\n\r\n");
        cases.push(Case::forwarded(
            format!("25 good {value}"),
            bytes,
            |got, _| {
                demand(
                    got.all("host").len() == 1,
                    format!("Host: {:?}", got.all("host")),
                )
            },
        ));
    }
    cases
}

fn absolute() -> Vec<Case> {
    let ask = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let refused = |id: &str, target: &str, host: &str| {
        Case::refused(format!("26 {id}"), ask(target, host), 400, "request.host")
            .or_code("request.target")
            .or_code("request.head")
    };
    vec![
        refused("another host", "http://admin.internal/open", "public"),
        refused("another port", "http://public:81/open", "public"),
        refused("user information", "http://public@admin/open", "public"),
        refused("user information twice", "http://a@public/open", "public"),
        refused("another scheme", "ftp://public/open", "public"),
        refused("no host in the target", "http:///open", "public"),
        refused(
            "another spelling of the address",
            "http://0x7f.1/open",
            "127.0.0.1",
        ),
        Case::forwarded(
            "26 the same host",
            ask("http://public/open/x?y=1", "public"),
            |got, _| {
                let same = got.target == "/open/x?y=1" && got.one("host") == Some("public");
                demand(
                    same,
                    format!("forwarded {} for {:?}", got.target, got.all("host")),
                )
            },
        ),
        Case::forwarded(
            "26 the same in another case",
            ask("http://PUBLIC/open", "public"),
            |got, _| demand(got.target == "/open", format!("forwarded {}", got.target)),
        ),
    ]
}

fn fragments() -> Vec<Case> {
    [
        "/admin#/../open",
        "/open#/../admin",
        "/#/../admin",
        "/open#",
        "#",
        "/open?x#y",
        "/open/#/x",
    ]
    .map(|target| {
        Case::refused(format!("28 {target}"), get(target), 400, "request.target")
            .or_code("request.head")
            .or_code("request.path")
    })
    .into()
}

fn forms() -> Vec<Case> {
    let ask = |line: &str| format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
    let refused =
        |line: &str, status, code| Case::refused(format!("29 {line}"), ask(line), status, code);
    let target = "request.target";
    let method = "request.method";
    vec![
        refused("GET *", 400, target).or_code("request.head"),
        refused("OPTIONS */test", 400, target)
            .or_code("request.head")
            .or_code("request.path"),
        refused("OPTIONS *", 405, method)
            .or_status(400)
            .or_code(target),
        refused("CONNECT /", 405, method)
            .or_status(400)
            .or_code(target)
            .or_code("request.head"),
        refused("CONNECT a:80", 405, method),
        refused("CONNECT a", 405, method)
            .or_status(400)
            .or_code(target)
            .or_code("request.head"),
        refused("CONNECT http://a/", 405, method)
            .or_status(400)
            .or_code(target),
        refused("TRACE /open", 405, method),
        refused("GET a:80", 400, target)
            .or_code("request.head")
            .or_code("request.host"),
        refused("GET open", 400, target).or_code("request.head"),
        refused("GET ?x=1", 400, target)
            .or_code("request.path")
            .or_code("request.head"),
        refused("GET //a/open", 400, "request.path").or_code(target),
        refused("GET /open x", 400, "request.head").or_code("request.path"),
        refused("GET  /open", 400, "request.head"),
        refused("GET\t/open", 400, "request.head"),
        refused("G(T /open", 400, "request.head"),
        Case::forwarded("29 good", ask("OPTIONS /open/x"), anything),
    ]
}
