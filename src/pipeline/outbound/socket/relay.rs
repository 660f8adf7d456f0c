//! Two WebSockets, the client's and the exchange's, and what goes from one to the other: with bounds on every message and
//! every wait, and with an end that both are told of. Never decides about a frame.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role as Side, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::calls::Calls;
use super::ends::{Cut, End, farewell, last_words};
use super::heard::{Heard, Pings};
use super::{Asked, Ending, Socket, Talk};
use crate::forward::Switched;
use crate::model::denial::{Cause, Denial};
use crate::model::exchange::Role;
use crate::model::outbound::SocketRules;
use crate::pipeline::caught;
use crate::pipeline::outbound::way::WayOut;
use crate::record::{ClosedBy, OpenSocket, SocketEnd, SocketTold, Traffic, new_id};

/// Bytes of a client's message: the longest list of streams, and every call of an API.
const CLIENT_BYTES_MAX: usize = 64 << 10;

/// Bytes of an exchange's message: all symbols with all filters.
const EXCHANGE_BYTES_MAX: usize = 16 << 20;

/// Bytes that are read at once.
const READ_BYTES: usize = 16 << 10;

/// How often is looked at what waits.
const TICK: Duration = Duration::from_secs(1);

/// How long answers to what changes something are waited for when nobody asks any more. Less than a stop gives.
const LINGER_MAX: Duration = Duration::from_millis(1_200);

/// A WebSocket on a connection that was HTTP.
pub(super) type Raw = WebSocketStream<TokioIo<Upgraded>>;

/// The exchange's end.
pub(super) struct Exchange {
    stream: Raw,
    /// When the pins that it was checked with expire.
    until: Option<Instant>,
}

impl Exchange {
    pub(super) async fn new(switched: Switched) -> Self {
        // A client's message grows by key, time and signature.
        let bounds = bounds(EXCHANGE_BYTES_MAX, 4 * CLIENT_BYTES_MAX);
        Self {
            stream: WebSocketStream::from_raw_socket(switched.stream, Side::Client, Some(bounds))
                .await,
            until: switched.until,
        }
    }
}

fn bounds(read_max: usize, write_max: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(write_max)
        .max_message_size(Some(read_max))
        .max_frame_size(Some(read_max))
}

/// Logs a connection on with our key, before a client has it.
pub(super) async fn log_on(
    socket: &Socket,
    way: &WayOut,
    calls: &Calls,
    exchange: &mut Exchange,
    deadline: Instant,
) -> Result<(), Box<Denial>> {
    let id = format!("\"outrider-{}\"", new_id(socket.clock.now()));
    let frame = calls.log_on(socket, way, &id)?;
    let answered = async {
        exchange
            .stream
            .send(Message::text(frame.into_text()))
            .await?;
        while !calls.is_logged_on() && calls.in_flight() > 0 {
            match exchange.stream.next().await {
                Some(Ok(Message::Text(text))) => calls.hear(socket, &text),
                Some(Ok(Message::Close(_))) | None => break,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
            }
        }
        Ok::<(), Error>(())
    };
    let answered = timeout_at(deadline, answered).await;
    calls.end(socket, Ending::Over);
    match (answered, calls.is_logged_on()) {
        (Ok(Ok(())), true) => Ok(()),
        (Ok(Ok(())), false) => {
            let why = "the exchange did not log the connection on";
            Err(Denial::new(Cause::ExchangeSigning, why))
        }
        (Ok(Err(error)), _) => Err(Denial::new(Cause::UpstreamBroken, error.to_string())),
        (Err(_elapsed), _) => Err(Denial::new(
            Cause::UpstreamTimeout,
            "no answer to the logon",
        )),
    }
}

/// What goes to and fro.
pub(super) struct Relay {
    socket: Socket,
    talk: Talk,
    exchange: Exchange,
    rules: SocketRules,
    record: OpenSocket,
    sent: Arc<Traffic>,
    received: Arc<Traffic>,
}

impl Relay {
    pub(super) fn new(socket: Socket, talk: Talk, exchange: Exchange, way: &WayOut) -> Self {
        let (sent, received) = (Arc::<Traffic>::default(), Arc::<Traffic>::default());
        let record = socket.recorder.socket(SocketTold {
            id: socket.id,
            outbound: Arc::clone(&way.policy.name),
            preset: way.rules.preset.name,
            interface: match socket.role {
                Role::Rest => "rest",
                Role::WsApi => "ws_api",
                Role::Streams => "streams",
            },
            opened: socket.clock.now(),
            sent: Arc::clone(&sent),
            received: Arc::clone(&received),
        });
        Self {
            socket,
            talk,
            exchange,
            rules: way.sockets,
            record,
            sent,
            received,
        }
    }

    /// Waits for the client's connection, and serves it to its end.
    pub(super) async fn run(self, upgrading: OnUpgrade) {
        // In a box: it is there as long as the socket is.
        let served = Box::pin(caught::caught(async {
            self.serve(upgrading).await;
            Ok(())
        }));
        // A panic was told by its hook, and the records close themselves.
        served.await.ok();
    }

    async fn serve(self, upgrading: OnUpgrade) {
        let Self {
            socket,
            talk,
            exchange,
            rules,
            record,
            sent,
            received,
        } = self;
        let Exchange { stream, until } = exchange;
        let (mut to_exchange, mut from_exchange) = stream.split();
        let Ok(upgraded) = upgrading.await else {
            let unanswered = talk.end(&socket, Ending::ClientGone);
            farewell(&mut to_exchange, CloseCode::Away, "").await;
            record.close(&SocketEnd {
                by: ClosedBy::Client,
                code: u16::from(CloseCode::Abnormal),
                why: "the client is gone",
                unanswered,
            });
            return;
        };
        let bounds = bounds(CLIENT_BYTES_MAX, 2 * EXCHANGE_BYTES_MAX);
        let client = TokioIo::new(upgraded);
        let client = WebSocketStream::from_raw_socket(client, Side::Server, Some(bounds)).await;
        let (to_client, mut from_client) = client.split();
        let mut duplex = Duplex {
            socket: &socket,
            talk: &talk,
            rules,
            to_client: Mutex::new(to_client),
            heard: Heard::now(),
            sent: &sent,
            received: &received,
        };
        let end = tokio::select! {
            end = duplex.up(&mut from_client, &mut to_exchange) => end,
            end = duplex.down(&mut from_exchange) => end,
            cut = cut(&socket, &talk, until) => End::Own(cut),
        };
        duplex.linger(&end, &mut from_exchange).await;
        let unanswered = talk.end(&socket, end.ending());
        let (told, for_client, for_exchange) = end.told();
        let client = last_words(duplex.to_client.get_mut(), from_client, for_client);
        let exchange = last_words(&mut to_exchange, from_exchange, for_exchange);
        tokio::join!(client, exchange);
        record.close(&SocketEnd { unanswered, ..told });
    }
}

/// Waits for what ends a relay from outside: a stop, another configuration, pins that expire.
async fn cut(socket: &Socket, talk: &Talk, until: Option<Instant>) -> Cut {
    let mut newest = socket.newest.clone();
    let expired = async {
        match until {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
    };
    let mut expired = std::pin::pin!(expired);
    loop {
        // What comes after this look is a change.
        newest.mark_unchanged();
        if let Err(why) = talk.stands(socket) {
            return Cut::Reload(why);
        }
        tokio::select! {
            () = socket.orders.draining() => return Cut::Stop,
            () = &mut expired => return Cut::Reload("the pins of the exchange have expired"),
            changed = newest.changed() => if changed.is_err() {
                // Nothing is reloaded any more; a stop is next.
                socket.orders.draining().await;
                return Cut::Stop;
            },
        }
    }
}

/// Both directions at once: neither waits for the other, but for whoever takes too long to read.
struct Duplex<'r> {
    socket: &'r Socket,
    talk: &'r Talk,
    rules: SocketRules,
    to_client: Mutex<SplitSink<Raw, Message>>,
    heard: Heard,
    sent: &'r Traffic,
    received: &'r Traffic,
}

impl Duplex<'_> {
    /// From the client to the exchange. Nobody else writes there, so that a frame that was judged is handed on at once.
    async fn up(
        &self,
        from_client: &mut SplitStream<Raw>,
        to_exchange: &mut SplitSink<Raw, Message>,
    ) -> End {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pings = Pings::default();
        loop {
            let message = tokio::select! {
                message = from_client.next() => message,
                _tick = ticks.tick() => {
                    if let Err(end) = self.look_after(to_exchange, &mut pings).await {
                        return end;
                    }
                    continue;
                }
            };
            let message = match message {
                Some(Ok(message)) => message,
                Some(Err(error)) => return End::client_broke(&error),
                None => return End::ClientGone,
            };
            let asked = match message {
                Message::Text(text) => {
                    self.sent.add(text.len());
                    self.talk.ask(self.socket, &text).await
                }
                Message::Binary(bytes) => {
                    self.sent.add(bytes.len());
                    Asked::Refused(self.refuse_binary(bytes.len()))
                }
                Message::Close(frame) => return End::Client(frame),
                Message::Ping(_) => {
                    // The library has the answer ready. The next is read when this one has left: they do not pile up.
                    if let Err(end) = self.flush_to_client().await {
                        return end;
                    }
                    continue;
                }
                Message::Pong(_) | Message::Frame(_) => continue,
            };
            let done = match asked {
                Asked::Send(frame) => {
                    let message = Message::text(frame.into_text());
                    self.tell_exchange(to_exchange, message).await
                }
                Asked::Refused(text) => self.tell_client(Message::text(text)).await,
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// From the exchange to the client.
    async fn down(&self, from_exchange: &mut SplitStream<Raw>) -> End {
        loop {
            let Ok(message) = timeout(self.rules.silence, from_exchange.next()).await else {
                return End::Own(Cut::Silent);
            };
            self.heard.note();
            let message = match message {
                Some(Ok(Message::Close(frame))) => return End::Exchange(frame),
                Some(Ok(message)) => message,
                Some(Err(error)) => return End::exchange_broke(&error),
                None => return End::ExchangeGone,
            };
            if let Err(end) = self.pass_on(message).await {
                return end;
            }
        }
    }

    /// Takes note of a message of the exchange, and gives it to the client as it is, without the name of our key.
    async fn pass_on(&self, mut message: Message) -> Result<(), End> {
        match &message {
            Message::Text(text) => {
                self.received.add(text.len());
                if let Some(masked) = self.talk.hear(self.socket, text) {
                    message = Message::text(masked);
                }
            }
            Message::Binary(bytes) => self.received.add(bytes.len()),
            Message::Ping(_) => {}
            // An answer to our own ping.
            Message::Pong(_) | Message::Close(_) | Message::Frame(_) => return Ok(()),
        }
        self.tell_client(message).await
    }

    async fn tell_client(&self, message: Message) -> Result<(), End> {
        self.to_client(async |sink| sink.send(message).await).await
    }

    async fn flush_to_client(&self) -> Result<(), End> {
        self.to_client(async |sink| sink.flush().await).await
    }

    async fn to_client(
        &self,
        write: impl AsyncFnOnce(&mut SplitSink<Raw, Message>) -> Result<(), Error>,
    ) -> Result<(), End> {
        let write = async { write(&mut *self.to_client.lock().await).await };
        match timeout(self.rules.write, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::ClientGone),
            Err(_elapsed) => Err(End::Own(Cut::ClientStalled)),
        }
    }

    async fn tell_exchange(
        &self,
        to_exchange: &mut SplitSink<Raw, Message>,
        message: Message,
    ) -> Result<(), End> {
        match timeout(self.rules.write, to_exchange.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::ExchangeGone),
            Err(_elapsed) => Err(End::Own(Cut::ExchangeStalled)),
        }
    }

    /// Gives up what has waited too long, and asks an exchange that says nothing whether it is there.
    async fn look_after(
        &self,
        to_exchange: &mut SplitSink<Raw, Message>,
        pings: &mut Pings,
    ) -> Result<(), End> {
        let (told, is_no_use) = self.talk.expire(self.socket);
        for text in told {
            self.tell_client(Message::text(text)).await?;
        }
        if is_no_use {
            return Err(End::Own(Cut::Unanswering));
        }
        match pings.is_due(&self.heard, self.rules.silence) {
            true => {
                let ping = Message::Ping(Vec::new().into());
                self.tell_exchange(to_exchange, ping).await
            }
            false => Ok(()),
        }
    }

    fn refuse_binary(&self, bytes: usize) -> String {
        let mut record = self.socket.open_record();
        record.received(bytes as u64);
        let denial = Denial::new(Cause::ExchangeFrame, "a binary frame");
        self.socket.refuse(&denial, None, record)
    }

    /// Listens on for answers to what changes something: who asked may be gone, but the record tells what became of it.
    async fn linger(&self, end: &End, from_exchange: &mut SplitStream<Raw>) {
        if !end.leaves_the_exchange() {
            return;
        }
        let deadline = Instant::now() + LINGER_MAX;
        let is_there = matches!(end, End::Own(Cut::Stop | Cut::Reload(_)));
        while self.talk.is_changing() {
            let message = timeout_at(deadline, from_exchange.next()).await;
            let Ok(Some(Ok(message))) = message else {
                return;
            };
            if is_there {
                let told = timeout_at(deadline, self.pass_on(message)).await;
                if !matches!(told, Ok(Ok(()))) {
                    return;
                }
            } else if let Message::Text(text) = &message {
                self.talk.hear(self.socket, text);
            }
        }
    }
}
