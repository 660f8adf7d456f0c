//! An exchange's end of a WebSocket in the hands of a test: it says what the test says, and reads only when the test reads.
//! Holds no expectation but that things come in time.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use outrider::runtime::handshake::accept_of;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::client::Client;
use crate::support::exchange::{StandIn, With};
use crate::support::localhost::identity;
use crate::support::sidecar::Sidecar;
use crate::support::wire::PATIENCE;

/// The bytes of a connection.
type Stream = StreamOwned<ServerConnection, TcpStream>;

/// Where connections of WebSockets end; everything else of the exchange is the stand-in's.
pub struct Peer {
    pub market: StandIn,
    listener: TcpListener,
    config: Arc<ServerConfig>,
    ca: String,
}

impl Peer {
    pub fn start() -> Self {
        let (ca, config) = identity();
        Self {
            market: StandIn::start(),
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            config: Arc::new(config),
            ca,
        }
    }

    /// A sidecar whose WebSockets lead here.
    pub fn sidecar(&self, allow: &str, more: &str) -> Sidecar {
        self.sidecar_with(With::Hmac, allow, more)
    }

    /// The same, and signs with this key.
    pub fn sidecar_with(&self, with: With, allow: &str, more: &str) -> Sidecar {
        let here = self.listener.local_addr().unwrap().port();
        let mut way = self.market.way().allow(allow).more(more);
        way.with = with;
        way.sockets = Some((here, self.ca.clone()));
        way.start()
    }

    /// Opens a WebSocket of the API: both of its ends.
    pub fn api(&self, sidecar: &Sidecar) -> (Client, Server) {
        self.open(sidecar, "/ws-api/v3")
    }

    /// Opens a WebSocket: both of its ends.
    pub fn open(&self, sidecar: &Sidecar, target: &str) -> (Client, Server) {
        thread::scope(|scope| {
            let server = scope.spawn(|| self.accept());
            let client = Client::open(sidecar, target);
            (client, server.join().unwrap())
        })
    }

    /// The exchange's end of the next WebSocket.
    pub fn accept(&self) -> Server {
        self.accept_with(|proof| {
            format!(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {proof}\r\n"
            )
        })
    }

    /// The same with other header lines; they are told the proof that belongs into them.
    pub fn accept_with(&self, lines: impl FnOnce(&str) -> String) -> Server {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let tls = ServerConnection::new(Arc::clone(&self.config)).unwrap();
        let mut stream = StreamOwned::new(tls, stream);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let mut fields = head.lines().filter_map(|line| line.split_once(": "));
        let key = fields.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
        let lines = lines(&accept_of(key.unwrap().1));
        let answer = format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
        let bounds = WebSocketConfig::default()
            .max_frame_size(None)
            .max_message_size(None);
        Server {
            head,
            socket: WebSocket::from_raw_socket(stream, Role::Server, Some(bounds)),
        }
    }
}

/// The exchange's end.
pub struct Server {
    /// The head of the handshake.
    pub head: String,
    socket: WebSocket<Stream>,
}

impl Server {
    /// The next frame of the sidecar that is a text.
    pub fn hear(&mut self) -> Value {
        serde_json::from_str(&self.hear_text()).unwrap()
    }

    /// The same as it is spelt.
    pub fn hear_text(&mut self) -> String {
        loop {
            if let Message::Text(text) = self.next().unwrap() {
                return text.to_string();
            }
        }
    }

    /// The next message, whatever it is.
    pub fn next(&mut self) -> Result<Message, Error> {
        self.socket.read()
    }

    pub fn say(&mut self, frame: &Value) {
        self.send(Message::text(frame.to_string())).unwrap();
    }

    pub fn send(&mut self, message: Message) -> Result<(), Error> {
        self.socket.send(message)
    }

    /// Sends bytes as they are, beside all frames.
    pub fn raw(&mut self, bytes: &[u8]) {
        let stream = self.socket.get_mut();
        stream.write_all(bytes).unwrap();
        stream.flush().unwrap();
    }

    /// The same, as far as they are taken in.
    pub fn raw_or(&mut self, bytes: &[u8]) {
        let stream = self.socket.get_mut();
        let _taken = stream.write_all(bytes).and_then(|()| stream.flush());
    }

    /// The code and the reason that the sidecar closes with; 1006 if it is gone without.
    pub fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next() {
                Ok(Message::Close(Some(frame))) => {
                    return (frame.code.into(), frame.reason.to_string());
                }
                Ok(Message::Close(None)) => return (1005, String::new()),
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("the WebSocket stays open");
                }
                Err(_) => return (1006, String::new()),
            }
        }
    }
}
