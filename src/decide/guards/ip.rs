//! The guard of `allow_ips` and `deny_ips`, for the listener and for a route. Judges the client address that trusted
//! hops vouch for, never a header.

use crate::model::decode::Fields;
use crate::model::denial::{Cause, Denial};
use crate::model::ip::{Cidr, CidrSet};

use super::{Ask, Context, Guard, GuardKind, Pass, Rule, Scope, Stage};
use crate::decide::policy::Mode;

/// Keys `allow_ips` and `deny_ips`; no mode turns them into a shadow.
pub(super) struct Kind;

impl GuardKind for Kind {
    fn name(&self) -> &'static str {
        "ip"
    }

    fn stage(&self) -> Stage {
        Stage::Admit
    }

    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Inbound, Scope::Route]
    }

    fn read(&self, _: Scope, context: &Context<'_>, fields: &mut Fields<'_>) -> Vec<Rule> {
        let denied: Option<Vec<Cidr>> = fields.optional(
            "deny_ips",
            "networks whose clients are refused, whatever else is said",
        );
        let allowed: Option<Vec<Cidr>> = fields.optional(
            "allow_ips",
            "networks whose clients may come; without it every network may",
        );
        if allowed.as_ref().is_some_and(Vec::is_empty) {
            let place = fields.place_of("allow_ips");
            fields.error(
                &place,
                "an empty `allow_ips` would let nobody in",
                "leave it out to let every network in",
            );
        }
        let lists = [
            ("deny_ips", denied, Listed::Refused),
            ("allow_ips", allowed, Listed::Needed),
        ];
        lists
            .into_iter()
            .filter_map(|(key, networks, listed)| {
                let networks = CidrSet::new(networks?);
                let rule = context.rule(key, fields.place_of(key), IpGuard { networks, listed });
                Some(Rule {
                    mode: Mode::Enforce,
                    ..rule
                })
            })
            .collect()
    }
}

#[derive(Debug)]
struct IpGuard {
    networks: CidrSet,
    listed: Listed,
}

/// What being on the list means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listed {
    Refused,
    Needed,
}

impl Guard for IpGuard {
    fn check(&self, ask: &Ask<'_>) -> Result<Pass, Box<Denial>> {
        match (self.listed, self.networks.contains(ask.facts.client_ip)) {
            (Listed::Refused, false) | (Listed::Needed, true) => Ok(Pass::Plain),
            (Listed::Refused, true) => {
                Err(Denial::new(Cause::Ip, "the address is on the deny list"))
            }
            (Listed::Needed, false) => Err(Denial::new(
                Cause::Ip,
                "the address is not on the allow list",
            )),
        }
    }

    fn explain(&self, ask: &Ask<'_>) -> String {
        let list = match self.listed {
            Listed::Refused => "deny",
            Listed::Needed => "allow",
        };
        let on = if self.networks.contains(ask.facts.client_ip) {
            "is"
        } else {
            "is not"
        };
        format!("{} {on} on the {list} list", ask.facts.client_ip)
    }
}
