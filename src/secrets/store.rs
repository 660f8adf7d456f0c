//! The secrets that one configuration goes by, as an immutable set: each with its source, its version and its age. Never
//! tells a value, nor anything that a value could be guessed from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::model::clock::Now;
use crate::model::secret::{SecretBytes, SecretName};

use super::resolver::{Found, Gathered};

/// The set. Whoever builds something of a secret takes it from here, once, when the set comes into force.
#[derive(Debug, Default)]
pub struct Secrets {
    held: BTreeMap<SecretName, Held>,
}

/// A secret in force.
#[derive(Clone)]
pub struct Held {
    found: Arc<Found>,
    version: u64,
    since: Now,
    read_at: Now,
}

/// One secret was read, as evidence tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access<'s> {
    /// The secret.
    pub name: &'s str,
    /// The word of its source.
    pub source: &'s str,
    /// Which value it is since the start, from 1.
    pub version: u64,
    /// Whether the value is another one than before.
    pub changed: bool,
}

impl Secrets {
    /// What was gathered now, beside what was in force before: a value that is the same keeps its version and its age.
    #[must_use]
    pub fn following(gathered: &Gathered, before: Option<&Self>, now: Now) -> Self {
        let held = gathered.0.iter().map(|(name, found)| {
            let old = before.and_then(|before| before.get(name));
            let (version, since) = match old {
                Some(old) if old.found.value == found.value => (old.version, old.since),
                Some(old) => (old.version + 1, now),
                None => (1, now),
            };
            let held = Held {
                found: Arc::clone(found),
                version,
                since,
                read_at: now,
            };
            (name.clone(), held)
        });
        Self {
            held: held.collect(),
        }
    }

    /// The secret of this name, if the configuration asked for it.
    #[must_use]
    pub fn get(&self, name: &SecretName) -> Option<&Held> {
        self.held.get(name)
    }

    /// Every secret that was read for this set, beside the set that was in force before.
    pub fn accesses<'s>(&'s self, before: Option<&'s Self>) -> impl Iterator<Item = Access<'s>> {
        self.held.iter().map(move |(name, held)| {
            let old = before.and_then(|before| before.get(name));
            Access {
                name: name.as_str(),
                source: held.source(),
                version: held.version,
                changed: old.is_some_and(|old| old.version != held.version),
            }
        })
    }

    /// Names, sources and ages, for a person: nothing of a value.
    #[must_use]
    pub fn listing(&self, now: Now) -> Json {
        let line = |(name, held): (&SecretName, &Held)| {
            json!({
                "name": name.as_str(),
                "source": held.source(),
                "origin": held.origin(),
                "version": held.version,
                "age_seconds": now.since(held.since).as_secs(),
                "read_seconds_ago": now.since(held.read_at).as_secs(),
            })
        };
        self.held.iter().map(line).collect()
    }

    /// Every secret with the moment since when its value is known.
    pub fn since(&self) -> impl Iterator<Item = (&str, Now)> {
        let held = self.held.iter();
        held.map(|(name, held)| (name.as_str(), held.since))
    }
}

impl Held {
    /// The value.
    #[must_use]
    pub fn value(&self) -> &SecretBytes {
        &self.found.value
    }

    /// The word of its source: `env`, `dotenv`, `files`.
    #[must_use]
    pub fn source(&self) -> &str {
        self.found.source
    }

    /// Where exactly it was found: `$NAME`, or a file.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.found.origin
    }

    /// Which value it is since the start, from 1: what is made of a secret is made anew when this is another number.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// When this value was first seen.
    #[must_use]
    pub const fn since(&self) -> Now {
        self.since
    }

    /// When it was read last.
    #[must_use]
    pub const fn read_at(&self) -> Now {
        self.read_at
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Held")
            .field("source", &self.found.source)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;

    fn gathered(pairs: &[(&str, &str)]) -> Gathered {
        let found = |(name, value): &(&str, &str)| {
            let found = Found {
                value: Secret::new(value.as_bytes().to_vec()),
                source: "files",
                origin: format!("/run/secrets/{name}"),
            };
            (SecretName::parse(name).unwrap(), Arc::new(found))
        };
        Gathered(pairs.iter().map(found).collect())
    }

    fn at(seconds: u64) -> Now {
        Now {
            mono_ns: seconds * 1_000_000_000,
            unix_us: 0,
        }
    }

    #[test]
    fn a_value_keeps_its_version_and_age_until_it_is_another_one() {
        let first = Secrets::following(&gathered(&[("A", "one"), ("B", "two")]), None, at(10));
        let both = gathered(&[("A", "one"), ("B", "three"), ("C", "new")]);
        let next = Secrets::following(&both, Some(&first), at(20));
        let told = |name: &str, version, changed| (name.to_owned(), version, changed);
        let accesses = |secrets: &Secrets, before| -> Vec<(String, u64, bool)> {
            let all = secrets.accesses(before);
            all.map(|one| (one.name.to_owned(), one.version, one.changed))
                .collect()
        };
        assert_eq!(
            accesses(&first, None),
            [told("A", 1, false), told("B", 1, false)]
        );
        assert_eq!(
            accesses(&next, Some(&first)),
            [told("A", 1, false), told("B", 2, true), told("C", 1, false)]
        );
        let name = SecretName::parse("A").unwrap();
        let held = next.get(&name).unwrap();
        assert_eq!((held.since(), held.read_at()), (at(10), at(20)));
        assert_eq!(held.value().expose_secret(), b"one");
        assert!(next.get(&SecretName::parse("D").unwrap()).is_none());
    }

    #[test]
    fn the_listing_tells_names_sources_and_ages_only() {
        let secrets = Secrets::following(&gathered(&[("A", "hunter2")]), None, at(10));
        let listing = secrets.listing(at(75));
        let expected = json!([{"name": "A", "source": "files", "origin": "/run/secrets/A", "version": 1,
            "age_seconds": 65, "read_seconds_ago": 65}]);
        assert_eq!(listing, expected);
        assert!(!format!("{secrets:?}").contains("hunter2"));
        assert!(!format!("{:?}", gathered(&[("A", "hunter2")])).contains("hunter2"));
    }
}
