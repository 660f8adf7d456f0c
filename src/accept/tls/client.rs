//! From a client certificate that was verified to its names. Never verifies: the handshake has.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::prelude::{
    AttributeTypeAndValue, FromDer, GeneralName, RelativeDistinguishedName, X509Certificate,
    X509Name,
};

use crate::model::certificate::{CertificateNames, ClientCertificate, Fingerprint};
use crate::model::json::misleads;

/// Names of one certificate, subject apart.
const NAMES_MAX: usize = 64;

/// Bytes of one name; a SPIFFE ID may have as many.
const NAME_BYTES_MAX: usize = 2048;

/// Reads the names of a certificate (DER). One that holds more or longer names than anybody needs, or a name that could
/// steer a terminal, is refused whole: a name that were left out could be the one that a rule refuses.
///
/// # Errors
/// What is wrong with it, in words of our own.
pub fn read_certificate(der: &[u8]) -> Result<ClientCertificate, &'static str> {
    let (rest, read) = X509Certificate::from_der(der).map_err(|_| "not an X.509 certificate")?;
    if !rest.is_empty() {
        return Err("bytes behind the certificate");
    }
    let mut names = CertificateNames {
        subject: rfc4514(read.subject()),
        ..CertificateNames::default()
    };
    check(&names.subject)?;
    let alternative = read.subject_alternative_name();
    let alternative = alternative.map_err(|_| "alternative names that cannot be read")?;
    let listed = alternative.map_or(&[][..], |extension| &extension.value.general_names);
    if listed.len() > NAMES_MAX {
        return Err("more than 64 alternative names");
    }
    for name in listed {
        add(&mut names, name)?;
    }
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, der).as_ref());
    Ok(ClientCertificate::new(
        names,
        format!("{:x}", read.tbs_certificate.serial),
        Fingerprint(fingerprint),
        read.validity().not_after.timestamp(),
    ))
}

fn add(names: &mut CertificateNames, name: &GeneralName<'_>) -> Result<(), &'static str> {
    let (list, text) = match name {
        GeneralName::DNSName(text) => (&mut names.dns, *text),
        GeneralName::URI(text) => (&mut names.uris, *text),
        GeneralName::RFC822Name(text) => (&mut names.emails, *text),
        GeneralName::Invalid(..) => return Err("an alternative name that cannot be read"),
        // No rule can name these.
        GeneralName::OtherName(..)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::IPAddress(_)
        | GeneralName::RegisteredID(_) => return Ok(()),
    };
    check(text)?;
    // These three are IA5String (RFC 5280 section 4.2.1.6).
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("an alternative name that is empty or not visible ASCII");
    }
    list.push(text.to_owned());
    Ok(())
}

fn check(text: &str) -> Result<(), &'static str> {
    if text.len() > NAME_BYTES_MAX {
        return Err("a name that is longer than any name");
    }
    Ok(())
}

/// A name as RFC 4514 writes it: the most specific part first, what could be misread escaped.
#[must_use]
pub fn rfc4514(name: &X509Name<'_>) -> String {
    let parts: Vec<String> = name.iter_rdn().map(part).collect();
    let reversed: Vec<&str> = parts.iter().rev().map(String::as_str).collect();
    reversed.join(",")
}

fn part(part: &RelativeDistinguishedName<'_>) -> String {
    let pairs: Vec<String> = part.iter().map(attribute).collect();
    pairs.join("+")
}

/// The short names of RFC 4514 section 3; every other type stands as its number, its value as hexadecimal DER.
const TYPES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

fn attribute(pair: &AttributeTypeAndValue<'_>) -> String {
    let number = pair.attr_type().to_id_string();
    let short = TYPES.iter().find(|(known, _)| *known == number);
    match (short, pair.as_str()) {
        (Some((_, short)), Ok(text)) => format!("{short}={}", escaped(text)),
        (Some((_, short)), Err(_)) => format!("{short}={}", hexadecimal(pair)),
        (None, _) => format!("{number}={}", hexadecimal(pair)),
    }
}

/// RFC 4514 section 2.4. Characters that steer a terminal are escaped too, which it allows.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (at, letter) in text.chars().enumerate() {
        let edge = (at == 0 && matches!(letter, ' ' | '#')) || (at == last && letter == ' ');
        let steers = letter.is_control() || misleads(letter);
        if steers {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                push_hexadecimal(&mut out, "\\", byte);
            }
        } else {
            if edge || matches!(letter, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
                out.push('\\');
            }
            out.push(letter);
        }
    }
    out
}

fn hexadecimal(pair: &AttributeTypeAndValue<'_>) -> String {
    let mut out = "#".to_owned();
    for byte in pair.as_slice() {
        push_hexadecimal(&mut out, "", *byte);
    }
    out
}

fn push_hexadecimal(out: &mut String, before: &str, byte: u8) {
    // Writing into memory cannot fail.
    write!(out, "{before}{byte:02X}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_escaped_so_that_they_have_one_reading() {
        for (text, written) in [
            ("bot", "bot"),
            ("Smith, John", "Smith\\, John"),
            (" bot ", "\\ bot\\ "),
            ("#1", "\\#1"),
            ("a+b=c", "a\\+b=c"),
            ("a\"b\\c<d>;", "a\\\"b\\\\c\\<d\\>\\;"),
            ("a\u{0}b", "a\\00b"),
            ("a\u{1b}[2J", "a\\1B[2J"),
            ("a\u{2028}", "a\\E2\\80\\A8"),
            ("a\u{202e}", "a\\E2\\80\\AE"),
            ("Zoë", "Zoë"),
            ("", ""),
        ] {
            assert_eq!(escaped(text), written, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        for bytes in [&b""[..], b"\x30\x00", b"-----BEGIN CERTIFICATE-----"] {
            assert!(read_certificate(bytes).is_err());
        }
    }
}
