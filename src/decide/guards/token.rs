//! The guard that a route without `anonymous: true` has: a caller who is known. Never looks at what the caller may.

use crate::model::decode::Fields;
use crate::model::denial::{Cause, Denial};

use super::{Ask, Context, Guard, GuardKind, Pass, Rule, Scope, Stage};
use crate::decide::policy::Mode;

/// Stands on every route that does not say `anonymous: true`; no mode turns it into a shadow.
pub(super) struct Kind;

impl GuardKind for Kind {
    fn name(&self) -> &'static str {
        "token"
    }

    fn stage(&self) -> Stage {
        Stage::Head
    }

    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Route]
    }

    fn read(&self, _: Scope, context: &Context<'_>, fields: &mut Fields<'_>) -> Vec<Rule> {
        if context.anonymous {
            return Vec::new();
        }
        if !context.tokens {
            fields.error(
                &fields.place(),
                format!(
                    "route `{}` needs a token, but `inbound.tokens` is missing",
                    context.owner
                ),
                "configure `tokens`, or say `anonymous: true`",
            );
        }
        let rule = context.rule("token", fields.place(), TokenGuard);
        vec![Rule {
            mode: Mode::Enforce,
            ..rule
        }]
    }
}

#[derive(Debug)]
struct TokenGuard;

impl Guard for TokenGuard {
    fn check(&self, ask: &Ask<'_>) -> Result<Pass, Box<Denial>> {
        match ask.caller.identity() {
            Some(_) => Ok(Pass::Plain),
            None => Err(Denial::new(Cause::CredentialsMissing, "no token was sent")),
        }
    }

    fn explain(&self, ask: &Ask<'_>) -> String {
        match ask.caller.identity() {
            Some(identity) => format!("a verified token of {}", identity.subject),
            None => "needs a verified token; there is none".to_owned(),
        }
    }
}
