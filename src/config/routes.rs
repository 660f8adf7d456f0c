//! Section `inbound.routes`: what may pass and under which rules. Guards read their own keys from their table; never
//! knows what a guard asks.

use std::cell::RefCell;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::decide::guards::{Context, GUARDS, Scope, Stage};
use crate::decide::policy::{AuditMode, Matching, Mode, Route, Rule, StagedRules, limit_policy};
use crate::ledger::LimitSpec;
use crate::model::cors::Cors;
use crate::model::decode::{
    Decode, Fields, Placed, decode_list, describe_section, one_of, read_section,
};
use crate::model::fault::Faults;
use crate::model::node::Node;
use crate::model::path::PathTemplate;
use crate::model::settings::LimitHeaders;
use crate::model::units::ByteSize;

use super::names::{HostName, Label, MethodName};
use super::numbers::Size;
use super::{cors, deprecation};

/// Routes of one listener: more than anyone can review.
const ROUTES_MAX: usize = 1000;

/// What routes need to know of their listener.
pub(super) struct Listener<'a> {
    /// Whether tokens are configured.
    pub(super) tokens: bool,
    /// The most that a route's body may have.
    pub(super) body_bytes_max: ByteSize,
    /// The listener's own rules, asked for every route.
    pub(super) shared: &'a StagedRules,
    /// The limits of the whole policy so far.
    pub(super) limits: &'a RefCell<Vec<LimitSpec>>,
    /// Which rate-limit fields answers get.
    pub(super) limit_headers: LimitHeaders,
    /// What it says of pages of other origins.
    pub(super) cors: Option<&'a Arc<Cors>>,
}

/// Reads the routes; faulty ones are noted and left out, so that the sound ones are still held against each other.
pub(super) fn read(fields: &mut Fields<'_>, listener: &Listener<'_>) -> Option<Vec<Route>> {
    let doc =
        "what may pass, in this order: the first route that matches is taken, nothing else passes";
    let mut sound = Vec::new();
    let all = fields.required_with(
        "routes",
        doc,
        || {
            let item = describe_section(|item| read_route(item, listener, &mut Vec::new()));
            json!({"type": "array", "minItems": 1, "maxItems": ROUTES_MAX, "items": item})
        },
        |node, faults| {
            decode_list(node, faults, |item, faults| {
                read_section(item, faults, |item| read_route(item, listener, &mut sound))
            })
        },
    );
    if fields.describing() {
        return None;
    }
    let place = fields.place_of("routes");
    let count = all.as_ref().map(Vec::len);
    if count == Some(0) {
        fields.error(
            &place,
            "there are no routes, so nothing would pass",
            "write at least one",
        );
    }
    if count.is_some_and(|count| count > ROUTES_MAX) {
        let message = format!("there are more than {ROUTES_MAX} routes");
        fields.error(&place, message, "join them with path templates");
        return None;
    }
    super::reach::check(fields, &sound);
    all.map(|_| sound)
}

/// Reads one route and puts it behind the sound ones.
fn read_route(
    fields: &mut Fields<'_>,
    listener: &Listener<'_>,
    sound: &mut Vec<Route>,
) -> Option<()> {
    let doc = "the route's name in metrics, audit and explanations: a to z, 0 to 9 and -";
    let name: Option<Placed<Label>> = fields.required("name", doc);
    let matching = fields.required_with(
        "match",
        "which requests the route takes",
        || describe_section(read_match),
        |node, faults| read_section(node, faults, read_match),
    );
    let doc = "whether callers need no token; a bad token is refused all the same";
    let said = fields.optional_with(
        "anonymous",
        doc,
        || json!({"type": "boolean", "default": false}),
        bool::decode,
    );
    // A value that is neither true nor false has its own fault; what would follow from it is not told.
    let unclear = fields.has("anonymous") && said.is_none();
    let anonymous = said.unwrap_or(false);
    let owner = name.as_ref().map_or("route", |name| &name.value.0);
    let context = Context {
        owner,
        tokens: listener.tokens || unclear,
        anonymous,
        mode: Mode::Enforce,
        limits: listener.limits,
    };
    let mut rules = guards(Scope::Route, &context, fields);
    fields.section("require", "what a caller must bring", |section| {
        rules.extend(moded_guards(Scope::Require, &context, section));
        Some(())
    });
    let body = fields.section("body", "what a body must be", |section| {
        rules.extend(moded_guards(Scope::Body, &context, section));
        Some(read_body(section, listener.body_bytes_max))
    });
    let doc = "whether a path in which plain characters stand in percent form is taken, and sent in its plain form";
    let normalise = fields.or("normalise", doc, "false", false);
    let doc = "whether the service gets the `Authorization` header";
    let forward_token = fields.or("forward_token", doc, "false", false);
    let doc = "when the record is written: with_answer, or before_forward to have it durable before the request leaves";
    let audit = fields.or("audit", doc, "with_answer", AuditMode::WithAnswer);
    let cors = cors::read_of_route(fields, listener.limit_headers, listener.cors);
    let doc = "that the route is on its way out, as its answers tell";
    let deprecation = fields.section("deprecated", doc, deprecation::read);
    let (name, matching) = (name?, matching?);
    let (body_bytes_max, body_on_get) = body.unwrap_or((listener.body_bytes_max, false));
    let rules = staged(rules);
    sound.push(Route {
        name: Arc::from(name.value.0.as_str()),
        index: sound.len(),
        place: name.place,
        matching,
        anonymous,
        normalise,
        forward_token,
        body_on_get,
        body_bytes_max,
        audit,
        cors,
        deprecation: deprecation.map(Box::new),
        limit_policy: limit_policy(rules.head.iter().chain(&listener.shared.head)),
        rules,
    });
    Some(())
}

fn read_match(fields: &mut Fields<'_>) -> Option<Matching> {
    let method: Option<MethodName> = fields.optional("method", "the one method");
    let doc = "several methods; without `method` and `methods` every method matches";
    let methods: Option<Vec<MethodName>> = fields.optional("methods", doc);
    let doc = "the path: `{name}` stands for one segment, `/**` at the end for any further ones";
    let path: Option<PathTemplate> = fields.required("path", doc);
    let host: Option<HostName> = fields.optional("host", "the one host, without port");
    let doc = "several hosts; without `host` and `hosts` every host matches";
    let hosts: Option<Vec<HostName>> = fields.optional("hosts", doc);
    one_or_many(fields, "method", "methods", methods.as_ref());
    one_or_many(fields, "host", "hosts", hosts.as_ref());
    let methods = method.into_iter().chain(methods.unwrap_or_default());
    let hosts = host.into_iter().chain(hosts.unwrap_or_default());
    Some(Matching {
        methods: methods.map(|name| name.0).collect(),
        path: path?,
        hosts: hosts.map(|name| name.0).collect(),
    })
}

/// Refuses both keys at once, and an empty list, which reads like "none" and would mean "all".
fn one_or_many<T>(
    fields: &mut Fields<'_>,
    one: &'static str,
    many: &'static str,
    list: Option<&Vec<T>>,
) {
    let place = fields.place_of(many);
    if fields.has(one) && fields.has(many) {
        let message = format!("`{one}` and `{many}` say the same thing twice");
        fields.error(&place, message, format!("put all into `{many}`"));
    }
    if list.is_some_and(Vec::is_empty) {
        let message = format!("an empty list of {many} matches nothing");
        fields.error(
            &place,
            message,
            format!("name one, or leave `{many}` out to match all"),
        );
    }
}

/// The body's own two keys beside those of guards: its size, and whether a GET may have one.
fn read_body(fields: &mut Fields<'_>, most: ByteSize) -> (ByteSize, bool) {
    let doc = "bytes of a body, at most what `bounds.body_bytes_max` says; without it, that";
    let own: Option<Size<0, 1_099_511_627_776>> = fields.optional("bytes_max", doc);
    let own = own.map_or(most, |own| own.0);
    if own > most {
        let place = fields.place_of("bytes_max");
        let message = format!(
            "{} bytes are more than the {} that the listener takes",
            own.0, most.0
        );
        fields.error(
            &place,
            message,
            "lower it, or raise `inbound.bounds.body_bytes_max`",
        );
    }
    let doc = "whether a GET or HEAD may have a body, which few services expect";
    (own, fields.or("allow_on_get", doc, "false", false))
}

/// The guards of a section that has a `mode`.
fn moded_guards(
    scope: Scope,
    route: &Context<'_>,
    fields: &mut Fields<'_>,
) -> Vec<(usize, Stage, Rule)> {
    let doc = "enforce, or shadow to only record what would be refused";
    let mode = fields.or("mode", doc, "enforce", Mode::Enforce);
    guards(scope, &Context { mode, ..*route }, fields)
}

/// Lets every guard of the scope read its keys; each rule comes with its guard's position in the table and its stage.
pub(super) fn guards(
    scope: Scope,
    context: &Context<'_>,
    fields: &mut Fields<'_>,
) -> Vec<(usize, Stage, Rule)> {
    let mut rules = Vec::new();
    for (position, kind) in GUARDS.iter().enumerate() {
        if kind.scopes().contains(&scope) {
            let read = kind.read(scope, context, fields);
            rules.extend(read.into_iter().map(|rule| (position, kind.stage(), rule)));
        }
    }
    rules
}

/// The rules by stage; inside a stage in the order of the table, whatever section they were read from.
pub(super) fn staged(mut rules: Vec<(usize, Stage, Rule)>) -> StagedRules {
    rules.sort_by_key(|(position, ..)| *position);
    let mut staged = StagedRules::default();
    for (_, stage, rule) in rules {
        staged.add(stage, rule);
    }
    staged
}

impl Decode for AuditMode {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let table = [
            ("with_answer", Self::WithAnswer),
            ("before_forward", Self::BeforeForward),
        ];
        one_of(node, faults, &table)
    }

    fn schema() -> Json {
        json!({"enum": ["with_answer", "before_forward"]})
    }
}
