//! What the admin listener shows and takes orders for: JSON of what is in force, and each order an audit event. Never
//! shows a secret, and decides nothing about a request.

mod exchanges;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::{Value as Json, json};
use tokio::sync::Notify;

use crate::accept::tls::Shown;
use crate::config::Setting;
use crate::decide::policy::{AuditMode, Mode, Policy, Route, Rule};
use crate::model::clock::{Clock, Now};
use crate::pipeline::Live;
use crate::record::{AdminOrder, Recorder};
use crate::runtime::admin::{Asked, Offer, Run, Show};
use crate::runtime::readiness::Readiness;
use crate::runtime::telemetry::LogLevel;
use crate::secrets::Secrets;

use super::generation::Generation;

/// What pages are about and orders work on.
pub(super) struct Subject {
    pub(super) version: &'static str,
    pub(super) started: Now,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config: Arc<ArcSwap<ConfigInForce>>,
    pub(super) live: Arc<ArcSwap<Live>>,
    pub(super) recorder: Recorder,
    pub(super) readiness: Readiness,
    pub(super) logs: LogLevel,
    /// Notified when a reload is ordered.
    pub(super) ordered: Arc<Notify>,
}

/// What is told of the configuration in force.
pub(super) struct ConfigInForce {
    pub(super) settings: Vec<Setting>,
    pub(super) secrets: Arc<Secrets>,
    pub(super) taken: Now,
}

impl ConfigInForce {
    /// What is told of a generation that is in force from now on.
    pub(super) fn of(generation: &Generation, now: Now) -> Self {
        Self {
            settings: generation.effective.clone(),
            secrets: Arc::clone(&generation.secrets),
            taken: now,
        }
    }
}

/// Something that can be shown.
type Tell = fn(&Subject) -> Json;

/// Something that can be done, by what stands behind the question mark.
type Act = fn(&Subject, &str) -> Result<String, String>;

/// Everything that can be read.
const PAGES: &[(&str, Tell)] = &[
    ("/config_dump", config_dump),
    ("/exchanges", exchanges::page),
    ("/server_info", server_info),
    ("/policies", policies),
    ("/certs", certs),
    ("/secrets", secrets),
];

/// Everything that can be ordered: its path, and its name in the audit.
const ORDERS: &[(&str, &str, Act)] = &[
    ("/drain", "admin.drain", drain),
    ("/loglevel", "admin.loglevel", loglevel),
    ("/reload", "admin.reload", reload),
];

/// The offer of the admin listener.
pub(super) fn offer(subject: Subject) -> Offer {
    let subject = Arc::new(subject);
    let page = |(path, tell): &(&'static str, Tell)| {
        let (subject, tell) = (Arc::clone(&subject), *tell);
        let show: Show = Arc::new(move || format!("{:#}\n", tell(&subject)));
        (*path, show)
    };
    let order = |(path, name, act): &(&'static str, &'static str, Act)| {
        let (subject, name, act) = (Arc::clone(&subject), *name, *act);
        let run: Run = Arc::new(move |asked: &Asked<'_>| subject.order(name, act, asked));
        (*path, run)
    };
    Offer {
        pages: PAGES.iter().map(page).collect(),
        orders: ORDERS.iter().map(order).collect(),
    }
}

impl Subject {
    /// Whatever becomes of it is recorded.
    fn order(&self, name: &'static str, act: Act, asked: &Asked<'_>) -> Result<String, String> {
        let done = act(self, asked.query);
        self.recorder.admin(&AdminOrder {
            name,
            argument: asked.query,
            peer: asked.peer,
            done: done.is_ok(),
        });
        done
    }
}

/// Everything is read again, as after SIGHUP; what comes of it is evidence, a log line and a metric of its own.
fn reload(subject: &Subject, query: &str) -> Result<String, String> {
    if !query.is_empty() {
        return Err("this order takes no query".to_owned());
    }
    subject.ordered.notify_one();
    Ok("the configuration is read again; /server_info tells the generation in force".to_owned())
}

/// Not ready from now on, so that nothing new is sent here; the process ends when it is told so by a signal.
fn drain(subject: &Subject, query: &str) -> Result<String, String> {
    if !query.is_empty() {
        return Err("this order takes no query".to_owned());
    }
    subject.readiness.set_draining();
    tracing::info!("not ready from now on: ordered on the admin listener");
    Ok("not ready from now on; requests are still served until SIGTERM".to_owned())
}

fn loglevel(subject: &Subject, query: &str) -> Result<String, String> {
    let level = query.strip_prefix("level=");
    let level = level.ok_or("write ?level= and a level")?;
    subject.logs.set(level)?;
    tracing::warn!(level, "the log level was changed on the admin listener");
    Ok(format!("logging at {level}"))
}

fn config_dump(subject: &Subject) -> Json {
    let setting = |setting: &Setting| json!({"key": setting.key, "value": setting.value, "origin": setting.origin});
    json!({"settings": subject.config.load().settings.iter().map(setting).collect::<Vec<_>>()})
}

fn server_info(subject: &Subject) -> Json {
    json!({
        "version": subject.version,
        "epoch": subject.recorder.epoch().to_string(),
        "uptime_seconds": subject.clock.now().since(subject.started).as_secs(),
        "generation": subject.live.load().generation,
        "draining": subject.readiness.is_draining(),
        "ready": subject.readiness.report().ready,
    })
}

fn policies(subject: &Subject) -> Json {
    let live = subject.live.load();
    let Policy {
        shared,
        routes,
        limits,
        cors,
    } = &live.snapshot.policy;
    let limit = |spec: &crate::ledger::LimitSpec| {
        json!({
            "name": &*spec.name,
            "count": spec.rate.count,
            "per_seconds": spec.rate.per.as_secs(),
            "burst": spec.burst,
        })
    };
    json!({
        "shared": rules(&shared.admit, &shared.head, &shared.body),
        "routes": routes.iter().map(route).collect::<Vec<_>>(),
        "cors": cors.is_some(),
        "limits": limits.iter().map(limit).collect::<Vec<_>>(),
    })
}

fn route(route: &Route) -> Json {
    let methods: Vec<&str> = route
        .matching
        .methods
        .iter()
        .map(http::Method::as_str)
        .collect();
    let staged = &route.rules;
    json!({
        "name": &*route.name,
        "place": route.place.to_string(),
        "methods": methods,
        "path": route.matching.path.as_str(),
        "hosts": route.matching.hosts,
        "anonymous": route.anonymous,
        "cors": route.cors.is_some(),
        "deprecated": route.deprecation.is_some(),
        "normalise": route.normalise,
        "forward_token": route.forward_token,
        "body_on_get": route.body_on_get,
        "body_bytes_max": route.body_bytes_max.0,
        "audit": match route.audit {
            AuditMode::WithAnswer => "with_answer",
            AuditMode::BeforeForward => "before_forward",
        },
        "rules": rules(&staged.admit, &staged.head, &staged.body),
    })
}

/// The rules in the order in which they are asked.
fn rules(admit: &[Rule], head: &[Rule], body: &[Rule]) -> Vec<Json> {
    let stages = [("admit", admit), ("head", head), ("body", body)];
    let told = |(stage, rules): (&'static str, &[Rule])| {
        let rule = |rule: &Rule| {
            json!({
                "name": &*rule.id.name,
                "place": rule.id.place.to_string(),
                "stage": stage,
                "mode": match rule.mode {
                    Mode::Enforce => "enforce",
                    Mode::Shadow => "shadow",
                },
            })
        };
        rules.iter().map(rule).collect::<Vec<_>>()
    };
    stages.into_iter().flat_map(told).collect()
}

/// The certificates of the listener that speaks TLS, if one does.
fn certs(subject: &Subject) -> Json {
    let live = subject.live.load();
    let shown = live.tls.as_ref().map(|door| door.state().shown());
    let now = subject.clock.now().unix_seconds();
    let certificate = |one: &Shown| {
        json!({
            "name": one.name,
            "kind": if one.key.is_some() { "server" } else { "client_ca" },
            "hosts": one.hosts,
            "not_after": moment(one.not_after),
            "ends_in_seconds": one.not_after.saturating_sub(now),
        })
    };
    let certificates = shown.unwrap_or_default().iter().map(certificate);
    json!({"certificates": certificates.collect::<Vec<_>>()})
}

/// RFC 3339, in UTC.
fn moment(unix_seconds: i64) -> String {
    jiff::Timestamp::from_second(unix_seconds)
        .map_or_else(|_| unix_seconds.to_string(), |moment| moment.to_string())
}

/// Everything that is held and whose value is never told: its name, where it is kept, and for how long it is known.
fn secrets(subject: &Subject) -> Json {
    let all = [token_keys(subject), tls_keys(subject), own(subject)];
    json!({"secrets": all.concat()})
}

/// The secrets that the configuration refers to.
fn own(subject: &Subject) -> Vec<Json> {
    let listing = subject.config.load().secrets.listing(subject.clock.now());
    let Json::Array(mut lines) = listing else {
        return Vec::new();
    };
    for line in lines.iter_mut().filter_map(Json::as_object_mut) {
        line.insert("kind".to_owned(), "secret".into());
    }
    lines
}

/// What tokens are verified with; the keys are public, and even so are not shown.
fn token_keys(subject: &Subject) -> Vec<Json> {
    let live = subject.live.load();
    let Some(tokens) = &live.snapshot.tokens else {
        return Vec::new();
    };
    let (config, now) = (subject.config.load(), subject.clock.now());
    let keyring = tokens.keyring();
    let age = match keyring.fetch_requests() {
        Some(_fetched) => keyring.age(now),
        None => now.since(config.taken),
    };
    let (source, origin) = source_of_keys(&config.settings);
    let key = |kid| held("token_key", kid, source, origin, age);
    keyring.kids().into_iter().map(key).collect()
}

/// The private keys of certificates.
fn tls_keys(subject: &Subject) -> Vec<Json> {
    let live = subject.live.load();
    let shown = live.tls.as_ref().map(|door| door.state().shown());
    let age = subject.clock.now().since(subject.config.load().taken);
    let key = |one: &Shown| {
        let origin = one.key.as_ref()?;
        // The reference to a secret, which has a line of its own.
        let source = match origin.starts_with("secret:") {
            true => "secret",
            false => "file",
        };
        Some(held("tls_key", one.name.clone(), source, origin, age))
    };
    shown.unwrap_or_default().iter().filter_map(key).collect()
}

/// One line. `source` is a word, `origin` the file, or the URL without its query; `age` since it was read or fetched.
fn held(kind: &str, name: String, source: &str, origin: &str, age: Duration) -> Json {
    json!({
        "kind": kind,
        "name": name,
        "source": source,
        "origin": origin,
        "age_seconds": age.as_secs(),
    })
}

/// Where the configuration says that keys are: `file` or `url` and which, or `inline` where the text stands in it.
fn source_of_keys(settings: &[Setting]) -> (&str, &str) {
    let named = settings.iter().find_map(|setting| {
        let source = setting.key.strip_prefix("inbound.tokens.keys.")?;
        matches!(source, "file" | "url" | "inline").then_some((source, setting))
    });
    match named {
        Some(("inline", setting)) => ("inline", setting.origin.as_str()),
        Some((source, setting)) => (source, setting.value.as_str()),
        None => ("", ""),
    }
}
