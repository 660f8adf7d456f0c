//! The WebSocket API: frames that are signed, answered, refused and recorded.

use std::time::Duration;

use outrider::roles::demo::exchange::Fault;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::client::{ALL, Client, event, events};
use crate::support::exchange::{ED25519, FAR, With};
use crate::support::wait;
use crate::world::{KEY, SECRET, StandIn, get, out, told};

pub(super) fn order(id: &str) -> Value {
    json!({
        "id": id, "method": "order.place",
        "params": {
            "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
            "quantity": "0.01", "price": "50000", "newClientOrderId": id,
        },
    })
}

fn plain(id: i64, method: &str, params: &Value) -> Value {
    json!({"id": id, "method": method, "params": params})
}

fn refused(answer: &Value) -> (&Value, &Value, &Value) {
    let error = &answer["error"];
    (&answer["status"], &error["code"], &error["data"]["reason"])
}

#[test]
fn orders_are_placed_and_taken_back_with_either_key() {
    for with in [With::Hmac, With::Ed25519] {
        let stand_in = StandIn::start();
        let sidecar = stand_in.sidecar_with(with, ALL, "");
        let mut client = Client::api(&sidecar);
        let time = client.ask(&json!({"id": "t-1", "method": "time"}));
        assert!(time["result"]["serverTime"].is_i64(), "{time}");
        let placed = client.ask(&order("a"));
        assert_eq!(placed["result"]["status"], "NEW", "{with:?} {placed}");
        assert!(placed["rateLimits"].is_array());
        let open = client.ask(&plain(3, "openOrders.status", &json!({})));
        assert_eq!(open["result"].as_array().unwrap().len(), 1);
        let cancel = json!({"symbol": "BTCUSDT", "origClientOrderId": "a"});
        let cancelled = client.ask(&plain(4, "order.cancel", &cancel));
        assert_eq!(cancelled["result"]["status"], "CANCELED");
        let cancel = json!({"symbol": "BTCUSDT", "origClientOrderId": "b"});
        let unknown = client.ask(&plain(5, "order.cancel", &cancel));
        assert_eq!(unknown["error"]["code"], -2011);
        assert_eq!(stand_in.exchange.orders_placed(), 1);
        client.close();
        stand_in.assert_clean();

        let told = event(&sidecar, "WS order.place");
        assert_eq!(told["outcome"], "success");
        assert_eq!(told["exchange"]["execution"], "answered");
        assert_eq!(told["exchange"]["signed"], true);
        assert_eq!(told["response"]["status"], 200);
        assert_eq!(told["actor"]["auth"], "loopback");
        let opened = events(&sidecar, "ws.open", 1);
        assert_eq!(told["request"]["socket"], opened[0]["socket"]["id"]);
        let handshakes = wait::events(&sidecar, "http.request", 1, |event| {
            event["response"]["status"] == 101
        });
        assert_eq!(handshakes[0]["id"], opened[0]["socket"]["id"]);
        let public = event(&sidecar, "WS time");
        assert_eq!(public["exchange"]["signed"], false);
        let closed = &events(&sidecar, "ws.close", 1)[0]["socket"];
        assert_eq!(closed["closed_by"], "client");
        assert_eq!(closed["sent"]["messages"], 5);
        assert_eq!(closed["unanswered"], 0);
        let failed = events(&sidecar, "ws.request", 5);
        assert_eq!(failed[4]["exchange"]["code"], -2011);
        assert_eq!(failed[4]["outcome"], "failure");
    }
}

#[test]
fn an_account_is_listened_to_with_a_signature() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar_with(With::Hmac, ALL, "");
    let mut client = Client::api(&sidecar);
    let subscribe = plain(1, "userDataStream.subscribe.signature", &json!({}));
    let subscribed = client.ask(&subscribe);
    assert_eq!(subscribed["result"]["subscriptionId"], 0, "{subscribed}");
    client.say(&order("a").to_string());
    let heard = [client.hear(), client.hear(), client.hear()];
    let report = heard
        .iter()
        .find(|told| told["event"]["e"] == "executionReport");
    let report = report.unwrap_or_else(|| panic!("{heard:?}"));
    assert_eq!(report["event"]["c"], "a");
    assert!(heard.iter().any(|told| told["id"] == "a"));
    stand_in.assert_clean();
}

#[test]
fn a_session_is_logged_on_and_out_with_an_ed25519_key() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar_with(With::Ed25519, ALL, "");
    let mut client = Client::api(&sidecar);
    let dummy = json!({"apiKey": "dummy", "timestamp": 1, "signature": "dummy"});
    let logon = client.ask(&plain(1, "session.logon", &dummy));
    // The key is ours, and so is its name.
    assert_eq!(logon["result"]["apiKey"], "***", "{logon}");
    assert!(logon["result"]["authorizedSince"].is_i64());
    let account = client.ask(&plain(2, "account.status", &dummy));
    assert_eq!(account["status"], 200, "{account}");
    let subscribed = client.ask(&plain(3, "userDataStream.subscribe", &json!({})));
    assert_eq!(subscribed["result"]["subscriptionId"], 0);
    let logout = client.ask(&plain(4, "session.logout", &json!({})));
    assert_eq!(logout["result"]["apiKey"], Value::Null);
    let account = client.ask(&plain(5, "account.status", &json!({})));
    assert_eq!(account["status"], 200, "{account}");
    stand_in.assert_clean();

    let sidecar = stand_in.sidecar_with(With::Hmac, ALL, "");
    let refusal = Client::api(&sidecar).ask(&plain(1, "session.logon", &json!({})));
    let signing = (&json!(503), &json!(-1000), &json!("exchange.signing"));
    assert_eq!(refused(&refusal), signing);
}

#[test]
fn a_revoked_key_ends_the_session_and_not_the_socket() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar_with(With::Ed25519, ALL, "");
    let mut client = Client::api(&sidecar);
    client.ask(&plain(1, "session.logon", &json!({})));
    stand_in.exchange.revoke_key(ED25519);
    let revoked = client.tell(&plain(2, "account.status", &json!({})).to_string());
    assert_eq!(
        (&revoked["id"], &revoked["status"]),
        (&Value::Null, &json!(401))
    );
    // From now on each frame says whose it is, and each is refused by itself.
    let after = client.ask(&plain(3, "account.status", &json!({})));
    assert_eq!(after["error"]["code"], -2015, "{after}");
    assert_eq!(client.ask(&plain(4, "ping", &json!({})))["status"], 200);
}

#[test]
fn the_sidecar_logs_on_by_itself() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar_with(With::Ed25519, ALL, "    log_on: true\n");
    let mut client = Client::api(&sidecar);
    let status = client.ask(&plain(1, "session.status", &json!({})));
    assert_eq!(status["result"]["apiKey"], "***", "{status}");
    assert_eq!(client.ask(&order("a"))["status"], 200);
    for method in ["session.logon", "session.logout"] {
        let answer = client.ask(&plain(2, method, &json!({})));
        let denied = (&json!(403), &json!(-1002), &json!("exchange.not_allowed"));
        assert_eq!(refused(&answer), denied);
    }
    stand_in.assert_clean();
    let own = event(&sidecar, "WS session.logon");
    assert_eq!(own["actor"]["auth"], "own");
    // Nobody gets a socket that is not what was promised.
    stand_in.exchange.revoke_key(ED25519);
    let refused = Client::shake(out(&sidecar), "/ws-api/v3", super::client::UPGRADE);
    let refused = refused.err().unwrap();
    assert_eq!(refused.status, 503);
    assert_eq!(refused.body["reason"], "exchange.signing");
}

#[test]
fn refusals_have_the_exchanges_shape_and_leave_the_socket_open() {
    let stand_in = StandIn::start();
    let allow = "[\"WS time\", \"WS order.*\", \"WS **\", \"GET /api/v3/time\"]";
    let sidecar = stand_in.sidecar_with(With::Hmac, allow, "");
    let mut client = Client::api(&sidecar);
    let frame = (&json!(400), &json!(-1135), &json!("exchange.frame"));
    for text in [
        "",
        "[]",
        "{",
        "{\"method\":\"time\"}",
        "{\"id\":null,\"method\":\"time\"}",
        "{\"id\":1.5,\"method\":\"time\"}",
        "{\"id\":\"a\\\"b\",\"method\":\"time\"}",
        "{\"id\":1,\"method\":\"time\",\"apiKey\":\"x\"}",
        "{\"id\":1,\"method\":7}",
    ] {
        let answer = client.tell(text);
        assert_eq!(refused(&answer), frame, "{text}");
        assert!(answer["error"]["msg"].is_string());
    }
    client.send(Message::binary(b"{}".to_vec()));
    assert_eq!(refused(&client.hear()), frame);
    let twice = client.tell("{\"id\":8,\"method\":\"order.place\",\"params\":{\"a\":1,\"a\":2}}");
    // A name that stands twice is seen before the identifier is.
    assert_eq!(twice["error"]["data"]["reason"], "exchange.parameters");
    let unknown = client.ask(&plain(9, "capital.withdraw", &json!({})));
    let reserved = (&json!(403), &json!(-1002), &json!("exchange.reserved"));
    assert_eq!(refused(&unknown), reserved);

    stand_in
        .exchange
        .fault(Fault::Slow(Duration::from_secs(3)), "ws time", 1);
    client.say("{\"id\":10,\"method\":\"time\"}");
    assert_eq!(
        refused(&client.tell("{\"id\":10,\"method\":\"time\"}")),
        frame
    );
    assert_eq!(client.hear()["status"], 200);
    // Then it is free again.
    assert_eq!(client.ask(&plain(10, "time", &json!({})))["status"], 200);
    stand_in.assert_clean();
    let named: Vec<Value> = events(&sidecar, "ws.request", 14);
    assert!(
        named
            .iter()
            .any(|event| event["reason"]["code"] == "exchange.frame")
    );
}

#[test]
fn what_no_line_names_is_not_sent() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar_with(With::Hmac, "[\"WS time\"]", "");
    let mut client = Client::api(&sidecar);
    let denied = (&json!(403), &json!(-1002), &json!("exchange.not_allowed"));
    assert_eq!(refused(&client.ask(&order("a"))), denied);
    assert_eq!(stand_in.exchange.orders_placed(), 0);
    let told = events(&sidecar, "ws.request", 1);
    assert_eq!(told[0]["outcome"], "denied");
    assert_eq!(told[0]["exchange"]["execution"], "not_sent");
    assert!(told[0]["action"].get("name").is_none());
}

#[test]
fn credentials_of_clients_are_replaced_or_refused() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar_with(With::Hmac, ALL, "");
    let mut client = Client::open(&sidecar, "/ws-api/v3?apiKey=dummy&timeUnit=MILLISECOND");
    let mut own = order("a");
    for (name, value) in [
        ("apiKey", json!("dummy")),
        ("timestamp", json!(1)),
        ("signature", json!("x")),
    ] {
        own["params"][name] = value;
    }
    assert_eq!(client.ask(&own)["status"], 200);
    let public = plain(2, "time", &json!({"apiKey": "dummy"}));
    assert_eq!(client.ask(&public)["status"], 200);
    stand_in.assert_clean();

    let sidecar = stand_in.sidecar_with(With::Hmac, ALL, "    client_credentials: refuse\n");
    let mut client = Client::api(&sidecar);
    let answer = client.ask(&public);
    let expected = (&json!(400), &json!(-1101), &json!("exchange.credentials"));
    assert_eq!(refused(&answer), expected);
    stand_in.assert_clean();
}

#[test]
fn letters_of_other_alphabets_are_signed_as_they_are() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar_with(With::Hmac, ALL, "");
    let mut client = Client::api(&sidecar);
    let params = json!({
        "symbol": "１２３４５６", "side": "BUY", "type": "MARKET", "quantity": "0.10",
    });
    let answer = client.ask(&plain(1, "order.test", &params));
    // Its signature is good; only the symbol is none.
    assert_eq!(answer["error"]["code"], -1100, "{answer}");
    stand_in.assert_clean();
}

#[test]
fn a_stop_on_a_frame_counts_for_everybody() {
    let stand_in = StandIn::start();
    stand_in.begin_minute();
    let sidecar = stand_in.sidecar_with(With::Hmac, ALL, FAR);
    let mut client = Client::api(&sidecar);
    stand_in.exchange.use_weight(6_000);
    let answer = client.ask(&plain(1, "ping", &json!({})));
    assert_eq!(answer["status"], 429, "{answer}");
    assert!(answer["error"]["data"]["retryAfter"].is_i64());
    let rest = get(out(&sidecar), "/api/v3/time");
    assert_eq!(
        (rest.status, &told(&rest)["reason"]),
        (429, &json!("exchange.halted"))
    );
    let again = client.ask(&order("a"));
    let halted = (&json!(429), &json!(-1003), &json!("exchange.halted"));
    assert_eq!(refused(&again), halted);
    let data = &again["error"]["data"];
    assert!(
        data["retryAfter"].as_i64() > data["serverTime"].as_i64(),
        "{data}"
    );
    assert_eq!(stand_in.exchange.orders_placed(), 0);
    assert_eq!(stand_in.exchange.sent_while_banned(), 0);
}

#[test]
fn nothing_of_a_key_is_told_to_anybody() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar_with(With::Hmac, ALL, "");
    let mut client = Client::api(&sidecar);
    client.ask(&order("a"));
    client.ask(&plain(2, "userDataStream.subscribe.signature", &json!({})));
    client.close();
    events(&sidecar, "ws.close", 1);
    for (name, bytes) in sidecar.outputs() {
        let text = String::from_utf8_lossy(&bytes);
        for canary in [KEY, SECRET, "newClientOrderId"] {
            assert!(!text.contains(canary), "{canary} in {name}");
        }
    }
}
