//! Names that users choose: service, routes, roles, hosts, and the grants of roles. Never a name that a metric, a
//! header or a log line could not carry.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value as Json, json};

use crate::decide::policy::Matching;
use crate::model::caller::Permission;
use crate::model::decode::{Decode, decode_list, decode_scalar, scalar, suggest};
use crate::model::facts::is_host_name;
use crate::model::fault::Faults;
use crate::model::node::{Node, Value};
use crate::model::settings::RoleMap;

/// Bytes of a method: more than any that is registered has.
const METHOD_BYTES_MAX: usize = 32;

/// Bytes of a host's name (RFC 1035 section 2.3.4, as text).
const HOST_BYTES_MAX: usize = 253;

/// Methods that are refused before a route is looked for.
const NEVER_FORWARDED: [Method; 2] = [Method::CONNECT, Method::TRACE];

/// The name of a service or route: a label of metrics and of the audit.
#[derive(Clone)]
pub(super) struct Label(pub(super) String);

impl Decode for Label {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "a name", faults, |text| {
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if (1..=63).contains(&text.len()) && text.bytes().all(plain) {
                return Ok(Self(text.to_owned()));
            }
            Err(format!(
                "`{text}` is not a name: use a to z, 0 to 9 and -, at most 63 characters"
            ))
        })
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^[a-z0-9-]{1,63}$"})
    }
}

/// A method that routes can name: in upper case, as no other reaches a route.
#[derive(Clone)]
pub(super) struct MethodName(pub(super) Method);

impl Decode for MethodName {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let text = scalar(node, "a method such as POST", faults)?;
        let usual = Matching::USUAL_METHODS;
        let names: Vec<&str> = usual.iter().map(Method::as_str).collect();
        let help = suggest(&text.to_ascii_uppercase(), &names);
        let plain =
            |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        let sound = text.len() <= METHOD_BYTES_MAX
            && text.starts_with(|first: char| first.is_ascii_uppercase())
            && text.bytes().all(plain);
        let method = Method::from_bytes(text.as_bytes()).ok();
        let method = method.filter(|method| sound && !NEVER_FORWARDED.contains(method));
        match &method {
            None => {
                let message = format!("`{text}` is not a method that a route can take");
                faults.error_with_help(&node.place, message, help);
            }
            Some(method) if !usual.contains(method) && help.starts_with("did you mean") => {
                let message = format!("`{text}` is not a method that HTTP defines");
                faults.warning(&node.place, message, help);
            }
            Some(_) => {}
        }
        method.map(Self)
    }

    fn schema() -> Json {
        let names: Vec<Json> = Matching::USUAL_METHODS
            .iter()
            .map(|method| json!(method.as_str()))
            .collect();
        json!({"type": "string", "pattern": "^[A-Z][A-Z0-9_-]{0,31}$", "examples": names})
    }
}

/// A host without port, in lower case.
#[derive(Clone)]
pub(super) struct HostName(pub(super) String);

impl Decode for HostName {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "a host such as api.example.com", faults, |text| {
            let inner = text
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'));
            let literal = inner.is_some_and(|v6| v6.parse::<std::net::Ipv6Addr>().is_ok());
            let named = text.len() <= HOST_BYTES_MAX && is_host_name(text);
            if named || literal {
                return Ok(Self(text.to_ascii_lowercase()));
            }
            Err(format!(
                "`{text}` is not a host; write it without port, wildcard and empty labels"
            ))
        })
    }

    fn schema() -> Json {
        json!({"type": "string", "maxLength": HOST_BYTES_MAX, "pattern": "^([A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*|\\[[0-9A-Fa-f:.]+\\])$"})
    }
}

/// What each role may.
pub(super) struct Roles(pub(super) RoleMap);

impl Decode for Roles {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let message = format!(
                "expected roles with their permissions, found {}",
                node.kind()
            );
            faults.error_with_help(&node.place, message, "write `trader: [orders:place]`");
            return None;
        };
        let mut roles = Some(BTreeMap::new());
        for entry in entries {
            let sound = is_role(&entry.key);
            if !sound {
                let message = format!("`{}` is not a role name", entry.key);
                let help = "use letters, digits and . _ : / -, at most 128 characters";
                faults.error_with_help(&entry.key_place, message, help);
            }
            if !matches!(entry.value.value, Value::List(_)) {
                let place = &entry.value.place;
                let message = format!(
                    "expected a list of permissions, found {}",
                    entry.value.kind()
                );
                let help = format!("write `{}: [orders:place]`, with brackets", entry.key);
                faults.error_with_help(place, message, help);
                roles = None;
                continue;
            }
            let grants = decode_list(&entry.value, faults, |item, faults| {
                decode_scalar(item, "a permission", faults, Permission::parse_grant)
            });
            roles = roles
                .zip(grants)
                .filter(|_| sound)
                .map(|(mut roles, grants)| {
                    roles.insert(entry.key.clone(), grants);
                    roles
                });
        }
        roles.map(Self)
    }

    fn schema() -> Json {
        json!({
            "type": "object",
            "propertyNames": {"pattern": "^[A-Za-z0-9._:/-]{1,128}$"},
            "additionalProperties": {
                "type": "array",
                "items": {"type": "string", "pattern": "^[A-Za-z0-9_.-]+:([A-Za-z0-9_.-]+|\\*)$"},
            },
        })
    }
}

fn is_role(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(plain)
}
