//! Who gets a WebSocket, and who does not.

use serde_json::Value;

use super::client::{ALL, Client, UPGRADE};
use crate::support::exchange::{FAR, With};
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
