//! From a name to a value: the sources of one configuration, asked in order while it is loaded. Every fault stands at the
//! reference or at the source; never quotes a value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::model::decode::{Placed, nearest};
use crate::model::fault::Faults;
use crate::model::secret::{SecretBytes, SecretName, SecretRef};

use super::sources::{Finding, Source, Sources};
use super::{Door, SECRET_BYTES_MAX};

/// Secrets of one configuration; a hundred exchange accounts have three each.
const SECRETS_MAX: usize = 512;

/// Resolves the names of one configuration by its sources, asked in order.
#[derive(Debug, Default)]
pub struct Resolver {
    sources: Vec<Placed<Box<dyn Source>>>,
    /// Whether a source cannot be used; what would follow from that is not told.
    incomplete: bool,
    found: BTreeMap<SecretName, Arc<Found>>,
    /// Files that were warned of.
    warned: BTreeSet<String>,
}

/// A secret that was found.
pub(super) struct Found {
    pub(super) value: SecretBytes,
    /// The word of its source.
    pub(super) source: &'static str,
    /// Where exactly: `$NAME`, or a file.
    pub(super) origin: String,
}

/// All secrets that one configuration asked for.
#[derive(Clone, Default)]
pub struct Gathered(pub(super) BTreeMap<SecretName, Arc<Found>>);

impl fmt::Debug for Gathered {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.0.keys()).finish()
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Found({})", self.source)
    }
}

impl Resolver {
    /// Opens the sources. One that cannot be used is a fault where it is named, and is not asked.
    pub fn open(sources: Sources, door: &mut dyn Door, faults: &mut Faults) -> Self {
        let (mut usable, mut incomplete) = (Vec::new(), false);
        for mut source in sources.0 {
            match source.value.open(door) {
                Ok(()) => usable.push(source),
                Err(sentences) => {
                    incomplete = true;
                    for sentence in sentences {
                        faults.error(&source.place, sentence);
                    }
                }
            }
        }
        Self {
            sources: usable,
            incomplete,
            ..Self::default()
        }
    }

    /// Sees to it that a secret is there; what is wrong is noted at the reference.
    pub fn resolve(&mut self, reference: &SecretRef, door: &mut dyn Door, faults: &mut Faults) {
        let SecretRef { name, place } = reference;
        if self.found.contains_key(name) {
            return;
        }
        if self.found.len() >= SECRETS_MAX {
            faults.error(place, format!("there are more than {SECRETS_MAX} secrets"));
            return;
        }
        for source in &self.sources {
            let refusal = match source.value.find(name, door) {
                Ok(None) => continue,
                Ok(Some(finding)) => match refusal(&finding) {
                    Some(why) => format!("the secret `{name}` {why} ({})", finding.origin),
                    None => {
                        warn_of_readers(&mut self.warned, source, &finding, faults);
                        let found = Found {
                            value: finding.value,
                            source: source.value.word(),
                            origin: finding.origin,
                        };
                        self.found.insert(name.clone(), Arc::new(found));
                        return;
                    }
                },
                Err(why) => format!("the secret `{name}` cannot be read: {why}"),
            };
            faults.error(place, refusal);
            return;
        }
        if self.incomplete {
            return;
        }
        let help = self.what_was_asked(name, door);
        faults.error_with_help(place, format!("no source has the secret `{name}`"), help);
    }

    /// A secret that was found.
    #[must_use]
    pub fn found(&self, name: &SecretName) -> Option<&SecretBytes> {
        self.found.get(name).map(|found| &found.value)
    }

    /// All that was found.
    #[must_use]
    pub fn gathered(self) -> Gathered {
        Gathered(self.found)
    }

    /// Which sources were asked, and which of their names is near; names only.
    fn what_was_asked(&self, name: &SecretName, door: &dyn Door) -> String {
        let asked = self.sources.iter().map(|one| one.value.whereabouts(name));
        let asked: Vec<String> = asked.collect();
        let asked = format!("asked: {}", asked.join(", then "));
        let known: Vec<String> = self
            .sources
            .iter()
            .flat_map(|one| one.value.names(door))
            .filter(|known| known != name.as_str() && SecretName::parse(known).is_some())
            .collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        match nearest(name.as_str(), &known) {
            Some(meant) => format!("{asked}; {meant}"),
            None => asked,
        }
    }
}

/// Why a value cannot be a secret.
fn refusal(finding: &Finding) -> Option<&'static str> {
    let value = finding.value.expose_secret();
    if value.trim_ascii().is_empty() {
        Some("is empty")
    } else if value.len() as u64 > SECRET_BYTES_MAX {
        Some("is larger than 64KiB")
    } else {
        None
    }
}

fn warn_of_readers(
    warned: &mut BTreeSet<String>,
    source: &Placed<Box<dyn Source>>,
    finding: &Finding,
    faults: &mut Faults,
) {
    if finding.read_by_all && warned.insert(finding.origin.clone()) {
        let message = format!("every user of this machine may read `{}`", finding.origin);
        let help =
            "take the right away (chmod o-r); in Kubernetes, mount it with `defaultMode: 0440`";
        faults.warning(&source.place, message, help);
    }
}

#[cfg(test)]
mod tests;
