//! Area A, 22: answers of the service that have two readings, or none. Nobody gets the answer of another.

use std::time::Duration;

use crate::support::oracle::{Stage, demand};
use crate::support::origin::{Act, Received, send, tagged};
use crate::support::wire::{NoAnswer, describe};
use crate::world::{OPEN, get, request};

pub(super) const IDS: &[u32] = &[22];

const STRAY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nSTRAY";

/// What the service sends for `/open/bad`, whatever the method.
fn bad_answers() -> Vec<(&'static str, &'static str, Vec<Act>)> {
    let one = |text: &str| vec![send(text)];
    let both =
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    vec![
        (
            "two different lengths",
            "GET",
            one("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
        ),
        (
            "a length that is none",
            "GET",
            one("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello"),
        ),
        (
            "a negative length",
            "GET",
            one("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        ),
        (
            "both framings and more behind",
            "GET",
            vec![send(both), send(STRAY)],
        ),
        (
            "101 that nobody asked for",
            "GET",
            one(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            ),
        ),
        (
            "a folded header",
            "GET",
            one(
                "HTTP/1.1 200 OK\r\nX-A: 1\r\n Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
            ),
        ),
        (
            "no HTTP",
            "GET",
            vec![send("SSH-2.0-OpenSSH\r\n\r\n"), Act::Close],
        ),
        (
            "another version",
            "GET",
            vec![
                send("HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
                Act::Close,
            ],
        ),
        (
            "a status of four digits",
            "GET",
            vec![
                send("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
                Act::Close,
            ],
        ),
        ("nothing", "GET", vec![Act::Close]),
        (
            "half a head",
            "GET",
            vec![send("HTTP/1.1 200 OK\r\nContent-Le"), Act::Close],
        ),
        (
            "a chunk size that is none",
            "GET",
            one("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        ),
        (
            "chunks without end",
            "GET",
            vec![
                send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
                Act::Close,
            ],
        ),
        (
            "half a body",
            "GET",
            vec![
                send("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"),
                Act::Close,
            ],
        ),
        (
            "a body behind HEAD",
            "HEAD",
            vec![
                send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
                send(STRAY),
            ],
        ),
        (
            "a body behind 204",
            "GET",
            vec![send("HTTP/1.1 204 No Content\r\n\r\n"), send(STRAY)],
        ),
        (
            "a body behind 304",
            "GET",
            vec![send("HTTP/1.1 304 Not Modified\r\n\r\n"), send(STRAY)],
        ),
        (
            "two answers to one request",
            "GET",
            vec![
                send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"),
                send(STRAY),
            ],
        ),
        (
            "a second answer a little later",
            "GET",
            vec![
                send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"),
                Act::Pause(Duration::from_millis(20)),
                send(STRAY),
            ],
        ),
        (
            "a storm of 1xx and no answer",
            "GET",
            vec![
                send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(2000)),
                Act::Close,
            ],
        ),
    ]
}

#[test]
fn a_bad_answer_reaches_nobody_else() {
    let mut stage = Stage::start(OPEN);
    for (name, method, acts) in bad_answers() {
        let id = format!("22 {name}");
        stage
            .origin
            .answer(move |got: &Received| match got.target.as_str() {
                "/open/bad" => acts.clone(),
                _ => tagged(got),
            });
        let mut wire = stage.fresh(None);
        let answer = wire.ask(request(method, "/open/bad", ""));
        let told = describe(&answer);
        let sound = match &answer {
            // The service has answered in good order, and said more than it was asked.
            Ok(response) if name.starts_with("two answers") || name.starts_with("a second") => {
                response.text() == "first"
            }
            Ok(response) if name.starts_with("a body behind") => response.body.is_empty(),
            Ok(response) => {
                response.status == 502 && response.code().as_deref() == Some("upstream.broken")
            }
            // The head had gone out when the body broke: only an end tells the client.
            Err(NoAnswer::Cut(_) | NoAnswer::Closed) => {
                name.contains("chunk") || name.contains("half a body")
            }
            Err(_) => false,
        };
        stage.expect(&id, demand(sound, format!("the client got {told}")));
        // Not before the proxy has seen all of it: what comes after the next request has left is taken for its answer.
        stage.sidecar.wait_until("the connection is given up", || {
            stage.sidecar.metric("outrider_upstream_connections", &[]) < 0.5
        });
        for turn in 1..=3 {
            let target = format!("/open/after/{turn}");
            let mut next = stage.fresh(None);
            let answer = next.ask(get(&target));
            let own = answer
                .as_ref()
                .is_ok_and(|response| response.text().ends_with(&format!("GET {target}")));
            stage.expect(
                &id,
                demand(
                    own,
                    format!("request {turn} after it got {}", describe(&answer)),
                ),
            );
        }
    }
    stage.settle();
}

#[test]
fn one_early_answer_is_swallowed() {
    let mut stage = Stage::start(OPEN);
    stage.origin.answer(|got: &Received| {
        let mut acts = vec![send(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        )];
        acts.extend(tagged(got));
        acts
    });
    let mut wire = stage.fresh(None);
    let answer = wire.ask(get("/open/x"));
    let sound = answer
        .as_ref()
        .is_ok_and(|response| response.status == 200 && response.one("link").is_none());
    stage.expect(
        "22 1xx",
        demand(sound, format!("the client got {}", describe(&answer))),
    );
    drop(wire);
    stage.settle();
}
