//! Private keys in PEM (RFC 7468), also encrypted ones (PBES2, RFC 8018). Never decides which algorithm a key is for.

use std::borrow::Cow;
use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm as Cipher, DecryptionContext, PaddedBlockDecryptingKey,
    UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2::{
    self, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA384, PBKDF2_HMAC_SHA512,
};
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::SecretDocument;
use pkcs8::pkcs5::pbes2::{EncryptionScheme, Kdf, Parameters, Pbkdf2Params, Pbkdf2Prf};
use zeroize::Zeroizing;

use super::key::KeyFault;
use crate::model::secret::Secret;

/// A private key in DER.
pub(super) struct PrivateKey {
    /// The structure.
    pub form: Form,
    /// Its bytes.
    pub der: Zeroizing<Vec<u8>>,
}

/// The structure around a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `PRIVATE KEY` (RFC 5958).
    Pkcs8,
    /// `RSA PRIVATE KEY` (RFC 8017 appendix A.1.2).
    Pkcs1,
    /// `EC PRIVATE KEY` (RFC 5915).
    Sec1,
}

/// More rounds than anybody configures, and still under ten seconds.
const ROUNDS_MAX: u32 = 10_000_000;

/// Reads the one private key in `text`; a `password` for a key that is not encrypted is refused, because it says that
/// somebody takes the file for something else than it is.
pub(super) fn read(
    text: &[u8],
    password: Option<&Secret<Vec<u8>>>,
) -> Result<PrivateKey, KeyFault> {
    const NO_PEM: KeyFault =
        KeyFault("the key is not one PEM block (-----BEGIN PRIVATE KEY----- ...)");
    let text = std::str::from_utf8(text).map_err(|_| NO_PEM)?;
    let text = with_line_ends(text);
    // The older form of OpenSSL: its key derivation is one round of MD5.
    if text.contains("Proc-Type:") {
        return Err(KeyFault(
            "the PEM is encrypted in OpenSSL's old form; convert it with `openssl pkcs8 -topk8`",
        ));
    }
    let (label, document) = SecretDocument::from_pem(&text).map_err(|_| NO_PEM)?;
    let form = match label {
        "PRIVATE KEY" => Form::Pkcs8,
        "RSA PRIVATE KEY" => Form::Pkcs1,
        "EC PRIVATE KEY" => Form::Sec1,
        "ENCRYPTED PRIVATE KEY" => return decrypt(document.as_bytes(), password),
        "PUBLIC KEY" => {
            return Err(KeyFault(
                "the PEM holds the public key; signing takes the private one",
            ));
        }
        _ => return Err(KeyFault("the PEM holds no private key")),
    };
    if password.is_some() {
        return Err(KeyFault(
            "a password is given, and the PEM is not encrypted",
        ));
    }
    let der = Zeroizing::new(document.as_bytes().to_vec());
    Ok(PrivateKey { form, der })
}

/// Variables of an environment often hold `\n` in two characters where line ends were.
fn with_line_ends(text: &str) -> Cow<'_, str> {
    if text.contains('\n') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\\n", "\n"))
}

fn decrypt(der: &[u8], password: Option<&Secret<Vec<u8>>>) -> Result<PrivateKey, KeyFault> {
    const SCHEME: KeyFault = KeyFault(
        "the PEM is encrypted in a way that is not supported; use PBES2 with PBKDF2 and AES-CBC, as `openssl pkcs8 -topk8 -v2 aes-256-cbc` writes it",
    );
    let password = password.ok_or(KeyFault("the PEM is encrypted, and no password is given"))?;
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| SCHEME)?;
    let scheme = info.encryption_algorithm.pbes2().ok_or(SCHEME)?;
    let (cipher, length, iv) = cipher(scheme).ok_or(SCHEME)?;
    let Kdf::Pbkdf2(kdf) = &scheme.kdf else {
        return Err(SCHEME);
    };
    let mut key = Zeroizing::new(vec![0; length]);
    derive(kdf, password, &mut key)?;
    let wrong = |_| KeyFault("the password does not open the PEM");
    let unbound = UnboundCipherKey::new(cipher, &key).map_err(wrong)?;
    let opener = PaddedBlockDecryptingKey::cbc_pkcs7(unbound).map_err(wrong)?;
    let mut plain = Zeroizing::new(info.encrypted_data.as_bytes().to_vec());
    let length = opener
        .decrypt(&mut plain, DecryptionContext::Iv128(FixedLength::from(iv)))
        .map_err(wrong)?
        .len();
    plain.truncate(length);
    Ok(PrivateKey {
        form: Form::Pkcs8,
        der: plain,
    })
}

fn cipher(scheme: &Parameters) -> Option<(&'static Cipher, usize, [u8; 16])> {
    match scheme.encryption {
        EncryptionScheme::Aes128Cbc { iv } => Some((&AES_128, 16, iv)),
        EncryptionScheme::Aes192Cbc { iv } => Some((&AES_192, 24, iv)),
        EncryptionScheme::Aes256Cbc { iv } => Some((&AES_256, 32, iv)),
        // GCM, and whatever the library learns to name.
        EncryptionScheme::Aes128Gcm { .. } | EncryptionScheme::Aes256Gcm { .. } | _ => None,
    }
}

fn derive(kdf: &Pbkdf2Params, password: &Secret<Vec<u8>>, key: &mut [u8]) -> Result<(), KeyFault> {
    let digest = match kdf.prf {
        Pbkdf2Prf::HmacWithSha1 => PBKDF2_HMAC_SHA1,
        Pbkdf2Prf::HmacWithSha256 => PBKDF2_HMAC_SHA256,
        Pbkdf2Prf::HmacWithSha384 => PBKDF2_HMAC_SHA384,
        Pbkdf2Prf::HmacWithSha512 => PBKDF2_HMAC_SHA512,
        Pbkdf2Prf::HmacWithSha224 | _ => {
            return Err(KeyFault(
                "the PEM's password hash is not supported; use HMAC-SHA256",
            ));
        }
    };
    let rounds = NonZeroU32::new(kdf.iteration_count).filter(|rounds| rounds.get() <= ROUNDS_MAX);
    let rounds = rounds.ok_or(KeyFault(
        "the PEM asks for more than 10,000,000 rounds of PBKDF2",
    ))?;
    let password = password.expose_secret().trim_ascii_end();
    pbkdf2::derive(digest, rounds, kdf.salt.as_ref(), password, key);
    Ok(())
}
