//! The ways out of one generation: each exchange's interfaces made ready, its pools, and what requests to it go by.
//! Connections stay where nothing about an endpoint has changed. Never connects.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use http_body_util::Full;

use crate::accept::body::WholeBodies;
use crate::accept::facts::FactRules;
use crate::accept::http::Http;
use crate::accept::outbound::LocalRules;
use crate::config::Outbound;
use crate::decide::policy::AuditMode;
use crate::forward::exchange::{Exchange, Mismatch, OnMismatch};
use crate::forward::{Forwarder, PoolLimits};
use crate::model::endpoint::Endpoint;
use crate::model::exchange::Role;
use crate::model::fault::Faults;
use crate::model::pins::PinMode;
use crate::model::settings::{Timeouts, TrustedHops};
use crate::pipeline::outbound::{Site, WayOut, WayOutParts};
use crate::record::ClientMetrics;
use crate::transform::outbound::Target;

use super::generation::Parts;

/// Idle connections to an exchange that a worker keeps.
const IDLE_MAX: u32 = 16;

/// An interface of an exchange with its pools.
#[derive(Clone)]
pub(super) struct Reached {
    role: Role,
    exchange: Arc<Exchange>,
    timeouts: Timeouts,
    limits: PoolLimits,
    ways: Vec<Forwarder<Full<Bytes>>>,
    metrics: Arc<ClientMetrics>,
}

/// Makes every way out. What is wrong with an endpoint is noted where it is written; then the rest is worth nothing.
pub(super) fn make(
    outbound: Vec<Outbound>,
    before: &[Reached],
    parts: &Parts,
    faults: &mut Faults,
) -> (Vec<Arc<WayOut>>, Vec<Reached>) {
    let (mut made, mut reached) = (Vec::new(), Vec::new());
    for one in outbound {
        let from = reached.len();
        for (role, endpoint) in &one.endpoints {
            let found = reach(*role, endpoint, &one, before, parts, faults);
            reached.extend(found);
        }
        let own = reached.get(from..).unwrap_or_default();
        made.push(Arc::new(way_out(one, own, parts)));
    }
    (made, reached)
}

/// The pools of before, if they lead to the same endpoint in the same way; otherwise new ones.
fn reach(
    role: Role,
    endpoint: &Endpoint,
    outbound: &Outbound,
    before: &[Reached],
    parts: &Parts,
    faults: &mut Faults,
) -> Option<Reached> {
    let limits = PoolLimits {
        connections_max: outbound.limits.connections_max,
        idle_max: IDLE_MAX,
    };
    let same = |old: &&Reached| {
        old.role == role
            && old.exchange.endpoint().is_like(endpoint)
            && old.timeouts == outbound.timeouts
            && old.limits == limits
    };
    if let Some(old) = before.iter().find(same) {
        return Some(old.clone());
    }
    let exchange = Exchange::new(endpoint.clone(), &parts.clock, on_mismatch(), faults)?;
    let exchange = Arc::new(exchange);
    let way = |_| {
        let spawner = Arc::clone(&parts.spawner);
        Forwarder::to_exchange(Arc::clone(&exchange), &outbound.timeouts, limits, spawner)
    };
    Some(Reached {
        role,
        ways: (0..parts.workers).map(way).collect(),
        metrics: Arc::new(
            parts
                .metrics
                .client(&endpoint.host, &endpoint.port.to_string()),
        ),
        exchange,
        timeouts: outbound.timeouts.clone(),
        limits,
    })
}

/// A chain without a pinned key is told at once and with what was seen: it is an attack, or pins that were forgotten.
fn on_mismatch() -> OnMismatch {
    Arc::new(|mismatch: &Mismatch<'_>| {
        let links = mismatch.chain.links().iter();
        let seen: Vec<String> = links
            .map(|link| format!("{} {}", link.level.name(), link.pin))
            .collect();
        let (upstream, host) = (&mismatch.endpoint.upstream, &mismatch.endpoint.host);
        let seen = seen.join(", ");
        match mismatch.mode {
            PinMode::Enforce => tracing::error!(
                upstream,
                host,
                seen,
                "no key of the exchange's chain is pinned; the connection was closed unused"
            ),
            PinMode::Report => tracing::warn!(
                upstream,
                host,
                seen,
                "no key of the exchange's chain is pinned; the connection is used, as `pin_mode: report` says"
            ),
        }
    })
}

fn way_out(outbound: Outbound, reached: &[Reached], parts: &Parts) -> WayOut {
    let preset = outbound.policy.preset;
    let limits = &outbound.limits;
    let sites = reached.iter().map(|reached| Site {
        role: reached.role,
        target: target(reached.exchange.endpoint()),
        ways: reached.ways.clone(),
        metrics: Arc::clone(&reached.metrics),
    });
    let own_headers = preset.credentials.headers.iter();
    let made = WayOutParts {
        rules: LocalRules {
            facts: FactRules {
                trusted: TrustedHops::default(),
                target_bytes_max: limits.target_bytes_max.as_usize(),
                headers_max: usize::try_from(limits.headers_max).unwrap_or(usize::MAX),
            },
            preset,
            own_headers: own_headers
                .map(|name| HeaderName::from_static(name))
                .collect(),
            own_parameters: (preset.credentials.parameters.iter())
                .map(|name| (*name).to_owned())
                .collect(),
            credentials: outbound.client_credentials,
        },
        caller_token: None,
        signer: None,
        sites: sites.collect(),
        http: Http::new(limits, &outbound.timeouts),
        body_bytes_max: limits.body_bytes_max.0,
        whole_bodies: WholeBodies::new(limits.whole_body_bytes_max.0),
        timeouts: outbound.timeouts,
        audit: AuditMode::WithAnswer,
        policy: outbound.policy,
    };
    WayOut::new(made, &parts.metrics)
}

/// Whom requests name: the host as certificates do, with the port where it is not the usual one.
fn target(endpoint: &Endpoint) -> Target {
    let host = match endpoint.host.contains(':') {
        true => format!("[{}]", endpoint.host),
        false => endpoint.host.clone(),
    };
    let authority = match endpoint.port {
        443 => host,
        port => format!("{host}:{port}"),
    };
    Target {
        host: HeaderValue::try_from(authority)
            // A host name and digits are a header value.
            .unwrap_or_else(|_| HeaderValue::from_static("invalid")),
        name: endpoint.host.clone(),
    }
}
