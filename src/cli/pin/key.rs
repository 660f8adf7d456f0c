//! One key as a person sees it: whose it is, of what kind, until when, and its pin. Never judges a chain.

use jiff::Timestamp;
use rustls::pki_types::TrustAnchor;
use x509_parser::prelude::{FromDer as _, SubjectPublicKeyInfo, X509Certificate, X509Name};
use x509_parser::public_key::PublicKey;

use crate::accept::tls::rfc4514;
use crate::forward::exchange::{pin_of_anchor, pin_of_spki, sequence};
use crate::model::pins::SpkiPin;

const DAY: i64 = 24 * 3600;

/// A public key and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) pin: SpkiPin,
    /// RSA 2048, ECDSA P-256 and so on.
    pub(super) kind: String,
    /// What its certificate says, if there is one.
    pub(super) paper: Option<Paper>,
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub(super) struct Paper {
    pub(super) subject: String,
    /// Not known of a root that is trusted as a name and a key.
    pub(super) issuer: Option<String>,
    /// The last second at which it is valid, since 1970.
    pub(super) not_after: Option<i64>,
    pub(super) is_ca: bool,
}

impl Key {
    /// The key of a certificate (DER) with nothing behind it.
    pub(super) fn of_certificate(der: &[u8]) -> Option<Self> {
        let (rest, read) = X509Certificate::from_der(der).ok()?;
        let paper = Paper {
            subject: rfc4514(read.subject()),
            issuer: Some(rfc4514(read.issuer())),
            not_after: Some(read.validity().not_after.timestamp()),
            is_ca: read.is_ca(),
        };
        rest.is_empty().then(|| Self {
            pin: pin_of_spki(read.public_key().raw),
            kind: kind(read.public_key()),
            paper: Some(paper),
        })
    }

    /// A bare public key: the DER of a `SubjectPublicKeyInfo` with nothing behind it.
    pub(super) fn of_spki(der: &[u8]) -> Option<Self> {
        let (rest, read) = SubjectPublicKeyInfo::from_der(der).ok()?;
        rest.is_empty().then(|| Self {
            pin: pin_of_spki(der),
            kind: kind(&read),
            paper: None,
        })
    }

    /// The key of a trusted root.
    pub(super) fn of_root(root: &TrustAnchor<'_>) -> Self {
        let name = sequence(&root.subject);
        let subject = X509Name::from_der(&name).map(|(_, name)| rfc4514(&name));
        let spki = sequence(&root.subject_public_key_info);
        let read = SubjectPublicKeyInfo::from_der(&spki);
        Self {
            pin: pin_of_anchor(&root.subject_public_key_info),
            kind: read.map_or_else(|_| "unknown".to_owned(), |(_, read)| kind(&read)),
            paper: Some(Paper {
                subject: subject.unwrap_or_default(),
                issuer: None,
                not_after: None,
                is_ca: true,
            }),
        }
    }

    /// Whose it is, in a few words.
    pub(super) fn name(&self) -> &str {
        match &self.paper {
            Some(paper) if !paper.subject.is_empty() => &paper.subject,
            Some(_) => "without a name",
            None => "a bare public key",
        }
    }
}

fn kind(key: &SubjectPublicKeyInfo<'_>) -> String {
    // RFC 5480 section 2.1.1.1, RFC 8410 section 3.
    const NAMED: &[(&str, &str)] = &[
        ("1.2.840.10045.3.1.7", "ECDSA P-256"),
        ("1.3.132.0.34", "ECDSA P-384"),
        ("1.3.132.0.35", "ECDSA P-521"),
        ("1.3.101.112", "Ed25519"),
        ("1.3.101.113", "Ed448"),
    ];
    if let Ok(PublicKey::RSA(rsa)) = key.parsed() {
        return format!("RSA {}", rsa.key_size());
    }
    let curve = key.algorithm.parameters.as_ref();
    let curve = curve.and_then(|curve| curve.as_oid().ok());
    let number = curve.unwrap_or_else(|| key.algorithm.algorithm.clone());
    let number = number.to_id_string();
    let named = NAMED.iter().find(|(known, _)| *known == number);
    named.map_or_else(
        || format!("of kind {number}"),
        |(_, name)| (*name).to_owned(),
    )
}

/// When a certificate ends, and in how many days.
pub(super) fn end(not_after: i64, now: i64) -> String {
    let moment = Timestamp::from_second(not_after)
        .map_or_else(|_| not_after.to_string(), |moment| moment.to_string());
    let left = not_after.saturating_sub(now);
    if left < 0 {
        return format!("{moment}, which is past");
    }
    match left / DAY {
        1 => format!("{moment}, in 1 day"),
        days => format!("{moment}, in {days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_told_in_days() {
        for (left, told) in [
            (-1, ", which is past"),
            (0, ", in 0 days"),
            (DAY, ", in 1 day"),
            (200 * DAY + 5, ", in 200 days"),
        ] {
            let end = end(1_782_864_000 + left, 1_782_864_000);
            assert!(end.ends_with(told), "{end}");
        }
        assert!(end(1_782_864_000, 0).starts_with("2026-07-01T00:00:00Z"));
        assert!(end(i64::MAX, 0).starts_with("9223372036854775807"));
    }

    #[test]
    fn keys_of_public_roots_have_names_and_kinds() {
        let roots = crate::forward::exchange::public_roots();
        for key in roots.iter().map(Key::of_root) {
            assert!(!key.kind.starts_with("of kind"), "{key:?}");
            assert!(key.name().contains('='), "{key:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_none() {
        for bytes in [&b""[..], b"\x30\x00", b"-----BEGIN PUBLIC KEY-----"] {
            assert!(Key::of_certificate(bytes).is_none());
            assert!(Key::of_spki(bytes).is_none());
        }
    }
}
