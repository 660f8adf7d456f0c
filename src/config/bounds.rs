//! Section `inbound.bounds`: what the door takes in at most. Never without a bound: absent keys mean the defaults.

use crate::model::decode::Fields;
use crate::model::settings::AcceptLimits;
use crate::model::units::ByteSize;

use super::numbers::{Count, Size};

/// Reads the section.
pub(super) fn read(fields: &mut Fields<'_>) -> AcceptLimits {
    let connections = fields.or(
        "connections_max",
        "connections at once, over all workers",
        "1024",
        // An idle connection costs about 40 KiB: 1024 are 40 MiB, what a small pod can spare.
        Count::<1, 1_000_000>(1024),
    );
    let connections_per_ip = fields.or(
        "connections_per_ip_max",
        "connections at once from one address (IPv6: from one /64)",
        "256",
        // A busy client needs dozens; a quarter of all leaves room for three more of its kind.
        Count::<1, 1_000_000>(256),
    );
    let head_bytes = fields.or(
        "head_bytes_max",
        "bytes of a request head, start line included",
        "32KiB",
        // A token may have 16 KiB; as much again for everything else. hyper wants 8 KiB to work with.
        Size::<8_192, 1_048_576>(ByteSize(32 << 10)),
    );
    let headers = fields.or(
        "headers_max",
        "lines of a request head",
        "64",
        // Browsers send about 20, proxies in front add about 10.
        Count::<1, 1_000>(64),
    );
    let target_bytes = fields.or(
        "target_bytes_max",
        "bytes of a request target: path and query",
        "8KiB",
        // What RFC 9110 section 4.1 asks every server to take, rounded up.
        Size::<64, 65_536>(ByteSize(8 << 10)),
    );
    let body_bytes = fields.or(
        "body_bytes_max",
        "bytes of a request body; a route may lower it",
        "10MB",
        Size::<0, 1_099_511_627_776>(ByteSize(10_000_000)),
    );
    let whole_body_bytes = fields.or(
        "whole_body_bytes_max",
        "bytes of all bodies together that a rule must see whole (`json: true`), and the most of one; 503 beyond",
        "64MiB",
        // Six of the largest by default, or tens of thousands of orders.
        Size::<65_536, 1_099_511_627_776>(ByteSize(64 << 20)),
    );
    if connections_per_ip.0 > connections.0 && fields.has("connections_per_ip_max") {
        let place = fields.place_of("connections_per_ip_max");
        let message = format!(
            "{} connections from one address are more than {} in all",
            connections_per_ip.0, connections.0
        );
        fields.error(&place, message, "lower it, or raise `connections_max`");
    }
    if target_bytes.0 >= head_bytes.0 {
        let place = fields.place_of("target_bytes_max");
        let message = "a target of this size does not fit into a head of `head_bytes_max`";
        fields.error(&place, message, "lower it, or raise `head_bytes_max`");
    }
    AcceptLimits {
        connections_max: connections.0,
        // Without a word in the file one address never gets more than all.
        connections_per_ip_max: connections_per_ip.0.min(connections.0),
        head_bytes_max: head_bytes.0,
        headers_max: headers.0,
        target_bytes_max: target_bytes.0,
        body_bytes_max: body_bytes.0,
        whole_body_bytes_max: whole_body_bytes.0,
    }
}
