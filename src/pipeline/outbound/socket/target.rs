//! Where a WebSocket leads, as its path and query say it: read whole, judged, and said anew, so that nothing else passes.
//! Never passes a credential on.

use std::collections::BTreeSet;

use http::uri::PathAndQuery;

use super::subscriptions::STREAMS_MAX;
use crate::decide::outbound::{self as decide, ExchangePolicy, StreamPermit};
use crate::model::denial::{Cause, Denial};
use crate::model::exchange::Role;
use crate::model::form;
use crate::model::outbound::ClientCredentials;
use crate::model::path::decoded;
use crate::pipeline::outbound::way::WayOut;

/// Parameters that change how answers look, and nothing else.
const API_PARAMS: &[&str] = &["timeUnit", "returnRateLimits"];
const STREAM_PARAMS: &[&str] = &["timeUnit", "streams"];

/// Digits of a connection's number; a key to somebody's account has ten times as many letters.
const NUMBER_DIGITS_MAX: usize = 6;

/// What stands before `/ws` and `/stream` on futures.
const SORTS: &[&str] = &["public", "market", "private"];

/// The target of an upgrade.
#[derive(Debug)]
pub(super) struct SocketTarget {
    /// As it is sent.
    pub(super) to: PathAndQuery,
    /// The streams that it names.
    pub(super) streams: BTreeSet<StreamPermit>,
}

/// Judges a target.
///
/// # Errors
/// [`Cause::ExchangeCredentials`] where credentials are refused; [`Cause::ExchangeParameters`] for a parameter that
/// connections do not have; what [`decide::stream`] says.
pub(super) fn judge(
    way: &WayOut,
    role: Role,
    target: &PathAndQuery,
) -> Result<SocketTarget, Box<Denial>> {
    let own = way.rules.preset.credentials.members;
    let query = target.query().unwrap_or_default();
    let cleaned = form::clean(query.as_bytes(), own);
    let cleaned = cleaned.map_err(|_| unclear("a query with two readings"))?;
    if cleaned.noted.any() && way.rules.credentials == ClientCredentials::Refuse {
        let why = "the handshake brings a key, a time or a signature of its own";
        return Err(Denial::new(Cause::ExchangeCredentials, why));
    }
    match role {
        Role::Streams => streams(&way.policy, target.path(), &cleaned.text),
        Role::Rest | Role::WsApi => {
            let kept = known(&cleaned.text, API_PARAMS)?;
            Ok(SocketTarget {
                to: put_together(target.path(), &kept)?,
                streams: BTreeSet::new(),
            })
        }
    }
}

/// `/ws/NAME/NAME` and `/stream?streams=NAME/NAME`; the names may follow later, in frames.
fn streams(policy: &ExchangePolicy, path: &str, query: &str) -> Result<SocketTarget, Box<Denial>> {
    let whole = path.strip_prefix('/').unwrap_or(path);
    // Futures sort their streams: `/market/ws/NAME`.
    let (sort, rest) = match whole.split_once('/') {
        Some((sort, rest)) if SORTS.contains(&sort) => (Some(sort), rest),
        Some(_) | None => (None, whole),
    };
    let (root, in_path) = rest.split_once('/').unwrap_or((rest, ""));
    let in_query = match root {
        "ws" => None,
        "stream" if in_path.is_empty() => {
            let mut pairs = query.split('&');
            pairs.find_map(|pair| pair.strip_prefix("streams="))
        }
        _ => return Err(unclear("streams are at /ws and /stream")),
    };
    let from_path = in_path
        .split('/')
        .filter(|name| !name.is_empty() && !is_number(name));
    let in_query = in_query.map(text_of).transpose()?.unwrap_or_default();
    let from_query = in_query.split('/').filter(|name| !name.is_empty());
    let mut permits = BTreeSet::new();
    let mut path = match sort {
        Some(sort) => format!("/{sort}/{root}"),
        None => format!("/{root}"),
    };
    for name in from_path {
        let permit = decide::stream(policy, &text_of(name)?)?;
        path.push('/');
        push_name(&mut path, permit.name());
        permits.insert(permit);
    }
    let mut named = String::new();
    for name in from_query {
        let permit = decide::stream(policy, name)?;
        named.push_str(if named.is_empty() { "streams=" } else { "/" });
        push_name(&mut named, permit.name());
        permits.insert(permit);
    }
    if permits.len() > STREAMS_MAX {
        let why = "more streams than one connection may have";
        return Err(Denial::new(Cause::ExchangeLimit, why));
    }
    let mut kept = known(query, STREAM_PARAMS)?;
    kept.retain(|pair| !pair.starts_with("streams="));
    if !named.is_empty() {
        kept.push(&named);
    }
    Ok(SocketTarget {
        to: put_together(&path, &kept)?,
        streams: permits,
    })
}

/// ccxt numbers its connections: `/ws/0`. That names no stream, and is left out.
fn is_number(name: &str) -> bool {
    name.len() <= NUMBER_DIGITS_MAX && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// The pairs of a query, all of which must be known.
fn known<'q>(query: &'q str, names: &[&str]) -> Result<Vec<&'q str>, Box<Denial>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let judged = pairs.map(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        match names.contains(&name) {
            true => Ok(pair),
            false => Err(unclear("a parameter that this WebSocket does not have")),
        }
    });
    judged.collect()
}

fn put_together(path: &str, pairs: &[&str]) -> Result<PathAndQuery, Box<Denial>> {
    let text = match pairs {
        [] => path.to_owned(),
        pairs => format!("{path}?{}", pairs.join("&")),
    };
    PathAndQuery::try_from(text).map_err(|_| unclear("the target is no target"))
}

fn text_of(spelt: &str) -> Result<String, Box<Denial>> {
    let bytes: Vec<u8> = decoded(spelt.as_bytes()).collect();
    String::from_utf8(bytes).map_err(|_| unclear("a name that is not UTF-8"))
}

/// A stream's name, of which only letters of other alphabets and `+` mean something else in a target.
fn push_name(out: &mut String, name: &str) {
    for char in name.chars() {
        match char {
            '@' | '!' | ':' => out.push(char),
            _ => form::push_encoded(out, char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

fn unclear(why: &'static str) -> Box<Denial> {
    Denial::new(Cause::ExchangeParameters, why)
}
