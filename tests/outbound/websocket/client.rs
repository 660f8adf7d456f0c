//! A plain WebSocket client, and a sidecar in front of the stand-in exchange. Holds no expectation but that things come in
//! time.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use outrider::model::secret::Secret;
use outrider::roles::demo::exchange::{ApiKey, Exchange, Options};
use rcgen::{KeyPair, PKCS_ED25519};
use serde_json::Value;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocket};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::sidecar::{Setup, Sidecar};
use crate::world::{KEY, ROUTES, SECRET, out, wait_for_time};

/// The name of the key with Ed25519.
pub const ED25519: &str = "ed25519ed25519ed25519ed25519ed25519ed25519ed25519ed25519ed25519e";

/// How long anything is waited for: the machine may be busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Everything that the tests ask for.
pub const ALL: &str = "[\"GET /api/v3/**\", \"POST /api/v3/order\", \"WS **\", \"STREAM **\"]";

/// How a sidecar signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum With {
    Hmac,
    Ed25519,
}

/// The stand-in exchange with two keys of one account.
pub struct Market {
    pub exchange: Exchange,
    ed25519: KeyPair,
    /// Dropped, it ends the exchange's thread.
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Market {
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Options)) -> Self {
        let ed25519 = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut options = Options {
            keys: vec![
                ApiKey::hmac(KEY, &Secret::new(SECRET.to_owned())),
                ApiKey::ed25519(ED25519, ed25519.public_key_raw()),
            ],
            ..Options::default()
        };
        change(&mut options);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let exchange = runtime.block_on(Exchange::start(options)).unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        thread::spawn(move || runtime.block_on(stopped));
        Self {
            exchange,
            ed25519,
            _stop: stop,
        }
    }

    /// The section `outbound` that leads to it.
    pub fn outbound(&self, with: With, allow: &str, more: &str) -> String {
        let url = self.exchange.rest_url();
        let site = |name: &str| {
            format!("      {name}: {{ url: \"{url}\", ca_file: ca.pem, stand_in: true }}\n")
        };
        let sites: String = ["rest", "ws_api", "streams"].map(site).concat();
        let algorithm = match with {
            With::Hmac => "hmac",
            With::Ed25519 => "ed25519",
        };
        format!(
            "outbound:\n  - name: binance\n    listen: 127.0.0.1:0\n    exchange: binance-spot\n    endpoints:\n{sites}    \
             sign: {{ key_id: \"secret:API_KEY\", key: \"secret:API_SECRET\", algorithm: {algorithm} }}\n    allow: {allow}\n{more}"
        )
    }

    /// A sidecar that leads to it and knows its time.
    pub fn sidecar(&self, with: With, allow: &str, more: &str) -> Sidecar {
        self.lead(with, &self.outbound(with, allow, more), &[])
    }

    /// A sidecar with this section `outbound` and the files that it names.
    pub fn lead(&self, with: With, top: &str, more: &[(&str, &str)]) -> Sidecar {
        let pem = self.ed25519.serialize_pem();
        let (id, secret) = match with {
            With::Hmac => (KEY, SECRET),
            With::Ed25519 => (ED25519, pem.as_str()),
        };
        let env = [
            ("OUTRIDER_INBOUND__TIMEOUTS__DRAIN_PAUSE", "0s"),
            ("API_KEY", id),
            ("API_SECRET", secret),
        ];
        let mut files = vec![("ca.pem", self.exchange.root_pem())];
        files.extend(more);
        let sidecar = Sidecar::start(&Setup {
            top,
            files: &files,
            env: &env,
            ..Setup::new("http://127.0.0.1:9", ROUTES)
        });
        wait_for_time(&sidecar);
        sidecar
    }

    /// Nothing has reached it that should not.
    pub fn is_content(&self) {
        assert_eq!(self.exchange.violations(), Vec::<String>::new());
    }
}

/// An open WebSocket.
pub struct Client(WebSocket<TcpStream>);

/// Why there is none.
#[derive(Debug)]
pub struct Refused {
    pub status: u16,
    pub body: Value,
}

/// What a browserless client sends.
pub const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";

impl Client {
    /// Opens one of the WebSocket API.
    pub fn api(sidecar: &Sidecar) -> Self {
        Self::open(sidecar, "/ws-api/v3")
    }

    pub fn open(sidecar: &Sidecar, target: &str) -> Self {
        Self::shake(out(sidecar), target, UPGRADE).unwrap()
    }

    /// Opens one with these header lines.
    pub fn shake(at: SocketAddr, target: &str, headers: &str) -> Result<Self, Refused> {
        let mut stream = TcpStream::connect(at).unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: {at}\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        Self::shaken(stream)
    }

    /// Reads the answer to a handshake that was sent.
    pub fn shaken(mut stream: TcpStream) -> Result<Self, Refused> {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        if status == 101 {
            // The example of RFC 6455 section 1.3.
            assert!(
                head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
                "{head}"
            );
            assert!(!head.contains("sec-websocket-extensions"), "{head}");
            assert!(!head.contains("sec-websocket-protocol"), "{head}");
            return Ok(Self(WebSocket::from_raw_socket(stream, Role::Client, None)));
        }
        let length = head.split("content-length: ").nth(1).unwrap_or("0");
        let length = length.split("\r\n").next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Err(Refused { status, body })
    }

    pub fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    pub fn send(&mut self, message: Message) {
        self.0.send(message).unwrap();
    }

    /// The next text.
    pub fn hear(&mut self) -> Value {
        serde_json::from_str(&self.hear_text()).unwrap()
    }

    /// The same as it was spelt.
    pub fn hear_text(&mut self) -> String {
        loop {
            if let Message::Text(text) = self.0.read().unwrap() {
                return text.to_string();
            }
        }
    }

    /// The next message, whatever it is.
    pub fn next(&mut self) -> Message {
        self.0.read().unwrap()
    }

    /// Says it, and hears the answer; what else is told meanwhile is passed over.
    pub fn ask(&mut self, frame: &Value) -> Value {
        self.say(&frame.to_string());
        loop {
            let heard = self.hear();
            if heard["id"] == frame["id"] {
                return heard;
            }
        }
    }

    /// Says a text, and hears the next one.
    pub fn tell(&mut self, text: &str) -> Value {
        self.say(text);
        self.hear()
    }

    /// The code and the reason with which it ends.
    pub fn closed(&mut self) -> (u16, String) {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            match self.0.read() {
                Ok(Message::Close(Some(frame))) => {
                    return (frame.code.into(), frame.reason.to_string());
                }
                Ok(Message::Close(None)) => return (1005, String::new()),
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => return (1006, String::new()),
            }
        }
        panic!("the WebSocket stays open");
    }

    /// Whether it could be sent.
    pub fn send_or(&mut self, message: Message) -> bool {
        self.0.send(message).is_ok()
    }

    /// Sends bytes as they are, beside all frames.
    pub fn raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// Closes with this code.
    pub fn close_with(mut self, frame: Option<CloseFrame>) {
        self.0.close(frame).unwrap();
        while self.0.read().is_ok() {}
    }

    /// Closes in order.
    pub fn close(mut self) {
        self.0.close(None).unwrap();
        while self.0.read().is_ok() {}
    }

    /// Says nothing any more, and would still listen.
    pub fn half_close(&self) {
        self.0.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// Is gone without a word.
    pub fn hang_up(self) {
        drop(self);
    }
}

/// Waits for something that must become true.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "not {what} in time");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until no WebSocket is open any more, at either end.
pub fn all_closed(sidecar: &Sidecar) {
    eventually("closed", || {
        sidecar.metric("outrider_exchange_sockets", &[]) == 0.0
    });
}

/// The events of a type, as soon as there are so many.
pub fn events(sidecar: &Sidecar, name: &str, count: usize) -> Vec<Value> {
    let until = Instant::now() + PATIENCE;
    loop {
        let found = crate::support::sidecar::of_type(&sidecar.audit(), name);
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < until, "{count} {name}: {found:#?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// One event of a type and an action.
pub fn event(sidecar: &Sidecar, action: &str) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let found = crate::support::sidecar::of_type(&sidecar.audit(), "ws.request");
        if let Some(found) = found.iter().find(|event| event["action"]["name"] == action) {
            return found.clone();
        }
        assert!(Instant::now() < until, "no {action}: {found:#?}");
        thread::sleep(Duration::from_millis(10));
    }
}
