//! A plain WebSocket client. Holds no expectation but that things come in time.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Instant;

use serde_json::Value;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocket};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::sidecar::Sidecar;
use crate::support::wait;
use crate::support::wire::PATIENCE;
use crate::world::out;

/// Everything that the tests ask for.
pub const ALL: &str = "[\"GET /api/v3/**\", \"POST /api/v3/order\", \"WS **\", \"STREAM **\"]";

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

    /// Says all of them at once.
    pub fn say_all(&mut self, texts: impl IntoIterator<Item = String>) {
        for text in texts {
            self.0.write(Message::text(text)).unwrap();
        }
        self.0.flush().unwrap();
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

    /// Says nothing any more, and would still listen.
    pub fn half_close(&self) {
        self.0.get_ref().shutdown(Shutdown::Write).unwrap();
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

    /// Is gone without a word.
    pub fn hang_up(self) {
        drop(self);
    }
}

/// Waits until no WebSocket is open any more, at either end.
pub fn all_closed(sidecar: &Sidecar) {
    wait::wait_until("closed", || {
        sidecar.metric("outrider_exchange_sockets", &[]) == 0.0
    });
}

/// The events of a type, as soon as there are so many.
pub fn events(sidecar: &Sidecar, name: &str, count: usize) -> Vec<Value> {
    wait::events(sidecar, name, count, |_| true)
}

/// The event of an action that is asked for once.
pub fn event(sidecar: &Sidecar, action: &str) -> Value {
    let mut found = wait::events(sidecar, "ws.request", 1, |event| {
        event["action"]["name"] == action
    });
    found.remove(0)
}
