//! The policy: routes and built guards, immutable once loaded. Plain data that `config` fills in; decides nothing itself.

use std::sync::Arc;

use http::{HeaderValue, Method};

use crate::ledger::LimitSpec;
use crate::model::cors::Cors;
use crate::model::denial::RuleId;
use crate::model::node::Place;
use crate::model::path::PathTemplate;
use crate::model::units::ByteSize;

use super::guards::{Guard, Stage};

/// Everything `decide` goes by.
#[derive(Debug, Default)]
pub struct Policy {
    /// Rules of the listener, for every request. At stage `Admit` they are asked before a route is looked for, at the
    /// later stages after the route's own.
    pub shared: StagedRules,
    /// The routes; the first that matches is taken.
    pub routes: Vec<Route>,
    /// The limits that the rules name by position.
    pub limits: Vec<LimitSpec>,
    /// What pages of other origins may read where no route was found.
    pub cors: Option<Arc<Cors>>,
}

/// One route of the YAML.
#[derive(Debug)]
pub struct Route {
    /// Its name: the label of metrics and audit.
    pub name: Arc<str>,
    /// Its position among the routes.
    pub index: usize,
    /// Where it is written.
    pub place: Place,
    /// What it matches.
    pub matching: Matching,
    /// Whether nobody needs to say who they are.
    pub anonymous: bool,
    /// Whether a path may be sent in its canonical form if the client spelt it otherwise.
    pub normalise: bool,
    /// Whether the service gets the `Authorization` header.
    pub forward_token: bool,
    /// Whether a GET or HEAD may have a body.
    pub body_on_get: bool,
    /// The most bytes of a body.
    pub body_bytes_max: ByteSize,
    /// When the record is written.
    pub audit: AuditMode,
    /// The rules, in the order in which they are asked.
    pub rules: StagedRules,
    /// `RateLimit-Policy`, made at load.
    pub limit_policy: Option<HeaderValue>,
    /// What pages of other origins may do here.
    pub cors: Option<Arc<Cors>>,
    /// Since when the route is out of date.
    pub deprecation: Option<Box<Deprecation>>,
}

/// That a route is on its way out: the fields of its answers, made at load, and whether it ends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// `Deprecation` (RFC 9745).
    pub since: HeaderValue,
    /// `Sunset` (RFC 8594).
    pub sunset: Option<HeaderValue>,
    /// A `Link` to what to do about it.
    pub link: Option<HeaderValue>,
    /// From when on it answers 410, in seconds since 1970; `None` if it never does.
    pub gone_from: Option<i64>,
}

/// Which requests a route takes.
#[derive(Clone, Debug)]
pub struct Matching {
    /// The methods; empty means every method.
    pub methods: Vec<Method>,
    /// The path.
    pub path: PathTemplate,
    /// The hosts, in lower case; empty means every host.
    pub hosts: Vec<String>,
}

/// When the record of a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditMode {
    /// With the answer.
    WithAnswer,
    /// Durable before the request leaves.
    BeforeForward,
}

/// The rules of a route by the moment at which they can be asked.
#[derive(Debug, Default)]
pub struct StagedRules {
    /// Before the caller is known.
    pub admit: Vec<Rule>,
    /// On the head, with the caller known.
    pub head: Vec<Rule>,
    /// With the whole body at hand.
    pub body: Vec<Rule>,
}

impl StagedRules {
    /// Puts a rule behind those of its stage.
    pub fn add(&mut self, stage: Stage, rule: Rule) {
        match stage {
            Stage::Admit => self.admit.push(rule),
            Stage::Head => self.head.push(rule),
            Stage::Body => self.body.push(rule),
        }
    }
}

impl Route {
    /// Whether the request's host is one of this route's.
    #[must_use]
    pub fn takes_host(&self, host: &str) -> bool {
        let hosts = &self.matching.hosts;
        hosts.is_empty() || hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
    }

    /// Whether the request's method is one of this route's.
    #[must_use]
    pub fn takes_method(&self, method: &Method) -> bool {
        self.matching.methods.is_empty() || self.matching.methods.contains(method)
    }
}

/// The `RateLimit-Policy` field (draft-ietf-httpapi-ratelimit-headers-11) of the enforced limits among the rules: each
/// bucket's size and the whole seconds in which it fills.
#[must_use]
pub fn limit_policy<'r>(rules: impl IntoIterator<Item = &'r Rule>) -> Option<HeaderValue> {
    let told: Vec<String> = rules
        .into_iter()
        .filter(|rule| rule.mode == Mode::Enforce)
        .filter_map(|rule| rule.guard.limit())
        .map(|spec| {
            format!(
                "\"{}\";q={};w={}",
                spec.name,
                spec.burst,
                spec.window_seconds()
            )
        })
        .collect();
    (!told.is_empty())
        .then(|| HeaderValue::try_from(told.join(", ")).ok())
        .flatten()
}

/// A guard with its name, its place and whether it refuses or only tells.
#[derive(Debug)]
pub struct Rule {
    /// Name and place.
    pub id: RuleId,
    /// Enforced or shadowed.
    pub mode: Mode,
    /// What is asked.
    pub guard: Box<dyn Guard>,
}

/// Whether a refusal counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// It does.
    #[default]
    Enforce,
    /// It is only recorded.
    Shadow,
}
