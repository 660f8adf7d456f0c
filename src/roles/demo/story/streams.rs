//! WebSockets on the way out: market data without a key, orders in frames that the sidecar signs, and what becomes of them as
//! the exchange tells it.

use std::io;

use serde_json::{Value, json};

use super::super::Stage;
use super::outbound::{DUMMY_KEY, DUMMY_SIGNATURE};
use super::socket::Socket;
use super::teller::Teller;

/// What the order of this part is called.
const NAME: &str = "demo-frame";

pub(super) async fn tell(stage: &Stage, teller: &mut Teller<'_>) -> io::Result<()> {
    market(stage, teller).await?;
    let mut socket = Socket::open(stage, "/ws-api/v3").await?;
    subscribe(&mut socket, teller).await?;
    order(&mut socket, teller).await?;
    refusal(&mut socket, teller).await?;
    socket.close().await
}

async fn market(stage: &Stage, teller: &mut Teller<'_>) -> io::Result<()> {
    let mut socket = Socket::open(stage, "/ws/btcusdt@trade").await?;
    let [trade] = socket.hear([|text| is(text, "/e", "trade")]).await?;
    expect(
        "a stream of trades",
        &trade,
        "/s",
        &json!("BTCUSDT"),
        teller,
    )?;
    socket.close().await
}

/// As an SDK would, with a key that it has made up.
async fn subscribe(socket: &mut Socket, teller: &mut Teller<'_>) -> io::Result<()> {
    let dummies = json!({"apiKey": DUMMY_KEY, "timestamp": 1, "signature": DUMMY_SIGNATURE});
    let method = "userDataStream.subscribe.signature";
    let frame = json!({"id": "listen", "method": method, "params": dummies});
    socket.say(&frame).await?;
    let [answer] = socket.hear([|text| is(text, "/id", "listen")]).await?;
    let what = "an SDK with a made-up key listens to its account";
    expect(what, &answer, "/status", &json!(200), teller)
}

async fn order(socket: &mut Socket, teller: &mut Teller<'_>) -> io::Result<()> {
    let params = json!({
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
        "quantity": "0.01", "price": "50000", "newClientOrderId": NAME,
    });
    let frame = json!({"id": "place", "method": "order.place", "params": params});
    socket.say(&frame).await?;
    let [answer, report] = socket
        .hear([|text| is(text, "/id", "place"), is_report])
        .await?;
    let what = "an order in a frame, without a key";
    expect(what, &answer, "/result/status", &json!("NEW"), teller)?;
    let what = "the account's stream tells of it";
    expect(what, &report, "/event/c", &json!(NAME), teller)?;
    let params = json!({"symbol": "BTCUSDT", "origClientOrderId": NAME});
    let frame = json!({"id": "cancel", "method": "order.cancel", "params": params});
    socket.say(&frame).await?;
    let [answer, report] = socket
        .hear([|text| is(text, "/id", "cancel"), is_report])
        .await?;
    let what = "it is cancelled";
    expect(what, &answer, "/result/status", &json!("CANCELED"), teller)?;
    let what = "and the stream tells of that, too";
    expect(what, &report, "/event/X", &json!("CANCELED"), teller)
}

async fn refusal(socket: &mut Socket, teller: &mut Teller<'_>) -> io::Result<()> {
    let frame = json!({"id": "account", "method": "account.status", "params": {}});
    socket.say(&frame).await?;
    let [answer] = socket.hear([|text| is(text, "/id", "account")]).await?;
    let (what, reason) = ("a method that no line allows", "/error/data/reason");
    expect(
        what,
        &answer,
        reason,
        &json!("exchange.not_allowed"),
        teller,
    )
}

fn expect(
    what: &str,
    heard: &Value,
    pointer: &str,
    wanted: &Value,
    teller: &mut Teller<'_>,
) -> io::Result<()> {
    let shown = wanted
        .as_str()
        .map_or_else(|| wanted.to_string(), str::to_owned);
    let holds = heard.pointer(pointer) == Some(wanted);
    teller.expect(&format!("{what}: {shown}"), holds, || heard.to_string())
}

fn is(text: &Value, pointer: &str, wanted: &str) -> bool {
    text.pointer(pointer).is_some_and(|found| found == wanted)
}

fn is_report(text: &Value) -> bool {
    is(text, "/event/e", "executionReport")
}
