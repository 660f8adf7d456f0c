//! The page of the ways out: each exchange as it is known at this moment. Names, numbers, digests of public keys and ages;
//! never a secret's value, never a path or a parameter. And the order that ends a stop before its time.

use serde_json::{Value as Json, json};

use crate::config::Setting;
use crate::forward::exchange::Exchange;
use crate::ledger::exchange::{Extent, Halt, InForce, Moment, NotLifted, Source, Usage};
use crate::model::clock::Now;
use crate::model::pins::PinSet;
use crate::model::units::seconds_up;
use crate::pipeline::outbound::{Site, WayOut};
use crate::runtime::admin::{Asked, NotDone};

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
            "resumes": way.counters.exchange.resumes(),
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
            "source": match usage.source {
                Source::Here => "here",
                Source::Answer => "answer",
                Source::Asked => "asked",
            },
        })
    };
    let until = |left: std::time::Duration| {
        let left = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
        moment(now.unix_seconds().saturating_add(left))
    };
    let stop = |stop: &InForce| {
        json!({
            "halted": stop.halt.name(),
            "extent": match stop.extent {
                Extent::OneCall => "one_call",
                Extent::Everything => "everything",
            },
            "until": until(stop.left),
        })
    };
    let halted = state.halted();
    json!({
        "weight": state.weight.map(full),
        "orders": state.orders.map(full),
        "halted": halted.map(|(halt, _)| halt.name()),
        "halted_until": halted.map(|(_, left)| until(left)),
        "stops": state.stops.iter().flatten().map(stop).collect::<Vec<_>>(),
    })
}

/// Ends a stop of an exchange before its time. Which one has to be said, by the word that the page shows: so nobody lifts
/// a stop unseen, or one that has come meanwhile. The next request then asks for all whether it is over.
pub(super) fn resume(subject: &Subject, asked: &Asked<'_>) -> Result<String, NotDone> {
    let (live, now) = (subject.live.load(), subject.clock.now());
    let mut ways = live.ways_out.iter();
    let Some(way) = ways.find(|way| *way.policy.name == *asked.name) else {
        let names: Vec<&str> = live.ways_out.iter().map(|way| &*way.policy.name).collect();
        let names = match names.is_empty() {
            true => "there are none".to_owned(),
            false => format!("there are: {}", names.join(", ")),
        };
        return Err(NotDone::Unknown(format!(
            "no entry of `outbound` has this name; {names}"
        )));
    };
    let at = way.freshness.clock.moment(now);
    let halt = asked.query.strip_prefix("halted=").and_then(Halt::named);
    let Some(halt) = halt else {
        return Err(NotDone::Wrong(format!(
            "write ?halted= and the stop to lift: banned, too_many_requests or firewall; {}",
            in_force(way, at)
        )));
    };
    let lifted = way.budget.resume(halt, at);
    let left = lifted.map_err(|why| NotDone::Unfit(not_lifted(why, way, at)))?;
    way.counters.exchange.resumed();
    let (outbound, seconds) = (&*way.policy.name, left.as_secs());
    tracing::warn!(
        outbound,
        halted = halt.name(),
        seconds,
        "a stop of an exchange was lifted on the admin listener"
    );
    let with = |other: &&std::sync::Arc<WayOut>| other.budget.stops_with(&way.budget);
    let names = live.ways_out.iter().filter(with);
    let names: Vec<&str> = names.map(|way| &*way.policy.name).collect();
    Ok(format!(
        "lifted {}, which would have lasted {seconds} s, for {}; the next request asks for all whether it is over",
        halt.name(),
        names.join(", ")
    ))
}

fn not_lifted(why: NotLifted, way: &WayOut, at: Moment) -> String {
    match why {
        NotLifted::NoSuchStop => format!("there is no such stop; {}", in_force(way, at)),
        NotLifted::TooMany(wait) => format!(
            "as many stops were lifted as may be in an hour; the next may be in {} s",
            seconds_up(wait)
        ),
    }
}

/// The stops of an exchange, for a person.
fn in_force(way: &WayOut, at: Moment) -> String {
    let told = |stop: &InForce| format!("{} for {} s", stop.halt.name(), stop.left.as_secs());
    let stops: Vec<String> = way
        .budget
        .state(at)
        .stops
        .iter()
        .flatten()
        .map(told)
        .collect();
    match stops.is_empty() {
        true => "nothing is stopped".to_owned(),
        false => format!("in force: {}", stops.join(", ")),
    }
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
