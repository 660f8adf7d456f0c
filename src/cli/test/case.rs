//! The table of a policy test: what a case may say. Decoded like the configuration, with every fault at its line.

use std::net::IpAddr;

use bytes::Bytes;
use serde_json::{Value as Json, json};

use crate::cli::question::{Sketch, parse_now};
use crate::model::clock::Now;
use crate::model::decode::{Decode, Fields, Section, decode_scalar, one_of};
use crate::model::fault::Faults;
use crate::model::node::{Node, Value};

/// All cases of a file.
pub(super) struct Suite {
    pub(super) cases: Vec<Case>,
}

/// One request and what is expected.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) sketch: Sketch,
    pub(super) expected: Expected,
}

/// What is expected. Only what is said is demanded.
pub(super) struct Expected {
    pub(super) decision: Decision,
    pub(super) status: Option<u32>,
    pub(super) code: Option<String>,
    pub(super) rule: Option<String>,
    pub(super) route: Option<String>,
    pub(super) shadow: Option<Vec<String>>,
}

/// Forwarded, answered by the proxy itself (a preflight), or refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Decision {
    #[default]
    Allow,
    Answer,
    Deny,
}

impl Decision {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Answer => "answer",
            Self::Deny => "deny",
        }
    }
}

impl Section for Suite {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let cases: Option<Vec<Case>> =
            fields.required("cases", "requests and what is expected of each");
        if cases.as_ref().is_some_and(Vec::is_empty) {
            fields.error(
                &fields.place_of("cases"),
                "no case tests nothing",
                "write at least one",
            );
        }
        Some(Self { cases: cases? })
    }
}

impl Section for Case {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name", "what this case shows");
        let request: Option<RequestPart> = fields.required("request", "the request");
        let claims: Option<Claims> =
            fields.optional("claims", "claims that count as a verified token");
        let client_ip: Option<Address> =
            fields.optional("client_ip", "the client's address; without it, loopback");
        let now: Option<Moment> =
            fields.optional("now", "the moment, such as 2026-11-22T10:00:00Z");
        let certificate: Option<String> =
            fields.optional("certificate", "the client's certificate");
        if certificate.is_some() {
            fields.error(
                &fields.place_of("certificate"),
                "this listener speaks clear HTTP and asks for no certificate",
                "leave `certificate` out",
            );
        }
        let expected = fields.required("expect", "the decision");
        let request = request?;
        let sketch = Sketch {
            method: request.method,
            path: request.path,
            headers: request.headers,
            token: None,
            claims: claims.map(|claims| claims.0),
            client_ip: client_ip.map(|address| address.0),
            body: request.body.unwrap_or_default(),
            now: now.map(|moment| moment.0),
        };
        Some(Self {
            name: name?,
            sketch,
            expected: expected?,
        })
    }
}

struct RequestPart {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Bytes>,
}

impl Section for RequestPart {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let method = fields.or("method", "the method", "GET", "GET".to_owned());
        let path = fields.required("path", "path and query");
        let headers: Option<std::collections::BTreeMap<String, String>> =
            fields.optional("headers", "header lines");
        let body: Option<String> = fields.optional("body", "the body, as text");
        Some(Self {
            method,
            path: path?,
            headers: headers.unwrap_or_default().into_iter().collect(),
            body: body.map(Bytes::from),
        })
    }
}

impl Section for Expected {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let decision = fields.required("decision", "allow, deny, or answer for a preflight");
        let status: Option<u32> = fields.optional("status", "the status of our answer");
        let code: Option<String> = fields.optional("code", "the public code of our answer");
        let rule: Option<String> = fields.optional("rule", "the rule that refuses");
        let route = fields.optional("route", "the route that the request goes by");
        let shadow: Option<Vec<String>> =
            fields.optional("shadow", "rules in shadow mode that would refuse");
        if decision == Some(Decision::Allow)
            && (status.is_some() || code.is_some() || rule.is_some())
        {
            fields.error(
                &fields.place(),
                "an allowed request has no status, code or rule of ours",
                "leave them out",
            );
        }
        if decision.is_some_and(|decision| decision != Decision::Allow) && shadow.is_some() {
            fields.error(
                &fields.place_of("shadow"),
                "only a forwarded request goes past shadows",
                "leave it out",
            );
        }
        Some(Self {
            decision: decision?,
            status,
            code,
            rule,
            route,
            shadow,
        })
    }
}

impl Decode for Decision {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        one_of(
            node,
            faults,
            &[
                ("allow", Self::Allow),
                ("answer", Self::Answer),
                ("deny", Self::Deny),
            ],
        )
    }

    fn schema() -> Json {
        json!({"enum": ["allow", "answer", "deny"]})
    }
}

struct Address(IpAddr);

impl Decode for Address {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "an address", faults, |text| {
            text.parse()
                .map(Self)
                .map_err(|_| format!("`{text}` is not an address"))
        })
    }

    fn schema() -> Json {
        json!({"type": "string"})
    }
}

struct Moment(Now);

impl Decode for Moment {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "a time", faults, parse_now).map(Self)
    }

    fn schema() -> Json {
        json!({"type": "string", "format": "date-time"})
    }
}

/// Claims as JSON text.
struct Claims(String);

impl Decode for Claims {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        match &node.value {
            Value::Map(_) => Some(Self(to_json(node).to_string())),
            Value::Null | Value::Scalar { .. } | Value::List(_) => {
                faults.error(
                    &node.place,
                    format!("expected a map of claims, found {}", node.kind()),
                );
                None
            }
        }
    }

    fn schema() -> Json {
        json!({"type": "object"})
    }
}

/// The node as JSON: plain numbers, `true`, `false` and nothing are what they look like, all else is text.
fn to_json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(entries) => Json::Object(
            entries
                .iter()
                .map(|entry| (entry.key.clone(), to_json(&entry.value)))
                .collect(),
        ),
        Value::Scalar { text, quoted: true } => json!(text),
        Value::Scalar {
            text,
            quoted: false,
        } => match text.as_str() {
            "true" => json!(true),
            "false" => json!(false),
            _ => text
                .parse::<serde_json::Number>()
                .map_or_else(|_| json!(text), Json::Number),
        },
    }
}
