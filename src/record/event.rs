//! The audit event, schema version 1, as the bytes that are kept: keys sorted as RFC 8785 wants, integers only, every
//! text capped and escaped. Never a query, a header value but the host, a token or a body.

use std::net::SocketAddr;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use uuid::Uuid;

use crate::model::clock::Now;
use crate::model::cors::PreflightVerdict;
use crate::model::json::{
    push_count, push_ip, push_number, push_own, push_peer, push_plain, push_raw, push_text,
};

use super::actor::push_actor;
use super::exchange::ExchangeTold;
use super::outcome::{Code, Outcome, outcome};
use super::redact::{push_detail, push_path, push_word};
use super::told::{Asked, Reason, Shadowed, Told};

const TIMES: DateTimePrinter = DateTimePrinter::new().precision(Some(6));
const SHADOW_MAX: usize = 16;
const USED_MAX: usize = 16;
pub(super) const WORD_BYTES_MAX: usize = 64;
pub(super) const NAME_BYTES_MAX: usize = 256;

/// Who writes: the same in every event of a process, and so written once.
pub(super) struct Source(String);

impl Source {
    pub(super) fn new(service: &str, epoch: Uuid, version: &str) -> Self {
        let mut out = Vec::new();
        push_raw(&mut out, "\"epoch\":");
        push_id(&mut out, epoch);
        push_raw(&mut out, ",\"service\":");
        push_text(&mut out, service, WORD_BYTES_MAX);
        push_raw(&mut out, ",\"version\":");
        push_text(&mut out, version, WORD_BYTES_MAX);
        push_raw(&mut out, "}");
        Self(String::from_utf8_lossy(&out).into_owned())
    }
}

/// Writes the source; `config` is the generation of the configuration that was gone by.
pub(super) fn push_source(out: &mut Vec<u8>, source: &Source, config: Option<u64>) {
    push_raw(out, ",\"source\":{");
    if let Some(generation) = config {
        push_raw(out, "\"config\":");
        push_count(out, generation);
        push_raw(out, ",");
    }
    push_raw(out, &source.0);
}

/// Where the sequence number belongs, which is given only when the event is queued: the bytes before it end here.
pub(super) type Split = usize;

/// What happened to a request, as an event tells it.
#[derive(Clone, Copy)]
pub(super) enum Moment {
    /// It is about to be forwarded.
    Intent,
    /// It is over.
    Closed(Outcome),
}

/// Writes `http.request` or `http.intent`, and for a frame of a WebSocket `ws.request` or `ws.intent`.
pub(super) fn request(
    out: &mut Vec<u8>,
    told: &Told,
    moment: Moment,
    now: Now,
    source: &Source,
) -> Split {
    push_action(out, told, moment);
    push_actor(out, told);
    if let Some(exchange) = &told.exchange {
        push_exchange(out, exchange);
    }
    push_raw(out, ",\"id\":");
    push_id(out, told.id);
    if let Moment::Closed(outcome) = moment {
        push_raw(out, ",\"outcome\":");
        push_own(out, outcome.as_str());
    }
    if let Some(reason) = &told.reason {
        push_reason(out, reason);
    } else if let Some(verdict) = &told.preflight {
        push_preflight(out, verdict);
    }
    push_request(out, told);
    if let Moment::Closed(_) = moment {
        push_response(out, told, now);
    }
    push_raw(out, ",\"seq\":");
    let split = out.len();
    if !told.shadow.is_empty() {
        push_shadow(out, &told.shadow);
    }
    push_source(out, source, told.config);
    if let Some(trace) = &told.trace {
        push_raw(out, ",\"trace\":{\"span\":");
        push_plain(out, trace.span());
        push_raw(out, ",\"trace\":");
        push_plain(out, trace.trace());
        push_raw(out, "}");
    }
    push_end(out, now);
    split
}

pub(super) fn push_end(out: &mut Vec<u8>, now: Now) {
    push_raw(out, ",\"ts\":");
    push_time(out, now);
    push_raw(out, ",\"v\":1}");
}

pub(super) fn push_time(out: &mut Vec<u8>, now: Now) {
    push_raw(out, "\"");
    let time = Timestamp::from_microsecond(now.unix_us).unwrap_or_default();
    // Writing into memory cannot fail.
    TIMES.print_timestamp(&time, &mut *out).ok();
    push_raw(out, "\"");
}

/// Appends an identifier, in quotes.
fn push_id(out: &mut Vec<u8>, id: Uuid) {
    let mut text = Uuid::encode_buffer();
    push_raw(out, "\"");
    push_raw(out, id.hyphenated().encode_lower(&mut text));
    push_raw(out, "\"");
}

fn push_action(out: &mut Vec<u8>, told: &Told, moment: Moment) {
    let refused = !matches!(told.code(), Code::None | Code::PreflightGranted);
    let class = if refused || told.intended {
        "security"
    } else {
        "access"
    };
    push_raw(out, "{\"action\":{\"class\":");
    push_own(out, class);
    if told.exchange.is_some() {
        push_raw(out, ",\"direction\":\"outbound\"");
    }
    if let (Some(method), Some(route)) = (told.method(), &told.route) {
        push_raw(out, ",\"name\":");
        let start = out.len();
        push_word(out, method.as_str(), WORD_BYTES_MAX);
        // One text of both: the closing quote of the first and the opening quote of the second become a space.
        out.pop();
        let joint = out.len();
        push_text(out, &route.template, NAME_BYTES_MAX);
        debug_assert!(joint > start);
        if let Some(quote) = out.get_mut(joint) {
            *quote = b' ';
        }
    }
    if let Asked::Frame(asking) = &told.asked
        && let Some(name) = &asking.name
    {
        push_raw(out, ",\"name\":");
        push_text(out, name, NAME_BYTES_MAX);
    }
    push_raw(out, ",\"type\":");
    push_own(
        out,
        match (moment, &told.asked) {
            (Moment::Intent, Asked::Frame(_)) => "ws.intent",
            (Moment::Closed(_), Asked::Frame(_)) => "ws.request",
            (Moment::Intent, _) => "http.intent",
            (Moment::Closed(_), _) => "http.request",
        },
    );
    push_raw(out, "}");
}

/// What is told of an exchange. Figures and words of closed lists only.
fn push_exchange(out: &mut Vec<u8>, told: &ExchangeTold) {
    push_raw(out, ",\"exchange\":{\"attempts\":");
    push_count(out, u64::from(told.attempts));
    if let Some(code) = told.code {
        push_raw(out, ",\"code\":");
        push_number(out, code);
    }
    push_raw(out, ",\"execution\":");
    push_own(out, told.execution.as_str());
    push_raw(out, ",\"name\":");
    push_text(out, &told.outbound, NAME_BYTES_MAX);
    push_raw(out, ",\"preset\":");
    push_own(out, told.preset);
    push_raw(out, ",\"signed\":");
    push_raw(out, if told.signed { "true" } else { "false" });
    if !told.used.is_empty() {
        push_raw(out, ",\"used\":{");
        for (at, (limit, used)) in told.used.iter().take(USED_MAX).enumerate() {
            push_raw(out, if at > 0 { "," } else { "" });
            push_text(out, limit, WORD_BYTES_MAX);
            push_raw(out, ":");
            push_count(out, *used);
        }
        push_raw(out, "}");
    }
    push_raw(out, "}");
}

fn push_reason(out: &mut Vec<u8>, reason: &Reason) {
    push_raw(out, ",\"reason\":{\"code\":");
    push_own(out, reason.cause.code());
    if !reason.detail.is_empty() {
        push_raw(out, ",\"detail\":");
        push_detail(out, &reason.detail);
    }
    if let Some(rule) = &reason.rule {
        push_raw(out, ",\"rule\":");
        push_text(out, rule, NAME_BYTES_MAX);
    }
    push_raw(out, "}");
}

fn push_preflight(out: &mut Vec<u8>, verdict: &PreflightVerdict) {
    push_raw(out, ",\"reason\":{\"code\":");
    push_own(out, verdict.code());
    if let PreflightVerdict::Refused(detail) = verdict {
        push_raw(out, ",\"detail\":");
        push_detail(out, detail);
    }
    push_raw(out, "}");
}

fn push_request(out: &mut Vec<u8>, told: &Told) {
    push_raw(out, ",\"request\":{\"bytes\":");
    push_count(out, told.received.get());
    push_raw(out, ",\"client_ip\":");
    push_ip(out, told.client_ip());
    if let Asked::Judged(judged) = &told.asked {
        push_raw(out, ",\"host\":");
        push_word(
            out,
            judged.host.to_str().unwrap_or_default(),
            NAME_BYTES_MAX,
        );
    }
    if let Some(method) = told.method() {
        push_raw(out, ",\"method\":");
        push_word(out, method.as_str(), WORD_BYTES_MAX);
    }
    match &told.asked {
        Asked::Nothing | Asked::Frame(_) => {}
        Asked::Raw(raw) => {
            push_raw(out, ",\"path\":");
            push_path(out, &raw.path);
        }
        Asked::Judged(judged) => {
            push_raw(out, ",\"path\":");
            push_path(out, judged.target.path());
        }
    }
    push_raw(out, ",\"peer\":");
    let peer = SocketAddr::new(told.peer.ip().to_canonical(), told.peer.port());
    push_peer(out, peer);
    if let Some(route) = &told.route {
        push_raw(out, ",\"route\":");
        push_text(out, &route.name, NAME_BYTES_MAX);
    }
    if let Asked::Frame(asking) = &told.asked {
        push_raw(out, ",\"socket\":");
        push_id(out, asking.socket);
    }
    if matches!(told.asked, Asked::Nothing | Asked::Raw(_)) {
        push_raw(out, ",\"unjudged\":true");
    }
    push_raw(out, "}");
}

fn push_response(out: &mut Vec<u8>, told: &Told, now: Now) {
    push_raw(out, ",\"response\":{\"bytes\":");
    push_count(out, told.sent_bytes);
    push_raw(out, ",\"duration_us\":");
    let took = now.since(told.opened).as_micros();
    push_count(out, u64::try_from(took).unwrap_or(u64::MAX));
    if let Some(status) = told.status {
        push_raw(out, ",\"status\":");
        push_count(out, u64::from(status.as_u16()));
    }
    push_raw(out, ",\"upstream\":");
    let forwarded = told.forwarded.is_some();
    push_raw(out, if forwarded { "true}" } else { "false}" });
}

fn push_shadow(out: &mut Vec<u8>, shadow: &[Shadowed]) {
    push_raw(out, ",\"shadow\":[");
    for (at, noted) in shadow.iter().take(SHADOW_MAX).enumerate() {
        push_raw(out, if at > 0 { ",{\"code\":" } else { "{\"code\":" });
        push_own(out, noted.cause.code());
        if let Some(rule) = &noted.rule {
            push_raw(out, ",\"rule\":");
            push_text(out, rule, NAME_BYTES_MAX);
        }
        push_raw(out, "}");
    }
    push_raw(out, "]");
}

/// The outcome of a request that is over in order.
pub(super) fn closed(told: &Told) -> Moment {
    Moment::Closed(outcome(told.code(), told.status))
}
