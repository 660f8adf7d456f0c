//! The page of the ways out: each exchange as it is known at this moment. Names, numbers, digests of public keys and ages;
//! never a secret's value, never a path or a parameter.

use serde_json::{Value as Json, json};

use crate::config::Setting;
use crate::forward::exchange::Exchange;
use crate::ledger::exchange::Usage;
use crate::model::clock::Now;
use crate::model::pins::PinSet;
use crate::pipeline::outbound::{Site, WayOut};

use super::{ConfigInForce, Subject, moment};

/// Every way out, in the order of the configuration.
pub(super) fn page(subject: &Subject) -> Json {
    let (live, config, now) = (
        subject.live.load(),
        subject.config.load(),
        subject.clock.now(),
    );
    let ways = live.ways_out.iter().enumerate();
    let told = ways.map(|(at, way)| {
        json!({
            "name": &*way.policy.name,
            "preset": way.policy.preset.name,
            "endpoints": way.sites.iter().map(endpoint).collect::<Vec<_>>(),
            "budget": budget(way, now),
            "clock": clock(way, now),
            "keys": keys(&config, at, now),
            "open_sockets": way.counters.exchange.sockets(),
        })
    });
    json!({"exchanges": told.collect::<Vec<_>>()})
}

fn endpoint(site: &Site) -> Json {
    let exchange = site.endpoint.as_ref();
    let endpoint = exchange.endpoint();
    let pins = endpoint.pins.as_ref().map(|pins| &pins.value);
    let chain = exchange.seen().chain();
    json!({
        "role": site.role.as_str(),
        "host": endpoint.host,
        "port": endpoint.port,
        "pins": pins.map(|pins| json!({
            "mode": pins.mode().name(),
            "expires": pins.expires().map(moment),
            "pinned": pins.pins().iter().map(ToString::to_string).collect::<Vec<_>>(),
        })),
        "seen": seen(exchange, pins),
        "not_after": chain.and_then(|chain| chain.not_after()).map(moment),
    })
}

/// The keys of the newest chain; empty before the first connection.
fn seen(exchange: &Exchange, pins: Option<&PinSet>) -> Vec<Json> {
    let Some(chain) = exchange.seen().chain() else {
        return Vec::new();
    };
    let link = |link: &crate::forward::exchange::Link| {
        json!({
            "level": link.level.name(),
            "pin": link.pin.to_string(),
            "pinned": pins.is_some_and(|pins| pins.holds(link.pin)),
        })
    };
    chain.links().iter().map(link).collect()
}

/// What is spent, and until when nothing is sent.
fn budget(way: &WayOut, now: Now) -> Json {
    let at = way.freshness.clock.moment(now);
    let state = way.budget.state(at);
    let full = |usage: Usage| {
        json!({
            "interval": usage.interval.to_string(),
            "used": usage.used,
            "limit": usage.limit,
        })
    };
    let until = |left: std::time::Duration| {
        let left = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
        moment(now.unix_seconds().saturating_add(left))
    };
    json!({
        "weight": state.weight.map(full),
        "orders": state.orders.map(full),
        "halted": state.halted.map(|(halt, _)| halt.name()),
        "halted_until": state.halted.map(|(_, left)| until(left)),
    })
}

/// Nothing for an exchange whose time nobody asks here: then this machine's is signed.
fn clock(way: &WayOut, now: Now) -> Json {
    if way.freshness.machine_time {
        return Json::Null;
    }
    let state = way.freshness.clock.shown(now);
    json!({
        "offset_us": state.offset_us,
        "uncertainty_us": state.uncertainty.map(|most| u64::try_from(most.as_micros()).unwrap_or(u64::MAX)),
        "unsynced": state.unsynced.map(|why| why.name()),
        "steps": state.steps,
        "local_steps": state.local_steps,
    })
}

/// The secrets that the section refers to: what each is for, its name, and since when its value is known.
fn keys(config: &ConfigInForce, at: usize, now: Now) -> Vec<Json> {
    let section = format!("outbound[{at}].");
    let key = |setting: &Setting| {
        let setting_name = setting.key.strip_prefix(&section)?;
        let name = setting.value.strip_prefix("secret:")?;
        let (_, since) = config.secrets.since().find(|(known, _)| *known == name)?;
        Some(json!({
            "for": setting_name,
            "name": name,
            "age_seconds": now.since(since).as_secs(),
        }))
    };
    config.settings.iter().filter_map(key).collect()
}
