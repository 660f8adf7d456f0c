//! PEM (RFC 7468): `PUBLIC KEY` (RFC 5280) and `RSA PUBLIC KEY` (RFC 8017), one or several. Text between blocks is a comment.
//! Never reads a block of another kind.

use aws_lc_rs::rsa::PublicKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::rsa::RsaKey;
use super::{Candidate, DropReason, KeyError};

/// Reads the keys of a PEM text.
pub(super) fn read(text: &str, kid: Option<&str>) -> Result<Vec<Candidate>, KeyError> {
    let mut lines = text.lines().map(str::trim);
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let Some(label) = label(line, "BEGIN") else {
            continue;
        };
        match label {
            "PUBLIC KEY" | "RSA PUBLIC KEY" => {}
            "CERTIFICATE" => return Err(KeyError::Certificate),
            other if other.ends_with("PRIVATE KEY") => return Err(KeyError::Private),
            _ => return Err(KeyError::Pem),
        }
        let der = body(&mut lines, label).ok_or(KeyError::Pem)?;
        found.push(candidate(&der, kid, found.len() + 1));
    }
    if found.is_empty() {
        Err(KeyError::NotKeys)
    } else {
        Ok(found)
    }
}

fn label<'t>(line: &'t str, word: &str) -> Option<&'t str> {
    line.strip_prefix("-----")?
        .strip_prefix(word)?
        .strip_prefix(' ')?
        .strip_suffix("-----")
}

/// The bytes up to the end of the block.
fn body<'t>(lines: &mut impl Iterator<Item = &'t str>, begun: &str) -> Option<Vec<u8>> {
    let mut encoded = String::new();
    loop {
        let line = lines.next()?;
        match label(line, "END") {
            Some(ended) if ended == begun => return STANDARD.decode(encoded).ok(),
            Some(_) => return None,
            None => encoded.push_str(line),
        }
    }
}

fn candidate(der: &[u8], kid: Option<&str>, position: usize) -> Candidate {
    let Ok(public) = PublicKey::from_der(der) else {
        let kid = kid.map_or_else(|| format!("#{position}"), str::to_owned);
        return Candidate {
            kid,
            key: Err(DropReason::NotRsa),
        };
    };
    let (modulus, exponent) = (public.modulus(), public.exponent());
    let rsa = RsaKey::new(
        modulus.big_endian_without_leading_zero(),
        exponent.big_endian_without_leading_zero(),
    );
    Candidate {
        kid: kid.map_or_else(|| rsa.thumbprint(), str::to_owned),
        key: rsa.admit(),
    }
}
