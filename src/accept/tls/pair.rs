//! One certificate with its key, judged before it is shown to anybody: whether they belong together, are in date, in
//! order, and strong enough. Never says what the key is.

use std::sync::Arc;

use rustls::Error;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::model::clock::Now;
use crate::model::fault::Faults;
use crate::model::secret::Secret;
use crate::model::settings::{CertificateSettings, FileSetting};

/// Bits of an RSA key below which it is not used (NIST SP 800-131A).
const RSA_BITS_MIN: usize = 2048;

/// A certificate that can be shown.
pub(super) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    /// The hosts it names, in lower case.
    pub(super) hosts: Vec<String>,
    /// The last second at which it is valid.
    pub(super) not_after: i64,
}

/// Judges a certificate and its key; every fault is noted at the file it concerns.
pub(super) fn load(
    settings: &CertificateSettings,
    provider: &CryptoProvider,
    now: Now,
    faults: &mut Faults,
) -> Option<Pair> {
    let chain = chain(&settings.certificate, faults);
    let key = key(&settings.key, faults);
    let (chain, key) = (chain?, key?);
    let judged = judge(&settings.certificate, &chain, now, faults)?;
    let key = match CertifiedKey::from_der(chain, key, provider) {
        Ok(key) => Arc::new(key),
        Err(error) => {
            refuse_key(settings, &error, faults);
            return None;
        }
    };
    covers(settings, &key, faults)?;
    Some(Pair {
        key,
        hosts: judged.hosts,
        not_after: judged.not_after,
    })
}

/// What stands in a file; why it could not be read is noted where the configuration names it.
fn text<'f>(file: &'f FileSetting, faults: &mut Faults) -> Option<&'f Secret<Vec<u8>>> {
    let help = "it holds PEM text; its name is relative to this file's folder";
    let unread = |why: &String| faults.error_with_help(&file.place, why, help);
    file.text.as_ref().map_err(unread).ok()
}

/// The certificates of a file.
pub(super) fn chain(
    file: &FileSetting,
    faults: &mut Faults,
) -> Option<Vec<CertificateDer<'static>>> {
    let text = text(file, faults)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.expose_secret()).collect();
    let name = &file.name;
    let (message, help) = match found {
        Ok(chain) if !chain.is_empty() => return Some(chain),
        Ok(_) => (
            format!("the file `{name}` holds no certificate"),
            "it holds one or more blocks `-----BEGIN CERTIFICATE-----`",
        ),
        Err(_) => (
            format!("the file `{name}` is broken: a block of it is not PEM"),
            "perhaps it was read while it was being written",
        ),
    };
    faults.error_with_help(&file.place, message, help);
    None
}

fn key(file: &FileSetting, faults: &mut Faults) -> Option<PrivateKeyDer<'static>> {
    let text = text(file, faults)?;
    let bytes = text.expose_secret();
    let says = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
    let name = &file.name;
    let (message, help) = if says(b"ENCRYPTED") {
        (
            format!("the key in `{name}` is encrypted"),
            "decrypt it (`openssl pkey`) into a file that only this user may read",
        )
    } else {
        let found: Result<Vec<_>, _> = PrivateKeyDer::pem_slice_iter(bytes).collect();
        match found {
            Ok(mut keys) if keys.len() == 1 => return keys.pop(),
            Ok(keys) if keys.is_empty() => (
                format!("`{name}` holds no private key"),
                "it holds one block `-----BEGIN PRIVATE KEY-----`",
            ),
            Ok(_) => (
                format!("`{name}` holds more than one private key"),
                "keep the one that belongs to the certificate",
            ),
            Err(_) => (
                format!("`{name}` is broken: a block of it is not PEM"),
                "perhaps it was read while it was being written",
            ),
        }
    };
    faults.error_with_help(&file.place, message, help);
    None
}

fn refuse_key(settings: &CertificateSettings, error: &Error, faults: &mut Faults) {
    let (key, certificate) = (&settings.key, &settings.certificate.name);
    let (message, help) = if matches!(error, Error::InconsistentKeys(_)) {
        (
            format!(
                "the key in `{}` does not belong to `{certificate}`",
                key.name
            ),
            "write both together; perhaps one of them was replaced and the other not yet",
        )
    } else {
        (
            format!(
                "the key in `{}` is of a kind that is not supported",
                key.name
            ),
            "use ECDSA (P-256, P-384, P-521), Ed25519, or RSA of 2048 to 8192 bits",
        )
    };
    faults.error_with_help(&key.place, message, help);
}

/// What a certificate says of itself.
struct Judged {
    hosts: Vec<String>,
    not_after: i64,
}

fn judge(
    file: &FileSetting,
    chain: &[CertificateDer<'_>],
    now: Now,
    faults: &mut Faults,
) -> Option<Judged> {
    let name = &file.name;
    let read: Option<Vec<_>> = chain.iter().map(|der| parsed(der)).collect();
    let Some(read) = read else {
        let help = "perhaps it was read while it was being written";
        let message = format!("a certificate in `{name}` cannot be read");
        faults.error_with_help(&file.place, message, help);
        return None;
    };
    let own = read.first()?;
    let mut sound = true;
    let mut error = |message: String, help: &str| {
        faults.error_with_help(&file.place, message, help);
        sound = false;
    };
    let ordered = read.iter().zip(read.iter().skip(1));
    if ordered
        .into_iter()
        .any(|(one, next)| one.issuer() != next.subject())
    {
        let help = "first the certificate itself, then its issuer, then the issuer's issuer";
        error(
            format!("the certificates in `{name}` are not in order"),
            help,
        );
    }
    if let Some(message) = out_of_date(name, own, now) {
        error(message, "replace it, and its key with it; or set the clock");
    }
    if let Ok(PublicKey::RSA(rsa)) = own.public_key().parsed()
        && rsa.key_size() < RSA_BITS_MIN
    {
        let bits = rsa.key_size();
        error(
            format!("the RSA key of `{name}` has only {bits} bits"),
            "use ECDSA P-256, or RSA of 2048 bits and more",
        );
    }
    let not_after = own.validity().not_after.timestamp();
    sound.then(|| Judged {
        hosts: hosts(own),
        not_after,
    })
}

/// A certificate (DER) without anything behind it.
pub(super) fn parsed<'a>(der: &'a [u8]) -> Option<X509Certificate<'a>> {
    let (rest, read) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then_some(read)
}

/// Why a certificate is not valid at this moment.
pub(super) fn out_of_date(name: &str, read: &X509Certificate<'_>, now: Now) -> Option<String> {
    let now = now.unix_seconds();
    let (from, until) = (
        read.validity().not_before.timestamp(),
        read.validity().not_after.timestamp(),
    );
    if now > until {
        Some(format!("`{name}` expired on {}", day(until)))
    } else if now < from {
        Some(format!("`{name}` is not valid before {}", day(from)))
    } else {
        None
    }
}

fn day(unix_seconds: i64) -> String {
    jiff::Timestamp::from_second(unix_seconds)
        .map_or_else(|_| unix_seconds.to_string(), |moment| moment.to_string())
}

fn hosts(read: &X509Certificate<'_>) -> Vec<String> {
    let alternative = read.subject_alternative_name().ok().flatten();
    let listed = alternative.map_or(&[][..], |extension| &extension.value.general_names);
    let hosts = listed.iter().filter_map(|name| match name {
        GeneralName::DNSName(host) => Some(host.to_ascii_lowercase()),
        GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::URI(_)
        | GeneralName::IPAddress(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    });
    hosts.collect()
}

/// Refuses hosts that the certificate does not name: every client would refuse it there.
fn covers(settings: &CertificateSettings, key: &CertifiedKey, faults: &mut Faults) -> Option<()> {
    let own = ParsedCertificate::try_from(key.end_entity_cert().ok()?).ok()?;
    let mut covered = Some(());
    for host in &settings.hosts {
        // Any label will do to ask whether a wildcard is covered.
        let asked = host.name.replacen('*', "any", 1);
        let named = ServerName::try_from(asked.as_str())
            .is_ok_and(|asked| rustls::client::verify_server_name(&own, &asked).is_ok());
        if !named {
            let file = &settings.certificate.name;
            let message = format!("the certificate in `{file}` is not for `{}`", host.name);
            let help = "leave `hosts` out to take the hosts that the certificate names";
            faults.error_with_help(&host.place, message, help);
            covered = None;
        }
    }
    covered
}
