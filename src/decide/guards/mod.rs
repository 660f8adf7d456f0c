//! The guards: one file each, one line each in [`GUARDS`]. A guard reads its own keys and decides nothing but its own
//! question.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use crate::ledger::{Ledger, LimitSpec};
use crate::model::caller::{Caller, Permission};
use crate::model::clock::Now;
use crate::model::decode::Fields;
use crate::model::denial::{Denial, Quota, RuleId};
use crate::model::facts::Facts;
use crate::model::node::Place;

use super::policy::{Mode, Route, Rule};

mod certificate;
mod content_type;
mod ip;
mod json;
mod limits;
mod mfa;
mod permissions;
mod token;

/// Every guard we know, in the order in which they are asked; those that spend something come last.
pub const GUARDS: &[&dyn GuardKind] = &[
    &ip::Kind,
    &certificate::Kind,
    &token::Kind,
    &permissions::Kind,
    &mfa::Kind,
    &content_type::Kind,
    &json::Kind,
    &limits::Kind,
];

/// A kind of guard: its keys in the YAML and how to build it from them.
pub trait GuardKind: Sync {
    /// The guard's name in rule names, documentation and tests.
    fn name(&self) -> &'static str;
    /// When it can be asked.
    fn stage(&self) -> Stage;
    /// Where its keys stand.
    fn scopes(&self) -> &'static [Scope];
    /// Declares its keys and builds its rules; none if its keys are absent. Faults go into `fields`.
    fn read(&self, scope: Scope, context: &Context<'_>, fields: &mut Fields<'_>) -> Vec<Rule>;
}

/// When a guard can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Before the caller is known.
    Admit,
    /// On the head, with the caller known.
    Head,
    /// With the whole body at hand.
    Body,
}

/// Where a guard's keys stand in the YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In `inbound:`, for every request.
    Inbound,
    /// In a route.
    Route,
    /// In a route's `require:`.
    Require,
    /// In a route's `body:`.
    Body,
}

/// What a guard may know of its surroundings while it is built.
#[derive(Debug)]
pub struct Context<'a> {
    /// The route's name, or `inbound`.
    pub owner: &'a str,
    /// Whether tokens are configured at all.
    pub tokens: bool,
    /// Whether clients may show certificates.
    pub client_certificates: bool,
    /// Whether the route says `anonymous: true`.
    pub anonymous: bool,
    /// `mode` of the section the keys stand in.
    pub mode: Mode,
    /// The limits of the whole policy so far; a limit's place in it is how it is found at run time.
    pub limits: &'a RefCell<Vec<LimitSpec>>,
}

/// One built guard. Asked with `&self`: state that changes lives in the ledger.
pub trait Guard: Send + Sync + fmt::Debug {
    /// Lets the request pass, or says why not.
    fn check(&self, ask: &Ask<'_>) -> Result<Pass, Box<Denial>>;
    /// What it looked at, for `explain`; never a secret.
    fn explain(&self, ask: &Ask<'_>) -> String;
    /// The permissions without which nobody passes.
    fn permissions(&self) -> &[Permission] {
        &[]
    }
    /// What it spends from when it is asked; a mere question must then only name it.
    fn limit(&self) -> Option<&LimitSpec> {
        None
    }
}

/// All that a guard may look at.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The request, judged.
    pub facts: &'a Facts,
    /// The route, once it is known.
    pub route: Option<&'a Route>,
    /// Who calls; anonymous at stage [`Stage::Admit`].
    pub caller: &'a Caller,
    /// The whole body at stage [`Stage::Body`]; empty before.
    pub body: &'a [u8],
    /// Counters and limits.
    pub ledger: &'a Ledger,
    /// The moment.
    pub now: Now,
}

/// How a guard let a request pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pass {
    /// With nothing to tell.
    Plain,
    /// With the state of a limit to tell the client.
    Counted(Quota),
}

impl Context<'_> {
    /// A rule of this owner: `name` is the key that it was read from.
    fn rule(&self, name: &str, place: Place, guard: impl Guard + 'static) -> Rule {
        let id = RuleId {
            name: Arc::from(format!("{}/{name}", self.owner)),
            place,
        };
        Rule {
            id,
            mode: self.mode,
            guard: Box::new(guard),
        }
    }
}
