//! An exchange with two keys, and clients that speak to it directly. Signs by itself, with nothing of Outrider.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use outrider::model::secret::Secret;
use outrider::roles::demo::exchange::{ApiKey, Exchange, Options};
use outrider::runtime::crypto::provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

/// The ID of the key with HMAC.
pub(crate) const HMAC_ID: &str = "hmacHMAChmacHMAChmacHMAChmacHMAChmacHMAChmacHMAChmacHMAChmacHMAC";
/// The ID of the key with Ed25519.
pub(crate) const ED25519_ID: &str =
    "ed25519ed25519ed25519ed25519ed25519ed25519ed25519ed25519ed25519e";
/// The ID of a key that may only read.
pub(crate) const READER_ID: &str =
    "readerREADERreaderREADERreaderREADERreaderREADERreaderREADER1234";

const SECRET: &str = "a secret of the test";

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) exchange: Exchange,
    ed25519: Ed25519KeyPair,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

pub(crate) type Sender = SendRequest<Full<Bytes>>;

pub(crate) type Socket = WebSocketStream<TlsStream<TcpStream>>;

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::of(Options::default(), change).await
    }

    pub(crate) async fn of(options: Options, change: impl FnOnce(&mut Options)) -> Self {
        let ed25519 = Ed25519KeyPair::generate().unwrap();
        let secret = Secret::new(SECRET.to_owned());
        let mut options = Options {
            keys: vec![
                ApiKey::hmac(HMAC_ID, &secret),
                ApiKey::ed25519(ED25519_ID, ed25519.public_key().as_ref()),
                ApiKey::hmac(READER_ID, &secret).read_only(),
            ],
            ..options
        };
        change(&mut options);
        let exchange = Exchange::start(options).await.unwrap();
        Self { exchange, ed25519 }
    }

    /// A TLS connection, as a client that trusts the roots and knows nothing of pins.
    pub(crate) async fn tls(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(self.exchange.root_pem().as_bytes()) {
            roots.add(root.unwrap()).unwrap();
        }
        let config = ClientConfig::builder_with_provider(provider());
        let config = config.with_protocol_versions(versions).unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let tcp = TcpStream::connect(self.exchange.address()).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
    }

    pub(crate) async fn connect(&self) -> Sender {
        let stream = self.tls(&[&rustls::version::TLS13]).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        #[expect(
            clippy::disallowed_methods,
            reason = "a test's runtime ends with the test"
        )]
        drop(tokio::spawn(connection));
        sender
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let mut sender = self.connect().await;
        send(&mut sender, request).await.unwrap()
    }

    /// An open request for a path.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path, "")).await
    }

    /// A request signed with HMAC: parameters in the query.
    pub(crate) async fn signed(&self, method: Method, path: &str, params: &str) -> Answer {
        self.send(self.signed_request(method, path, params)).await
    }

    pub(crate) fn signed_request(
        &self,
        method: Method,
        path: &str,
        params: &str,
    ) -> Request<Full<Bytes>> {
        let payload = format!("{params}&timestamp={}", self.now_ms());
        let payload = payload.trim_start_matches('&');
        let signature = hmac_hex(payload);
        let target = format!("{path}?{payload}&signature={signature}");
        self.keyed(method, &target, "", HMAC_ID)
    }

    pub(crate) fn keyed(
        &self,
        method: Method,
        target: &str,
        body: &str,
        key: &str,
    ) -> Request<Full<Bytes>> {
        let mut request = self.request(method, target, body);
        let headers = request.headers_mut();
        headers.insert("x-mbx-apikey", key.parse().unwrap());
        request
    }

    pub(crate) fn request(&self, method: Method, target: &str, body: &str) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(method).uri(target).header(
            "host",
            format!("localhost:{}", self.exchange.address().port()),
        );
        if !body.is_empty() {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        request.body(Full::from(body.to_owned())).unwrap()
    }

    /// Places a limit order that rests in the book; its name is given.
    pub(crate) fn order(&self, name: &str) -> Request<Full<Bytes>> {
        let params = format!(
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=50000&newClientOrderId={name}"
        );
        self.signed_request(Method::POST, "/api/v3/order", &params)
    }

    /// Lets the exchange's clock stand still, so that nothing is too old and no window ends before the test is over.
    pub(crate) fn stop_clock(&self) {
        let clock = self.exchange.clock();
        clock.stop_at_us(clock.now_us());
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.exchange.clock().now_us() / 1000
    }

    /// A WebSocket at a path.
    pub(crate) async fn socket(&self, path: &str) -> Socket {
        let mut stream = self.tls(&[&rustls::version::TLS13]).await.unwrap();
        let port = self.exchange.address().port();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        let answer = String::from_utf8(answer).unwrap().to_lowercase();
        assert!(answer.starts_with("http/1.1 101 "), "{answer}");
        // The key and its answer are the example of RFC 6455 section 1.3.
        let accept = "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n";
        assert!(answer.contains(accept), "{answer}");
        WebSocketStream::from_raw_socket(stream, Role::Client, None).await
    }

    /// A frame signed by one of the keys.
    pub(crate) fn frame(&self, key: &str, method: &str, params: Value) -> Value {
        let mut params = params;
        params["apiKey"] = json!(key);
        params["timestamp"] = json!(self.now_ms());
        let payload = payload(&params);
        params["signature"] = if key == ED25519_ID {
            json!(STANDARD.encode(self.ed25519.sign(payload.as_bytes())))
        } else {
            json!(hmac_hex(&payload))
        };
        json!({"id": "1", "method": method, "params": params})
    }
}

fn payload(params: &Value) -> String {
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let pairs = params.as_object().unwrap().iter();
    let mut pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{name}={}", text(value)))
        .collect();
    pairs.sort();
    pairs.join("&")
}

pub(crate) fn hmac_hex(payload: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, payload.as_bytes());
    tag.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Sends and reads to the end; an error if the connection ends before.
pub(crate) async fn send(
    sender: &mut Sender,
    request: Request<Full<Bytes>>,
) -> Result<Answer, hyper::Error> {
    sender.ready().await?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    #[expect(
        clippy::disallowed_methods,
        reason = "the stand-in's answers are small"
    )]
    let body = body.collect().await?.to_bytes();
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

/// Sends a frame and gives the next text.
pub(crate) async fn ask(socket: &mut Socket, frame: &Value) -> Value {
    socket.send(Message::text(frame.to_string())).await.unwrap();
    hear(socket).await
}

/// The next text on a WebSocket.
pub(crate) async fn hear(socket: &mut Socket) -> Value {
    loop {
        let next = tokio::time::timeout(PATIENCE, socket.next()).await;
        match next.unwrap().unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other @ (Message::Binary(_) | Message::Close(_) | Message::Frame(_)) => {
                panic!("{other:?}")
            }
        }
    }
}

/// The close of a WebSocket: its code and reason.
pub(crate) async fn closed(socket: &mut Socket) -> Option<(u16, String)> {
    loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await.unwrap() {
            Some(Ok(Message::Close(frame))) => {
                return frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return None,
        }
    }
}

impl Answer {
    pub(crate) fn code(&self) -> i64 {
        self.body["code"].as_i64().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}
