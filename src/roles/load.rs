//! From a configuration to what requests go by: the keys are read, the counters made, the answers prepared.
//! Never binds, never waits.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::accept::body::WholeBodies;
use crate::accept::facts::FactRules;
use crate::config::Inbound;
use crate::identify::keys::KeyError;
use crate::identify::{Keyring, Verifier};
use crate::ledger::Ledger;
use crate::model::fault::{Fault, Severity};
use crate::model::settings::{self, Allowance, RemoteKeys, RoleMap, TokenSettings};
use crate::model::units::Rate;
use crate::pipeline::Snapshot;
use crate::runtime::trust::Unfit;
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
    pub key_source: Option<Arc<KeySource>>,
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
            && keys.source.is_like(&than.keys.source)
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
    /// Where its verifier's keys come from, if they are fetched.
    pub key_source: Option<&'b Arc<KeySource>>,
}

/// Builds the snapshot. What can still be wrong is the key set, or the certificates that its source is trusted by; the
/// fault stands where they are named.
pub fn snapshot(inbound: Inbound) -> Result<LoadedSnapshot, Box<Fault>> {
    succeeding(inbound, None)
}

/// The same beside the one before: limits, failures and verified tokens stay where nothing about them has changed, and
/// fetched keys where their source has not.
pub fn succeeding(
    inbound: Inbound,
    before: Option<Before<'_>>,
) -> Result<LoadedSnapshot, Box<Fault>> {
    let basis = inbound.tokens.clone().map(|settings| Basis {
        settings,
        roles: inbound.roles,
    });
    let made = basis.as_ref().map(|basis| verifier(basis, before));
    let (tokens, key_source, dropped_keys) = match made.transpose()? {
        None => (None, None, Vec::new()),
        Some(made) => (Some(made.verifier), made.key_source, made.dropped_keys),
    };
    let failures = inbound
        .tokens
        .as_ref()
        .map_or(UNASKED, |tokens| tokens.failures);
    let realm = inbound
        .tokens
        .as_ref()
        .map_or("", |tokens| &tokens.audience);
    let whole_max = inbound.limits.whole_body_bytes_max.0;
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
        whole_bodies: match before {
            Some(before) => before.snapshot.whole_bodies.rebound(whole_max),
            None => WholeBodies::new(whole_max),
        },
        policy: inbound.policy,
        tokens,
        timeouts: inbound.timeouts,
    };
    Ok(LoadedSnapshot {
        snapshot,
        dropped_keys,
        key_source,
        basis,
    })
}

/// A verifier, where its keys come from if they are fetched, and which of the others are not used.
struct Made {
    verifier: Arc<Verifier>,
    key_source: Option<Arc<KeySource>>,
    dropped_keys: Vec<String>,
}

/// The verifier of before, if the new one would be the same; otherwise a new one, with the fetched keys of before where
/// they are fetched as before.
fn verifier(basis: &Basis, before: Option<Before<'_>>) -> Result<Made, Box<Fault>> {
    if let Some((verifier, before)) = unchanged(basis, before) {
        return Ok(Made {
            verifier,
            key_source: before.key_source.cloned(),
            dropped_keys: Vec::new(),
        });
    }
    let (settings, roles) = (&basis.settings, &basis.roles);
    let unusable = |error: KeyError| key_fault(settings, &error.to_string());
    let settings::KeySource::Remote(remote) = &settings.keys.source else {
        let (verifier, dropped) = Verifier::new(settings, roles).map_err(unusable)?;
        return Ok(Made {
            verifier: Arc::new(verifier),
            key_source: None,
            dropped_keys: dropped.iter().map(ToString::to_string).collect(),
        });
    };
    let source = key_source(settings, remote, before)?;
    let keyring = Arc::clone(source.keyring());
    let verifier = Verifier::with_keyring(settings, roles, keyring).map_err(unusable)?;
    Ok(Made {
        verifier: Arc::new(verifier),
        key_source: Some(source),
        dropped_keys: Vec::new(),
    })
}

/// The source of before, if it is the same. Its keys, if only the pace has changed; on probation, if other certificates
/// are trusted. Keys of another URL are not believed in the name of this one: it begins without any.
fn key_source(
    settings: &TokenSettings,
    remote: &RemoteKeys,
    before: Option<Before<'_>>,
) -> Result<Arc<KeySource>, Box<Fault>> {
    let old = before.and_then(|before| {
        let basis = before.basis?;
        match &basis.settings.keys.source {
            settings::KeySource::Remote(old) => Some((old, before.key_source?)),
            settings::KeySource::Text { .. } => None,
        }
    });
    let keyring = match old {
        Some((old, source)) if old.is_like(remote) => return Ok(Arc::clone(source)),
        Some((old, source)) if old.trusts_like(remote) => {
            Keyring::following(source.keyring(), remote.stale_max)
        }
        Some((old, source)) if old.url == remote.url => {
            Keyring::following_on_probation(source.keyring(), remote.stale_max)
        }
        Some(_) | None => Keyring::remote(remote.stale_max),
    };
    let made = KeySource::new(remote, &settings.keys.origin, Arc::new(keyring));
    made.map(Arc::new)
        .map_err(|unfit| unfit_fault(settings, remote, &unfit))
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

fn unchanged<'b>(basis: &Basis, before: Option<Before<'b>>) -> Option<(Arc<Verifier>, Before<'b>)> {
    let before = before?;
    before.basis.filter(|old| old.verifies_as(basis))?;
    Some((before.snapshot.tokens.clone()?, before))
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
