//! Answers on their way out: framing, hop-by-hop fields, ends, and how much of them is held.

use std::time::Duration;

use crate::support::oracle::{Case, Stage, demand};
use crate::support::origin::{Act, Received, send, tagged};
use crate::support::wire::{NoAnswer, PATIENCE, Response, describe, head_length};
use crate::world::{OPEN, get, request};

/// What the service answers, and what must come out.
#[test]
fn answers_arrive_in_one_framing() {
    let mut stage = Stage::start(OPEN);
    for (name, asked, acts, check) in answers() {
        stage.origin.answer(move |got: &Received| {
            if got.target == "/probe" {
                tagged(got)
            } else {
                acts.clone()
            }
        });
        stage.run(Case::forwarded(name, asked, move |_, response| {
            check(response)
        }));
    }
    stage.settle();
}

type Checked = (
    &'static str,
    String,
    Vec<Act>,
    fn(&Response) -> Result<(), String>,
);

fn answers() -> Vec<Checked> {
    let asked = || get("/open/x");
    let head = || request("HEAD", "/open/x", "");
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n5\r\nhello\r\n0\r\nX-Late: 1\r\n\r\n";
    let hops = "HTTP/1.1 200 OK\r\nConnection: X-Inner\r\nConnection: keep-alive\r\nX-Inner: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n\
                Proxy-Connection: x\r\nUpgrade: h2c\r\nServer: inner/1.0\r\nX-Powered-By: php\r\nX-Kept: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok";
    vec![
        (
            "a length",
            asked(),
            vec![send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")],
            |answer| {
                demand(
                    answer.one("content-length") == Some("5") && answer.body == b"hello",
                    format!("{answer:?}"),
                )
            },
        ),
        (
            "a length of 0",
            asked(),
            vec![send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")],
            |answer| {
                demand(
                    answer.one("content-length") == Some("0"),
                    format!("{answer:?}"),
                )
            },
        ),
        (
            "6 chunks, without trailers",
            asked(),
            vec![send(chunks)],
            |answer| {
                demand(
                    answer.body == b"hello" && answer.one("trailer").is_none(),
                    format!("{answer:?}"),
                )
            },
        ),
        (
            "chunks with extensions",
            asked(),
            vec![send(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
            )],
            |answer| demand(answer.body == b"hello", format!("{answer:?}")),
        ),
        (
            "ended by the end of the connection",
            asked(),
            vec![send("HTTP/1.1 200 OK\r\n\r\nhello"), Act::Close],
            |answer| demand(answer.body == b"hello", format!("{answer:?}")),
        ),
        (
            "HTTP/1.0 ended by the end",
            asked(),
            vec![
                send("HTTP/1.0 200 OK\r\nX-Kept: 1\r\n\r\nhello"),
                Act::Close,
            ],
            |answer| {
                demand(
                    answer.body == b"hello" && answer.version == "HTTP/1.1",
                    format!("{answer:?}"),
                )
            },
        ),
        (
            "204",
            asked(),
            vec![send("HTTP/1.1 204 No Content\r\n\r\n")],
            |answer| {
                let bare = answer.one("content-length").is_none()
                    && answer.one("transfer-encoding").is_none();
                demand(answer.status == 204 && bare, format!("{answer:?}"))
            },
        ),
        (
            "304",
            asked(),
            vec![send("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n")],
            |answer| {
                demand(
                    answer.status == 304 && answer.one("etag") == Some("\"x\""),
                    format!("{answer:?}"),
                )
            },
        ),
        (
            "HEAD keeps the length",
            head(),
            vec![send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")],
            |answer| {
                demand(
                    answer.one("content-length") == Some("1234"),
                    format!("{answer:?}"),
                )
            },
        ),
        (
            "HEAD of chunks",
            head(),
            vec![send(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            )],
            |answer| {
                demand(
                    answer.status == 200 && answer.body.is_empty(),
                    format!("{answer:?}"),
                )
            },
        ),
        (
            "HEAD without framing",
            head(),
            vec![send("HTTP/1.1 200 OK\r\n\r\n")],
            |answer| demand(answer.status == 200, format!("{answer:?}")),
        ),
        (
            "1 hop-by-hop fields stay behind",
            asked(),
            vec![send(hops)],
            |answer| {
                for name in [
                    "x-inner",
                    "keep-alive",
                    "proxy-authenticate",
                    "proxy-connection",
                    "upgrade",
                    "server",
                    "x-powered-by",
                ] {
                    demand(answer.all(name).is_empty(), format!("{name} comes out"))?;
                }
                let kept =
                    answer.one("x-kept") == Some("1") && answer.all("set-cookie") == ["a=1", "b=2"];
                demand(kept && answer.body == b"ok", format!("{answer:?}"))
            },
        ),
        (
            "statuses pass as they are",
            asked(),
            vec![send(
                "HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\nLocation: /x\r\n\r\n",
            )],
            |answer| {
                demand(
                    answer.status == 418 && answer.one("location") == Some("/x"),
                    format!("{answer:?}"),
                )
            },
        ),
        (
            "500 of the service is its own",
            asked(),
            vec![send(
                "HTTP/1.1 500 Oops\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\noops",
            )],
            |answer| {
                demand(
                    answer.status == 500 && answer.body == b"oops",
                    format!("{answer:?}"),
                )
            },
        ),
        (
            "pieces",
            asked(),
            vec![
                send("HTTP/1.1 200 O"),
                Act::Pause(Duration::from_millis(5)),
                send("K\r\nContent-Length: 5\r\n\r\nhe"),
                Act::Pause(Duration::from_millis(5)),
                send("llo"),
            ],
            |answer| demand(answer.body == b"hello", format!("{answer:?}")),
        ),
    ]
}

/// 18: bodies pass through; memory does not grow with them.
#[test]
fn bodies_pass_without_being_held() {
    let stage = Stage::start(OPEN);
    let size = 40 << 20;
    let piece = vec![b'x'; 1 << 20];
    stage.origin.answer(move |got: &Received| {
        if got.target == "/probe" {
            return tagged(got);
        }
        let mut acts = vec![send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"
        ))];
        acts.extend(vec![Act::Send(piece.clone()); 40]);
        acts
    });
    let before = stage.sidecar.resident();
    let mut wire = stage.sidecar.connect();
    wire.send(get("/open/large"));
    let head = wire.bytes(1, PATIENCE);
    assert!(head_length(&head).is_some() || !head.is_empty());
    // The client does not read on; what the service sends has nowhere to go.
    std::thread::sleep(Duration::from_millis(300));
    let held = stage.sidecar.resident().saturating_sub(before);
    assert!(
        held < 8 << 20,
        "{held} bytes are held for a client that does not read"
    );
    let answer = wire.answer_to(false, PATIENCE);
    assert!(
        answer
            .as_ref()
            .is_ok_and(|answer| answer.body.len() == size),
        "{}",
        describe(&answer).len()
    );
    drop(wire);
    stage.settle();
}

/// An answer that breaks off is never a complete one.
#[test]
fn a_broken_answer_is_seen_as_broken() {
    let mut stage = Stage::start(OPEN);
    for (name, acts) in [
        (
            "in a length",
            vec![
                send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"),
                Act::Close,
            ],
        ),
        (
            "in chunks",
            vec![
                send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
                Act::Close,
            ],
        ),
    ] {
        stage.origin.answer(move |got: &Received| {
            if got.target == "/probe" {
                tagged(got)
            } else {
                acts.clone()
            }
        });
        let mut wire = stage.fresh(None);
        let answer = wire.ask(get("/open/x"));
        let broken = match &answer {
            Err(NoAnswer::Cut(_) | NoAnswer::Closed) => true,
            Ok(response) => response.status == 502,
            Err(NoAnswer::Late(_) | NoAnswer::Garbled(_)) => false,
        };
        stage.expect(name, demand(broken, describe(&answer)));
    }
    stage.settle();
}
