//! One table over all guards: for each, a request that it refuses, one that it lets pass, and a case for every key it
//! reads. A guard that is added to `GUARDS` without cases here fails these tests, and so does a key.

use std::cell::RefCell;
use std::collections::BTreeSet;

use outrider::decide::Said;
use outrider::decide::guards::{Context, GUARDS, GuardKind, Scope};
use outrider::decide::policy::Mode;
use outrider::model::certificate::CertificateNames;
use outrider::model::decode::describe_section;
use outrider::model::denial::Cause;
use outrider::pipeline::Verdict;
use serde_json::{Value, json};

use crate::support::{Ask, START, ask, get, line, policy};

/// One policy, one request, and what the guard must say to it.
struct Case {
    guard: &'static str,
    scope: Scope,
    /// Keys that the case shows at work.
    keys: &'static [&'static str],
    /// Lines under `inbound`, or under the one route.
    yaml: &'static str,
    request: Ask,
    rule: &'static str,
    /// `None` where it lets the request pass.
    refuses: Option<Cause>,
}

fn case(
    (guard, scope, keys): (&'static str, Scope, &'static [&'static str]),
    yaml: &'static str,
    rule: &'static str,
    request: Ask,
    refuses: Option<Cause>,
) -> Case {
    Case {
        guard,
        scope,
        keys,
        yaml,
        request,
        rule,
        refuses,
    }
}

const PER_USER: &str = "limits: [{ name: few, per: user, rate: 1/min, burst: 1 }]";
const SHADOWED: &str = "limits: [{ name: few, per: all, rate: 1/min, mode: shadow }]";
const ASKS_CLIENTS: &str = "tls: { certificate: a.crt, key: a.key, client_ca: ca.crt }";
const DEPTH: &str = "body: { json: true, depth_max: 2 }";

fn cases() -> Vec<Case> {
    let mut all = admission();
    all.extend(authority());
    all.extend(certificates());
    all.extend(bodies());
    all.extend(limits());
    all
}

fn admission() -> Vec<Case> {
    use Scope::{Inbound, Route};
    let listed = "deny_ips: [10.66.0.0/16]";
    let allowed = "allow_ips: [10.0.0.0/8]";
    let refused = Some(Cause::Ip);
    let at = |address: &str| get().known().from(address);
    let deny = |scope| ("ip", scope, &["deny_ips"][..]);
    let allow = |scope| ("ip", scope, &["allow_ips"][..]);
    let token = ("token", Route, &[][..]);
    vec![
        case(
            deny(Inbound),
            listed,
            "inbound/deny_ips",
            at("10.66.0.1"),
            refused,
        ),
        case(
            deny(Inbound),
            listed,
            "inbound/deny_ips",
            at("10.65.0.1"),
            None,
        ),
        case(
            allow(Inbound),
            allowed,
            "inbound/allow_ips",
            at("11.0.0.1"),
            refused,
        ),
        case(
            allow(Inbound),
            allowed,
            "inbound/allow_ips",
            at("10.0.0.1"),
            None,
        ),
        case(
            deny(Route),
            listed,
            "here/deny_ips",
            at("10.66.0.1"),
            refused,
        ),
        case(deny(Route), listed, "here/deny_ips", at("10.65.0.1"), None),
        case(
            allow(Route),
            allowed,
            "here/allow_ips",
            at("11.0.0.1"),
            refused,
        ),
        case(
            allow(Route),
            allowed,
            "here/allow_ips",
            at("10.0.0.1"),
            None,
        ),
        case(
            token,
            "",
            "here/token",
            get(),
            Some(Cause::CredentialsMissing),
        ),
        case(token, "", "here/token", get().known(), None),
    ]
}

fn authority() -> Vec<Case> {
    let permissions = ("permissions", Scope::Require, &["permissions"][..]);
    let place = "require: { permissions: [orders:place] }";
    let mfa = ("mfa", Scope::Require, &["mfa_within"][..]);
    let within = "require: { mfa_within: 15m }";
    let factor = |age: i64| json!({"amr": ["pwd", "otp"], "auth_time": START - age});
    let missing = Some(Cause::PermissionMissing);
    let (held, rule) = (json!({"roles": ["trader"]}), "here/require.permissions");
    let (step_up, mfa_rule) = (Some(Cause::MfaRequired), "here/require.mfa_within");
    vec![
        case(permissions, place, rule, get().known(), missing),
        case(permissions, place, rule, get().by("a", held), None),
        case(mfa, within, mfa_rule, get().by("a", factor(901)), step_up),
        case(mfa, within, mfa_rule, get().by("a", factor(900)), None),
    ]
}

fn certificates() -> Vec<Case> {
    let any = ("certificate", Scope::Require, &["client_certificate"][..]);
    let named = (
        "certificate",
        Scope::Require,
        &["client_certificate", "subjects", "dns", "uris", "emails"][..],
    );
    let rule = "here/require.client_certificate";
    let one = "require: { client_certificate: true }";
    let names = "require: { client_certificate: { subjects: [CN=bot], dns: [bot.example], uris: [spiffe://prod/bot], emails: [bot@jts.example] } }";
    let missing = Some(Cause::CertificateMissing);
    let holder = |subject: &str| {
        get().known().holding(CertificateNames {
            subject: subject.to_owned(),
            ..CertificateNames::default()
        })
    };
    let dns = CertificateNames {
        dns: vec!["bot.example".to_owned()],
        ..CertificateNames::default()
    };
    let other = Some(Cause::CertificateName);
    vec![
        case(any, one, rule, get().known(), missing),
        case(any, one, rule, holder("CN=other"), None),
        case(named, names, rule, get().known(), missing),
        case(named, names, rule, holder("CN=other"), other),
        case(named, names, rule, holder("CN=bot"), None),
        case(named, names, rule, get().known().holding(dns), None),
    ]
}

fn bodies() -> Vec<Case> {
    let content = ("content_type", Scope::Body, &["content_types"][..]);
    let json = ("json", Scope::Body, &["json"][..]);
    let depth = ("json", Scope::Body, &["json", "depth_max"][..]);
    let types = "body: { content_types: [application/json] }";
    let sent = |kind: &str, body: &str| {
        let request = ask("POST", "/").known().body(body);
        request.with("content-type", kind)
    };
    let (good, form) = (
        sent("application/json", "{}"),
        sent("text/plain", "buy 100"),
    );
    let (type_rule, json_rule) = ("here/body.content_types", "here/body.json");
    let deep = |body: &str| sent("application/json", body);
    let broken = sent("application/json", "buy 100");
    vec![
        case(content, types, type_rule, form, Some(Cause::ContentType)),
        case(content, types, type_rule, good.clone(), None),
        case(
            json,
            "body: { json: true }",
            json_rule,
            broken,
            Some(Cause::Json),
        ),
        case(json, "body: { json: true }", json_rule, good, None),
        case(depth, DEPTH, json_rule, deep("[[[]]]"), Some(Cause::Json)),
        case(depth, DEPTH, json_rule, deep("[[]]"), None),
    ]
}

fn limits() -> Vec<Case> {
    let spent = Some(Cause::RateLimited);
    let all: &[&str] = &["limits", "name", "per", "rate", "burst"];
    let shadow: &[&str] = &["limits", "name", "per", "rate", "mode"];
    let of = |scope, keys| ("limits", scope, keys);
    let (route, own) = (of(Scope::Route, all), of(Scope::Inbound, all));
    let (route_shadow, own_shadow) = (of(Scope::Route, shadow), of(Scope::Inbound, shadow));
    let known = get().known();
    vec![
        case(route, PER_USER, "here/limits.few", known.clone(), None),
        case(route, PER_USER, "here/limits.few", known.clone(), spent),
        case(
            route_shadow,
            SHADOWED,
            "here/limits.few",
            known.clone(),
            None,
        ),
        case(own, PER_USER, "inbound/limits.few", known.clone(), None),
        case(own, PER_USER, "inbound/limits.few", known.clone(), spent),
        case(own_shadow, SHADOWED, "inbound/limits.few", known, None),
    ]
}

/// The policy of a case, with its lines where its scope wants them.
fn written(case: &Case) -> (String, String) {
    let route = "- name: here\n  match: { path: /** }";
    match case.scope {
        Scope::Inbound => (case.yaml.to_owned(), route.to_owned()),
        Scope::Route | Scope::Require | Scope::Body => {
            let asks = case.guard == "certificate";
            let listener = if asks { ASKS_CLIENTS } else { "" };
            (listener.to_owned(), format!("{route}\n  {}", case.yaml))
        }
    }
}

#[test]
fn every_guard_says_what_its_cases_expect() {
    for case in cases() {
        let (listener, route) = written(&case);
        let what = format!("{}: {} {:?}", case.rule, case.yaml, case.request);
        let snapshot = policy(&listener, &route);
        let limit = case.guard == "limits";
        if limit && case.refuses.is_some() {
            case.request.live(&snapshot).unwrap();
        }
        let live = case.request.live(&snapshot);
        match (live, case.refuses) {
            (Ok(_), None) => {}
            (Err(denial), Some(cause)) => {
                assert_eq!(denial.cause, cause, "{what}");
                let rule = denial.rule.unwrap_or_else(|| panic!("{what}"));
                assert_eq!(&*rule.name, case.rule);
            }
            (live, _) => panic!("{what}: {live:?}"),
        }
        let found = case.request.explained(&snapshot);
        let said = line(&found, case.rule).said;
        match case.refuses {
            _ if limit => assert_eq!(said, Said::Named, "{what}"),
            None => assert_eq!(said, Said::Pass, "{what}"),
            Some(cause) => assert_eq!(said, Said::Deny(cause), "{what}"),
        }
        let refused = matches!(found.verdict, Verdict::Refused(_));
        assert_eq!(refused, case.refuses.is_some() && !limit, "{what}");
    }
}

#[test]
fn every_guard_has_a_refusing_and_a_passing_case_in_each_of_its_scopes() {
    let cases = cases();
    for kind in GUARDS {
        for scope in kind.scopes() {
            let mut own = cases
                .iter()
                .filter(|case| case.guard == kind.name() && case.scope == *scope);
            let (name, refusing) = (kind.name(), own.clone().any(|case| case.refuses.is_some()));
            assert!(refusing, "guard {name} ({scope:?}) has no refusing case");
            let passing = own.any(|case| case.refuses.is_none());
            assert!(passing, "guard {name} ({scope:?}) has no passing case");
        }
    }
    let known: BTreeSet<&str> = GUARDS.iter().map(|kind| kind.name()).collect();
    for case in &cases {
        assert!(known.contains(case.guard), "no guard is {}", case.guard);
    }
}

#[test]
fn every_key_of_every_guard_has_a_case() {
    let cases = cases();
    for case in &cases {
        for key in case.keys {
            let written = case.yaml.contains(&format!("{key}:"));
            assert!(written, "{} does not write {key}", case.rule);
        }
    }
    for kind in GUARDS {
        for scope in kind.scopes() {
            for key in keys(*kind, *scope) {
                let covered = cases.iter().any(|case| {
                    case.guard == kind.name()
                        && case.scope == *scope
                        && case.keys.contains(&key.as_str())
                });
                let name = kind.name();
                assert!(covered, "key {key} of guard {name} ({scope:?}) has no case");
            }
        }
    }
}

/// The keys that a guard declares, those of its lists' items included.
fn keys(kind: &dyn GuardKind, scope: Scope) -> Vec<String> {
    let limits = RefCell::new(Vec::new());
    let context = Context {
        owner: "here",
        tokens: true,
        client_certificates: true,
        anonymous: false,
        mode: Mode::Enforce,
        limits: &limits,
    };
    let schema = describe_section(|fields| Some(kind.read(scope, &context, fields)));
    let mut found = Vec::new();
    collect(&schema, &mut found);
    found
}

fn collect(schema: &Value, found: &mut Vec<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        for (key, inner) in properties {
            found.push(key.clone());
            collect(inner, found);
            collect(&inner["items"], found);
            let ways = inner["anyOf"].as_array();
            ways.into_iter()
                .flatten()
                .for_each(|way| collect(way, found));
        }
    }
}

#[test]
fn the_declared_keys_are_found() {
    let all: BTreeSet<String> = GUARDS
        .iter()
        .flat_map(|kind| {
            let scopes = kind.scopes().iter();
            scopes.flat_map(|scope| keys(*kind, *scope))
        })
        .collect();
    for key in ["deny_ips", "permissions", "depth_max", "limits", "per"] {
        assert!(all.contains(key), "{key} is not among {all:?}");
    }
}
