//! What routes say together: two of one name, one that an earlier one hides, a permission that no role grants.
//! Never looks at a route alone.

use std::collections::HashMap;

use crate::decide::policy::{Matching, Route};
use crate::model::caller::Permission;
use crate::model::decode::Fields;
use crate::model::fault::Faults;
use crate::model::node::{Node, Value};
use crate::model::settings::RoleMap;

use super::report::line_of;

/// Refuses names that stand twice, and routes that can never match.
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
        }
    }
}

/// Whether every request that `other` takes is taken by `one`.
fn covers(one: &Matching, other: &Matching) -> bool {
    let methods = |method| one.methods.contains(method);
    other.methods.iter().all(methods) && has_hosts(one, other) && one.path.covers(&other.path)
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
