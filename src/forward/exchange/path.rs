//! The chain from a server's certificate to a root, as it was built and verified here, never as it was sent: which keys
//! stand in it. Never decides whether it is good enough.

use aws_lc_rs::digest::{SHA256, digest};
use webpki::{Cert, VerifiedPath};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::model::pins::{PinSet, SpkiPin};

/// Where in a chain a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The server's own.
    Leaf,
    /// Of a CA between.
    Intermediate,
    /// Of a CA that is trusted.
    Root,
}

impl Level {
    /// The word in metrics and evidence.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leaf => "leaf",
            Self::Intermediate => "intermediate",
            Self::Root => "root",
        }
    }
}

/// One key of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it stands.
    pub level: Level,
    /// What it would be pinned by.
    pub pin: SpkiPin,
    /// The last second at which its certificate is valid, since 1970. A root is trusted as a key, without an end.
    pub not_after: Option<i64>,
}

/// The keys of a verified chain, the server's own first, the root's last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain(Vec<Link>);

impl Chain {
    pub(super) fn of(path: &VerifiedPath<'_>) -> Self {
        let link = |level, cert: &Cert<'_>| Link {
            level,
            pin: pin_of_spki(&cert.subject_public_key_info()),
            not_after: not_after(&cert.der()),
        };
        let mut links = vec![link(Level::Leaf, path.end_entity())];
        let between = path.intermediate_certificates();
        links.extend(between.map(|cert| link(Level::Intermediate, cert)));
        links.push(Link {
            level: Level::Root,
            pin: pin_of_anchor(&path.anchor().subject_public_key_info),
            not_after: None,
        });
        Self(links)
    }

    #[cfg(test)]
    pub(super) fn made(keys: &[(Level, SpkiPin)]) -> Self {
        let link = |(level, pin): &(Level, SpkiPin)| Link {
            level: *level,
            pin: *pin,
            not_after: None,
        };
        Self(keys.iter().map(link).collect())
    }

    /// Its keys.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.0
    }

    /// Whether one of its keys is pinned.
    #[must_use]
    pub fn meets(&self, pins: &PinSet) -> bool {
        self.0.iter().any(|link| pins.holds(link.pin))
    }

    /// Whether only the server's own key is pinned. Public ones live for some weeks (CA/Browser Forum ballot SC-081): such
    /// pins fail when the certificate is renewed.
    #[must_use]
    pub fn meets_only_at_leaf(&self, pins: &PinSet) -> bool {
        let (leaf, rest) = (Level::Leaf, |link: &&Link| link.level != Level::Leaf);
        let pinned = |link: &Link| pins.holds(link.pin);
        let mut above = self.0.iter().filter(rest);
        self.0.iter().any(|link| link.level == leaf && pinned(link)) && !above.any(pinned)
    }

    /// When the first of its certificates ends, in seconds since 1970.
    #[must_use]
    pub fn not_after(&self) -> Option<i64> {
        self.0.iter().filter_map(|link| link.not_after).min()
    }
}

/// The pin of a key, given as the DER of its `SubjectPublicKeyInfo`.
#[must_use]
pub fn pin_of_spki(der: &[u8]) -> SpkiPin {
    let mut bytes = [0; 32];
    // SHA-256 has 32 bytes.
    bytes.copy_from_slice(digest(&SHA256, der).as_ref());
    SpkiPin::of_digest(bytes)
}

/// The pin of a trusted root's key. Its `SubjectPublicKeyInfo` is kept without the outermost tag and length.
#[must_use]
pub fn pin_of_anchor(content: &[u8]) -> SpkiPin {
    pin_of_spki(&sequence(content))
}

/// A DER SEQUENCE around its content (X.690 sections 8.1.3 and 10.1).
#[must_use]
pub fn sequence(content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let leading = length.iter().take_while(|byte| **byte == 0).count();
    let mut der = vec![0x30];
    match (content.len(), u8::try_from(length.len() - leading)) {
        (short @ 0..=127, _) => der.push(u8::try_from(short).unwrap_or_default()),
        (_, octets) => {
            der.push(0x80 | octets.unwrap_or_default());
            der.extend(length.iter().skip(leading));
        }
    }
    der.extend_from_slice(content);
    der
}

fn not_after(der: &[u8]) -> Option<i64> {
    let (_, read) = X509Certificate::from_der(der).ok()?;
    Some(read.validity().not_after.timestamp())
}
