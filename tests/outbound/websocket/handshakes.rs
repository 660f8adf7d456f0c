//! Who gets a WebSocket, and who does not.

use std::thread;

use serde_json::Value;

use super::client::{ALL, Client, UPGRADE, all_closed};
use super::peer::Peer;
use crate::support::exchange::{FAR, With};
use crate::support::sidecar::of_type;
use crate::world::{StandIn, get, out};

fn refusal(at: std::net::SocketAddr, target: &str, headers: &str) -> (u16, Value) {
    let refused = Client::shake(at, target, headers).err().unwrap();
    (refused.status, refused.body["reason"].clone())
}

#[test]
fn what_is_no_handshake_is_refused() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar_with(With::Hmac, ALL, "");
    let at = out(&sidecar);
    let answer = get(at, "/ws-api/v3");
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (answer.status, &problem["reason"]),
        (400, &"local.handshake".into())
    );
    for (target, headers, expected) in [
        ("/ws", UPGRADE.replace("13", "8"), (400, "local.handshake")),
        (
            "/ws",
            UPGRADE.replace("websocket\r", "h2c\r"),
            (400, "local.handshake"),
        ),
        (
            "/ws",
            UPGRADE.replace("dGhl", "d"),
            (400, "local.handshake"),
        ),
        (
            "/ws",
            format!("{UPGRADE}Origin: https://evil.example\r\n"),
            (403, "local.browser"),
        ),
        (
            "/ws?listenKey=a",
            UPGRADE.to_owned(),
            (400, "exchange.parameters"),
        ),
        (
            "/ws-api/v3?responseFormat=sbe",
            UPGRADE.to_owned(),
            (400, "exchange.parameters"),
        ),
        (
            "/ws/pqia91ma19a5s61cv6a81va65sdf19v8a65a1",
            UPGRADE.to_owned(),
            (403, "exchange.not_allowed"),
        ),
    ] {
        let (status, reason) = refusal(at, target, &headers);
        assert_eq!(
            (status, reason.as_str().unwrap()),
            expected,
            "{target} {headers}"
        );
    }
    assert_eq!(stand_in.exchange.open_sockets(), 0);
    // Nothing was asked of the exchange but what the sidecar asks by itself.
    let requests = stand_in.exchange.requests();
    let own = |route: &String| route.ends_with("/time") || route.ends_with("/exchangeInfo");
    assert!(requests.keys().all(own), "{requests:?}");
    stand_in.assert_clean();
}

#[test]
fn a_line_opens_its_own_interface_only() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar_with(With::Hmac, "[\"WS time\"]", "");
    let at = out(&sidecar);
    assert!(Client::shake(at, "/ws-api/v3", UPGRADE).is_ok());
    let (status, reason) = refusal(at, "/ws", UPGRADE);
    assert_eq!((status, reason), (403, "exchange.not_allowed".into()));
}

#[test]
fn what_the_exchange_answers_instead_is_passed_on() {
    let stand_in = StandIn::start();
    stand_in.begin_minute();
    let sidecar = stand_in.sidecar_with(With::Hmac, ALL, FAR);
    let at = out(&sidecar);
    let refused = Client::shake(at, "/ws-api/v9", UPGRADE).err().unwrap();
    assert_eq!(refused.status, 404);
    stand_in.exchange.use_weight(6_000);
    let refused = Client::shake(at, "/ws-api/v3", UPGRADE).err().unwrap();
    assert_eq!(refused.status, 429);
    // And counts for everybody.
    assert_eq!(refusal(at, "/ws-api/v3", UPGRADE).1, "exchange.halted");
}

#[test]
fn neither_extensions_nor_subprotocols_are_taken_up() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, "");
    let offer = format!("{UPGRADE}Sec-WebSocket-Protocol: chat, binance\r\n");
    let at = out(&sidecar);
    let (client, server) = thread::scope(|scope| {
        let server = scope.spawn(|| peer.accept());
        // The client's end asserts that nothing of it stands in the answer.
        let client = Client::shake(at, "/ws-api/v3", &offer).unwrap();
        (client, server.join().unwrap())
    });
    let head = server.head.to_ascii_lowercase();
    for name in ["extensions", "protocol"] {
        assert!(!head.contains(&format!("sec-websocket-{name}")), "{head}");
    }
    drop((client, server));
}

#[test]
fn an_answer_that_is_none_to_our_handshake_opens_nothing() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, "");
    let at = out(&sidecar);
    let usual = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let table: [(&str, &str, bool); 5] = [
        ("another proof", usual, false),
        (
            "no websocket",
            "Connection: Upgrade\r\nUpgrade: h2c\r\n",
            true,
        ),
        (
            "an extension",
            "Sec-WebSocket-Extensions: permessage-deflate\r\n",
            true,
        ),
        ("a subprotocol", "Sec-WebSocket-Protocol: chat\r\n", true),
        ("no protocol", "Connection: Upgrade\r\n", true),
    ];
    for (what, lines, proves) in table {
        let refused = thread::scope(|scope| {
            let server = scope.spawn(|| {
                peer.accept_with(|proof| {
                    let first = if lines.starts_with("Sec") { usual } else { "" };
                    let proof = if proves {
                        proof
                    } else {
                        "AAAAAAAAAAAAAAAAAAAAAAAAAAA="
                    };
                    format!("{first}{lines}Sec-WebSocket-Accept: {proof}\r\n")
                })
            });
            let refused = Client::shake(at, "/ws-api/v3", UPGRADE).err();
            drop(server.join().unwrap());
            refused.unwrap_or_else(|| panic!("{what}"))
        });
        assert_eq!(
            (refused.status, &refused.body["reason"]),
            (502, &"upstream.broken".into()),
            "{what}"
        );
    }
    all_closed(&sidecar);
    assert!(of_type(&sidecar.audit(), "ws.open").is_empty());
}

#[test]
fn what_an_exchange_says_with_its_handshake_is_heard() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, "");
    let at = out(&sidecar);
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            peer.accept_with(|proof| {
                // The head ends in the middle of what is written at once.
                format!(
                    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {proof}\r\n\r\n\x01\x06{{\"a\""
                )
            })
        });
        let shaken = Client::shake(at, "/ws-api/v3", UPGRADE);
        let mut server = server.join().unwrap();
        // The blank line of the head was the end of the first piece.
        server.raw(b"\x80\x03:1}");
        let mut client = shaken.unwrap();
        assert_eq!(client.hear_text(), "{\"a\"\r\n:1}");
    });
}
