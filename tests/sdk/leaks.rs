//! Every secret and every signature of a run, in every form in which it could be spelt, searched for in everything that
//! the sidecar and its commands have written anywhere.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use outrider::roles::demo::exchange::{Fault, Shown};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};

use crate::middle::{Manner, Middle};
use crate::support::oracle::find_leaks;
use crate::support::sidecar::Sidecar;
use crate::support::wire::{PATIENCE, Wire};
use crate::world::{
    ED25519, KEY, ORDER, SECRET, StandIn, With, get, is_synced, out, services, text, wait_until,
    write_config,
};

/// What a client sends that knows a key of its own.
const CLIENT_KEY: &str = "canaryKEYofTHEclientCANARYkeyOFtheCLIENTcanaryKEYofTHEclient1234";
const CLIENT_SIGNATURE: &str = "c11e475169a7c11e475169a7c11e475169a7c11e475169a7c11e475169a7abcd";

/// Where something was written, and what.
type Outputs = Vec<(String, Vec<u8>)>;

#[test]
fn no_secret_and_no_signature_of_hmac_is_told_anywhere() {
    hunt(With::Hmac);
}

#[test]
fn no_secret_and_no_signature_of_ed25519_is_told_anywhere() {
    hunt(With::Ed25519);
}

fn hunt(with: With) {
    let stand_in = StandIn::start();
    // It reads what leaves, so that signatures are known here.
    let middle = Middle::start(stand_in.exchange.address(), stand_in.exchange.root_pem());
    middle.be(Manner::Intercept);
    let mut way = stand_in.way();
    way.with = with;
    way.port = middle.address.port();
    way.ca.push_str(&middle.ca);
    way.top = "admin: { listen: \"127.0.0.1:0\" }\n".to_owned();
    let sidecar = way.start();
    let mut outputs = Vec::new();
    // All that could ever be said is said.
    admin(&sidecar, "POST", "/loglevel?level=trace", &mut outputs);
    trade(&sidecar, &stand_in, &mut outputs);
    converse(&sidecar, &mut outputs);
    fail(&sidecar, &stand_in, &middle, &mut outputs);
    for page in [
        "/config_dump",
        "/server_info",
        "/policies",
        "/certs",
        "/secrets",
    ] {
        admin(&sidecar, "GET", page, &mut outputs);
    }
    outputs.push(("metrics".to_owned(), sidecar.metrics().into_bytes()));
    let ready = sidecar.ask_health("/readyz?verbose");
    outputs.push(("readyz".to_owned(), ready.body));
    commands(&sidecar, &stand_in, with, &mut outputs);
    reload(&sidecar);
    outputs.extend(sidecar.outputs());

    let heard = String::from_utf8_lossy(&middle.heard()).into_owned();
    let signatures = signatures(&heard);
    assert!(signatures.len() >= 6, "{} signatures", signatures.len());
    let mut secrets = match with {
        With::Hmac => vec![KEY.as_bytes().to_vec(), SECRET.as_bytes().to_vec()],
        With::Ed25519 => {
            let der = stand_in.ed25519.serialized_der();
            // PKCS #8: the seed stands behind sixteen bytes of structure (RFC 8410 section 7).
            vec![ED25519.as_bytes().to_vec(), der[16..48].to_vec()]
        }
    };
    secrets.extend([CLIENT_KEY, CLIENT_SIGNATURE].map(|text| text.as_bytes().to_vec()));
    secrets.extend(signatures.iter().map(|text| text.as_bytes().to_vec()));
    let spelt: Vec<String> = secrets.iter().flat_map(|secret| forms(secret)).collect();
    // What is looked for does stand where it must.
    let control = [("the wire".to_owned(), heard.into_bytes())];
    assert!(find_leaks(&control, &spelt).len() > signatures.len());
    assert!(outputs.len() > 30 && outputs.iter().all(|(_, bytes)| bytes.len() < 64 << 20));
    assert_eq!(find_leaks(&outputs, &spelt), Vec::<String>::new());
}

/// Requests of every kind, with all that clients send by themselves.
fn trade(sidecar: &Sidecar, stand_in: &StandIn, outputs: &mut Outputs) {
    let at = out(sidecar);
    let form = format!(
        "Content-Type: application/x-www-form-urlencoded\r\nX-MBX-APIKEY: {CLIENT_KEY}\r\nAuthorization: Bearer {CLIENT_SIGNATURE}\r\n"
    );
    let own = format!("&timestamp=1&signature={CLIENT_SIGNATURE}");
    let params = ORDER.split('?').next_back().unwrap();
    for (method, target, headers, body) in [
        (
            "POST",
            "/api/v3/order".to_owned(),
            form.as_str(),
            format!("{params}{own}"),
        ),
        ("POST", format!("{ORDER}{own}"), "", String::new()),
        (
            "GET",
            format!("/api/v3/account?recvWindow=6000{own}"),
            form.as_str(),
            String::new(),
        ),
        (
            "GET",
            format!("/api/v3/depth?symbol=BTCUSDT{own}"),
            form.as_str(),
            String::new(),
        ),
        (
            "DELETE",
            format!("/api/v3/order?symbol=BTCUSDT&orderId=999{own}"),
            "",
            String::new(),
        ),
        // Refused here: twice the same, no such line, no such host, money.
        (
            "GET",
            format!("/api/v3/account?a=1&a=2{own}"),
            "",
            String::new(),
        ),
        (
            "PUT",
            format!("/api/v3/order?symbol=BTCUSDT{own}"),
            form.as_str(),
            String::new(),
        ),
        (
            "GET",
            format!("/api/v3/nothing?{own}"),
            "Host: evil.example\r\n",
            String::new(),
        ),
        (
            "POST",
            format!("/sapi/v1/capital/withdraw/apply?coin=BTC{own}"),
            "",
            String::new(),
        ),
        ("GET", format!("/api/v3/%zz?{own}"), "", String::new()),
    ] {
        send(at, &text(at, method, &target, headers, &body), outputs);
    }
    // The exchange's refusals of time and of orders.
    let narrow = format!("{ORDER}&recvWindow=0.001");
    send(at, &text(at, "POST", &narrow, "", ""), outputs);
    stand_in
        .exchange
        .fault(Fault::HalfAnswer, "POST /api/v3/order", 1);
    send(at, &text(at, "POST", ORDER, "", ""), outputs);
}

fn send(at: SocketAddr, request: &str, outputs: &mut Outputs) {
    let mut wire = Wire::connect(at);
    wire.send(request);
    let answer = wire.rest(PATIENCE).unwrap_or_else(|part| part);
    let line = request.lines().next().unwrap_or_default();
    outputs.push((format!("the answer to {line}"), answer));
}

/// The same over a WebSocket.
fn converse(sidecar: &Sidecar, outputs: &mut Outputs) {
    let at = out(sidecar);
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "GET /ws-api/v3?apiKey={CLIENT_KEY} HTTP/1.1\r\nHost: {at}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-MBX-APIKEY: {CLIENT_KEY}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(
        answer.starts_with(b"HTTP/1.1 101 "),
        "{}",
        answer.escape_ascii()
    );
    outputs.push(("the handshake".to_owned(), answer));
    let mut socket = WebSocket::from_raw_socket(stream, Role::Client, None);
    let own = json!({"apiKey": CLIENT_KEY, "timestamp": 1, "signature": CLIENT_SIGNATURE});
    let order = json!({
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "50000",
    });
    let with = |params: Value| {
        let mut all = own.clone();
        all.as_object_mut()
            .unwrap()
            .extend(params.as_object().unwrap().clone());
        all
    };
    for (id, method, params) in [
        (1, "account.status", with(json!({}))),
        (2, "order.place", with(order)),
        (3, "userDataStream.subscribe.signature", with(json!({}))),
        (4, "session.logon", with(json!({}))),
        (8, "session.status", json!({})),
        (
            5,
            "order.cancel",
            with(json!({"symbol": "BTCUSDT", "orderId": 999})),
        ),
        (6, "no.such.method", with(json!({}))),
        (7, "time", json!({})),
    ] {
        let frame = json!({"id": id, "method": method, "params": params});
        socket.send(Message::text(frame.to_string())).unwrap();
        outputs.push((format!("the answer to {method}"), hear(&mut socket)));
    }
    for frame in [
        format!("{{\"apiKey\":\"{CLIENT_KEY}\""),
        format!("[\"{CLIENT_SIGNATURE}\"]"),
    ] {
        socket.send(Message::text(frame)).unwrap();
        outputs.push(("the answer to no frame".to_owned(), hear(&mut socket)));
    }
}

fn hear(socket: &mut WebSocket<TcpStream>) -> Vec<u8> {
    loop {
        match socket.read().unwrap() {
            Message::Text(text) => return text.as_bytes().to_vec(),
            Message::Close(frame) => return format!("{frame:?}").into_bytes(),
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

/// What goes wrong at the exchange, and on the way to it.
fn fail(sidecar: &Sidecar, stand_in: &StandIn, middle: &Middle, outputs: &mut Outputs) {
    let at = out(sidecar);
    let ask = |outputs: &mut Outputs| {
        send(at, &text(at, "POST", ORDER, "", ""), outputs);
        send(at, &text(at, "GET", "/api/v3/account", "", ""), outputs);
    };
    let served = || get(at, "/api/v3/account").status == 200;
    wait_until("served", served);
    for shown in [Shown::Expired, Shown::UnknownCa, Shown::StolenCertificate] {
        stand_in.exchange.show(shown).unwrap();
        middle.be(Manner::Pass);
        stand_in.hang_up();
        ask(outputs);
    }
    stand_in.exchange.show(Shown::Right).unwrap();
    middle.be(Manner::Intercept);
    wait_until("served", served);
    stand_in.exchange.clock().step_ms(600_000);
    wait_until("stopped", || {
        ask(outputs);
        !is_synced(sidecar)
    });
    ask(outputs);
    stand_in.exchange.clock().step_ms(-600_000);
    wait_until("served", served);
    stand_in.exchange.ban(Duration::from_secs(1));
    ask(outputs);
    ask(outputs);
    wait_until("served", served);
    stand_in
        .exchange
        .fault(Fault::Forbidden, "GET /api/v3/openOrders", 1);
    send(at, &text(at, "GET", "/api/v3/openOrders", "", ""), outputs);
    services(sidecar, 20);
}

/// A file that does not parse, with a secret where none belongs.
fn reload(sidecar: &Sidecar) {
    write_config(sidecar, |text| text.replace("secret:API_SECRET", SECRET));
    let refused = || sidecar.metric("outrider_config_reloads_total", &["rejected"]) >= 1.0;
    wait_until("refused", refused);
    write_config(sidecar, |text| text.replace(SECRET, "secret:API_SECRET"));
}

fn admin(sidecar: &Sidecar, method: &str, target: &str, outputs: &mut Outputs) {
    let at = sidecar.listener("admin");
    let length = if method == "POST" {
        "Content-Length: 0\r\n"
    } else {
        ""
    };
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n{length}\r\n");
    let answer = Wire::connect(at).ask(request).unwrap();
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    outputs.push((target.to_owned(), answer.body));
}

/// The commands that look at a configuration, at keys and at requests.
fn commands(sidecar: &Sidecar, stand_in: &StandIn, with: With, outputs: &mut Outputs) {
    let (id, secret, algorithm) = match with {
        With::Hmac => (KEY, SECRET.to_owned(), "hmac"),
        With::Ed25519 => (ED25519, stand_in.ed25519.serialize_pem(), "ed25519"),
    };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (id_file, key_file) = (file("id", id), file("key", &secret));
    let yaml = sidecar.folder().join("sidecar.yaml").display().to_string();
    let sign = |target: &str, body: &str| {
        let line = [
            "sign",
            "--explain",
            "--signer",
            "binance",
            "--algorithm",
            algorithm,
            "--host",
            "localhost",
            "--secret",
            &format!("key_id={id_file}"),
            "--secret",
            &format!("key={key_file}"),
            "--body",
            body,
            "POST",
            target,
        ];
        line.map(str::to_owned).to_vec()
    };
    let own = format!("symbol=A&timestamp=1&signature={CLIENT_SIGNATURE}");
    for arguments in [
        sign("/api/v3/order?symbol=A", "side=BUY"),
        sign(&format!("/api/v3/order?{own}"), &own),
        ["check", &yaml].map(str::to_owned).to_vec(),
        ["explain", "-c", &yaml, "--path", "/none"]
            .map(str::to_owned)
            .to_vec(),
        ["schema"].map(str::to_owned).to_vec(),
    ] {
        let output = run(
            &arguments,
            &[("API_KEY", id), ("API_SECRET", &secret)],
            sidecar.folder(),
        );
        assert!(output.len() > 20, "{arguments:?}");
        outputs.push((arguments.join(" "), output));
    }
}

fn run(arguments: &[String], environment: &[(&str, &str)], folder: &Path) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_outrider"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    [output.stdout, output.stderr].concat()
}

/// Every signature that left, as it stood there: in queries, bodies and frames.
fn signatures(heard: &str) -> BTreeSet<String> {
    let marks = ["signature=", "\"signature\":\""];
    let found = marks.iter().flat_map(|mark| heard.match_indices(mark));
    let spelt = found.map(|(at, mark)| {
        let rest = &heard[at + mark.len()..];
        let end = rest.find(|char: char| !(char.is_ascii_alphanumeric() || "%+/=".contains(char)));
        rest[..end.unwrap_or(rest.len())].to_owned()
    });
    spelt.filter(|signature| signature.len() > 40).collect()
}

/// The ways in which bytes are spelt in texts.
fn forms(secret: &[u8]) -> Vec<String> {
    let hex = |upper: bool| -> String {
        let digit = |byte: &u8| {
            if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            }
        };
        secret.iter().map(digit).collect()
    };
    let percent: String = secret
        .iter()
        .map(
            |byte| match byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
                true => char::from(*byte).to_string(),
                false => format!("%{byte:02X}"),
            },
        )
        .collect();
    let mut forms = vec![hex(false), hex(true), percent.to_lowercase(), percent];
    forms.extend(String::from_utf8(secret.to_vec()));
    forms.push(format!("{secret:?}").trim_matches(['[', ']']).to_owned());
    // Inside something longer that is encoded as a whole, it begins at one of three places in a group of four.
    for before in 0..3 {
        let padded = [&vec![0; before][..], secret].concat();
        for engine in [&STANDARD, &URL_SAFE] {
            let encoded = engine.encode(&padded);
            // The first and the last group also hold bits of what stands beside it.
            forms.push(encoded[4..encoded.len() - 4].to_owned());
        }
    }
    forms.retain(|form| !form.is_empty());
    forms
}
