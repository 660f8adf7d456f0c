//! The guard of `require.mfa_within`: a second factor, and not too long ago (claims `amr`, `auth_time`; RFC 8176, RFC
//! 9470). Never takes a fresh token for a fresh login.

use std::time::Duration;

use crate::model::decode::Fields;
use crate::model::denial::{Advice, Cause, Denial};
use crate::model::units::spell_duration;

use super::{Ask, Context, Guard, GuardKind, Pass, Rule, Scope, Stage};

/// Key `mfa_within` in `require`.
pub(super) struct Kind;

impl GuardKind for Kind {
    fn name(&self) -> &'static str {
        "mfa"
    }

    fn stage(&self) -> Stage {
        Stage::Head
    }

    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Require]
    }

    fn read(&self, _: Scope, context: &Context<'_>, fields: &mut Fields<'_>) -> Vec<Rule> {
        let within: Option<Duration> = fields.optional(
            "mfa_within",
            "how long ago the caller's second factor may have been, such as 15m (claims amr and auth_time)",
        );
        let Some(within) = within else {
            return Vec::new();
        };
        let place = fields.place_of("mfa_within");
        if within.is_zero() {
            fields.error(
                &place,
                "no login is younger than nothing",
                "write a time such as 15m",
            );
        }
        if context.anonymous {
            fields.error(
                &place,
                "an anonymous caller has no second factor",
                "leave `anonymous` or `mfa_within` out",
            );
        }
        vec![context.rule("require.mfa_within", place, MfaGuard { within })]
    }
}

#[derive(Debug)]
struct MfaGuard {
    within: Duration,
}

/// How far `auth_time` may lie ahead of our clock, in seconds.
const AHEAD_MAX: i64 = 30;

impl MfaGuard {
    /// Why the caller's second factor does not do; `None` if it does.
    fn objection(&self, ask: &Ask<'_>) -> Option<String> {
        let Some(identity) = ask.caller.identity() else {
            return Some("needs a second factor; no caller is known".to_owned());
        };
        if !identity.has_second_factor() {
            return Some("the token names no second factor (amr)".to_owned());
        }
        let Some(authenticated) = identity.authenticated_at else {
            return Some("the token does not say when (auth_time)".to_owned());
        };
        let age = ask.now.unix_seconds().saturating_sub(authenticated);
        if age < AHEAD_MAX.saturating_neg() {
            return Some("auth_time lies in the future".to_owned());
        }
        let within = i64::try_from(self.within.as_secs()).unwrap_or(i64::MAX);
        (age > within).then(|| {
            let allowed = spell_duration(self.within);
            format!("the second factor was {age}s ago, {allowed} is allowed")
        })
    }
}

impl Guard for MfaGuard {
    fn check(&self, ask: &Ask<'_>) -> Result<Pass, Box<Denial>> {
        match self.objection(ask) {
            None => Ok(Pass::Plain),
            Some(why) => {
                Err(Denial::new(Cause::MfaRequired, why).advising(Advice::StepUp(self.within)))
            }
        }
    }

    fn explain(&self, ask: &Ask<'_>) -> String {
        self.objection(ask).unwrap_or_else(|| {
            format!(
                "a second factor within the last {}",
                spell_duration(self.within)
            )
        })
    }
}
