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
use crate::model::settings::{self, Allowance, RemoteKeys, TokenSettings};
use crate::model::units::Rate;
use crate::pipeline::Snapshot;
use crate::runtime::get::Unfit;
use crate::transform::Answers;

use super::keys::KeySource;

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
    /// What keeps the keys up to date, if they are fetched. Nothing is fetched before it runs.
    pub key_source: Option<KeySource>,
}

/// Builds the snapshot. What can still be wrong is the key set, or the certificates that its source is trusted by; the
/// fault stands where they are named.
pub fn snapshot(inbound: Inbound) -> Result<LoadedSnapshot, Box<Fault>> {
    let (mut dropped_keys, mut key_source) = (Vec::new(), None);
    let tokens = match &inbound.tokens {
        None => None,
        Some(settings) => {
            let made = Verifier::new(settings, &inbound.roles);
            let (verifier, dropped) =
                made.map_err(|error| key_fault(settings, &error.to_string()))?;
            if let settings::KeySource::Remote(remote) = &settings.keys.source {
                let (origin, keyring) = (&settings.keys.origin, verifier.keyring());
                let made = KeySource::new(remote, origin, Arc::clone(keyring));
                key_source = Some(made.map_err(|unfit| unfit_fault(settings, remote, &unfit))?);
            }
            dropped_keys.extend(dropped.iter().map(ToString::to_string));
            Some(verifier)
        }
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
        ledger: Ledger::new(&inbound.policy.limits, failures),
        policy: inbound.policy,
        tokens,
        timeouts: inbound.timeouts,
    };
    Ok(LoadedSnapshot {
        snapshot,
        dropped_keys,
        key_source,
    })
}

fn unfit_fault(settings: &TokenSettings, remote: &RemoteKeys, unfit: &Unfit) -> Box<Fault> {
    let (origin, place) = match (&remote.ca, unfit) {
        (Some(ca), Unfit::Certificates(_)) => (&ca.origin, &ca.place),
        (_, Unfit::Certificates(_) | Unfit::Tls(_) | Unfit::Host(_)) => {
            (&settings.keys.origin, &settings.keys.place)
        }
    };
    Box::new(Fault {
        severity: Severity::Error,
        place: place.clone(),
        message: format!("`{origin}` cannot be used: {unfit}"),
        help: None,
    })
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
