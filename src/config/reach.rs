//! What routes say together: two of one name, one that an earlier one hides or takes requests from, a permission that no
//! role grants.
//! Never looks at a route alone.

use std::collections::HashMap;

use crate::decide::policy::{Matching, Route};
use crate::model::caller::Permission;
use crate::model::decode::Fields;
use crate::model::fault::Faults;
use crate::model::node::{Node, Value};
use crate::model::settings::RoleMap;

use super::report::line_of;

/// Refuses names that stand twice and routes that can never match, and warns of those that others let requests past.
pub(super) fn check(fields: &mut Fields<'_>, routes: &[Route]) {
    let mut first: HashMap<&str, &Route> = HashMap::new();
    for (at, route) in routes.iter().enumerate() {
        if let Some(other) = first.get(&*route.name) {
            let message = format!("two routes are called `{}`", route.name);
            let help = format!("the first is in {}", line_of(&other.place));
            fields.error(&route.place, message, help);
            continue;
        }
        first.insert(&route.name, route);
        let mut earlier = routes.iter().take(at);
        if let Some(hides) = earlier.find(|other| covers(&other.matching, &route.matching)) {
            let message = format!("route `{}` can never match", route.name);
            let help = format!(
                "route `{}` in {} takes all its requests: put `{}` above it, or narrow that one",
                hides.name,
                line_of(&hides.place),
                route.name
            );
            fields.error(&route.place, message, help);
            continue;
        }
        let mut earlier = routes.iter().take(at);
        let passed = earlier.find_map(|other| Some((other, spared(other, route)?)));
        if let Some((other, spared)) = passed {
            let message = format!(
                "route `{}` takes some requests of `{}` and does not ask for {spared}",
                other.name, route.name
            );
            let help = format!(
                "it stands in {}: put `{}` above it if that is not meant",
                line_of(&other.place),
                route.name
            );
            fields.warning(&route.place, message, help);
        }
    }
}

/// What `later` asks for and `earlier` does not, of requests that both would take. Not where `earlier` is an exception
/// to `later`: a part of it that stands before the whole.
fn spared(earlier: &Route, later: &Route) -> Option<String> {
    let (one, other) = (&earlier.matching, &later.matching);
    let exception = has_hosts(other, one)
        && other.path.covers(&one.path)
        && (!one.path.covers(&other.path) || has_methods(other, one));
    if exception || !one.meets(other) || !one.path.meets(&other.path) {
        return None;
    }
    if earlier.anonymous && !later.anonymous {
        return Some("a token".to_owned());
    }
    let asked = |wanted: &&Permission| earlier.permissions().any(|own| own == *wanted);
    let missing = later.permissions().find(|wanted| !asked(wanted))?;
    Some(format!("`{}`", missing.as_str()))
}

/// Whether every request that `other` takes is taken by `one`.
fn covers(one: &Matching, other: &Matching) -> bool {
    has_methods(one, other) && has_hosts(one, other) && one.path.covers(&other.path)
}

/// Whether every method of `other` is one of `one`.
fn has_methods(one: &Matching, other: &Matching) -> bool {
    let own = |method| one.methods.contains(method);
    other.methods.iter().all(own)
}

/// Whether every host of `other` is one of `one`; none named means all.
fn has_hosts(one: &Matching, other: &Matching) -> bool {
    let own = |host| one.hosts.contains(host);
    one.hosts.is_empty() || (!other.hosts.is_empty() && other.hosts.iter().all(own))
}

/// Warns of required permissions that no role grants; a token may still carry them itself.
pub(super) fn ungranted(root: &Node, roles: &RoleMap, faults: &mut Faults) {
    let routes = root
        .get("inbound")
        .and_then(|inbound| inbound.get("routes"));
    let lists = list(routes)
        .iter()
        .filter_map(|route| route.get("require")?.get("permissions"));
    for wanted in lists.flat_map(|permissions| list(Some(permissions))) {
        let Value::Scalar { text, .. } = &wanted.value else {
            continue;
        };
        let Ok(permission) = Permission::parse_required(text) else {
            continue;
        };
        if roles
            .values()
            .flatten()
            .any(|grant| grant.grants(&permission))
        {
            continue;
        }
        let message = format!("no role grants `{text}`");
        let help = "only tokens that carry the permission themselves pass; if that is not meant, add it to a role";
        faults.warning(&wanted.place, message, help);
    }
}

fn list(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.value) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}
