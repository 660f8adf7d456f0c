//! How a relay ends: why, and what each side is told of it. Never ends one by itself.

use std::time::Duration;

use futures_util::stream::SplitStream;
use futures_util::{Sink, SinkExt as _, StreamExt as _};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::relay::Raw;
use crate::record::{ClosedBy, SocketEnd};

/// How long the other side may take to close.
const CLOSE_MAX: Duration = Duration::from_millis(300);

/// Why a relay ends.
pub(super) enum End {
    /// The client has closed, or is gone.
    Client(Option<CloseFrame>),
    /// What the client sent is no WebSocket, or too much.
    ClientFault(CloseCode),
    /// The exchange has closed, or is gone.
    Exchange(Option<CloseFrame>),
    /// This program ends it.
    Own(Cut),
}

/// A close code with its reason.
pub(super) type Word = (CloseCode, String);

impl End {
    /// How it is recorded, and what the client and the exchange are told; nothing where that side has closed.
    pub(super) fn told(self) -> (SocketEnd, Option<Word>, Option<Word>) {
        let away = || Some((CloseCode::Away, String::new()));
        let (by, code, why, to_client, to_exchange) = match self {
            Self::Client(frame) => {
                let (code, why) = said(
                    frame.as_ref(),
                    "the client has closed",
                    "the client is gone",
                );
                let to_exchange = Some(passed_on(frame, CloseCode::Away));
                (ClosedBy::Client, code, why, None, to_exchange)
            }
            Self::ClientFault(code) => {
                let to_client = Some((code, "the frame cannot be read".to_owned()));
                let why = "the client broke the protocol";
                (ClosedBy::Client, code, why, to_client, away())
            }
            Self::Exchange(frame) => {
                let (code, why) = said(
                    frame.as_ref(),
                    "the exchange has closed",
                    "the exchange is gone",
                );
                let to_client = Some(passed_on(frame, CloseCode::Error));
                (ClosedBy::Exchange, code, why, to_client, None)
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

/// The code of a close frame; 1006 stands for none.
fn said(
    frame: Option<&CloseFrame>,
    closed: &'static str,
    gone: &'static str,
) -> (CloseCode, &'static str) {
    match frame {
        Some(frame) => (frame.code, closed),
        None => (CloseCode::Abnormal, gone),
    }
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
        }
    }
}

/// What one side said at its end, for the other.
pub(super) fn passed_on(frame: Option<CloseFrame>, otherwise: CloseCode) -> Word {
    match frame {
        Some(frame) if frame.code.is_allowed() => (frame.code, frame.reason.to_string()),
        Some(_) => (CloseCode::Normal, String::new()),
        None => (otherwise, String::new()),
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

/// What a client did that is no WebSocket, as it is told (RFC 6455 section 7.4.1).
pub(super) fn fault(error: &Error) -> End {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => End::ClientFault(CloseCode::Size),
        Error::Utf8(_) => End::ClientFault(CloseCode::Invalid),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Client(None),
        Error::Protocol(_) | Error::Capacity(_) => End::ClientFault(CloseCode::Protocol),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Io(_)
        | Error::Tls(_)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Url(_) => End::Client(None),
    }
}
