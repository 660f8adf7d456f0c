//! What a person reads: each key of a chain, and lines for the configuration with those to choose. Public exchanges are
//! pinned above the leaf, which changes with each renewal; own endpoints may be pinned at it.

use std::fmt::Write as _;
use std::path::Path;

use rustls::ProtocolVersion;
use rustls::pki_types::CertificateDer;

use super::key::{Key, end};
use crate::forward::exchange::{BuiltPath, DialFault, Level};
use crate::model::pins::{PINS_MIN, SpkiPin};

/// What is known of the look at a server.
pub(super) struct Looked<'a> {
    /// Host and port.
    pub(super) title: String,
    /// The name that was asked for.
    pub(super) name: String,
    pub(super) ca_file: Option<&'a Path>,
    pub(super) now: i64,
}

/// A key and its place in a chain.
struct Placed {
    level: Level,
    key: Key,
}

impl Looked<'_> {
    /// A server that is believed: its chains, and which keys to choose.
    pub(super) fn verified(&self, paths: &[BuiltPath], version: Option<ProtocolVersion>) -> String {
        let version = match version {
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(_) | None => "TLS 1.2",
        };
        let trusted = match self.ca_file {
            Some(path) => format!("by {}", path.display()),
            None => "by the public authorities".to_owned(),
        };
        let mut text = format!(
            "{}: {version}, verified for {} {trusted}\n",
            self.title, self.name
        );
        if version == "TLS 1.2" {
            text.push_str("it does not speak TLS 1.3, and is refused unless TLS 1.2 is allowed\n");
        }
        let keys = placed(paths);
        for one in &keys {
            text.push('\n');
            text.push_str(&self.key(one.level.name(), &one.key, Some(one.level)));
        }
        text.push('\n');
        text.push_str(&self.advice(&keys));
        text
    }

    /// A server that is not believed: what it sent, and nothing to choose.
    pub(super) fn unverified(&self, sent: &[CertificateDer<'_>], fault: &DialFault) -> String {
        if sent.is_empty() {
            return format!("{}: {fault}\n", self.title);
        }
        let mut text = format!("{}: NOT VERIFIED for {}: {fault}\n", self.title, self.name);
        text.push_str(
            "Whoever answered need not be the exchange. Pin none of these keys because of this.\n",
        );
        for (at, der) in sent.iter().enumerate() {
            let title = format!("sent, {}", at + 1);
            text.push('\n');
            match Key::of_certificate(der) {
                Some(key) => text.push_str(&self.key(&title, &key, None)),
                None => line(&mut text, &title, "cannot be read"),
            }
        }
        text
    }

    fn key(&self, title: &str, key: &Key, level: Option<Level>) -> String {
        let mut text = String::new();
        line(&mut text, title, key.name());
        facts(&mut text, key, self.now);
        if level == Some(Level::Root) {
            line(&mut text, "  ends", "trusted here as a name and a key");
        }
        if level == Some(Level::Leaf) && self.ca_file.is_none() {
            let why = "do not pin it: the key of a public server changes when it is renewed";
            line(&mut text, "", why);
        }
        text
    }

    fn advice(&self, keys: &[Placed]) -> String {
        let public = self.ca_file.is_none();
        let chosen: Vec<&Placed> = [Level::Root, Level::Intermediate, Level::Leaf]
            .into_iter()
            .filter(|level| !public || *level != Level::Leaf)
            .flat_map(|level| keys.iter().filter(move |one| one.level == level))
            .filter(|one| one.key.pin.shared().is_none())
            .collect();
        let mut text = String::new();
        if public {
            text.push_str("Roots last for years, intermediates change without notice. Keep the roots, and add the root\n");
            text.push_str("of another authority that the exchange could change to: a pin that is not in use yet.\n");
        } else {
            text.push_str("Pin your own CA; and the leaf, if its key is kept when it is renewed. Add a key that you keep\n");
            text.push_str("offline: a pin that is not in use yet.\n");
        }
        let lines = chosen.iter().map(|one| {
            let why = format!("{}, {}", one.level.name(), one.key.name());
            (one.key.pin, why)
        });
        text.push_str(&yaml(lines));
        text
    }
}

/// The keys of all paths, each once, from the leaf up.
fn placed(paths: &[BuiltPath]) -> Vec<Placed> {
    let mut all: Vec<Placed> = Vec::new();
    for path in paths {
        let certificates = path.certificates.iter().enumerate();
        let below = certificates.filter_map(|(at, der)| {
            let level = if at == 0 {
                Level::Leaf
            } else {
                Level::Intermediate
            };
            Key::of_certificate(der).map(|key| Placed { level, key })
        });
        let root = Placed {
            level: Level::Root,
            key: Key::of_root(&path.root),
        };
        for one in below.chain([root]) {
            let known = |other: &Placed| (other.level, other.key.pin) == (one.level, one.key.pin);
            if !all.iter().any(known) {
                all.push(one);
            }
        }
    }
    all.sort_by_key(|one| one.level);
    all
}

/// The keys of a file.
pub(super) fn of_file(path: &Path, keys: &[Key], now: i64) -> String {
    let mut text = format!("{}:\n", path.display());
    for key in keys {
        let title = match &key.paper {
            Some(paper) if paper.is_ca => "authority",
            Some(_) => "certificate",
            None => "public key",
        };
        text.push('\n');
        line(&mut text, title, key.name());
        facts(&mut text, key, now);
    }
    let good = keys.iter().filter(|key| key.pin.shared().is_none());
    text.push_str(&yaml(good.map(|key| (key.pin, key.name().to_owned()))));
    text
}

fn facts(text: &mut String, key: &Key, now: i64) {
    if let Some(paper) = &key.paper {
        if let Some(issuer) = &paper.issuer {
            line(text, "  issuer", issuer);
        }
        if let Some(not_after) = paper.not_after {
            line(text, "  ends", &end(not_after, now));
        }
    }
    line(text, "  key", &key.kind);
    line(text, "  pin", &key.pin.to_string());
    if let Some(why) = key.pin.shared() {
        line(text, "", &format!("refused: {why}"));
    }
}

/// Lines to paste. A name becomes a comment; it holds no line end, see `rfc4514`.
fn yaml(pins: impl Iterator<Item = (SpkiPin, String)>) -> String {
    let mut text = "\npins:\n".to_owned();
    let mut known: Vec<SpkiPin> = Vec::new();
    for (pin, why) in pins.filter(|(pin, _)| pin.shared().is_none()) {
        if !known.contains(&pin) {
            known.push(pin);
            // Writing into memory cannot fail.
            writeln!(text, "  - \"{pin}\"  # {why}").ok();
        }
    }
    if known.len() < PINS_MIN {
        text.push_str("  # two pins are the least: add the key to change to\n");
    }
    text
}

fn line(text: &mut String, title: &str, value: &str) {
    // Writing into memory cannot fail.
    writeln!(text, "{title:<14}{value}").ok();
}
