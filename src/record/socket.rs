//! The record of one WebSocket: opened, and closed exactly once with what went over it. Never a word of what was said.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use uuid::Uuid;

use crate::model::clock::Now;
use crate::model::json::{push_number, push_plain, push_raw, push_text};

use super::Recorder;
use super::event::NAME_BYTES_MAX;
use super::exchange::{ExchangeTold, Execution};
use super::own::Own;

/// What is told of a WebSocket.
#[derive(Clone, Debug)]
pub struct SocketTold {
    /// The request that opened it: its `http.request` has this identifier.
    pub id: Uuid,
    /// The outbound's name.
    pub outbound: Arc<str>,
    /// The preset's name.
    pub preset: &'static str,
    /// Which of the exchange's interfaces.
    pub interface: &'static str,
    /// When it was opened.
    pub opened: Now,
    /// What the client sent.
    pub sent: Arc<Traffic>,
    /// What the exchange sent.
    pub received: Arc<Traffic>,
}

/// Messages of one direction, and their bytes.
#[derive(Debug, Default)]
pub struct Traffic {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Traffic {
    /// Counts a message.
    pub fn add(&self, bytes: usize) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn push(&self, out: &mut Vec<u8>) {
        push_raw(out, "{\"bytes\":");
        push_number(out, self.bytes.load(Ordering::Relaxed));
        push_raw(out, ",\"messages\":");
        push_number(out, self.messages.load(Ordering::Relaxed));
        push_raw(out, "}");
    }
}

/// Who ended a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedBy {
    /// The client.
    Client,
    /// The exchange.
    Exchange,
    /// This program.
    Proxy,
}

/// How a WebSocket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketEnd {
    /// Who ended it.
    pub by: ClosedBy,
    /// The code of the close frame (RFC 6455 section 7.4); 1006 where none came.
    pub code: u16,
    /// Why, in words of ours.
    pub why: &'static str,
    /// Requests that were still without an answer.
    pub unanswered: usize,
}

impl SocketEnd {
    pub(super) const fn outcome(&self) -> &'static str {
        match self.code {
            1000 | 1001 | 1005 | 1012 => "success",
            _ => "error",
        }
    }
}

impl ClosedBy {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Exchange => "exchange",
            Self::Proxy => "proxy",
        }
    }
}

impl SocketTold {
    pub(super) fn push_exchange(&self, out: &mut Vec<u8>) {
        push_raw(out, ",\"exchange\":{\"interface\":");
        push_plain(out, self.interface);
        push_raw(out, ",\"name\":");
        push_text(out, &self.outbound, NAME_BYTES_MAX);
        push_raw(out, ",\"preset\":");
        push_plain(out, self.preset);
        push_raw(out, "}");
    }

    pub(super) fn push_socket(&self, out: &mut Vec<u8>) {
        push_raw(out, ",\"socket\":{\"id\":");
        push_plain(out, self.id);
        push_raw(out, "}");
    }

    pub(super) fn push_end(&self, out: &mut Vec<u8>, end: Option<&SocketEnd>, now: Now) {
        push_raw(out, ",\"socket\":{");
        if let Some(end) = end {
            push_raw(out, "\"closed_by\":");
            push_plain(out, end.by.as_str());
            push_raw(out, ",\"code\":");
            push_number(out, end.code);
            push_raw(out, ",");
        }
        push_raw(out, "\"duration_us\":");
        push_number(out, now.since(self.opened).as_micros());
        push_raw(out, ",\"id\":");
        push_plain(out, self.id);
        push_raw(out, ",\"received\":");
        self.received.push(out);
        push_raw(out, ",\"sent\":");
        self.sent.push(out);
        if let Some(end) = end {
            push_raw(out, ",\"unanswered\":");
            push_number(out, end.unanswered);
            push_raw(out, ",\"why\":");
            push_plain(out, end.why);
        }
        push_raw(out, "}");
    }
}

/// An answer that came when its request had been given up, and told as unknown or late.
#[derive(Clone, Copy, Debug)]
pub struct LateAnswer<'a> {
    /// The request that opened the WebSocket.
    pub socket: Uuid,
    /// The request that is answered: its `ws.request` has this identifier.
    pub request: Uuid,
    /// What it asked, such as `WS order.place`.
    pub name: &'a str,
    /// Where it was sent.
    pub exchange: &'a ExchangeTold,
    /// What the answer says became of it.
    pub execution: Execution,
    /// The answer's status.
    pub status: StatusCode,
    /// The exchange's own code of an error.
    pub code: Option<i64>,
    /// From the request sent to the answer.
    pub took: Duration,
}

impl LateAnswer<'_> {
    pub(super) fn outcome(&self) -> &'static str {
        match self.execution {
            Execution::Unknown | Execution::NotSent => "error",
            Execution::Answered if self.status.is_success() => "success",
            Execution::Answered => "failure",
        }
    }

    pub(super) fn push_name(&self, out: &mut Vec<u8>) {
        push_raw(out, ",\"name\":");
        push_text(out, self.name, NAME_BYTES_MAX);
    }

    pub(super) fn push_exchange(&self, out: &mut Vec<u8>) {
        push_raw(out, ",\"exchange\":{");
        if let Some(code) = self.code {
            push_raw(out, "\"code\":");
            push_number(out, code);
            push_raw(out, ",");
        }
        push_raw(out, "\"execution\":");
        push_plain(out, self.execution.as_str());
        push_raw(out, ",\"name\":");
        push_text(out, &self.exchange.outbound, NAME_BYTES_MAX);
        push_raw(out, ",\"preset\":");
        push_plain(out, self.exchange.preset);
        push_raw(out, "}");
    }

    pub(super) fn push_request(&self, out: &mut Vec<u8>) {
        push_raw(out, ",\"request\":{\"id\":");
        push_plain(out, self.request);
        push_raw(out, ",\"socket\":");
        push_plain(out, self.socket);
        push_raw(out, "},\"response\":{\"duration_us\":");
        push_number(out, self.took.as_micros());
        push_raw(out, ",\"status\":");
        push_number(out, self.status.as_u16());
        push_raw(out, "}");
    }
}

/// A WebSocket that is open. Dropped without being closed, its record says that it was cut off.
#[must_use = "a record that is dropped says that the WebSocket was cut off"]
pub struct OpenSocket {
    recorder: Recorder,
    told: SocketTold,
    open: bool,
}

impl OpenSocket {
    pub(super) const fn new(recorder: Recorder, told: SocketTold) -> Self {
        Self {
            recorder,
            told,
            open: true,
        }
    }

    /// It has ended.
    pub fn close(mut self, end: &SocketEnd) {
        self.open = false;
        self.recorder
            .write_own(&Own::SocketClose(&self.told, Some(end)));
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        if self.open {
            self.recorder.write_own(&Own::SocketClose(&self.told, None));
        }
    }
}
