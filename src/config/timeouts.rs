//! Section `inbound.timeouts`: how long anything waits. Never forever: absent keys mean the defaults.

use std::time::Duration;

use crate::model::decode::Fields;
use crate::model::settings::Timeouts;

use super::numbers::{HOUR, SECOND, Time};

type Wait = Time<1, HOUR>;

const fn seconds(count: u64) -> Wait {
    Time(Duration::from_secs(count))
}

/// Reads the section.
pub(super) fn read(fields: &mut Fields<'_>) -> Timeouts {
    // Two round trips around the world and a slow client's arithmetic; whoever takes longer holds a place on purpose.
    let doc = "for a TLS handshake, from the connection to its last byte";
    let handshake = fields.or("handshake", doc, "5s", seconds(5)).0;
    // Long enough that a client's connection lives from order to order, short enough that slow heads free theirs.
    let doc = "for a whole request head; also how long an idle connection is kept";
    let head = fields.or("head", doc, "30s", seconds(30)).0;
    // A sender that is silent for ten seconds in the middle of a body has gone, or holds on purpose.
    let doc = "between two pieces of a request body";
    let body_idle = fields.or("body_idle", doc, "10s", seconds(10)).0;
    // The service is on this machine: a connection takes microseconds unless its backlog is full.
    let doc = "for a connection to the service";
    let connect = fields.or("connect", doc, "1s", seconds(1)).0;
    // What common clients wait themselves; an order that takes longer is in doubt anyway.
    let doc = "from the request sent to the head of the service's answer";
    let response_head = fields.or("response_head", doc, "30s", seconds(30)).0;
    // A report may be computed while it is sent; a minute of silence is a service that hangs.
    let doc = "between two pieces of an answer's body";
    let response_idle = fields.or("response_idle", doc, "60s", seconds(60)).0;
    // Twice the longest single wait: enough for any honest exchange, and still an end.
    let doc = "for a whole request, from its head to the end of the answer";
    let total = fields.or("total", doc, "120s", seconds(120)).0;
    // Node.js closes idle connections after 5 s: ours go first, so that no request meets a closing one.
    let doc = "how long an idle connection to the service is kept; less than the service keeps it";
    let upstream_idle = fields.or("upstream_idle", doc, "4s", seconds(4)).0;
    // Kubernetes kills 30 s after it asked; five seconds are left to flush the audit spool.
    let doc =
        "how long the way out takes after a stop was asked for: the pause, then requests in flight";
    let drain = fields
        .or(
            "drain",
            doc,
            "25s",
            Time::<0, { 24 * HOUR }>(Duration::from_millis(25 * SECOND)),
        )
        .0;
    // Taking a pod off its service takes a second or two to reach every node; until then clients still come here.
    let doc = "how long connections are still taken in after a stop was asked for; part of `drain`";
    let drain_pause = fields
        .or(
            "drain_pause",
            doc,
            "3s",
            Time::<0, HOUR>(Duration::from_secs(3)),
        )
        .0;
    let timeouts = Timeouts {
        handshake,
        head,
        body_idle,
        connect,
        response_head,
        response_idle,
        total,
        upstream_idle,
        drain,
        drain_pause,
    };
    contradictions(&timeouts, fields);
    timeouts
}

/// A part that may last longer than the whole never comes to its own end.
fn contradictions(timeouts: &Timeouts, fields: &mut Fields<'_>) {
    let parts = [
        ("body_idle", timeouts.body_idle),
        ("connect", timeouts.connect),
        ("response_head", timeouts.response_head),
        ("response_idle", timeouts.response_idle),
    ];
    // Without a word in the file the pause never takes more than there is.
    if timeouts.drain_pause > timeouts.drain && fields.has("drain_pause") {
        let (pause, drain) = (timeouts.drain_pause, timeouts.drain);
        let message = format!("`drain_pause` ({pause:?}) is longer than `drain` ({drain:?})");
        let place = fields.place_of("drain_pause");
        fields.error(&place, message, "lower `drain_pause`, or raise `drain`");
    }
    for (key, part) in parts {
        if part <= timeouts.total {
            continue;
        }
        // The fault stands at the key that somebody wrote; if both are written, at the part.
        let place = fields.place_of(if fields.has(key) { key } else { "total" });
        let total = timeouts.total;
        let message = format!("`{key}` ({part:?}) is longer than `total` ({total:?})");
        fields.error(&place, message, format!("lower `{key}`, or raise `total`"));
    }
}
