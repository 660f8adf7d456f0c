//! The keys of a file: certificates and public keys, as PEM or DER. Never a private key: what can be pinned is public.

use rustls::pki_types::pem::{PemObject as _, SectionKind};

use super::key::Key;

/// More than any file has that somebody pins from.
const KEYS_MAX: usize = 256;

/// Its keys, in its order.
///
/// # Errors
/// It holds none, or something that cannot be read; a clause that follows the file's name.
pub(super) fn keys(bytes: &[u8]) -> Result<Vec<Key>, &'static str> {
    // DER of a SEQUENCE, which both are.
    if bytes.first() == Some(&0x30) {
        let key = Key::of_certificate(bytes).or_else(|| Key::of_spki(bytes));
        let key = key.ok_or("is DER, but neither of a certificate nor of a public key")?;
        return Ok(vec![key]);
    }
    let mut keys = Vec::new();
    for block in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
        let (kind, der) = block.map_err(|_| "is broken: a block of it is not PEM")?;
        keys.push(of_block(kind, &der)?);
        if keys.len() > KEYS_MAX {
            return Err("holds more keys than anybody pins");
        }
    }
    if keys.is_empty() {
        return Err("holds no certificate and no public key");
    }
    Ok(keys)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign list that grows; what is new there is no key either"
)]
fn of_block(kind: SectionKind, der: &[u8]) -> Result<Key, &'static str> {
    match kind {
        SectionKind::Certificate => {
            Key::of_certificate(der).ok_or("holds a certificate that cannot be read")
        }
        SectionKind::PublicKey => Key::of_spki(der).ok_or("holds a public key that cannot be read"),
        SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
            Err("holds a private key; pin its public half (`openssl pkey -pubout` writes it)")
        }
        _ => Err("holds something else than certificates and public keys"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_no_key_is_refused() {
        for (text, why) in [
            ("", "holds no certificate and no public key"),
            ("hello", "holds no certificate and no public key"),
            (
                "0",
                "is DER, but neither of a certificate nor of a public key",
            ),
            (
                "-----BEGIN PUBLIC KEY-----\nQUJD\n-----END PUBLIC KEY-----\n",
                "holds a public key that cannot be read",
            ),
            (
                "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n",
                "holds a certificate that cannot be read",
            ),
            (
                "-----BEGIN CERTIFICATE-----\nQUJD\n",
                "is broken: a block of it is not PEM",
            ),
            (
                "-----BEGIN X509 CRL-----\nQUJD\n-----END X509 CRL-----\n",
                "holds something else than certificates and public keys",
            ),
        ] {
            assert_eq!(keys(text.as_bytes()).unwrap_err(), why, "{text}");
        }
        let private = [
            "-----BEGIN PRIVATE",
            "KEY-----\nQUJD\n-----END PRIVATE",
            "KEY-----\n",
        ];
        let private = private.join(" ");
        assert!(
            keys(private.as_bytes())
                .unwrap_err()
                .starts_with("holds a private key")
        );
    }
}
