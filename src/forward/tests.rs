//! Raw bytes at the service's end. The service here is a script; this file is its stage, the plays are in the folder.

mod broken;
mod exchange;
mod kept;
mod unsent;
mod upgrade;

use std::fmt;
use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use socket2::SockRef;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::*;
use crate::decide::fixtures::{facts, open_route, permit};
use crate::model::caller::Caller;
use crate::model::denial::Cause;
use crate::model::facts::Framing;
use crate::transform::{Outbound, Stamp, prepare};

/// Long enough for anything that happens on this machine.
const SOON: Duration = Duration::from_secs(30);
/// Timeouts that a test waits out, and that nothing has to be done within.
const SHORT: Duration = Duration::from_millis(60);
/// Timeouts that a test waits out when it has done something within them.
const AMPLE: Duration = Duration::from_secs(3);
/// After this it is taken that something does not happen.
const QUIET: Duration = Duration::from_millis(80);

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

// === The client's side ===

/// A body that breaks off.
#[derive(Clone, Debug)]
struct Broke(Cause);

impl fmt::Display for Broke {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("broke off")
    }
}

impl std::error::Error for Broke {}

impl From<Broke> for Box<Denial> {
    fn from(broke: Broke) -> Self {
        Denial::new(broke.0, "the client's fault")
    }
}

type Piece = Result<Bytes, Broke>;

/// A body whose pieces the test hands in.
struct Pieces {
    pieces: mpsc::Receiver<Piece>,
    left: Option<u64>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Broke;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broke>>> {
        let polled = self.pieces.poll_recv(cx);
        if let (Poll::Ready(Some(Ok(piece))), Some(left)) = (&polled, &mut self.left) {
            *left -= piece.len() as u64;
        }
        polled.map(|next| next.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

struct Asked {
    method: Method,
    framing: Framing,
    lines: Vec<(&'static str, &'static str)>,
    body: Pieces,
}

fn asked(method: Method) -> Asked {
    let (_, pieces) = mpsc::channel(1);
    let body = Pieces {
        pieces,
        left: Some(0),
    };
    Asked {
        method,
        framing: Framing::None,
        lines: Vec::new(),
        body,
    }
}

/// A request with a body in hand.
fn with_body(method: Method, framing: Framing, pieces: &[&'static str]) -> Asked {
    let (asked, hand) = streamed(method, framing);
    for piece in pieces {
        hand.try_send(Ok(Bytes::from_static(piece.as_bytes())))
            .unwrap();
    }
    asked
}

/// A request whose body comes by and by.
fn streamed(method: Method, framing: Framing) -> (Asked, mpsc::Sender<Piece>) {
    let (hand, pieces) = mpsc::channel(8);
    let left = match framing {
        Framing::Length(length) => Some(length),
        Framing::Chunked => None,
        Framing::None => Some(0),
    };
    let body = Pieces { pieces, left };
    let asked = Asked {
        framing,
        body,
        ..asked(method)
    };
    (asked, hand)
}

impl Asked {
    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.lines.push((name, value));
        self
    }

    fn outbound(self) -> Outbound<Pieces> {
        let builder = Request::builder().method(self.method.clone());
        let lines = self.lines.iter();
        let builder = lines.fold(builder, |builder, (name, value)| {
            builder.header(*name, *value)
        });
        let (head, body) = builder.body(self.body).unwrap().into_parts();
        let facts = facts(self.method, "/orders?side=buy", self.framing);
        let stamp = Stamp {
            request_id: &HeaderValue::from_static("id-1"),
            secure: false,
            traceparent: None,
        };
        let permit = permit(open_route(), None);
        prepare(&permit, &facts, &Caller::Anonymous, head, body, &stamp)
    }
}

type Way = Forwarder<Pieces>;
type Answer = Response<ResponseBody<Pieces>>;

#[expect(clippy::disallowed_methods, reason = "a test has no drain")]
fn spawner() -> Spawner {
    Arc::new(|task| drop(tokio::spawn(task)))
}

fn patient() -> Timeouts {
    Timeouts {
        handshake: SOON,
        head: SOON,
        body_idle: SOON,
        connect: SOON,
        response_head: SOON,
        response_idle: SOON,
        total: SOON,
        upstream_idle: SOON,
        drain: SOON,
        drain_pause: Duration::ZERO,
    }
}

fn way_to(upstream: Upstream, timeouts: &Timeouts) -> Way {
    let limits = PoolLimits {
        connections_max: 4,
        idle_max: 2,
    };
    Forwarder::new(upstream, timeouts, limits, spawner())
}

async fn slot(way: &Way) -> Result<Slot<Pieces>, Box<Denial>> {
    way.checkout(&permit(open_route(), None)).await
}

async fn ask(way: &Way, asked: Asked) -> Result<Answer, Box<Denial>> {
    slot(way)
        .await?
        .send(asked.outbound(), Instant::now() + SOON)
        .await
}

/// The cause of a refusal.
fn cause<T>(tried: Result<T, Box<Denial>>) -> Cause {
    match tried {
        Ok(_) => panic!("not refused"),
        Err(denial) => denial.cause,
    }
}

async fn whole(answer: Answer) -> Result<String, AnswerFault> {
    let mut body = answer.into_body();
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        bytes.extend_from_slice(&frame?.into_data().unwrap());
    }
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

// === The service's side ===

struct Service(TcpListener);

impl Service {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn upstream(&self) -> Upstream {
        let address = self.0.local_addr().unwrap();
        Upstream::Tcp {
            authority: address.to_string(),
            address,
        }
    }

    fn way(&self) -> Way {
        way_to(self.upstream(), &patient())
    }

    async fn accept(&self) -> TcpStream {
        timeout(SOON, self.0.accept())
            .await
            .expect("a connection")
            .unwrap()
            .0
    }

    async fn nobody_comes(&self) {
        assert!(
            timeout(QUIET, self.0.accept()).await.is_err(),
            "a connection too many"
        );
    }
}

/// Waits until no connection is open any more: the service's end is known.
async fn all_closed(way: &Way) {
    let closed = async {
        while way.open() > 0 {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(SOON, closed).await.expect("a connection ends");
}

/// Reads up to the end of a head and `more` bytes.
async fn read(stream: &mut TcpStream, more: usize) -> String {
    let mut raw = Vec::new();
    let mut expected = None;
    while expected.is_none_or(|length| raw.len() < length) {
        let read = timeout(SOON, stream.read_buf(&mut raw))
            .await
            .expect("bytes")
            .unwrap();
        assert!(read > 0, "closed early: {}", String::from_utf8_lossy(&raw));
        let end = raw.windows(4).position(|four| four == b"\r\n\r\n");
        expected = expected.or_else(|| end.map(|end| end + 4 + more));
    }
    String::from_utf8(raw).unwrap()
}

async fn write(stream: &mut TcpStream, raw: &str) {
    stream.write_all(raw.as_bytes()).await.unwrap();
}

/// Whether the other side closes, with or without a reset, and what it sent before.
async fn read_to_close(stream: &mut TcpStream) -> String {
    let mut raw = Vec::new();
    let ended = timeout(SOON, stream.read_to_end(&mut raw)).await;
    assert!(ended.is_ok(), "the connection stays open");
    String::from_utf8(raw).unwrap()
}

fn reset(stream: TcpStream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(stream);
}

/// One request on a new connection, answered with these bytes; the connection stays in the service's hand.
async fn exchange(
    way: &Way,
    service: &Service,
    asked: Asked,
    raw: &str,
) -> (Result<Answer, Box<Denial>>, TcpStream) {
    let script = async {
        let mut stream = service.accept().await;
        read(&mut stream, 0).await;
        write(&mut stream, raw).await;
        stream
    };
    tokio::join!(ask(way, asked), script)
}

/// The same on a connection that is there already.
async fn exchange_on(way: &Way, stream: &mut TcpStream, raw: &str) -> Result<Answer, Box<Denial>> {
    let script = async {
        read(stream, 0).await;
        write(stream, raw).await;
    };
    tokio::join!(ask(way, asked(Method::GET)), script).0
}
