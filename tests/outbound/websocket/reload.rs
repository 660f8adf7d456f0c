//! What another configuration does to WebSockets that are open.

use std::collections::HashSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use outrider::model::secret::Secret;
use outrider::roles::demo::exchange::ApiKey;
use serde_json::{Value, json};

use super::client::{ALL, Client, all_closed, events};
use super::peer::{Peer, Server};
use crate::support::exchange::With;
use crate::support::sidecar::{Setup, Sidecar, of_type};
use crate::support::wait::{reconfigure, reload, wait_until};
use crate::world::{KEY, ROUTES, SECRET, StandIn, wait_for_time};

fn rewrite(sidecar: &Sidecar, from: &str, to: &str) {
    reconfigure(sidecar, |text| text.replace(from, to));
}

fn goes_on(client: &mut Client) {
    assert_eq!(
        client.ask(&json!({"id": "still", "method": "ping"}))["status"],
        200
    );
}

#[test]
fn only_those_that_are_concerned_are_closed() {
    let stand_in = StandIn::start();
    let allow = "[\"WS ping\", \"WS time\", \"STREAM *@trade\"]";
    let sidecar = stand_in.sidecar_with(With::Hmac, allow, "");
    let mut client = Client::api(&sidecar);
    let mut stream = Client::open(&sidecar, "/ws/btcusdt@trade");
    goes_on(&mut client);
    rewrite(&sidecar, "\"WS time\", ", "");
    // What is sent from now on goes by what is in force.
    let time = client.ask(&json!({"id": 1, "method": "time"}));
    assert_eq!(time["error"]["data"]["reason"], "exchange.not_allowed");
    goes_on(&mut client);
    assert_eq!(stream.hear()["e"], "trade");
    rewrite(&sidecar, "STREAM *@trade", "STREAM *@depth");
    assert_eq!(stream.closed().0, 1012);
    goes_on(&mut client);
    let pins = "\n    pins: [\"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\", \"sha256/BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]\n    allow:";
    rewrite(&sidecar, "\n    allow:", pins);
    let (code, why) = client.closed();
    assert_eq!(code, 1012);
    assert!(why.contains("another way"), "{why}");
    let closed = events(&sidecar, "ws.close", 2);
    assert!(closed.iter().all(|event| event["outcome"] == "success"));
    sidecar.wait_until("closed", || stand_in.exchange.open_sockets() == 0);
}

#[test]
fn who_hears_of_an_account_is_closed_when_its_line_is_gone() {
    let listens = "userDataStream.subscribe.signature";
    for (with, method) in [(With::Hmac, listens), (With::Ed25519, "session.logon")] {
        let stand_in = StandIn::start();
        let allow = format!("[\"WS ping\", \"WS {method}\"]");
        let sidecar = stand_in.sidecar_with(with, &allow, "");
        let mut plain = Client::api(&sidecar);
        let mut bound = Client::api(&sidecar);
        let asked = json!({"id": 1, "method": method, "params": {}});
        assert_eq!(bound.ask(&asked)["status"], 200, "{method}");
        rewrite(&sidecar, &format!(", \"WS {method}\""), "");
        let (code, why) = bound.closed();
        assert_eq!(code, 1012);
        assert!(why.contains("bound by"), "{why}");
        goes_on(&mut plain);
        stand_in.assert_clean();
    }
}

#[test]
fn a_connection_that_knows_the_old_key_is_closed_and_another_one_stays() {
    const OTHER: &str = "otherOTHERotherOTHERotherOTHERotherOTHERotherOTHERotherOTHER1234";
    let stand_in = StandIn::start();
    stand_in
        .exchange
        .add_key(ApiKey::hmac(OTHER, &Secret::new("other".to_owned())));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    let write = |key: &str, secret: &str| {
        let next = path.with_extension("next");
        fs::write(&next, format!("API_KEY={key}\nAPI_SECRET={secret}\n")).unwrap();
        fs::set_permissions(&next, Permissions::from_mode(0o600)).unwrap();
        fs::rename(&next, &path).unwrap();
    };
    // Written by hand: the secrets are the only ones that change.
    write(KEY, &format!("'{SECRET}'"));
    let top = format!(
        "secrets: [{{ dotenv: .env }}]\n{}",
        stand_in.way().allow(ALL).section()
    );
    let files = [("ca.pem", stand_in.exchange.root_pem())];
    let sidecar = Sidecar::start_in(
        &Setup {
            top: &top,
            files: &files,
            ..Setup::new("http://127.0.0.1:9", ROUTES)
        },
        folder,
    );
    wait_for_time(&sidecar);
    let mut plain = Client::api(&sidecar);
    goes_on(&mut plain);
    let mut listening = Client::api(&sidecar);
    let subscribe = json!({"id": 1, "method": "userDataStream.subscribe.signature", "params": {}});
    assert_eq!(listening.ask(&subscribe)["status"], 200);
    // A secret that is written anew and is the same is no other key.
    reload(&sidecar, || write(KEY, &format!("\"{SECRET}\"")));
    goes_on(&mut listening);
    reload(&sidecar, || write(OTHER, "other"));
    let (code, why) = listening.closed();
    assert_eq!((code, why.as_str()), (1012, "the key is another one now"));
    let account = json!({"id": 2, "method": "account.status", "params": {}});
    assert_eq!(plain.ask(&account)["status"], 200);
    stand_in.assert_clean();
}

/// Ends what goes on in other threads, also when a test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Asks to cancel, again and again.
fn cancel_on(mut client: Client, stop: &AtomicBool) {
    let cancel =
        json!({"id": 1, "method": "order.cancel", "params": {"symbol": "BTCUSDT", "orderId": 1}});
    while !stop.load(Ordering::Relaxed) {
        let answer = client.ask(&cancel);
        if answer["status"] != 200 {
            assert_eq!(answer["error"]["data"]["reason"], "exchange.not_allowed");
            thread::sleep(Duration::from_millis(2));
        }
    }
    client.close();
}

/// Does everything that it is asked.
fn comply(mut server: Server) {
    while let Ok(message) = server.next() {
        if let Ok(text) = message.into_text()
            && let Ok(frame) = serde_json::from_str::<Value>(&text)
        {
            server.say(&json!({"id": frame["id"], "status": 200, "result": {}}));
        }
    }
}

/// Frames whose intent was written, and that were refused all the same.
fn overtaken(sidecar: &Sidecar) -> usize {
    let all = sidecar.audit();
    let intents = of_type(&all, "ws.intent");
    let intended: HashSet<&str> = intents
        .iter()
        .filter_map(|event| event["id"].as_str())
        .collect();
    let requests = of_type(&all, "ws.request");
    let overtaken = requests.iter().filter(|event| {
        let id = event["id"].as_str().unwrap();
        event["reason"]["code"] == "exchange.not_allowed" && intended.contains(id)
    });
    overtaken
        .inspect(|event| assert_eq!(event["exchange"]["execution"], "not_sent", "{event}"))
        .count()
}

#[test]
fn what_comes_into_force_while_an_intent_is_written_is_what_the_frame_goes_by() {
    const LINE: &str = "\"WS order.cancel\", ";
    const SOCKETS: usize = 6;
    let peer = Peer::start();
    let allow = format!("[{LINE}\"WS ping\"]");
    let sidecar = peer.sidecar(&allow, "    audit: before_forward\n");
    let pairs: Vec<_> = (0..SOCKETS).map(|_| peer.api(&sidecar)).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        for (client, server) in pairs {
            scope.spawn(|| comply(server));
            scope.spawn(|| cancel_on(client, &stop));
        }
        // Most frames wait for the disk at any moment, so that a change seldom meets none.
        wait_until("overtaken", || {
            rewrite(&sidecar, LINE, "");
            rewrite(&sidecar, "\"WS ping\"", &format!("{LINE}\"WS ping\""));
            overtaken(&sidecar) > 0
        });
    });
    all_closed(&sidecar);
}
