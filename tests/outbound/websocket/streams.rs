//! Market streams: judged by name, and never with a key.

use serde_json::{Value, json};

use super::client::{Client, UPGRADE, event, events};
use crate::support::exchange::With;
use crate::world::{StandIn, out};

const SOME: &str = "[\"STREAM *@trade\", \"STREAM *@bookTicker\"]";

#[test]
fn streams_are_named_by_the_path_the_query_or_a_frame() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar_with(With::Hmac, SOME, "");
    for target in [
        "/ws/btcusdt@trade",
        "/ws/btcusdt%40trade?apiKey=x&timestamp=1&signature=2",
    ] {
        let mut client = Client::open(&sidecar, target);
        assert_eq!(client.hear()["e"], "trade", "{target}");
    }
    let mut client = Client::open(
        &sidecar,
        "/stream?streams=btcusdt@trade/btcusdt%40bookTicker",
    );
    let heard = client.hear();
    assert_eq!(
        heard["stream"].as_str().unwrap().split('@').next(),
        Some("btcusdt")
    );
    let mut client = Client::open(&sidecar, "/ws");
    let subscribed =
        client.ask(&json!({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1}));
    assert_eq!(subscribed["result"], Value::Null);
    assert_eq!(client.hear()["e"], "trade");
    let list = client.ask(&json!({"method": "LIST_SUBSCRIPTIONS", "id": "a"}));
    assert_eq!(list["result"], json!(["btcusdt@trade"]));
    let gone = client.ask(&json!({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": 3}));
    assert_eq!(gone["result"], Value::Null);
    stand_in.assert_clean();
    let told = event(&sidecar, "STREAM SUBSCRIBE");
    assert_eq!(told["exchange"]["execution"], "answered");
    assert_eq!(told["exchange"]["signed"], false);
    assert_eq!(
        events(&sidecar, "ws.open", 4)[0]["exchange"]["interface"],
        "streams"
    );
}

#[test]
fn what_no_line_names_is_not_listened_to() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar_with(With::Hmac, SOME, "");
    let at = out(&sidecar);
    for target in [
        "/ws/btcusdt@depth",
        "/stream?streams=btcusdt@trade/btcusdt@depth",
    ] {
        let refused = Client::shake(at, target, UPGRADE).err().unwrap();
        assert_eq!(
            (refused.status, &refused.body["reason"]),
            (403, &"exchange.not_allowed".into())
        );
    }
    let mut client = Client::open(&sidecar, "/ws");
    for (text, reason) in [
        (
            r#"{"method":"SUBSCRIBE","params":["btcusdt@trade","btcusdt@depth"],"id":1}"#,
            "exchange.not_allowed",
        ),
        (
            r#"{"method":"SUBSCRIBE","params":["btcusdt@trade?x=1"],"id":1}"#,
            "exchange.parameters",
        ),
        (
            r#"{"method":"SUBSCRIBE","params":["btcusdt@trade"],"apiKey":"x","id":1}"#,
            "exchange.frame",
        ),
        (
            r#"{"method":"SUBSCRIBE","params":{"apiKey":"x"},"id":1}"#,
            "exchange.frame",
        ),
        (
            r#"{"method":"order.place","params":[],"id":1}"#,
            "exchange.not_allowed",
        ),
        (
            r#"{"method":"SET_PROPERTY","params":["userData",true],"id":1}"#,
            "exchange.frame",
        ),
        ("no json", "exchange.frame"),
    ] {
        let answer = client.tell(text);
        assert_eq!(answer["error"]["data"]["reason"], reason, "{text}");
    }
    let list = client.ask(&json!({"method": "LIST_SUBSCRIPTIONS", "id": 2}));
    assert_eq!(list["result"], json!([]));
    stand_in.assert_clean();
}

#[test]
fn a_sixth_message_in_a_second_is_refused_here() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar_with(With::Hmac, SOME, "");
    let mut client = Client::open(&sidecar, "/ws");
    // All at once, and many: even where one takes a tenth of a second, more than five fall into one.
    let list = |id| json!({"method": "LIST_SUBSCRIPTIONS", "id": id}).to_string();
    client.say_all((0..12).map(list));
    let answers: Vec<Value> = (0..12).map(|_| client.hear()).collect();
    let (refused, taken): (Vec<&Value>, Vec<&Value>) = answers
        .iter()
        .partition(|answer| answer.get("error").is_some());
    assert!(taken.len() >= 5 && !refused.is_empty(), "{answers:?}");
    for refused in refused {
        assert_eq!(refused["error"]["data"]["reason"], "exchange.limit");
        assert!(refused["error"]["data"]["retryAfter"].is_i64());
    }
    // The exchange would have hung up.
    assert_eq!(stand_in.exchange.open_sockets(), 1);
    stand_in.assert_clean();
}
