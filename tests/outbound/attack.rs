//! Callers that mean harm, in raw bytes: whatever they say, what leaves is what a line allows, stamped and signed once.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::origin::Received;
use crate::support::wire::{PATIENCE, Wire};
use crate::world::{Exchange, KEY, SECRET, StandIn, get, out, services};

const SOME: &str = "[\"GET /api/v3/**\", \"POST /api/v3/order\", \"STREAM **\"]";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

fn raw(at: SocketAddr, start: &str, headers: &str, body: &str) -> u16 {
    let length = match body {
        "" => String::new(),
        _ if headers.to_ascii_lowercase().contains("transfer-encoding") => String::new(),
        body => format!("Content-Length: {}\r\n", body.len()),
    };
    let request = format!(
        "{start} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n{headers}{length}\r\n{body}"
    );
    Wire::connect(at)
        .ask(request)
        .map_or(0, |answer| answer.status)
}

fn now_ms() -> u128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_millis()
}

/// What the exchange gets is what may be called, with one time and one signature of ours, or with none. The time is one of
/// this test, give or take a minute.
fn check(received: &Received, began_ms: u128) {
    let (path, query) = received
        .target
        .split_once('?')
        .unwrap_or((&received.target, ""));
    let body = String::from_utf8(received.body.clone()).unwrap();
    let read = matches!(received.method.as_str(), "GET" | "HEAD") && path.starts_with("/api/v3/");
    let order = received.method == "POST" && path == "/api/v3/order";
    assert!(read || order, "{} {}", received.method, received.target);
    assert!(received.trailers.is_empty());
    for odd in [
        "x-http-method-override",
        "x_http_method_override",
        "x-original-url",
        "x-forwarded-for",
        "te",
        "expect",
        "upgrade",
        "authorization",
        "cookie",
        "outrider-caller-token",
    ] {
        assert!(!received.has(odd), "{odd}");
    }
    assert_eq!(received.all("host").len(), 1);
    let pairs = query.split('&').chain(body.split('&'));
    let named: Vec<(&str, &str)> = pairs.filter_map(|pair| pair.split_once('=')).collect();
    let of = |name: &str| -> Vec<&str> {
        let same = named.iter().filter(|(known, _)| *known == name);
        same.map(|(_, value)| *value).collect()
    };
    if received.has("x-mbx-apikey") {
        assert_eq!(received.one("x-mbx-apikey"), Some(KEY));
        assert_eq!(of("signature").len(), 1, "{}", received.target);
        let [time] = of("timestamp").try_into().unwrap();
        let time: u128 = time.parse().unwrap();
        assert!((began_ms - 60_000..now_ms() + 60_000).contains(&time));
    } else {
        assert!(of("signature").is_empty() && of("timestamp").is_empty());
    }
    let unique: BTreeSet<&str> = named.iter().map(|(name, _)| *name).collect();
    assert_eq!(unique.len(), named.len(), "{} {body}", received.target);
}

#[test]
fn no_spelling_leads_past_the_rules() {
    let began_ms = now_ms();
    let exchange = Exchange::start();
    let sidecar = exchange.signing(SOME, "");
    let at = out(&sidecar);
    let chunked = format!("{FORM}Transfer-Encoding: chunked\r\nTrailer: x-mbx-apikey\r\n");
    let odd: &[(&str, &str, &str)] = &[
        ("HEAD /api/v3/order?symbol=A", "", ""),
        (
            "POST /api/v3/order",
            "X-HTTP-Method-Override: DELETE\r\n",
            "",
        ),
        (
            "POST /api/v3/order",
            "X_HTTP_Method_Override: DELETE\r\n",
            "",
        ),
        (
            "GET /api/v3/time",
            "X-Original-URL: /sapi/v1/asset/transfer\r\n",
            "",
        ),
        ("POST /api/v3/order/", "", ""),
        ("POST /api/v3//order", "", ""),
        ("POST /api/v3/order;x=1", "", ""),
        ("POST /api/v3/%6frder", "", ""),
        ("POST /API/v3/order", "", ""),
        ("POST /api/v3/order%00", "", ""),
        ("POST /api/v3/order/../../../sapi/v1/asset/transfer", "", ""),
        ("GET /api/v3/..%2f..%2fsapi/v1/asset/transfer", "", ""),
        ("GET /api/v3/../../sapi/v1/capital/withdraw/apply", "", ""),
        ("post /api/v3/order", "", ""),
        ("DELETE /api/v3/order", "", ""),
        ("OPTIONS /api/v3/order", "", ""),
        ("POST /api/v3/order?_method=DELETE", "", ""),
        ("POST /api/v3/order?symbol=A&symbol=B", "", ""),
        ("POST /api/v3/order?symbol=A&%73ymbol=B", "", ""),
        ("POST /api/v3/order?symbol=A", FORM, "symbol=B"),
        ("POST /api/v3/order?symbol=A", FORM, "a=1&a=2"),
        (
            "POST /api/v3/order?timestamp=1&timestamp=2&signature=x",
            FORM,
            "timestamp=3&b=1",
        ),
        ("POST /api/v3/order?%74imestamp=1&&%73ignature=x", "", ""),
        ("POST /api/v3/order?symbol=A&", FORM, "&timestamp=1&"),
        (
            "GET /api/v3/order?timestamp=1",
            "X-MBX-APIKEY: mine\r\nX-MBX-APIKEY: yours\r\n",
            "",
        ),
        (
            "GET /api/v3/time?timestamp=1&signature=x",
            "X-MBX-APIKEY: mine\r\n",
            "",
        ),
        (
            "POST /api/v3/order",
            "Content-Type: application/json\r\n",
            "{\"symbol\":\"A\"}",
        ),
        (
            "POST /api/v3/order",
            "Content-Type: multipart/form-data; boundary=a\r\n",
            "--a--",
        ),
        ("POST /api/v3/order", "", "symbol=A"),
        ("POST /api/v3/order", &format!("{FORM}{FORM}"), "symbol=A"),
        (
            "POST /api/v3/order",
            &format!("{FORM}Content-Encoding: gzip\r\n"),
            "symbol=A",
        ),
        (
            "POST /api/v3/order",
            &chunked,
            "8\r\nsymbol=A\r\n0\r\nX-MBX-APIKEY: evil\r\n\r\n",
        ),
        (
            "POST /api/v3/order",
            &format!("{chunked}Content-Length: 3\r\n"),
            "0\r\n\r\n",
        ),
        ("GET /api/v3/time", "Content-Length: 3\r\n", "a=1"),
        (
            "GET /api/v3/order",
            "Connection: x-mbx-apikey, host\r\n",
            "",
        ),
        (
            "GET /api/v3/order",
            "Upgrade: h2c\r\nHTTP2-Settings: a\r\nExpect: 100-continue\r\n",
            "",
        ),
        (
            "GET /api/v3/order",
            "Authorization: Bearer a\r\nCookie: a=b\r\nTE: trailers\r\n",
            "",
        ),
        ("GET /api/v3/depth?symbol=A%0d%0aX:%20y", "", ""),
        ("GET /api/v3/order?symbol=%", "", ""),
    ];
    for (start, headers, body) in odd {
        let status = raw(at, start, headers, body);
        assert!(
            status >= 200 && status != 500,
            "{status} {start} {headers:?}"
        );
    }
    for received in exchange.asked() {
        check(&received, began_ms);
    }
    // Changes of single bytes of a good request, many of them.
    let good = format!(
        "POST /api/v3/order?symbol=A&side=BUY HTTP/1.1\r\nHost: {at}\r\nX-MBX-APIKEY: mine\r\n{FORM}Content-Length: 20\r\nConnection: close\r\n\r\ntimestamp=1&price=52"
    );
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..600 {
        let mut bytes = good.clone().into_bytes();
        for _ in 0..2 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let at = usize::try_from(seed % bytes.len() as u64).unwrap();
            bytes[at] = b"\r\n\0 \t&=%;+?#/:aA\x7f\xff0"[usize::try_from(seed >> 40).unwrap() % 19];
        }
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&bytes).ok();
        stream.shutdown(std::net::Shutdown::Write).ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
    }
    assert_eq!(get(at, "/api/v3/time").status, 200);
    for received in exchange.asked() {
        check(&received, began_ms);
    }
    assert!(exchange.origin.violations().is_empty());
    assert!(!sidecar.stderr().contains("panicked"));
    for (place, bytes) in sidecar.outputs() {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(SECRET) && !text.contains(KEY), "{place}");
    }
}

#[test]
fn evidence_holds_no_listen_key() {
    let exchange = Exchange::start();
    let sidecar = exchange.signing(SOME, "");
    let key = "pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1";
    assert_ne!(get(out(&sidecar), &format!("/ws/{key}")).status, 200);
    assert_eq!(services(&sidecar, 1).len(), 1);
    for (place, bytes) in sidecar.outputs() {
        assert!(!String::from_utf8_lossy(&bytes).contains(key), "{place}");
    }
}

/// A masked frame of a client.
fn frame(first: u8, mask: bool, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let bit = if mask { 0x80 } else { 0 };
    match payload.len() {
        short @ 0..=125 => out.push(bit | u8::try_from(short).unwrap()),
        middle @ 126..=65535 => {
            out.push(bit | 126);
            out.extend(u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            out.push(bit | 127);
            out.extend((long as u64).to_be_bytes());
        }
    }
    if mask {
        out.extend([0; 4]);
    }
    out.extend(payload);
    out
}

fn socket(at: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\nX-MBX-APIKEY: mine\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        answer.push(byte[0]);
    }
    let text = String::from_utf8(answer).unwrap();
    assert!(text.starts_with("HTTP/1.1 101"), "{text}");
    assert!(!text.to_ascii_lowercase().contains("deflate"));
    stream
}

/// All that comes until this has come, as text. It must come, and the connection must not be closed before.
fn hear(stream: &mut TcpStream, last: &str) -> String {
    let mut heard = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&heard);
        if text.contains(last) {
            return text.into_owned();
        }
        match stream.read(&mut piece) {
            Ok(count @ 1..) => heard.extend(&piece[..count]),
            ended => panic!("{ended:?} after {text}"),
        }
    }
}

/// Whether the connection ends, whatever comes before.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return true,
            Ok(_) => {}
            // What was unread when it was closed makes a reset of it.
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn no_frame_leads_past_the_rules() {
    let stand_in = StandIn::start();
    let allow = "[\"GET /api/v3/**\", \"WS **\", \"STREAM **\"]";
    let sidecar = stand_in.sidecar(allow, "");
    let at = out(&sidecar);
    let mut api = socket(at, "/ws-api/v3?returnRateLimits=false");
    let order = r#""symbol":"BTCUSDT","side":"BUY","type":"LIMIT","timeInForce":"GTC","quantity":"0.01","price":"50000""#;
    let said = [
        r#"{"id":1,"method":"time"}"#.to_owned(),
        r#"{"id":"1","method":"time"}"#.to_owned(),
        r#"{"id":1.0,"method":"time"}"#.to_owned(),
        r#"{"id":"\u0031","method":"time"}"#.to_owned(),
        r#"{"id":null,"method":"time"}"#.to_owned(),
        r#"{"id":2,"id":3,"method":"time"}"#.to_owned(),
        r#"{"id":2,"method":"time","method":"order.place"}"#.to_owned(),
        r#"{"id":2,"method":"order\u002eplace","params":{}}"#.to_owned(),
        r#"{"id":3,"method":"capital.withdraw","params":{}}"#.to_owned(),
        r#"{"id":4,"method":"Order.Place","params":{}}"#.to_owned(),
        r#"{"id":5,"method":" order.place","params":{}}"#.to_owned(),
        r#"{"id":6,"method":"session.logout"}"#.to_owned(),
        r#"{"id":7,"method":"session.logon"}"#.to_owned(),
        format!(
            r#"{{"id":8,"method":"order.place","params":{{{order},"timestamp":1,"apiKey":"x","signature":"y"}}}}"#
        ),
        format!(
            r#"{{"id":9,"method":"order.place","params":{{{order},"api\u004bey":"x","price":"1"}}}}"#
        ),
        format!(r#"{{"id":10,"method":"order.place","params":{{{order},"a":{{"b":1}}}}}}"#),
        r#"{"id":11,"method":"account.status","params":{"omitZeroBalances":true}}"#.to_owned(),
        "[".repeat(60_000),
        format!(
            "{{\"id\":12,\"method\":\"time\",\"params\":{{\"a\":{}1{}}}}}",
            "[".repeat(20_000),
            "]".repeat(20_000)
        ),
    ];
    for text in &said {
        api.write_all(&frame(0x81, true, text.as_bytes())).unwrap();
    }
    // In pieces, with a ping between them.
    api.write_all(&frame(0x01, true, br#"{"id":20,"met"#))
        .unwrap();
    api.write_all(&frame(0x89, true, b"there?")).unwrap();
    api.write_all(&frame(0x80, true, br#"hod":"time"}"#))
        .unwrap();
    api.write_all(&frame(0x82, true, br#"{"id":21,"method":"time"}"#))
        .unwrap();
    // Whatever was sent before is answered before this is.
    api.write_all(&frame(0x81, true, br#"{"id":22,"method":"time"}"#))
        .unwrap();
    let heard = hear(&mut api, "\"id\":22");
    assert!(!heard.contains(KEY), "{heard}");
    assert!(heard.contains("\"id\":20"), "{heard}");
    assert_eq!(stand_in.exchange.orders_placed(), 1);
    for (what, bytes) in [
        ("unmasked", frame(0x81, false, b"{}")),
        ("compressed", frame(0xc1, true, b"{}")),
        ("reserved", frame(0x83, true, b"{}")),
        ("long ping", frame(0x89, true, &[b'a'; 126])),
        ("long", frame(0x81, true, &vec![b'a'; 65_537])),
        ("no text", frame(0x81, true, b"\xff\xfe")),
        ("continues nothing", frame(0x80, true, b"{}")),
    ] {
        let mut api = socket(at, "/ws-api/v3");
        api.write_all(&bytes).ok();
        assert!(is_closed(&mut api), "{what}");
    }
    let mut streams = socket(at, "/stream?streams=btcusdt@trade");
    for text in [
        r#"{"method":"SUBSCRIBE","params":["btcusdt@trade/../x"],"id":1}"#,
        r#"{"method":"SUBSCRIBE","params":["a@b?apiKey=1"],"id":2}"#,
        r#"{"method":"order.place","params":[],"id":3}"#,
        r#"{"method":"SUBSCRIBE","params":["btcusdt@depth"],"id":4,"apiKey":"x"}"#,
        r#"{"method":"LIST_SUBSCRIPTIONS","id":5}"#,
    ] {
        streams
            .write_all(&frame(0x81, true, text.as_bytes()))
            .unwrap();
    }
    hear(&mut streams, "\"id\":5");
    assert_eq!(stand_in.exchange.violations(), Vec::<String>::new());
    assert!(!sidecar.stderr().contains("panicked"));
    for (place, bytes) in sidecar.outputs() {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(SECRET) && !text.contains(KEY), "{place}");
    }
}
