//! Answers that come late, that name nobody, or that never come.

use serde_json::{Value, json};

use super::calls::order;
use super::client::{ALL, event, events};
use super::peer::Peer;
use crate::support::exchange::With;
use crate::support::wait::wait_until;
use crate::world::{get, out};

/// What is given up soon. Honest answers come much sooner.
const SOON: &str = "    timeouts: { connect: 3s, handshake: 3s, response_head: 5s, response_idle: 5s, total: 5s }\n";

fn time(id: &str) -> Value {
    json!({"id": id, "method": "time"})
}

fn reason(answer: &Value) -> &Value {
    &answer["error"]["data"]["reason"]
}

/// The only event of this type.
fn sole(sidecar: &crate::support::sidecar::Sidecar, name: &str) -> Value {
    let found = events(sidecar, name, 1);
    assert_eq!(found.len(), 1, "{found:#?}");
    found[0].clone()
}

#[test]
fn an_order_that_was_given_up_keeps_its_identifier_and_its_late_answer_is_told() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, SOON);
    let (mut client, mut server) = peer.api(&sidecar);
    client.say(&order("a").to_string());
    assert_eq!(server.hear()["method"], "order.place");
    let told = client.hear();
    assert_eq!((&told["id"], &told["status"]), (&json!("a"), &json!(504)));
    assert_eq!(told["error"]["code"], -1007);
    assert_eq!(reason(&told), "exchange.unknown");
    let unknown = event(&sidecar, "WS order.place");
    assert_eq!(unknown["exchange"]["execution"], "unknown", "{unknown}");
    assert_eq!(unknown["response"]["status"], 504);

    // A late answer would be taken for this one's.
    let refused = client.ask(&time("a"));
    assert_eq!(reason(&refused), "exchange.frame", "{refused}");
    let done = json!({"id": "a", "status": 200, "result": {"orderId": 7, "status": "FILLED"}});
    server.say(&done);
    assert_eq!(client.hear(), done);
    let late = sole(&sidecar, "ws.late_answer");
    assert_eq!(late["request"]["id"], unknown["id"]);
    assert_eq!(late["request"]["socket"], unknown["request"]["socket"]);
    assert_eq!(late["action"]["name"], "WS order.place");
    assert_eq!(late["exchange"]["execution"], "answered");
    assert_eq!(late["response"]["status"], 200);
    assert_eq!(late["outcome"], "success");
    assert!(late["response"]["duration_us"].as_u64().unwrap() > 5_000_000);
    assert_eq!(
        sidecar.metric("outrider_exchange_late_answers_total", &[]),
        1.0
    );

    // Then it is free again.
    client.say(&time("a").to_string());
    assert_eq!(server.hear()["method"], "time");
    let answer = json!({"id": "a", "status": 200, "result": {"serverTime": 1}});
    server.say(&answer);
    assert_eq!(client.hear(), answer);
    wait_until("recorded", || {
        let all = events(&sidecar, "ws.request", 1);
        all.iter()
            .any(|event| event["action"]["name"] == "WS time" && event["response"]["status"] == 200)
    });
}

#[test]
fn a_late_answer_that_says_stop_stops_everybody() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, SOON);
    let (mut client, mut server) = peer.api(&sidecar);
    client.say(&order("a").to_string());
    server.hear();
    assert_eq!(client.hear()["status"], 504);
    let stop = json!({"id": "a", "status": 418, "error": {"code": -1003, "msg": "x"}});
    server.say(&stop);
    assert_eq!(client.hear(), stop);
    let late = sole(&sidecar, "ws.late_answer");
    assert_eq!(late["outcome"], "failure");
    assert_eq!(late["exchange"]["code"], -1003);
    let rest = get(out(&sidecar), "/api/v3/time");
    assert_eq!(rest.status, 429);
}

#[test]
fn a_connection_on_which_too_much_is_lost_is_given_up() {
    let peer = Peer::start();
    let more = format!("{SOON}    sockets: {{ in_flight_max: 2 }}\n");
    let sidecar = peer.sidecar(ALL, &more);
    let (mut client, mut server) = peer.api(&sidecar);
    for id in ["a", "b"] {
        client.say(&time(id).to_string());
    }
    assert_eq!(reason(&client.ask(&time("c"))), "proxy.overloaded");
    for _ in ["a", "b"] {
        assert_eq!(reason(&client.hear()), "upstream.timeout");
    }
    client.say(&time("c").to_string());
    assert_eq!(reason(&client.hear()), "upstream.timeout");
    let (code, why) = client.closed();
    assert_eq!(code, 1011);
    assert!(why.contains("without an answer"), "{why}");
    let closed = sole(&sidecar, "ws.close");
    assert_eq!(closed["socket"]["closed_by"], "proxy");
    assert_eq!(server.closed().0, 1001);
}

#[test]
fn an_answer_that_names_nobody_is_the_only_ones_that_waits() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, "");
    let (mut client, mut server) = peer.api(&sidecar);
    client.say(&order("a").to_string());
    server.hear();
    let nameless =
        json!({"id": null, "status": 400, "error": {"code": -1135, "msg": "Invalid JSON Request"}});
    server.say(&nameless);
    assert_eq!(client.hear(), nameless);
    let told = event(&sidecar, "WS order.place");
    assert_eq!(told["exchange"]["execution"], "answered", "{told}");
    assert_eq!(told["exchange"]["code"], -1135);
    assert_eq!(told["outcome"], "failure");
    // Its identifier is free.
    client.say(&order("a").to_string());
    assert_eq!(server.hear()["id"], "a");
}

#[test]
fn an_answer_that_may_be_of_several_leaves_each_to_its_own() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, SOON);
    let (mut client, mut server) = peer.api(&sidecar);
    client.say(&order("a").to_string());
    client.say(&time("b").to_string());
    server.hear();
    server.hear();
    let nameless = json!({"id": null, "status": 400, "error": {"code": -1100, "msg": "x"}});
    server.say(&nameless);
    assert_eq!(client.hear(), nameless);
    server.say(&json!({"id": "b", "status": 200, "result": {}}));
    assert_eq!(client.hear()["id"], "b");
    // Nothing else comes for it: nobody knows whether it was the one that was refused.
    assert_eq!(reason(&client.hear()), "exchange.unknown");
    let told = event(&sidecar, "WS order.place");
    assert_eq!(told["exchange"]["execution"], "unknown", "{told}");
    let why = told["reason"]["detail"].as_str().unwrap();
    assert!(why.contains("names no request"), "{why}");
    let answered = event(&sidecar, "WS time");
    assert_eq!(answered["exchange"]["execution"], "answered");
}

#[test]
fn a_stop_that_names_nobody_stops_everybody() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, "");
    let (mut client, mut server) = peer.api(&sidecar);
    for id in ["a", "b"] {
        client.say(&time(id).to_string());
        server.hear();
    }
    let stop = json!({"id": null, "status": 429, "error": {"code": -1003, "msg": "x"}});
    server.say(&stop);
    assert_eq!(client.hear(), stop);
    assert_eq!(get(out(&sidecar), "/api/v3/time").status, 429);
    assert_eq!(reason(&client.ask(&time("c"))), "exchange.halted");
}

#[test]
fn a_logon_that_is_answered_late_does_not_outlive_its_logout() {
    let peer = Peer::start();
    let sidecar = peer.sidecar_with(With::Ed25519, ALL, SOON);
    let (mut client, mut server) = peer.api(&sidecar);
    for (id, method) in [("in", "session.logon"), ("out", "session.logout")] {
        client.say(&json!({"id": id, "method": method}).to_string());
        assert_eq!(server.hear()["method"], method);
    }
    for _ in ["in", "out"] {
        assert_eq!(reason(&client.hear()), "exchange.unknown");
    }
    let logged_on = json!({"id": "in", "status": 200, "result": {"apiKey": "x"}});
    server.say(&logged_on);
    assert_eq!(client.hear()["id"], "in");
    // Whether the logout has come after it nobody knows: a frame that says whose it is goes either way.
    client.say(&order("a").to_string());
    let sent = server.hear();
    assert!(sent["params"]["signature"].is_string(), "{sent}");
    assert!(sent["params"]["apiKey"].is_string(), "{sent}");
}

#[test]
fn an_answer_without_an_id_may_be_of_a_frame_that_had_none() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, "");
    let (mut client, mut server) = peer.open(&sidecar, "/ws/btcusdt@trade");
    let subscribe = json!({"method": "SUBSCRIBE", "params": ["ethusdt@trade"], "id": 1});
    client.say(&subscribe.to_string());
    client.say(r#"{"method":"LIST_SUBSCRIPTIONS"}"#);
    for method in ["SUBSCRIBE", "LIST_SUBSCRIPTIONS"] {
        assert_eq!(server.hear()["method"], method);
    }
    let list = json!({"result": ["btcusdt@trade"], "id": null});
    let refused = json!({"error": {"code": 2, "msg": "x"}, "id": 1});
    for answer in [&list, &refused] {
        server.say(answer);
        assert_eq!(client.hear(), *answer);
    }
    let told = event(&sidecar, "STREAM SUBSCRIBE");
    assert_eq!(told["response"]["status"], 400, "{told}");
}
