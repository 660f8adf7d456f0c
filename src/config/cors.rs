//! Section `cors`, of the listener and of routes: which pages of other origins may read answers. Never takes an origin
//! in a spelling that no browser sends.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value as Json, json};

use crate::model::cors::{Cors, OriginPattern, Origins};
use crate::model::decode::{Decode, Fields, describe_section, read_section, scalar};
use crate::model::fault::Faults;
use crate::model::node::{Node, Place, Value};
use crate::model::settings::LimitHeaders;

use super::names::MethodName;
use super::numbers::{HOUR, Time};

/// Names in a list: more than anyone can review.
const NAMES_MAX: usize = 100;

/// What programs in pages send to an API with tokens and traces.
const HEADERS: [&str; 4] = [
    "authorization",
    "content-type",
    "traceparent",
    "x-request-id",
];

/// Headers that pages may set anyway, as long as their values are plain (Fetch section 2.2.2); here with any value.
const SAFELISTED: [&str; 5] = [
    "accept",
    "accept-language",
    "content-language",
    "content-type",
    "range",
];

/// What our own answers tell beside the rate-limit fields.
const EXPOSED: [&str; 2] = ["Retry-After", "X-Request-Id"];

/// Reads the section.
pub(super) fn read(fields: &mut Fields<'_>, limit_headers: LimitHeaders) -> Option<Cors> {
    let doc = "origins of the pages, such as https://app.example.com; https://*.example.com for all one label below; or only \"*\", for everybody";
    let origins: Option<Vec<Origin>> = fields.required("origins", doc);
    let doc = "methods that pages may use; without it, those of the routes at the path";
    let methods: Option<Vec<MethodName>> = fields.optional("methods", doc);
    let doc = "request headers that pages may set; without it, authorization, content-type, traceparent and x-request-id";
    let headers: Option<Vec<Header>> = fields.optional("headers", doc);
    let doc = "headers of answers that pages may read, beside our own";
    let expose: Option<Vec<Header>> = fields.optional("expose", doc);
    let doc = "whether browsers send cookies and client certificates along; tokens in Authorization do not need it";
    let credentials = fields.or("credentials", doc, "false", false);
    let doc = "how long a browser remembers a preflight";
    let max_age = fields.or(
        "max_age",
        doc,
        "10m",
        Time::<0, { 24 * HOUR }>(Duration::from_secs(600)),
    );
    refuse_empty(fields, "methods", methods.as_deref());
    refuse_empty(fields, "origins", origins.as_deref());
    for (key, count) in [
        ("origins", origins.as_ref().map(Vec::len)),
        ("headers", headers.as_ref().map(Vec::len)),
        ("expose", expose.as_ref().map(Vec::len)),
    ] {
        if count.is_some_and(|count| count > NAMES_MAX) {
            let place = fields.place_of(key);
            fields.error(
                &place,
                format!("there are more than {NAMES_MAX} {key}"),
                "name fewer",
            );
        }
    }
    let origins = judge_origins(fields, origins?, credentials)?;
    let methods = methods.unwrap_or_default().into_iter();
    let named = headers.map(|headers| headers.into_iter().map(|header| header.0).collect());
    let headers = allowed(named.unwrap_or_else(|| HEADERS.map(HeaderName::from_static).into()));
    Some(Cors {
        origins,
        methods: methods
            .map(|method: MethodName| method.0)
            .collect::<Vec<Method>>(),
        headers_line: joined(headers.iter().map(HeaderName::as_str)),
        headers,
        expose_line: exposed(limit_headers, &expose.unwrap_or_default()),
        credentials,
        max_age: HeaderValue::from(max_age.0.as_secs()),
    })
}

/// Reads a route's own `cors`; without it the listener's holds.
pub(super) fn read_of_route(
    fields: &mut Fields<'_>,
    limit_headers: LimitHeaders,
    of_listener: Option<&Arc<Cors>>,
) -> Option<Arc<Cors>> {
    let doc = "in place of what the listener says of pages of other origins; none leaves it to the service";
    let own = fields.optional_with(
        "cors",
        doc,
        || {
            let section = describe_section(|section| read(section, limit_headers));
            json!({"anyOf": [{"const": "none"}, section]})
        },
        |node, faults| match &node.value {
            Value::Scalar { text, .. } if text == "none" => Some(None),
            Value::Scalar { text, .. } => {
                let message = format!("`{text}` says nothing of other origins");
                let help = "write `none`, or `origins:` and what belongs to them";
                faults.error_with_help(&node.place, message, help);
                None
            }
            Value::Map(_) | Value::List(_) | Value::Null => {
                read_section(node, faults, |section| read(section, limit_headers)).map(Some)
            }
        },
    );
    match own {
        Some(own) => own.map(Arc::new),
        None => of_listener.cloned(),
    }
}

/// `*` stands alone and without credentials; clear origins elsewhere are worth a word.
fn judge_origins(
    fields: &mut Fields<'_>,
    origins: Vec<Origin>,
    credentials: bool,
) -> Option<Origins> {
    let any = origins.iter().find(|origin| origin.pattern.is_none());
    if let Some(any) = any {
        if credentials {
            let help = "name the origins, or say `credentials: false`: tokens in Authorization need no credentials";
            let message =
                "`*` with credentials would let every page act as its visitor; browsers refuse it";
            fields.error(&any.place, message, help);
            return None;
        }
        if origins.len() > 1 {
            fields.error(
                &any.place,
                "`*` is everybody already",
                "leave out the others, or `*`",
            );
            return None;
        }
        return Some(Origins::Any);
    }
    let mut patterns: Vec<OriginPattern> = Vec::new();
    for Origin { pattern, place } in origins {
        let Some(pattern) = pattern else { continue };
        if patterns.contains(&pattern) {
            fields.error(
                &place,
                format!("`{pattern}` stands here twice"),
                "leave one out",
            );
        }
        if pattern.is_clear_and_remote() {
            let message = format!("pages of {pattern} can be altered on their way to the browser");
            let help = "whoever alters them may do all that you allow them: serve them by https";
            fields.warning(&place, message, help);
        }
        patterns.push(pattern);
    }
    Some(Origins::Listed(patterns))
}

/// An empty list reads like "none" and would mean "all".
fn refuse_empty<T>(fields: &mut Fields<'_>, key: &'static str, list: Option<&[T]>) {
    if list.is_some_and(<[T]>::is_empty) {
        let place = fields.place_of(key);
        let help = format!(
            "name one, or leave `{}` out",
            if key == "origins" { "cors" } else { key }
        );
        fields.error(
            &place,
            format!("an empty list of {key} allows nothing"),
            help,
        );
    }
}

/// The names, and those that need no permission behind them.
fn allowed(mut names: Vec<HeaderName>) -> Vec<HeaderName> {
    names.extend(SAFELISTED.map(HeaderName::from_static));
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn exposed(style: LimitHeaders, named: &[Header]) -> HeaderValue {
    const DRAFT: &[&str] = &["RateLimit", "RateLimit-Policy"];
    const LEGACY: &[&str] = &[
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
    ];
    let (draft, legacy) = match style {
        LimitHeaders::Draft => (DRAFT, &[][..]),
        LimitHeaders::Legacy => (&[][..], LEGACY),
        LimitHeaders::Both => (DRAFT, LEGACY),
        LimitHeaders::None => (&[][..], &[][..]),
    };
    let own = draft.iter().chain(legacy).chain(&EXPOSED).copied();
    joined(own.chain(named.iter().map(|header| header.0.as_str())))
}

fn joined<'n>(names: impl Iterator<Item = &'n str>) -> HeaderValue {
    let names: Vec<&str> = names.collect();
    // Names and commas are a header value.
    HeaderValue::try_from(names.join(", ")).unwrap_or(HeaderValue::from_static(""))
}

/// One of `origins`; none is `*`.
struct Origin {
    pattern: Option<OriginPattern>,
    place: Place,
}

impl Decode for Origin {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let text = scalar(node, "an origin such as https://app.example.com", faults)?;
        let place = node.place.clone();
        if text == "*" {
            return Some(Self {
                pattern: None,
                place,
            });
        }
        match OriginPattern::parse(text) {
            Ok(pattern) => Some(Self {
                pattern: Some(pattern),
                place,
            }),
            Err(fault) => {
                faults.error_with_help(&place, fault.message, fault.help);
                None
            }
        }
    }

    fn schema() -> Json {
        json!({
            "type": "string",
            "pattern": "^(\\*|https?://(\\*\\.)?([a-z0-9_.-]+|\\[[0-9a-f:.]+\\])(:[1-9][0-9]{0,4})?)$",
            "examples": ["https://app.example.com", "https://*.example.com"],
        })
    }
}

/// A header that pages may set or read.
struct Header(HeaderName);

impl Decode for Header {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let text = scalar(node, "a header name such as x-client-version", faults)?;
        if text == "*" {
            let help = "name them: browsers leave authorization out of `*`, and take it as a name where credentials are sent";
            faults.error_with_help(&node.place, "`*` is no header", help);
            return None;
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let sound =
            text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(plain);
        let name = HeaderName::from_bytes(text.as_bytes())
            .ok()
            .filter(|_| sound);
        if name.is_none() {
            let help = "use letters, digits, - and _";
            faults.error_with_help(&node.place, format!("`{text}` is not a header name"), help);
        }
        name.map(Self)
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]*$"})
    }
}
