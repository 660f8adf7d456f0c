//! How a relay ends: why, and what each side is told of it. Never ends one by itself.

use std::time::Duration;

use futures_util::stream::SplitStream;
use futures_util::{Sink, SinkExt as _, StreamExt as _};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Ending;
use super::relay::Raw;
use crate::record::{ClosedBy, SocketEnd};

/// How long the other side may take to close.
const CLOSE_MAX: Duration = Duration::from_millis(300);

/// Why a relay ends.
pub(super) enum End {
    /// The client has closed.
    Client(Option<CloseFrame>),
    /// The client is gone without a word.
    ClientGone,
    /// What the client sent is no WebSocket, or too much.
    ClientFault(CloseCode),
    /// The exchange has closed.
    Exchange(Option<CloseFrame>),
    /// The exchange is gone without a word.
    ExchangeGone,
    /// What the exchange sent is no WebSocket, or too much.
    ExchangeFault(CloseCode),
    /// This program ends it.
    Own(Cut),
}

/// A close code with its reason.
pub(super) type Word = (CloseCode, String);

impl End {
    /// What a client did that is no WebSocket.
    pub(super) fn client_broke(error: &Error) -> Self {
        fault(error).map_or(Self::ClientGone, Self::ClientFault)
    }

    /// The same of the exchange.
    pub(super) fn exchange_broke(error: &Error) -> Self {
        fault(error).map_or(Self::ExchangeGone, Self::ExchangeFault)
    }

    /// What it is for requests without an answer.
    pub(super) const fn ending(&self) -> Ending {
        match self {
            Self::Client(_) | Self::ClientGone | Self::ClientFault(_) => Ending::ClientGone,
            Self::Exchange(_) | Self::ExchangeGone | Self::ExchangeFault(_) | Self::Own(_) => {
                Ending::Over
            }
        }
    }

    /// Whether the exchange may still answer.
    pub(super) const fn leaves_the_exchange(&self) -> bool {
        match self {
            Self::Client(_) | Self::ClientGone | Self::ClientFault(_) => true,
            Self::Exchange(_) | Self::ExchangeGone | Self::ExchangeFault(_) => false,
            Self::Own(cut) => !matches!(cut, Cut::Silent),
        }
    }

    /// How it is recorded, and what the client and the exchange are told; nothing where that side has closed.
    pub(super) fn told(self) -> (SocketEnd, Option<Word>, Option<Word>) {
        let away = || Some((CloseCode::Away, String::new()));
        let (by, code, why, to_client, to_exchange) = match self {
            Self::Client(frame) => {
                // The client's reason is a text that nobody has judged, and stays here.
                let (code, _reason) = passed_on(frame.as_ref());
                let to_exchange = Some((code, String::new()));
                let why = "the client has closed";
                (ClosedBy::Client, said(frame), why, None, to_exchange)
            }
            Self::ClientGone => {
                let why = "the client is gone";
                (ClosedBy::Client, CloseCode::Abnormal, why, None, away())
            }
            Self::ClientFault(code) => {
                let to_client = Some((code, "the frame cannot be read".to_owned()));
                let why = "the client broke the protocol";
                (ClosedBy::Client, code, why, to_client, away())
            }
            Self::Exchange(frame) => {
                let to_client = Some(passed_on(frame.as_ref()));
                let why = "the exchange has closed";
                (ClosedBy::Exchange, said(frame), why, to_client, None)
            }
            Self::ExchangeGone => {
                let to_client = Some((CloseCode::Error, String::new()));
                let (code, why) = (CloseCode::Abnormal, "the exchange is gone");
                (ClosedBy::Exchange, code, why, to_client, None)
            }
            Self::ExchangeFault(code) => {
                let why = "the exchange broke the protocol";
                let to_client = Some((CloseCode::Error, why.to_owned()));
                let to_exchange = Some((code, String::new()));
                (ClosedBy::Exchange, code, why, to_client, to_exchange)
            }
            Self::Own(cut) => {
                let (code, why) = cut.told();
                let to_client = Some((code, why.to_owned()));
                (ClosedBy::Proxy, code, why, to_client, away())
            }
        };
        let told = SocketEnd {
            by,
            code: code.into(),
            why,
            unanswered: 0,
        };
        (told, to_client, to_exchange)
    }
}

/// The code of a close frame; 1005 stands for one without.
fn said(frame: Option<CloseFrame>) -> CloseCode {
    frame.map_or(CloseCode::Status, |frame| frame.code)
}

/// Why this program ends a relay.
#[derive(Clone, Copy)]
pub(super) enum Cut {
    /// It is about to stop.
    Stop,
    /// Something else is in force.
    Reload(&'static str),
    /// The exchange says nothing any more.
    Silent,
    /// The client takes nothing in any more.
    ClientStalled,
    /// The exchange takes nothing in any more.
    ExchangeStalled,
    /// The exchange leaves too much without an answer.
    Unanswering,
}

impl Cut {
    /// What the client is told.
    pub(super) fn told(self) -> (CloseCode, &'static str) {
        match self {
            Self::Stop => (CloseCode::Away, "the proxy is stopping"),
            Self::Reload(why) => (CloseCode::Restart, why),
            Self::Silent => (CloseCode::Error, "the exchange is silent"),
            Self::ClientStalled => (CloseCode::Policy, "the client does not read"),
            Self::ExchangeStalled => (CloseCode::Error, "the exchange does not read"),
            Self::Unanswering => (
                CloseCode::Error,
                "the exchange leaves too many frames without an answer",
            ),
        }
    }
}

/// What one side said at its end, for the other; a close without a code is passed on as one in order.
fn passed_on(frame: Option<&CloseFrame>) -> Word {
    match frame {
        Some(frame) if frame.code.is_allowed() => (frame.code, frame.reason.to_string()),
        Some(_) | None => (CloseCode::Normal, String::new()),
    }
}

/// Says the last word, if it is ours to say, and reads on for a moment, so that it arrives: what is unread when a
/// connection is closed takes what was written along.
pub(super) async fn last_words<S>(sink: &mut S, mut stream: SplitStream<Raw>, word: Option<Word>)
where
    S: Sink<Message, Error = Error> + Unpin,
{
    let Some((code, reason)) = word else {
        // The library has the answer to the close ready.
        let _flushed = timeout(CLOSE_MAX, sink.flush()).await;
        return;
    };
    farewell(sink, code, &reason).await;
    let drained = async { while let Some(Ok(_)) = stream.next().await {} };
    let _ended = timeout(CLOSE_MAX, drained).await;
}

pub(super) async fn farewell<S>(sink: &mut S, code: CloseCode, reason: &str)
where
    S: Sink<Message, Error = Error> + Unpin,
{
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    // Whoever is gone is not told.
    let _told = timeout(CLOSE_MAX, sink.send(Message::Close(Some(frame)))).await;
}

/// What is no WebSocket, as whoever sent it is told (RFC 6455 section 7.4.1); nothing where the connection is gone.
fn fault(error: &Error) -> Option<CloseCode> {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Some(CloseCode::Size),
        Error::Utf8(_) => Some(CloseCode::Invalid),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) | Error::Capacity(_) => Some(CloseCode::Protocol),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Io(_)
        | Error::Tls(_)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Url(_) => None,
    }
}
