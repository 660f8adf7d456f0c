//! What is no WebSocket, from either side: ended with the code that RFC 6455 has for it, told, and never passed on.

use std::io::Write as _;
use std::net::TcpStream;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::client::{ALL, Client, UPGRADE, all_closed, event, events};
use super::peer::Peer;
use crate::support::exchange::StandIn;
use crate::support::sidecar::Sidecar;
use crate::world::out;

/// A frame of a client: its first byte, and what it holds. The mask is four zeros.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    framed(first, 0x80, &[0; 4], payload)
}

/// A frame of a server.
fn plain(first: u8, payload: &[u8]) -> Vec<u8> {
    framed(first, 0, &[], payload)
}

fn framed(first: u8, mask: u8, key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length) if length < 126 => frame.push(mask | payload.len() as u8),
        Ok(length) => {
            frame.push(mask | 126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(mask | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(key);
    frame.extend(payload);
    frame
}

/// The newest end of a WebSocket, when there have been so many.
fn end(sidecar: &Sidecar, count: usize) -> Value {
    let mut closed = events(sidecar, "ws.close", count);
    assert_eq!(closed.len(), count);
    let mut last = closed.remove(count - 1);
    let mut socket = last["socket"].take();
    socket["outcome"] = last["outcome"].take();
    socket
}

#[test]
fn what_a_client_sends_that_is_no_websocket_ends_it() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, "");
    let text = br#"{"id":1,"method":"time"}"#;
    let half = vec![b' '; 40_000];
    let endless = [
        &[0x81, 0x80 | 127][..],
        &(1_u64 << 62).to_be_bytes(),
        &[0; 4],
    ]
    .concat();
    let table: [(&str, Vec<u8>, u16); 16] = [
        ("not masked", plain(0x81, text), 1002),
        ("compressed", masked(0xC1, text), 1002),
        ("another reserved bit", masked(0x91, text), 1002),
        ("reserved data", masked(0x83, text), 1002),
        ("reserved control", masked(0x8B, b""), 1002),
        ("goes on without a beginning", masked(0x80, text), 1002),
        (
            "begins twice",
            [masked(0x01, b"{"), masked(0x81, text)].concat(),
            1002,
        ),
        ("a ping in pieces", masked(0x09, b"p"), 1002),
        ("a long ping", masked(0x89, &[b'p'; 126]), 1002),
        ("half a close code", masked(0x88, b"x"), 1002),
        ("not UTF-8", masked(0x81, b"{\"id\":\"\xff\"}"), 1007),
        ("a surrogate", masked(0x81, b"\xed\xa0\x80"), 1007),
        (
            "half a character",
            [masked(0x01, b"\xc3"), masked(0x80, b"")].concat(),
            1007,
        ),
        ("a long text", masked(0x81, &[b' '; 70_000]), 1009),
        (
            "long in pieces",
            [masked(0x01, &half), masked(0x80, &half)].concat(),
            1009,
        ),
        ("says that it is endless", endless, 1009),
    ];
    let count = table.len();
    for (at, (what, bytes, expected)) in table.into_iter().enumerate() {
        let (mut client, mut server) = peer.api(&sidecar);
        client.raw(&bytes).unwrap();
        assert_eq!(client.closed().0, expected, "{what}");
        assert_eq!(server.closed().0, 1001, "{what}");
        let told = end(&sidecar, at + 1);
        assert_eq!(told["code"], expected, "{what}");
        assert_eq!(told["closed_by"], "client", "{what}");
        assert_eq!(told["outcome"], "error", "{what}");
    }
    all_closed(&sidecar);
    assert_eq!(events(&sidecar, "ws.close", count).len(), count);
    assert!(crate::support::sidecar::of_type(&sidecar.audit(), "ws.request").is_empty());
}

#[test]
fn pieces_with_controls_between_them_are_one_frame() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, "");
    let (mut client, mut server) = peer.api(&sidecar);
    let pieces = [
        masked(0x01, b"{\"id\":1,"),
        masked(0x89, b"ping"),
        masked(0x00, b""),
        masked(0x8A, b"a pong that nobody asked for"),
        masked(0x80, b"\"method\":\"time\"}"),
    ];
    for piece in pieces {
        client.raw(&piece).unwrap();
    }
    assert_eq!(client.next(), Message::Pong("ping".into()));
    assert_eq!(server.hear(), json!({"id": 1, "method": "time"}));
    let answer = br#"{"id":1,"status":200,"result":{}}"#;
    server.raw(&plain(0x01, &answer[..9]));
    server.raw(&plain(0x89, b"exchange"));
    server.raw(&plain(0x80, &answer[9..]));
    assert_eq!(client.next(), Message::Ping("exchange".into()));
    assert_eq!(client.hear()["status"], 200);
    assert_eq!(event(&sidecar, "WS time")["response"]["status"], 200);
}

#[test]
fn what_an_exchange_sends_that_is_no_websocket_ends_it() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, "");
    let long = vec![b' '; 17 << 20];
    let table: [(&str, Vec<u8>, u16); 5] = [
        ("masked", masked(0x81, b"{}"), 1002),
        ("compressed", plain(0xC1, b"{}"), 1002),
        ("not UTF-8", plain(0x81, b"\xff"), 1007),
        ("a long ping", plain(0x89, &[b'p'; 126]), 1002),
        ("too long", plain(0x81, &long), 1009),
    ];
    for (at, (what, bytes, expected)) in table.into_iter().enumerate() {
        let (mut client, mut server) = peer.api(&sidecar);
        client.say(&super::calls::order("a").to_string());
        server.hear();
        let said = std::thread::spawn(move || {
            server.raw_or(&bytes);
            server
        });
        let (code, why) = client.closed();
        assert_eq!(
            (code, why.as_str()),
            (1011, "the exchange broke the protocol"),
            "{what}"
        );
        let told = end(&sidecar, at + 1);
        assert_eq!(told["code"], expected, "{what}");
        assert_eq!(told["closed_by"], "exchange", "{what}");
        assert_eq!(told["unanswered"], 1, "{what}");
        drop(said.join().unwrap());
    }
    let orders = events(&sidecar, "ws.request", 5);
    assert!(
        orders
            .iter()
            .all(|event| event["exchange"]["execution"] == "unknown")
    );
    all_closed(&sidecar);
}

#[test]
fn a_close_is_passed_on_with_its_code() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, "");
    let frame = |code: u16, reason: &str| {
        Some(CloseFrame {
            code: CloseCode::from(code),
            reason: reason.into(),
        })
    };
    let mut ended = 0;
    // Of the client: what the exchange reads, and what is recorded.
    for (said, read, recorded, outcome) in [
        (None, 1000, 1005, "success"),
        (frame(1000, "done"), 1000, 1000, "success"),
        (frame(1001, ""), 1001, 1001, "success"),
        (frame(4321, "secret words"), 4321, 4321, "error"),
    ] {
        let (client, mut server) = peer.api(&sidecar);
        let closing = std::thread::spawn(move || client.close_with(said));
        // Its reason is its own.
        assert_eq!(server.closed(), (read, String::new()));
        closing.join().unwrap();
        ended += 1;
        let told = end(&sidecar, ended);
        assert_eq!(
            (&told["code"], &told["closed_by"]),
            (&json!(recorded), &json!("client"))
        );
        assert_eq!(told["outcome"], outcome, "{told}");
    }
    // Of the exchange.
    for (said, read, why, recorded, outcome) in [
        (None, 1000, "", 1005, "success"),
        (frame(1000, ""), 1000, "", 1000, "success"),
        (
            frame(1008, "Pong timeout"),
            1008,
            "Pong timeout",
            1008,
            "error",
        ),
        (frame(1012, "again"), 1012, "again", 1012, "success"),
        (frame(4000, "x"), 4000, "x", 4000, "error"),
    ] {
        let (mut client, mut server) = peer.api(&sidecar);
        server.send(Message::Close(said)).unwrap();
        assert_eq!(client.closed(), (read, why.to_owned()));
        ended += 1;
        let told = end(&sidecar, ended);
        assert_eq!(
            (&told["code"], &told["closed_by"]),
            (&json!(recorded), &json!("exchange"))
        );
        assert_eq!(told["outcome"], outcome, "{told}");
    }
    // Codes that nobody may send are a fault of whoever sends them.
    for code in [999_u16, 1005, 1006, 1015, 2999, 5000] {
        let (mut client, mut server) = peer.api(&sidecar);
        client.raw(&masked(0x88, &code.to_be_bytes())).unwrap();
        assert_eq!(server.closed(), (1002, String::new()), "{code}");
        ended += 1;
        assert_eq!(end(&sidecar, ended)["code"], 1002, "{code}");
    }
    all_closed(&sidecar);
}

#[test]
fn an_end_without_a_word_is_told_to_the_other_side() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, "");
    let (client, mut server) = peer.api(&sidecar);
    client.hang_up();
    assert_eq!(server.closed().0, 1001);
    assert_eq!(end(&sidecar, 1)["code"], 1006);
    let (mut client, server) = peer.api(&sidecar);
    drop(server);
    assert_eq!(client.closed().0, 1011);
    assert_eq!(end(&sidecar, 2)["code"], 1006);
    // Half-closed is closed: nobody would read what else is said.
    let (client, mut server) = peer.api(&sidecar);
    client.half_close();
    assert_eq!(server.closed().0, 1001);
    all_closed(&sidecar);
}

#[test]
fn a_frame_that_comes_with_the_handshake_is_judged_like_any_other() {
    let market = StandIn::start();
    let sidecar = market.sidecar("[\"WS time\"]", "");
    let at = out(&sidecar);
    let frames = [
        masked(0x81, br#"{"id":1,"method":"order.place"}"#),
        masked(0x81, br#"{"id":2,"method":"time"}"#),
    ];
    let eager = [
        format!("GET /ws-api/v3 HTTP/1.1\r\nHost: {at}\r\n{UPGRADE}\r\n").as_bytes(),
        &frames.concat(),
    ]
    .concat();
    let mut stream = TcpStream::connect(at).unwrap();
    stream.write_all(&eager).unwrap();
    let mut client = Client::shaken(stream).unwrap();
    assert_eq!(
        client.hear()["error"]["data"]["reason"],
        "exchange.not_allowed"
    );
    assert_eq!(client.hear()["status"], 200);
    // Behind a handshake that is refused nothing is read as anything.
    let refused = [
        format!("GET /ws HTTP/1.1\r\nHost: {at}\r\n{UPGRADE}\r\n").as_bytes(),
        b"GET /api/v3/time HTTP/1.1\r\nHost: x\r\n\r\n",
    ]
    .concat();
    let mut stream = TcpStream::connect(at).unwrap();
    stream.write_all(&refused).unwrap();
    assert_eq!(Client::shaken(stream).err().unwrap().status, 403);
    market.assert_clean();
}

#[test]
fn a_name_that_stands_twice_is_refused_and_identifiers_keep_their_spelling() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, "");
    let (mut client, mut server) = peer.api(&sidecar);
    for text in [
        r#"{"id":1,"id":2,"method":"time"}"#,
        r#"{"id":1,"method":"time","method":"order.place"}"#,
        r#"{"id":1,"method":"time","m\u0065thod":"order.place"}"#,
        r#"{"id":1,"method":"time","params":{},"params":{"a":1}}"#,
        r#"{"id":1,"method":"time","params":{"a":1,"\u0061":2}}"#,
    ] {
        let answer = client.tell(text);
        assert_eq!(
            answer["error"]["data"]["reason"], "exchange.parameters",
            "{text}"
        );
        assert_eq!(answer["id"], Value::Null, "{text}");
    }
    for id in [
        "1.5",
        "1e3",
        "-0",
        "01",
        "null",
        "true",
        "{}",
        "[]",
        "9223372036854775808",
        "\"\\u0041\"",
        "\"a\\nb\"",
    ] {
        let answer = client.tell(&format!("{{\"id\":{id},\"method\":\"time\"}}"));
        assert_eq!(answer["error"]["data"]["reason"], "exchange.frame", "{id}");
    }
    assert_eq!(
        client.tell(r#"{"method":"time"}"#)["error"]["data"]["reason"],
        "exchange.frame"
    );
    for id in [
        "0",
        "-7",
        "9007199254740993",
        "9223372036854775807",
        "\"\"",
        "\"a b\"",
    ] {
        client.say(&format!("{{\"id\":{id},\"method\":\"time\"}}"));
        let frame = server.hear_text();
        assert_eq!(frame, format!("{{\"id\":{id},\"method\":\"time\"}}"));
        let answer = format!("{{\"id\":{id},\"status\":200,\"result\":{{}}}}");
        server.send(Message::text(answer.as_str())).unwrap();
        assert_eq!(client.hear_text(), answer);
    }
    client.close();
    let told = end(&sidecar, 1);
    assert_eq!(told["unanswered"], 0);
}
