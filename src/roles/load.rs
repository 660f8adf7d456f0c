//! From a configuration to what requests go by: the keys are read, the counters made, the answers prepared.
//! Never binds, never waits.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::accept::facts::FactRules;
use crate::config::Inbound;
use crate::identify::Verifier;
use crate::ledger::Ledger;
use crate::model::fault::{Fault, Severity};
use crate::model::settings::{Allowance, RoleMap, TokenSettings};
use crate::model::units::Rate;
use crate::pipeline::Snapshot;
use crate::transform::Answers;

/// Failures that are counted where no tokens are configured: nobody is asked about them.
const UNASKED: Allowance = Allowance {
    rate: Rate {
        count: NonZeroU32::MIN,
        per: Duration::from_secs(1),
    },
    burst: 1,
};

/// A snapshot, and what its making has to say.
#[derive(Debug)]
pub struct LoadedSnapshot {
    /// What requests go by.
    pub snapshot: Snapshot,
    /// Keys of the set that are not used, a sentence each.
    pub dropped_keys: Vec<String>,
    /// What the verifier was made of.
    pub basis: Option<Basis>,
}

/// What a verifier is made of. As long as it stays the same, the verifier stays, and with it what it remembers.
#[derive(Clone, Debug)]
pub struct Basis {
    settings: TokenSettings,
    roles: RoleMap,
}

impl Basis {
    /// Whether a verifier made of the one would judge every token as one made of the other.
    fn verifies_as(&self, other: &Self) -> bool {
        let Self { settings, roles } = self;
        let TokenSettings {
            issuer,
            audience,
            keys,
            clock_skew,
            lifetime_max,
            token_bytes_max,
            cache_entries_max,
            // Counted in the ledger.
            failures: _,
        } = settings;
        let than = &other.settings;
        *roles == other.roles
            && *issuer == than.issuer
            && *audience == than.audience
            && (&keys.text, &keys.kid) == (&than.keys.text, &than.keys.kid)
            && (*clock_skew, *lifetime_max) == (than.clock_skew, than.lifetime_max)
            && *token_bytes_max == than.token_bytes_max
            && *cache_entries_max == than.cache_entries_max
    }
}

/// What a snapshot may take over from the one before.
#[derive(Clone, Copy, Debug)]
pub struct Before<'b> {
    /// The one before.
    pub snapshot: &'b Snapshot,
    /// What its verifier was made of.
    pub basis: Option<&'b Basis>,
}

/// Builds the snapshot. The only thing that can still be wrong is the key set; the fault stands where it is named.
pub fn snapshot(inbound: Inbound) -> Result<LoadedSnapshot, Box<Fault>> {
    succeeding(inbound, None)
}

/// The same beside the one before: limits, failures and verified tokens stay where nothing about them has changed.
pub fn succeeding(
    inbound: Inbound,
    before: Option<Before<'_>>,
) -> Result<LoadedSnapshot, Box<Fault>> {
    let basis = inbound.tokens.clone().map(|settings| Basis {
        settings,
        roles: inbound.roles,
    });
    let mut dropped_keys = Vec::new();
    let tokens = match &basis {
        None => None,
        Some(basis) => match unchanged(basis, before) {
            Some(verifier) => Some(verifier),
            None => {
                let made = Verifier::new(&basis.settings, &basis.roles);
                let (verifier, dropped) =
                    made.map_err(|error| key_fault(&basis.settings, &error.to_string()))?;
                dropped_keys.extend(dropped.iter().map(ToString::to_string));
                Some(Arc::new(verifier))
            }
        },
    };
    let failures = inbound
        .tokens
        .as_ref()
        .map_or(UNASKED, |tokens| tokens.failures);
    let realm = inbound
        .tokens
        .as_ref()
        .map_or("", |tokens| &tokens.audience);
    let snapshot = Snapshot {
        answers: Answers::new(inbound.headers, inbound.limit_headers, realm),
        fact_rules: FactRules {
            trusted: inbound.client_ip,
            target_bytes_max: inbound.limits.target_bytes_max.as_usize(),
            headers_max: usize::try_from(inbound.limits.headers_max).unwrap_or(usize::MAX),
        },
        ledger: match before {
            Some(before) => {
                Ledger::succeeding(&before.snapshot.ledger, &inbound.policy.limits, failures)
            }
            None => Ledger::new(&inbound.policy.limits, failures),
        },
        policy: inbound.policy,
        tokens,
        timeouts: inbound.timeouts,
    };
    Ok(LoadedSnapshot {
        snapshot,
        dropped_keys,
        basis,
    })
}

/// The verifier of before, if the new one would be the same.
fn unchanged(basis: &Basis, before: Option<Before<'_>>) -> Option<Arc<Verifier>> {
    let before = before?;
    before.basis.filter(|old| old.verifies_as(basis))?;
    before.snapshot.tokens.clone()
}

fn key_fault(settings: &TokenSettings, error: &str) -> Box<Fault> {
    Box::new(Fault {
        severity: Severity::Error,
        place: settings.keys.place.clone(),
        message: format!(
            "the keys of {} cannot be used: {error}",
            settings.keys.origin
        ),
        help: None,
    })
}
