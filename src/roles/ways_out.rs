//! The ways out of one generation: each exchange's interfaces made ready, its pools, its key, and what requests to it go
//! by. Connections stay where nothing about an endpoint has changed; what is spent stays spent. Never connects.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use http_body_util::Full;

use crate::accept::body::WholeBodies;
use crate::accept::facts::FactRules;
use crate::accept::http::Http;
use crate::accept::outbound::LocalRules;
use crate::config::{Outbound, SignSettings};
use crate::forward::coalesce::Coalescer;
use crate::forward::exchange::{Exchange, Mismatch, OnMismatch};
use crate::forward::{Forwarder, PoolLimits};
use crate::ledger::exchange::{BudgetSpec, ExchangeLedger, read_rate_limits};
use crate::model::clock::Now;
use crate::model::endpoint::Endpoint;
use crate::model::exchange::Role;
use crate::model::fault::{Fault, Faults};
use crate::model::settings::{Timeouts, TrustedHops};
use crate::pipeline::Live;
use crate::pipeline::outbound::{Counters, Doubts, Freshness, Site, WayOut};
use crate::record::{ClientMetrics, Metrics, Recorder};
use crate::runtime::nonces::Nonces;
use crate::transform::outbound::Target;
use crate::transform::signers::{Own, Signer, TimeUnit};

use super::exchanges;
use super::generation::Parts;

/// What the ways out of all generations share: what is spent, the files of nonces, and where evidence goes.
#[derive(Default)]
pub(super) struct Kept {
    ledger: ExchangeLedger,
    /// By their files; each is held as long as the process runs.
    nonces: Mutex<HashMap<PathBuf, Arc<Nonces>>>,
    /// By hosts: whoever compares clocks waits for them over all generations.
    doubts: Mutex<HashMap<String, Arc<Doubts>>>,
    /// There as soon as the spool is open, which is before the first connection.
    recorder: OnceLock<Recorder>,
}

impl Kept {
    /// Says where evidence goes.
    pub(super) fn tell(&self, recorder: Recorder) {
        // Told once, when the process begins.
        self.recorder.set(recorder).ok();
    }

    fn on_mismatch(self: &Arc<Self>) -> OnMismatch {
        let kept = Arc::clone(self);
        Arc::new(move |missed: &Mismatch<'_>| {
            if let Some(recorder) = kept.recorder.get() {
                exchanges::tell(recorder, missed);
            }
        })
    }

    /// Doubts of the time of one host.
    fn doubts(&self, host: String) -> Arc<Doubts> {
        let mut known = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(host).or_default())
    }

    /// The numbers of one file: opened once, and then the same for every generation.
    fn nonces(&self, path: &Path, unit: TimeUnit) -> Result<Arc<Nonces>, String> {
        let mut known = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(nonces) = known.get(path) {
            return Ok(Arc::clone(nonces));
        }
        // A minute of them: a restart skips no more, and the disk is asked no more often.
        let reserve = match unit {
            TimeUnit::Milliseconds => 60_000,
            TimeUnit::Microseconds => 60_000_000,
        };
        let opened = Nonces::open(path, reserve).map_err(|fault| fault.to_string())?;
        let opened = Arc::new(opened);
        known.insert(path.to_owned(), Arc::clone(&opened));
        Ok(opened)
    }
}

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

/// The ways out, and their interfaces with their pools for the generation that follows.
type Made = (Vec<Arc<WayOut>>, Vec<Reached>);

/// Makes every way out, or says all that is wrong with their endpoints and files.
pub(super) fn make(
    outbound: Vec<Outbound>,
    before: &[Reached],
    parts: &Parts,
) -> Result<Made, Vec<Fault>> {
    let faults = &mut Faults::default();
    let (mut made, mut reached) = (Vec::new(), Vec::new());
    for one in outbound {
        let from = reached.len();
        for (role, endpoint) in &one.endpoints {
            let found = reach(*role, endpoint, &one, before, parts, faults);
            reached.extend(found);
        }
        let own = reached.get(from..).unwrap_or_default();
        made.extend(way_out(one, own, parts, faults).map(Arc::new));
    }
    match faults.any_error() {
        false => Ok((made, reached)),
        true => Err(std::mem::take(faults).into_sorted()),
    }
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
    let exchange = Exchange::new(
        endpoint.clone(),
        &parts.clock,
        parts.kept.on_mismatch(),
        faults,
    )?;
    let exchange = Arc::new(exchange);
    let way = |_| {
        let spawner = Arc::clone(&parts.spawner);
        Forwarder::to_exchange(Arc::clone(&exchange), &outbound.timeouts, limits, spawner)
    };
    Some(Reached {
        role,
        // One more, for what this program asks by itself.
        ways: (0..=parts.workers).map(way).collect(),
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

/// `None` if something is wrong with its numbers, and that is noted.
fn way_out(
    mut outbound: Outbound,
    reached: &[Reached],
    parts: &Parts,
    faults: &mut Faults,
) -> Option<WayOut> {
    let sign = outbound.sign.take();
    let freshness = freshness(&outbound, sign.as_ref(), parts, faults)?;
    let account = sign.as_ref().map_or("", |sign| &sign.account);
    let budget = parts.kept.ledger.budget(&spec(&outbound, account));
    let signer = sign.and_then(|sign| sign.signer);
    let sites = reached.iter().map(|reached| Site {
        role: reached.role,
        target: target(reached.exchange.endpoint()),
        ways: reached.ways.clone(),
        endpoint: Arc::clone(&reached.exchange),
        metrics: Arc::clone(&reached.metrics),
    });
    let limits = &outbound.limits;
    Some(WayOut {
        rules: rules(&outbound, signer.as_ref()),
        caller_token: outbound.caller_token,
        mark: signer.as_ref().and_then(Signer::mark),
        log_on: outbound.log_on,
        signer,
        freshness,
        budget,
        shared: outbound.exchange.coalesce.map(Coalescer::new),
        sites: sites.collect(),
        http: Http::new(limits, &outbound.timeouts),
        body_bytes_max: limits.body_bytes_max.0,
        whole_bodies: WholeBodies::new(limits.whole_body_bytes_max.0),
        sockets: outbound.sockets,
        timeouts: outbound.timeouts,
        audit: outbound.audit,
        counters: Counters::new(&outbound.policy, &parts.metrics),
        policy: outbound.policy,
    })
}

/// What counts together: one market of one exchange, or whatever stands in for it, and one account there.
fn spec(outbound: &Outbound, account: &str) -> BudgetSpec {
    let preset = outbound.policy.preset;
    // The table's own text; a test reads each.
    let limits = read_rate_limits(preset.limits.as_bytes());
    BudgetSpec {
        exchange: Arc::from(format!("{}@{}", preset.name, rest_host(outbound))),
        account: Arc::from(account),
        limits: limits.map(|(limits, _)| limits).unwrap_or_default(),
        settings: outbound.exchange.budget,
    }
}

fn rest_host(outbound: &Outbound) -> String {
    let mut rest = outbound
        .endpoints
        .iter()
        .filter(|(role, _)| *role == Role::Rest);
    let rest = rest.next().map(|(_, endpoint)| endpoint);
    rest.map(|rest| format!("{}:{}", rest.host, rest.port))
        .unwrap_or_default()
}

fn freshness(
    outbound: &Outbound,
    sign: Option<&SignSettings>,
    parts: &Parts,
    faults: &mut Faults,
) -> Option<Freshness> {
    let signer = sign.and_then(|sign| sign.signer.as_ref());
    let needs = signer.map(Signer::needs).unwrap_or_default();
    let file = sign.and_then(|sign| sign.nonces.as_ref());
    let nonces = match (needs.nonce, file) {
        (Some(unit), Some(file)) => {
            match parts.kept.nonces(&parts.folder.join(&file.value), unit) {
                Ok(nonces) => Some((nonces, unit)),
                Err(why) => {
                    let message = format!("the nonces `{}`: {why}", file.value);
                    faults.error(&file.place, message);
                    return None;
                }
            }
        }
        (Some(_) | None, _) => None,
    };
    let settings = outbound.exchange.clock;
    Some(Freshness {
        clock: parts.kept.ledger.clock(&rest_host(outbound), settings),
        doubts: parts.kept.doubts(rest_host(outbound)),
        machine_time: outbound.policy.preset.time.is_none(),
        nonces,
        random: needs.random,
    })
}

/// What clients send to be believed comes off: what the preset knows of, and what our own signer sets.
#[must_use]
pub fn rules(outbound: &Outbound, signer: Option<&Signer>) -> LocalRules {
    let preset = outbound.policy.preset;
    let Own {
        headers, params, ..
    } = signer.map(Signer::own).unwrap_or_default();
    let known = preset.credentials;
    let mut own_headers: Vec<HeaderName> = known
        .headers
        .iter()
        .map(|name| HeaderName::from_static(name))
        .collect();
    own_headers.extend(
        headers
            .into_iter()
            .filter(|name| !known.headers.contains(&name.as_str())),
    );
    let mut own_parameters: Vec<String> = known
        .parameters
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    own_parameters.extend(
        params
            .into_iter()
            .filter(|name| !known.parameters.contains(&name.as_str())),
    );
    let limits = &outbound.limits;
    LocalRules {
        facts: FactRules {
            trusted: TrustedHops::default(),
            target_bytes_max: limits.target_bytes_max.as_usize(),
            headers_max: usize::try_from(limits.headers_max).unwrap_or(usize::MAX),
        },
        preset,
        own_headers,
        own_parameters,
        credentials: outbound.client_credentials,
    }
}

/// Tells the metrics what is only known here.
pub(super) fn show(live: &Live, metrics: &Metrics, now: Now) {
    for way in &live.ways_out {
        way.show(now);
    }
    exchanges::show(metrics, endpoints(live));
}

/// What somebody should look at: time that is not known, certificates and pins that end.
pub(super) fn remark(live: &Live, now: Now) -> Option<String> {
    let unsynced = live.ways_out.iter().filter_map(|way| {
        let why = way.unsynced(now)?;
        Some(format!(
            "{}: nothing can be signed, the exchange's time is {why}",
            way.policy.name
        ))
    });
    let remarks: Vec<String> = unsynced
        .chain(exchanges::remark(endpoints(live), now))
        .collect();
    (!remarks.is_empty()).then(|| remarks.join("; "))
}

fn endpoints(live: &Live) -> impl Iterator<Item = &Exchange> {
    let sites = live.ways_out.iter().flat_map(|way| &way.sites);
    sites.map(|site| site.endpoint.as_ref())
}

/// Whom requests name: the host as certificates do, with the port where it is not the usual one.
#[must_use]
pub fn target(endpoint: &Endpoint) -> Target {
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
