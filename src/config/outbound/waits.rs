//! Sections `outbound[].bounds`, `outbound[].sockets` and `outbound[].timeouts`: what is taken in at most, and how long anything waits. Never
//! without a bound: absent keys mean the defaults.

use std::time::Duration;

use crate::config::numbers::{Count, HOUR, Size, Time};
use crate::model::decode::Fields;
use crate::model::outbound::SocketRules;
use crate::model::settings::{AcceptLimits, Timeouts};
use crate::model::units::ByteSize;

pub(super) fn read_bounds(fields: &mut Fields<'_>) -> AcceptLimits {
    let connections = fields.or(
        "connections_max",
        "connections at once, over all workers",
        "256",
        // One service and its tools; a client library keeps some ten.
        Count::<1, 1_000_000>(256),
    );
    let body = fields.or(
        "body_bytes_max",
        "bytes of a request body, which is held whole to be judged and signed",
        "256KiB",
        // A batch of orders has a few KiB.
        Size::<0, 16_777_216>(ByteSize(256 << 10)),
    );
    AcceptLimits {
        connections_max: connections.0,
        connections_per_ip_max: connections.0,
        head_bytes_max: ByteSize(32 << 10),
        headers_max: 64,
        target_bytes_max: ByteSize(16 << 10),
        body_bytes_max: body.0,
        whole_body_bytes_max: ByteSize(body.0.0.saturating_mul(u64::from(connections.0))),
    }
}

type Wait = Time<1, HOUR>;

const fn seconds(count: u64) -> Wait {
    Time(Duration::from_secs(count))
}

pub(super) fn read_sockets(fields: &mut Fields<'_>) -> SocketRules {
    let doc = "how long the client or the exchange may take to take a message in; then the WebSocket is closed";
    let write = fields.or("write", doc, "10s", seconds(10)).0;
    let doc = "how long the exchange may say nothing, though it is asked whether it is there; then the WebSocket is closed";
    // Binance asks every 20 seconds whether we are there.
    let silence = fields.or("silence", doc, "3m", seconds(180)).0;
    let doc = "frames of one WebSocket that wait for their answers; further ones are refused";
    // At five a second, Binance's limit, an exchange has most of a minute to answer.
    let in_flight = fields.or("in_flight_max", doc, "256", Count::<1, 65_536>(256));
    SocketRules {
        write,
        silence,
        in_flight_max: usize::try_from(in_flight.0).unwrap_or(usize::MAX),
    }
}

pub(super) fn read_timeouts(fields: &mut Fields<'_>) -> Timeouts {
    let doc = "for a connection to the exchange, its name's resolution included";
    // Half-way round the world and one lost packet.
    let connect = fields.or("connect", doc, "3s", seconds(3)).0;
    let doc = "for the TLS handshake with the exchange";
    let handshake = fields.or("handshake", doc, "3s", seconds(3)).0;
    let doc = "from the request sent to the head of the exchange's answer";
    // Binance itself gives up after ten seconds and says so (-1007); that is worth waiting for.
    let response_head = fields.or("response_head", doc, "15s", seconds(15)).0;
    let doc = "between two pieces of an answer's body";
    let response_idle = fields.or("response_idle", doc, "15s", seconds(15)).0;
    let doc = "for a whole request, from its head to the end of the answer";
    let total = fields.or("total", doc, "60s", seconds(60)).0;
    let doc =
        "how long an idle connection to the exchange is kept; less than the exchange keeps it";
    // CloudFront, which stands before most exchanges, keeps them for a minute.
    let upstream_idle = fields.or("upstream_idle", doc, "30s", seconds(30)).0;
    for (key, part) in [
        ("connect", connect),
        ("handshake", handshake),
        ("response_head", response_head),
        ("response_idle", response_idle),
    ] {
        if part > total {
            let place = fields.place_of(if fields.has(key) { key } else { "total" });
            let message = format!("`{key}` ({part:?}) is longer than `total` ({total:?})");
            fields.error(&place, message, format!("lower `{key}`, or raise `total`"));
        }
    }
    Timeouts {
        handshake,
        head: Duration::from_secs(60),
        body_idle: Duration::from_secs(10),
        connect,
        response_head,
        response_idle,
        total,
        upstream_idle,
        // The way out of the whole process is told by the way in.
        drain: Duration::ZERO,
        drain_pause: Duration::ZERO,
    }
}
