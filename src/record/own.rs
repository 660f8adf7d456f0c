//! The events of happenings of the proxy itself: its evidence, its configuration, the servers it does not believe. In the
//! form of `event`, and as little of a peer's words.

use std::net::SocketAddr;

use uuid::Uuid;

use crate::model::clock::Now;
use crate::model::json::{push_number, push_plain, push_raw, push_text};
use crate::model::pins::{PinMode, SpkiPin};

use super::event::{Source, Split, push_end, push_source, push_time};
use super::folds::Folded;
use super::recovery::Recovery;
use super::redact::push_detail;
use super::secrets::SecretRead;
use super::socket::{LateAnswer, SocketEnd, SocketTold};

const CHANGES_MAX: usize = 32;
const KEYS_MAX: usize = 16;
const NAME_BYTES_MAX: usize = 256;
const WORD_BYTES_MAX: usize = 64;

/// Something that somebody ordered on the admin listener.
#[derive(Clone, Copy, Debug)]
pub struct AdminOrder<'a> {
    /// `admin.drain`, say: a closed list.
    pub name: &'static str,
    /// What was asked for beside the order itself, such as a level; capped.
    pub argument: &'a str,
    /// Who asked.
    pub peer: SocketAddr,
    /// Whether it was done.
    pub done: bool,
}

/// A configuration that is in force from now on.
#[derive(Clone, Copy, Debug)]
pub struct ConfigLoaded<'a> {
    /// Its file.
    pub origin: &'a str,
    /// SHA-256 of all that it was read from, in hexadecimal digits.
    pub digest: &'a str,
    /// Which one it is since the start; requests that it judges name it as `source.config`.
    pub generation: u64,
    /// The digest of the one before, if there was one.
    pub previous: Option<&'a str>,
    /// What is different from the one before, a few words each, without values.
    pub changes: &'a [String],
}

/// A configuration that was refused; the one before stays in force.
#[derive(Clone, Copy, Debug)]
pub struct ConfigRejected<'a> {
    /// Its file.
    pub origin: &'a str,
    /// SHA-256 of all that was read, in hexadecimal digits.
    pub digest: &'a str,
    /// The generation that stays in force.
    pub generation: u64,
    /// Its digest.
    pub previous: &'a str,
    /// How many errors there are.
    pub errors: usize,
    /// The first of them.
    pub detail: &'a str,
}

/// A server whose certificate is good, but none of whose keys is pinned.
#[derive(Clone, Copy, Debug)]
pub struct PinMismatch<'a> {
    /// The outbound's name.
    pub upstream: &'a str,
    /// The host that was connected to.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// What came of it: closed under `Enforce`, used under `Report`.
    pub mode: PinMode,
    /// The keys of its chain, its own first, each with its place in the chain.
    pub keys: &'a [(&'static str, SpkiPin)],
}

/// A happening of the proxy itself.
pub(super) enum Own<'a> {
    /// `audit.start`: the first event of an epoch.
    Start(&'a Recovery),
    /// `audit.stop`: the last event of an epoch that ended in order.
    Stop,
    /// `audit.dropped`: events that are lost, and why.
    Dropped { count: u64, why: &'static str },
    /// `http.refusals`: refusals of strangers that were counted instead of recorded.
    Folded(&'a Folded),
    /// `config.load`.
    ConfigLoad(&'a ConfigLoaded<'a>),
    /// `config.reject`.
    ConfigReject(&'a ConfigRejected<'a>),
    /// `admin.*`.
    Admin(&'a AdminOrder<'a>),
    /// `secret.read`, or `secret.changed` where the value is another one.
    Secret(&'a SecretRead<'a>),
    /// `upstream.pin_mismatch`.
    PinMismatch(&'a PinMismatch<'a>),
    /// `ws.open`.
    SocketOpen(&'a SocketTold),
    /// `ws.close`; without an end the task that served it was cut off.
    SocketClose(&'a SocketTold, Option<&'a SocketEnd>),
    /// `ws.late_answer`.
    LateAnswer(&'a LateAnswer<'a>),
}

/// Writes an event of the proxy itself.
pub(super) fn own(out: &mut Vec<u8>, own: &Own<'_>, id: Uuid, now: Now, source: &Source) -> Split {
    let (name, outcome) = match own {
        Own::Start(_) => ("audit.start", "success"),
        Own::Stop => ("audit.stop", "success"),
        Own::Dropped { .. } => ("audit.dropped", "error"),
        Own::Folded(_) => ("http.refusals", "denied"),
        Own::ConfigLoad(_) => ("config.load", "success"),
        Own::ConfigReject(_) => ("config.reject", "failure"),
        Own::Admin(order) if order.done => (order.name, "success"),
        Own::Admin(order) => (order.name, "failure"),
        Own::Secret(read) => (read.action(), "success"),
        Own::PinMismatch(missed) => ("upstream.pin_mismatch", outcome_of(missed.mode)),
        Own::SocketOpen(_) => ("ws.open", "success"),
        Own::SocketClose(_, end) => ("ws.close", end.map_or("aborted", SocketEnd::outcome)),
        Own::LateAnswer(answer) => ("ws.late_answer", answer.outcome()),
    };
    push_action(out, own, name);
    if let Own::Admin(order) = own {
        push_admin(out, order);
    }
    match own {
        Own::Start(recovery) => push_start(out, recovery),
        Own::Stop | Own::Admin(_) | Own::Secret(_) | Own::PinMismatch(_) => {}
        Own::SocketOpen(told) | Own::SocketClose(told, _) => told.push_exchange(out),
        Own::LateAnswer(answer) => answer.push_exchange(out),
        Own::Dropped { count, why } => {
            push_raw(out, ",\"audit\":{\"dropped\":");
            push_number(out, count);
            push_raw(out, ",\"why\":");
            push_plain(out, why);
            push_raw(out, "}");
        }
        Own::Folded(folded) => push_folded(out, folded),
        Own::ConfigLoad(loaded) => push_loaded(out, loaded),
        Own::ConfigReject(rejected) => push_rejected(out, rejected),
    }
    push_raw(out, ",\"id\":");
    push_plain(out, id);
    push_raw(out, ",\"outcome\":");
    push_plain(out, outcome);
    if let Own::PinMismatch(missed) = own {
        push_missed(out, missed);
    }
    push_reason(out, own);
    if let Own::Secret(read) = own {
        read.push(out);
    } else if let Own::LateAnswer(answer) = own {
        answer.push_request(out);
    }
    push_raw(out, ",\"seq\":");
    let split = out.len();
    if let Own::SocketOpen(told) = own {
        told.push_socket(out);
    } else if let Own::SocketClose(told, end) = own {
        told.push_end(out, *end, now);
    }
    push_source(out, source, None);
    push_end(out, now);
    split
}

fn push_action(out: &mut Vec<u8>, own: &Own<'_>, name: &'static str) {
    let is_of_socket = matches!(own, Own::SocketOpen(_) | Own::SocketClose(..));
    push_raw(out, "{\"action\":{\"class\":");
    // What a late answer corrects is the record of a failure.
    push_plain(out, if is_of_socket { "access" } else { "security" });
    if is_of_socket || matches!(own, Own::LateAnswer(_)) {
        push_raw(out, ",\"direction\":\"outbound\"");
    }
    if let Own::LateAnswer(answer) = own {
        answer.push_name(out);
    }
    push_raw(out, ",\"type\":");
    push_plain(out, name);
    push_raw(out, "}");
}

fn push_reason(out: &mut Vec<u8>, own: &Own<'_>) {
    if let Own::ConfigReject(rejected) = own {
        push_raw(out, ",\"reason\":{\"code\":\"config.invalid\",\"detail\":");
        push_detail(out, rejected.detail);
        push_raw(out, "}");
    }
    if let Own::Folded(folded) = own {
        push_raw(out, ",\"reason\":{\"code\":");
        push_plain(out, folded.cause.code());
        push_raw(out, "}");
    }
}

/// Refusals that were counted: whose, how many, and from when to when.
fn push_folded(out: &mut Vec<u8>, folded: &Folded) {
    if let Some(ip) = folded.ip {
        push_raw(out, ",\"actor\":{\"auth\":\"none\",\"ip\":");
        push_plain(out, ip);
        push_raw(out, ",\"mfa\":false,\"type\":\"anonymous\"}");
    }
    push_raw(out, ",\"folded\":{\"count\":");
    push_number(out, folded.count);
    push_raw(out, ",\"first\":");
    push_time(out, folded.first);
    push_raw(out, ",\"last\":");
    push_time(out, folded.last);
    push_raw(out, "}");
}

fn push_admin(out: &mut Vec<u8>, order: &AdminOrder<'_>) {
    push_raw(out, ",\"admin\":{");
    if !order.argument.is_empty() {
        push_raw(out, "\"argument\":");
        push_text(out, order.argument, WORD_BYTES_MAX);
        push_raw(out, ",");
    }
    push_raw(out, "\"peer\":");
    push_plain(out, order.peer);
    push_raw(out, "}");
}

/// Under `Report` the connection is used.
const fn outcome_of(mode: PinMode) -> &'static str {
    match mode {
        PinMode::Enforce => "denied",
        PinMode::Report => "success",
    }
}

fn push_loaded(out: &mut Vec<u8>, loaded: &ConfigLoaded<'_>) {
    push_raw(out, ",\"config\":{");
    if loaded.previous.is_some() {
        push_raw(out, "\"changes\":[");
        for (at, change) in loaded.changes.iter().take(CHANGES_MAX).enumerate() {
            if at > 0 {
                push_raw(out, ",");
            }
            push_text(out, change, NAME_BYTES_MAX);
        }
        push_raw(out, "],");
    }
    push_raw(out, "\"digest\":");
    push_text(out, loaded.digest, NAME_BYTES_MAX);
    push_raw(out, ",\"generation\":");
    push_number(out, loaded.generation);
    push_raw(out, ",\"origin\":");
    push_text(out, loaded.origin, NAME_BYTES_MAX);
    if let Some(previous) = loaded.previous {
        push_raw(out, ",\"previous\":");
        push_text(out, previous, NAME_BYTES_MAX);
    }
    push_raw(out, "}");
}

fn push_rejected(out: &mut Vec<u8>, rejected: &ConfigRejected<'_>) {
    push_raw(out, ",\"config\":{\"digest\":");
    push_text(out, rejected.digest, NAME_BYTES_MAX);
    push_raw(out, ",\"errors\":");
    push_number(out, rejected.errors);
    push_raw(out, ",\"generation\":");
    push_number(out, rejected.generation);
    push_raw(out, ",\"origin\":");
    push_text(out, rejected.origin, NAME_BYTES_MAX);
    push_raw(out, ",\"previous\":");
    push_text(out, rejected.previous, NAME_BYTES_MAX);
    push_raw(out, "}");
}

fn push_missed(out: &mut Vec<u8>, missed: &PinMismatch<'_>) {
    push_raw(out, ",\"pins\":{\"host\":");
    push_text(out, missed.host, NAME_BYTES_MAX);
    push_raw(out, ",\"keys\":[");
    for (at, (level, pin)) in missed.keys.iter().take(KEYS_MAX).enumerate() {
        push_raw(
            out,
            if at > 0 {
                ",{\"level\":"
            } else {
                "{\"level\":"
            },
        );
        push_plain(out, level);
        push_raw(out, ",\"pin\":");
        push_plain(out, pin);
        push_raw(out, "}");
    }
    push_raw(out, "],\"mode\":");
    push_plain(out, missed.mode.name());
    push_raw(out, ",\"port\":");
    push_number(out, missed.port);
    push_raw(out, ",\"upstream\":");
    push_text(out, missed.upstream, NAME_BYTES_MAX);
    push_raw(out, "}");
}

fn push_start(out: &mut Vec<u8>, recovery: &Recovery) {
    push_raw(out, ",\"audit\":{\"missing\":");
    push_number(out, recovery.missing_events);
    if let Some(previous) = recovery.previous {
        push_raw(out, ",\"previous\":{\"epoch\":");
        push_plain(out, previous.epoch);
        if let Some(last) = previous.last_seq {
            push_raw(out, ",\"last\":");
            push_number(out, last);
        }
        push_raw(out, "}");
    }
    push_raw(out, ",\"quarantined\":");
    push_number(out, recovery.quarantined.len());
    push_raw(out, ",\"truncated_bytes\":");
    push_number(out, recovery.truncated_bytes);
    push_raw(out, "}");
}
