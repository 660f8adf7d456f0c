//! The policy: routes and built guards, immutable once loaded. Plain data that `config` fills in; decides nothing itself.

use std::sync::Arc;

use http::{HeaderValue, Method};

use crate::model::denial::RuleId;
use crate::model::node::Place;
use crate::model::path::PathTemplate;

use super::guards::Guard;

/// Everything `decide` goes by.
#[derive(Debug, Default)]
pub struct Policy {
    /// Rules of the listener, before a route is known.
    pub entry_rules: Vec<Rule>,
    /// The routes; the first that matches is taken.
    pub routes: Vec<Route>,
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
    /// Whether a path may be sent in its canonical form if the client spelt it otherwise.
    pub normalise: bool,
    /// Whether the service gets the `Authorization` header.
    pub forward_token: bool,
    /// Whether a GET or HEAD may have a body.
    pub body_on_get: bool,
    /// The most bytes of a body, if stricter than the listener's.
    pub body_bytes_max: u64,
    /// When the record is written.
    pub audit: AuditMode,
    /// The rules, in the order in which they are asked.
    pub rules: StagedRules,
    /// `RateLimit-Policy`, made at load.
    pub limit_policy: Option<HeaderValue>,
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
