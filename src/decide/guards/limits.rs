//! The guard of `limits`: token buckets per user, client address, route, claim or for all. Always the last of its
//! stage, because asking spends; what it spent is not given back when something later refuses.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::ledger::{Key, Limit, LimitSpec, Spent};
use crate::model::decode::{Decode, Fields, decode_scalar, one_of};
use crate::model::denial::{Advice, Cause, Denial, Quota};
use crate::model::fault::Faults;
use crate::model::node::Node;
use crate::model::units::Rate;

use super::{Ask, Context, Guard, GuardKind, Pass, Rule, Scope, Stage};
use crate::decide::policy::Mode;

/// Key `limits`, for the listener and for a route.
pub(super) struct Kind;

impl GuardKind for Kind {
    fn name(&self) -> &'static str {
        "limits"
    }

    fn stage(&self) -> Stage {
        Stage::Head
    }

    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Inbound, Scope::Route]
    }

    fn read(&self, _: Scope, context: &Context<'_>, fields: &mut Fields<'_>) -> Vec<Rule> {
        let doc = "token buckets; the tightest is told to the client";
        let rules = fields
            .list_of("limits", doc, |item| read_limit(item, context))
            .unwrap_or_default();
        for (at, rule) in rules.iter().enumerate() {
            if rules
                .iter()
                .take(at)
                .any(|earlier| earlier.id.name == rule.id.name)
            {
                fields.error(
                    &rule.id.place,
                    "two limits of one name",
                    "give each limit its own name",
                );
            }
        }
        rules
    }
}

fn read_limit(item: &mut Fields<'_>, context: &Context<'_>) -> Option<Rule> {
    let name: Option<Name> = item.required("name", "the limit's name, as clients are told");
    let per: Option<Per> = item.required(
        "per",
        "what is counted apart: user, client_ip, route, claim:NAME or all",
    );
    let rate: Option<Rate> = item.required("rate", "what is granted over time, such as 100/min");
    let burst: Option<u32> = item.optional(
        "burst",
        "what is granted at once; without it, the number in `rate`",
    );
    let mode = item.or(
        "mode",
        "enforce, or shadow to only record what would be refused",
        "enforce",
        context.mode,
    );
    if burst == Some(0) {
        let place = item.place_of("burst");
        item.error(
            &place,
            "a burst of 0 would refuse everything",
            "write at least 1",
        );
    }
    if context.anonymous && matches!(per, Some(Per::User | Per::Claim(_))) {
        let place = item.place_of("per");
        item.error(
            &place,
            "an anonymous caller has no user and no claim to count by",
            "write `per: client_ip`",
        );
    }
    let (name, per, rate) = (name?, per?, rate?);
    let spec = LimitSpec {
        name: Arc::from(name.0.as_str()),
        rule: Arc::from(format!("{}/limits.{}", context.owner, name.0)),
        per: Arc::from(per.to_string()),
        rate,
        burst: burst.unwrap_or_else(|| rate.count.get()),
    };
    let mut limits = context.limits.borrow_mut();
    let index = limits.len();
    limits.push(spec.clone());
    let rule = context.rule(
        &format!("limits.{}", name.0),
        item.place(),
        LimitGuard { spec, index, per },
    );
    Some(Rule { mode, ..rule })
}

/// A limit's name: it stands in header fields and in metrics.
struct Name(String);

impl Decode for Name {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "a name", faults, |text| {
            let plain = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte)
            };
            if (1..=63).contains(&text.len()) && text.bytes().all(plain) {
                Ok(Self(text.to_owned()))
            } else {
                Err(format!(
                    "`{text}` is not a name; use a-z, 0-9, - and _, at most 63"
                ))
            }
        })
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^[a-z0-9_-]{1,63}$"})
    }
}

/// What a limit counts apart.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Per {
    User,
    ClientIp,
    Route,
    Claim(String),
    All,
}

impl fmt::Display for Per {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => out.write_str("user"),
            Self::ClientIp => out.write_str("client_ip"),
            Self::Route => out.write_str("route"),
            Self::Claim(name) => write!(out, "claim:{name}"),
            Self::All => out.write_str("all"),
        }
    }
}

impl Decode for Per {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "what is counted apart", faults, |text| match text {
            "user" => Ok(Self::User),
            "client_ip" => Ok(Self::ClientIp),
            "route" => Ok(Self::Route),
            "all" => Ok(Self::All),
            _ => match text.strip_prefix("claim:") {
                Some(name) if !name.is_empty() => Ok(Self::Claim(name.to_owned())),
                Some(_) | None => Err(format!(
                    "`{text}` is nothing to count by; write user, client_ip, route, claim:NAME or all"
                )),
            },
        })
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^(user|client_ip|route|all|claim:.+)$"})
    }
}

impl Decode for Mode {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        one_of(
            node,
            faults,
            &[("enforce", Self::Enforce), ("shadow", Self::Shadow)],
        )
    }

    fn schema() -> Json {
        json!({"enum": ["enforce", "shadow"]})
    }
}

#[derive(Debug)]
struct LimitGuard {
    spec: LimitSpec,
    index: usize,
    per: Per,
}

impl LimitGuard {
    /// The caller's bucket. A caller without the user or claim shares one bucket with all such callers, which is the
    /// strict reading: leaving a claim away must not free anyone of a limit.
    fn key(&self, ask: &Ask<'_>) -> Key {
        let identity = ask.caller.identity();
        match &self.per {
            Per::All => ask.ledger.key(&[]),
            Per::Route => ask
                .ledger
                .key(&[ask.route.map_or("", |route| &route.name).as_bytes()]),
            Per::ClientIp => ask.ledger.address_key(ask.facts.client_ip),
            Per::User => match identity {
                Some(who) => ask
                    .ledger
                    .key(&[who.issuer.as_bytes(), who.subject.as_bytes()]),
                None => ask.ledger.key(&[]),
            },
            Per::Claim(name) => match identity.and_then(|who| who.claims.get(name)) {
                Some(value) => ask.ledger.key(&[value.as_bytes()]),
                None => ask.ledger.key(&[]),
            },
        }
    }

    fn quota(&self, remaining: u32, more_in: std::time::Duration) -> Quota {
        Quota {
            name: Arc::clone(&self.spec.name),
            burst: self.spec.burst,
            remaining,
            more_in,
        }
    }
}

impl Guard for LimitGuard {
    fn check(&self, ask: &Ask<'_>) -> Result<Pass, Box<Denial>> {
        let state = ask
            .ledger
            .limit(self.index)
            .map(|limit: &Limit| limit.spend(self.key(ask), ask.now));
        match state {
            Some(Spent::Granted { remaining }) => Ok(Pass::Counted(
                self.quota(remaining, self.spec.rate.interval()),
            )),
            Some(Spent::Refused { wait }) => {
                let detail = format!("limit {} is spent", self.spec.name);
                Err(Denial::new(Cause::RateLimited, detail)
                    .advising(Advice::Quota(self.quota(0, wait))))
            }
            // The ledger was made for another policy: our mistake, and nobody gets in by it.
            None => Err(Denial::new(
                Cause::Internal,
                "the ledger does not hold this limit",
            )),
        }
    }

    fn explain(&self, _: &Ask<'_>) -> String {
        let LimitSpec { rate, burst, .. } = &self.spec;
        let per = match &self.per {
            Per::User => "for each user".to_owned(),
            Per::ClientIp => "for each client address".to_owned(),
            Per::Route => "for each route".to_owned(),
            Per::Claim(name) => format!("for each value of the claim {name}"),
            Per::All => "over everything".to_owned(),
        };
        format!("{rate}, {burst} at once, {per}")
    }

    fn limit(&self) -> Option<&LimitSpec> {
        Some(&self.spec)
    }
}
