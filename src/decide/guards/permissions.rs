//! The guard of `require.permissions`: the caller holds every permission named. Never looks at roles; those have become
//! permissions when the token was verified.

use serde_json::{Value as Json, json};

use crate::model::caller::Permission;
use crate::model::decode::{Decode, Fields, decode_scalar};
use crate::model::denial::{Advice, Cause, Denial};
use crate::model::fault::Faults;
use crate::model::node::Node;

use super::{Ask, Context, Guard, GuardKind, Pass, Rule, Scope, Stage};

/// Key `permissions` in `require`.
pub(super) struct Kind;

impl GuardKind for Kind {
    fn name(&self) -> &'static str {
        "permissions"
    }

    fn stage(&self) -> Stage {
        Stage::Head
    }

    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Require]
    }

    fn read(&self, _: Scope, context: &Context<'_>, fields: &mut Fields<'_>) -> Vec<Rule> {
        let wanted: Option<Vec<Required>> = fields.optional(
            "permissions",
            "permissions the caller must hold, all of them",
        );
        let Some(wanted) = wanted else {
            return Vec::new();
        };
        let place = fields.place_of("permissions");
        if wanted.is_empty() {
            fields.error(
                &place,
                "an empty list of permissions requires nothing",
                "name one, or leave the key out",
            );
        }
        if context.anonymous {
            fields.error(
                &place,
                "an anonymous caller holds no permission",
                "leave `anonymous` or `permissions` out",
            );
        }
        let wanted: Vec<Permission> = wanted.into_iter().map(|required| required.0).collect();
        let names: Vec<&str> = wanted.iter().map(Permission::as_str).collect();
        let scope = names.join(" ");
        vec![context.rule(
            "require.permissions",
            place,
            PermissionGuard { wanted, scope },
        )]
    }
}

/// A permission that a route may require: by name, without a wildcard.
struct Required(Permission);

impl Decode for Required {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "a permission", faults, Permission::parse_required).map(Self)
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+$", "examples": ["orders:place"]})
    }
}

#[derive(Debug)]
struct PermissionGuard {
    wanted: Vec<Permission>,
    scope: String,
}

impl Guard for PermissionGuard {
    fn check(&self, ask: &Ask<'_>) -> Result<Pass, Box<Denial>> {
        let held = |wanted: &Permission| ask.caller.identity().is_some_and(|who| who.may(wanted));
        match self.wanted.iter().find(|wanted| !held(wanted)) {
            None => Ok(Pass::Plain),
            Some(missing) => {
                let detail = format!("the caller does not hold {}", missing.as_str());
                let denial = Denial::new(Cause::PermissionMissing, detail);
                Err(denial.advising(Advice::Scope(self.scope.clone())))
            }
        }
    }

    fn permissions(&self) -> &[Permission] {
        &self.wanted
    }

    fn explain(&self, ask: &Ask<'_>) -> String {
        let held: Vec<&str> = ask
            .caller
            .identity()
            .map(|who| who.permissions.iter().map(Permission::as_str).collect())
            .unwrap_or_default();
        let held = if held.is_empty() {
            "nothing".to_owned()
        } else {
            held.join(" ")
        };
        format!("requires {}; the caller holds {held}", self.scope)
    }
}
