//! WebSockets (RFC 6455) of the exchange: the upgrade, and what holds for each of them: pings, a longest life, notice
//! of a shutdown. What is said over them stands in `api` and `streams`.

use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{
    CONNECTION, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::api;
use super::door::Door;
use super::evidence::Open;
use super::headers;
use super::paced::Paced;
use super::params::Raw;
use super::rest;
use super::streams;

/// Bytes of one message.
const MESSAGE_MAX: usize = 64 * 1024;

/// How long a client may take to answer a close.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// What the server adds to a client's key (RFC 6455 section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// How WebSockets are treated.
#[derive(Clone, Copy, Debug)]
pub struct Sockets {
    /// Between two pings.
    pub ping_every: Duration,
    /// A pong with the ping's payload must come within this time.
    pub pong_within: Duration,
    /// How long a connection may last.
    pub life: Duration,
    /// Between two messages of a market stream.
    pub push_every: Duration,
}

impl Default for Sockets {
    /// As the real one: a ping each 20 seconds, a pong within a minute, 24 hours; market data each 100 ms.
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(20),
            pong_within: Duration::from_secs(60),
            life: Duration::from_secs(24 * 3600),
            push_every: Duration::from_millis(100),
        }
    }
}

/// What is spoken over a WebSocket.
enum Speaker {
    Api(api::Session),
    Streams(streams::Session),
}

/// What a message leads to.
pub(super) enum Reply {
    Text(String),
    /// The connection ends, with this reason or without a word.
    Close(Option<&'static str>),
}

type Stream = WebSocketStream<TokioIo<Upgraded>>;

/// Whether a request asks for a WebSocket.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(UPGRADE).map(HeaderValue::as_bytes);
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
}

/// Answers a request for a WebSocket, and serves it from then on.
pub(super) fn open(door: &Door, mut request: Request<Incoming>) -> Response<Paced> {
    let state = &door.state;
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let raw = Raw {
        query: query.as_bytes(),
        body: b"",
    };
    let params = raw.params();
    let signed = ["apiKey", "signature", "timestamp"].map(|name| params.has(name));
    let route = format!("GET {path}");
    headers::watch_key(state, &route, request.headers());
    headers::watch_signature(state, &route, signed.contains(&true));
    let version = request.headers().get(SEC_WEBSOCKET_VERSION);
    let key = request.headers().get(SEC_WEBSOCKET_KEY);
    let (Some(b"13"), Some(key)) = (version.map(HeaderValue::as_bytes), key) else {
        return rest::plain(StatusCode::BAD_REQUEST).map(Paced::whole);
    };
    let speaker = if path == state.dialect.api_path {
        Speaker::Api(api::Session::new(door, &params))
    } else {
        match streams::Session::new(door, &path, &params) {
            Some(session) => Speaker::Streams(session),
            None => return rest::plain(StatusCode::NOT_FOUND).map(Paced::whole),
        }
    };
    if let Err(refused) = rest::arrive(state, &route, state.dialect.connection_weight) {
        return refused.map(Paced::whole);
    }
    let response = switching(key);
    let upgrade = hyper::upgrade::on(&mut request);
    let door_of_task = door.clone();
    (door.drain).spawn(async move { serve(&door_of_task, upgrade, speaker).await });
    response
}

fn switching(key: &HeaderValue) -> Response<Paced> {
    let joined = [key.as_bytes(), GUID.as_bytes()].concat();
    let accept = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &joined));
    let mut response = rest::plain(StatusCode::SWITCHING_PROTOCOLS).map(Paced::whole);
    let headers = response.headers_mut();
    headers.clear();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::try_from(accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

async fn serve(door: &Door, upgrade: OnUpgrade, speaker: Speaker) {
    let Ok(upgraded) = upgrade.await else {
        return;
    };
    let _open = Open::new(&door.state.evidence.counts.sockets);
    let mut end = door.end_all.subscribe();
    let bounds = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX));
    let io = TokioIo::new(upgraded);
    let stream = WebSocketStream::from_raw_socket(io, Role::Server, Some(bounds)).await;
    let talk = Talk::new(door, stream, speaker);
    tokio::select! {
        // A client that hangs up is not the exchange's concern.
        _ended = talk.go_on() => {}
        _ended = end.changed() => {}
        () = door.drain.draining() => {}
    }
}

/// One WebSocket while it is open.
struct Talk<'d> {
    door: &'d Door,
    stream: Stream,
    speaker: Speaker,
    pings: Interval,
    /// What the last ping carried, and until when it must come back.
    awaited: Option<(Bytes, Instant)>,
}

/// What happens next.
enum Next {
    Heard(Option<Result<Message, Error>>),
    Event(Option<String>),
    Ping,
    NoPong,
    Notice,
    End,
}

impl<'d> Talk<'d> {
    fn new(door: &'d Door, stream: Stream, speaker: Speaker) -> Self {
        let every = door.state.options.sockets.ping_every;
        let mut pings = interval_at(Instant::now() + every, every);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            door,
            stream,
            speaker,
            pings,
            awaited: None,
        }
    }

    async fn go_on(mut self) -> Result<(), Error> {
        let mut life = std::pin::pin!(sleep(self.door.state.options.sockets.life));
        let mut notice = self.door.notice.subscribe();
        loop {
            let no_pong = self.awaited.as_ref().map(|(_, until)| *until);
            let next = tokio::select! {
                heard = self.stream.next() => Next::Heard(heard),
                event = self.speaker.event() => Next::Event(event),
                _tick = self.pings.tick() => Next::Ping,
                () = until(no_pong) => Next::NoPong,
                changed = notice.changed() => if changed.is_ok() { Next::Notice } else { Next::End },
                () = life.as_mut() => Next::End,
            };
            match next {
                Next::Heard(None) | Next::End => return self.close(None).await,
                Next::Heard(Some(message)) => {
                    if !self.hear(message?).await? {
                        return Ok(());
                    }
                }
                Next::Event(Some(text)) => self.stream.send(Message::text(text)).await?,
                Next::Event(None) => return self.close(Some("Too slow.")).await,
                Next::Ping => self.ping().await?,
                Next::NoPong => return self.close(Some("Pong timeout")).await,
                Next::Notice => {
                    let text = self.speaker.notice();
                    self.stream.send(Message::text(text)).await?;
                }
            }
        }
    }

    /// Whether the talk goes on.
    async fn hear(&mut self, message: Message) -> Result<bool, Error> {
        let text = match message {
            Message::Text(text) => text,
            Message::Pong(payload) => {
                self.awaited.take_if(|(sent, _)| *sent == payload);
                return Ok(true);
            }
            // The library answers pings and closes by itself.
            Message::Ping(_) | Message::Frame(_) => return Ok(true),
            Message::Close(_) => return Ok(false),
            Message::Binary(_) => {
                self.close(Some("Text only.")).await?;
                return Ok(false);
            }
        };
        let reply = match &mut self.speaker {
            Speaker::Api(session) => session.hear(&text).await,
            Speaker::Streams(session) => session.hear(&text),
        };
        match reply {
            Reply::Text(text) => self.stream.send(Message::text(text)).await?,
            Reply::Close(None) => return Ok(false),
            Reply::Close(why) => {
                self.close(why).await?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn ping(&mut self) -> Result<(), Error> {
        let payload = Bytes::from(self.door.state.clock.now_us().to_string());
        let until = Instant::now() + self.door.state.options.sockets.pong_within;
        self.awaited.get_or_insert_with(|| (payload.clone(), until));
        self.stream.send(Message::Ping(payload)).await
    }

    /// Closes for policy with a reason, normally without one.
    async fn close(&mut self, reason: Option<&'static str>) -> Result<(), Error> {
        let code = reason.map_or(CloseCode::Normal, |_| CloseCode::Policy);
        let reason = reason.unwrap_or_default().into();
        self.stream.close(Some(CloseFrame { code, reason })).await?;
        // What is still under way must not reset the connection before the client has read why it ends.
        let silence = async { while let Some(Ok(_)) = self.stream.next().await {} };
        let _patience = tokio::time::timeout(CLOSE_MAX, silence).await;
        Ok(())
    }
}

impl Speaker {
    /// The next thing to tell; none when the listener was too slow for it.
    async fn event(&mut self) -> Option<String> {
        match self {
            Self::Api(session) => session.event().await,
            Self::Streams(session) => Some(session.event().await),
        }
    }

    /// What is said before a shutdown.
    fn notice(&self) -> String {
        match self {
            Self::Api(session) => session.notice(),
            Self::Streams(session) => session.notice(),
        }
    }
}

/// Waits until a moment; for ever if there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
