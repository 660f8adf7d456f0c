//! A WebSocket of a program on this machine, in clear through the sidecar: JSON goes out, JSON comes in. Signs nothing.

use std::io;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::runtime::handshake::{accept_of, new_key};

use super::super::Stage;
use super::super::client::PATIENCE;

/// The longest head of an answer.
const HEAD_BYTES_MAX: usize = 8 << 10;

/// Messages that are listened to before what is waited for comes.
const HEARD_MAX: usize = 100;

/// One that is open.
pub(super) struct Socket {
    stream: WebSocketStream<TcpStream>,
}

impl Socket {
    /// Opens one at a path (RFC 6455 section 4.1).
    pub(super) async fn open(stage: &Stage, path: &str) -> io::Result<Self> {
        let opened = timeout(PATIENCE, Self::shake_hands(stage, path)).await;
        opened.map_err(|_| io::Error::other("no WebSocket was opened in time"))?
    }

    async fn shake_hands(stage: &Stage, path: &str) -> io::Result<Self> {
        let to = stage.sidecar.outbound;
        let key = new_key().ok_or_else(|| io::Error::other("no random bytes"))?;
        let mut stream = TcpStream::connect(to).await?;
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") && answer.len() < HEAD_BYTES_MAX {
            answer.push(stream.read_u8().await?);
        }
        let answer = String::from_utf8_lossy(&answer);
        if !answer.starts_with("HTTP/1.1 101 ") || !answer.contains(&accept_of(&key)) {
            return Err(io::Error::other(format!("no WebSocket: {answer}")));
        }
        let stream = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        Ok(Self { stream })
    }

    /// Sends a text.
    pub(super) async fn say(&mut self, text: &Value) -> io::Result<()> {
        let message = Message::text(text.to_string());
        self.stream.send(message).await.map_err(io::Error::other)
    }

    /// The next texts, until all that are wanted have come, in the order in which they are wanted.
    pub(super) async fn hear<const N: usize>(
        &mut self,
        wanted: [fn(&Value) -> bool; N],
    ) -> io::Result<[Value; N]> {
        let mut heard = [const { Value::Null }; N];
        for _ in 0..HEARD_MAX {
            let text = self.next().await?;
            let places = wanted.iter().zip(&mut heard);
            for (_, place) in places.filter(|(wanted, place)| place.is_null() && wanted(&text)) {
                *place = text.clone();
            }
            if heard.iter().all(|place| !place.is_null()) {
                return Ok(heard);
            }
        }
        Err(io::Error::other("what was waited for did not come"))
    }

    /// Hangs up.
    pub(super) async fn close(mut self) -> io::Result<()> {
        self.stream.close(None).await.map_err(io::Error::other)
    }

    async fn next(&mut self) -> io::Result<Value> {
        loop {
            let message = timeout(PATIENCE, self.stream.next()).await;
            let message = message.map_err(|_| io::Error::other("nothing was heard in time"))?;
            let message = message.ok_or_else(|| io::Error::other("the WebSocket has ended"))?;
            match message.map_err(io::Error::other)? {
                Message::Text(text) => {
                    return serde_json::from_str(&text).map_err(io::Error::other);
                }
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Binary(_) | Message::Close(_) | Message::Frame(_) => {
                    return Err(io::Error::other("something else than a text was heard"));
                }
            }
        }
    }
}
