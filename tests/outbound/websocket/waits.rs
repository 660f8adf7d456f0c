//! Whoever says nothing, takes nothing in, or asks too much at once: what the other side sees, what is recorded, and that
//! nothing of it stays.

use std::thread;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::client::{ALL, Client, UPGRADE, all_closed, event, events};
use super::peer::Peer;
use crate::support::sidecar::Sidecar;
use crate::world::out;

fn time(id: usize) -> Value {
    json!({"id": id, "method": "time"})
}

/// How the only WebSocket has ended: who, with which code, and why.
fn end(sidecar: &Sidecar) -> (Value, u64, String) {
    let closed = events(sidecar, "ws.close", 1);
    assert_eq!(closed.len(), 1);
    let socket = &closed[0]["socket"];
    let why = socket["why"].as_str().unwrap().to_owned();
    (
        socket["closed_by"].clone(),
        socket["code"].as_u64().unwrap(),
        why,
    )
}

fn resident(sidecar: &Sidecar) -> f64 {
    sidecar.metric("process_resident_memory_bytes", &[])
}

#[test]
fn a_client_that_does_not_read_is_cut_off() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, "    sockets: { write: 3s }\n");
    let (mut client, mut server) = peer.api(&sidecar);
    // It says much, and nobody takes it in; then it is let go.
    let flood = thread::spawn(move || {
        let text = Message::text("x".repeat(1 << 20));
        while server.send(text.clone()).is_ok() {}
    });
    let (by, code, why) = end(&sidecar);
    assert_eq!((by, code), (json!("proxy"), 1008), "{why}");
    assert!(why.contains("client does not read"), "{why}");
    flood.join().unwrap();
    assert!([1006, 1008].contains(&client.closed().0));
    all_closed(&sidecar);
}

#[test]
fn an_exchange_that_does_not_read_is_let_go() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, "    sockets: { write: 3s, in_flight_max: 4096 }\n");
    let (mut client, server) = peer.api(&sidecar);
    let flood = thread::spawn(move || {
        let pad = "x".repeat(60_000);
        let mut said = 0;
        let frame = |id| json!({"id": id, "method": "time", "params": {"pad": pad}}).to_string();
        while client.send_or(Message::text(frame(said))) {
            said += 1;
        }
        client
    });
    let (by, code, why) = end(&sidecar);
    assert_eq!((by, code), (json!("proxy"), 1011), "{why}");
    assert!(why.contains("exchange does not read"), "{why}");
    let mut client = flood.join().unwrap();
    assert!([1006, 1011].contains(&client.closed().0));
    let closed = &events(&sidecar, "ws.close", 1)[0]["socket"];
    let unanswered = closed["unanswered"].as_u64().unwrap();
    assert!(unanswered > 0);
    let told = event(&sidecar, "WS time");
    assert_eq!(told["reason"]["code"], "upstream.broken", "{told}");
    all_closed(&sidecar);
    drop(server);
}

#[test]
fn an_exchange_that_says_nothing_is_asked_and_then_let_go() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, "    sockets: { silence: 4s }\n");
    let (mut client, mut server) = peer.api(&sidecar);
    client.say(&time(1).to_string());
    let (code, why) = client.closed();
    assert_eq!((code, why.as_str()), (1011, "the exchange is silent"));
    assert_eq!(
        end(&sidecar),
        (json!("proxy"), 1011, "the exchange is silent".to_owned())
    );
    let told = event(&sidecar, "WS time");
    assert_eq!(told["reason"]["code"], "upstream.broken");
    let mut pings = 0;
    while let Ok(message) = server.next() {
        pings += usize::from(message.is_ping());
    }
    assert!((1..=3).contains(&pings), "{pings}");
    all_closed(&sidecar);
}

#[test]
fn an_exchange_that_answers_pings_stays() {
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, "    sockets: { silence: 4s }\n");
    let (mut client, mut server) = peer.api(&sidecar);
    let mut pings = 0;
    // Longer than the silence that ends it.
    while pings < 5 {
        pings += usize::from(server.next().unwrap().is_ping());
    }
    client.say(&time(1).to_string());
    assert_eq!(server.hear()["id"], 1);
    server.say(&json!({"id": 1, "status": 200, "result": {}}));
    assert_eq!(client.hear()["status"], 200);
}

#[test]
fn so_many_frames_wait_and_no_more() {
    const MAX: usize = 256;
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, "");
    let (mut client, mut server) = peer.api(&sidecar);
    for id in 0..MAX {
        client.say(&time(id).to_string());
        assert_eq!(server.hear()["id"], id);
    }
    let refused = client.ask(&time(MAX));
    assert_eq!(refused["status"], 503, "{refused}");
    assert_eq!(refused["error"]["data"]["reason"], "proxy.overloaded");
    // With an answer there is room again.
    server.say(&json!({"id": 7, "status": 200, "result": {}}));
    assert_eq!(client.hear()["id"], 7);
    client.say(&time(MAX).to_string());
    assert_eq!(server.hear()["id"], MAX);
    client.close();
    let closed = &events(&sidecar, "ws.close", 1)[0];
    assert_eq!(closed["socket"]["unanswered"], MAX);
    // One answered, one refused, and one event for each that was lost.
    assert_eq!(events(&sidecar, "ws.request", MAX + 2).len(), MAX + 2);
    assert_eq!(server.closed().0, 1000);
    all_closed(&sidecar);
}

#[test]
fn so_many_streams_are_listened_to_and_no_more() {
    const MAX: usize = 1024;
    let peer = Peer::start();
    let sidecar = peer.sidecar("[\"STREAM *@trade\"]", "");
    let names = |range: std::ops::Range<usize>| -> Vec<String> {
        range.map(|at| format!("s{at}@trade")).collect()
    };
    let (mut client, mut server) = peer.open(&sidecar, "/ws");
    client.say(&json!({"method": "SUBSCRIBE", "params": names(0..MAX), "id": 1}).to_string());
    assert_eq!(server.hear()["params"].as_array().unwrap().len(), MAX);
    server.say(&json!({"result": null, "id": 1}));
    assert_eq!(client.hear()["id"], 1);
    let one_more = json!({"method": "SUBSCRIBE", "params": ["more@trade"], "id": 2});
    let refused = client.ask(&one_more);
    assert_eq!(refused["error"]["data"]["reason"], "exchange.limit");
    // One that is there already is no new one.
    client.say(&json!({"method": "SUBSCRIBE", "params": ["s1@trade"], "id": 3}).to_string());
    assert_eq!(server.hear()["id"], 3);
    client.say(&json!({"method": "UNSUBSCRIBE", "params": ["s1@trade"], "id": 4}).to_string());
    assert_eq!(server.hear()["id"], 4);
    client.say(&one_more.to_string());
    assert_eq!(server.hear()["id"], 2);

    let target = format!("/stream?streams={}", names(0..MAX + 1).join("/"));
    let refused = Client::shake(out(&sidecar), &target, UPGRADE)
        .err()
        .unwrap();
    assert_eq!(refused.status, 429);
    client.close();
    all_closed(&sidecar);
}

#[test]
fn pings_whose_answers_nobody_takes_in_do_not_pile_up() {
    const ENOUGH: usize = 64 << 20;
    let peer = Peer::start();
    let sidecar = peer.sidecar(ALL, "    sockets: { write: 3s }\n");
    let (mut client, server) = peer.api(&sidecar);
    let before = resident(&sidecar);
    // A masked ping of 125 bytes, many at once.
    let ping = [&[0x89, 0x80 | 125, 0, 0, 0, 0][..], &[b'p'; 125]].concat();
    let flood = thread::spawn(move || {
        let many = ping.repeat(500);
        let mut sent = 0;
        while sent < ENOUGH && client.raw(&many).is_ok() {
            sent += many.len();
        }
        (client, sent)
    });
    let (by, code, why) = end(&sidecar);
    assert_eq!((by, code), (json!("proxy"), 1008), "{why}");
    let (client, sent) = flood.join().unwrap();
    assert!(sent < ENOUGH, "{sent}");
    let grown = resident(&sidecar) - before;
    assert!(grown < 16e6, "{grown} bytes");
    all_closed(&sidecar);
    drop((client, server));
}
