//! What a verified client certificate says of its holder. Plain data, made once for a connection and shared by its
//! requests; never a key, and never a decision.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;

use super::caller::header_value;

/// A client certificate whose chain was verified in the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The names it carries.
    pub names: CertificateNames,
    /// Its serial number in hexadecimal, without leading zeros.
    pub serial: String,
    /// SHA-256 of the certificate (RFC 8705 section 3.1 `x5t#S256`).
    pub fingerprint: Fingerprint,
    /// The last second at which it is valid, since 1970.
    pub not_after: i64,
    /// `outrider-client`, ready to be sent.
    pub header: Option<HeaderValue>,
    /// The chain it was shown in; none where a certificate is only assumed.
    pub chain: Option<Arc<Chain>>,
}

/// The chain that a client showed, kept as long as its connection: whom to trust may change meanwhile.
pub struct Chain {
    /// DER; the client's own certificate first.
    pub certificates: Vec<Vec<u8>>,
    good_for: AtomicU64,
}

impl Chain {
    /// A chain that was found good by whoever is trusted under this number.
    #[must_use]
    pub const fn new(certificates: Vec<Vec<u8>>, trust: u64) -> Self {
        Self {
            certificates,
            good_for: AtomicU64::new(trust),
        }
    }

    /// Whether it was found good by those when it was judged last.
    #[must_use]
    pub fn is_good_for(&self, trust: u64) -> bool {
        self.good_for.load(Ordering::Relaxed) == trust
    }

    /// It was found good by those now.
    pub fn set_good_for(&self, trust: u64) {
        self.good_for.store(trust, Ordering::Relaxed);
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Chain({})", self.certificates.len())
    }
}

impl PartialEq for Chain {
    fn eq(&self, other: &Self) -> bool {
        self.certificates == other.certificates
    }
}

impl Eq for Chain {}

/// The names in a certificate. All of them are checked for length and for control characters before they get here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// The subject (RFC 4514), such as `CN=orders,O=JTS`; may be empty.
    pub subject: String,
    /// Alternative names that are hosts.
    pub dns: Vec<String>,
    /// Alternative names that are URIs.
    pub uris: Vec<String>,
    /// Alternative names that are mail addresses.
    pub emails: Vec<String>,
}

impl CertificateNames {
    /// The SPIFFE ID, if this is an X.509-SVID: then it is the only URI (X509-SVID section 2).
    #[must_use]
    pub fn spiffe(&self) -> Option<&str> {
        match self.uris.as_slice() {
            [only] if is_spiffe_id(only) => Some(only),
            _ => None,
        }
    }

    /// What stands for the holder where one name is wanted: the SPIFFE ID, or else the subject, or else the first
    /// alternative name.
    #[must_use]
    pub fn principal(&self) -> &str {
        let subject = Some(self.subject.as_str()).filter(|subject| !subject.is_empty());
        let mut others = self.uris.iter().chain(&self.dns).chain(&self.emails);
        self.spiffe()
            .or(subject)
            .or_else(|| others.next().map(String::as_str))
            .unwrap_or_default()
    }
}

impl ClientCertificate {
    /// Puts the names together with what else the certificate says, and prepares what the service is told.
    #[must_use]
    pub fn new(
        names: CertificateNames,
        serial: String,
        fingerprint: Fingerprint,
        not_after: i64,
    ) -> Self {
        let header = header(&names, &fingerprint);
        Self {
            names,
            serial,
            fingerprint,
            not_after,
            header,
            chain: None,
        }
    }

    /// Whether it is out of date, as it becomes on a connection that lives longer than it.
    #[must_use]
    pub const fn has_expired(&self, unix_seconds: i64) -> bool {
        unix_seconds > self.not_after
    }
}

/// The SHA-256 of a certificate; shown in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Names that the service is told of each kind; more would only fill its head.
const TOLD_MAX: usize = 8;

/// Pairs between commas: `sha256=...,subject=...,uri=...,dns=...`. Whatever is not visible ASCII, `%` and the comma are
/// percent-encoded, so that no name can pose as two.
fn header(names: &CertificateNames, fingerprint: &Fingerprint) -> Option<HeaderValue> {
    let mut pairs = vec![format!("sha256={fingerprint}")];
    if !names.subject.is_empty() {
        pairs.push(format!("subject={}", names.subject));
    }
    let kinds = [
        ("uri", &names.uris),
        ("dns", &names.dns),
        ("email", &names.emails),
    ];
    for (kind, names) in kinds {
        let told = names.iter().take(TOLD_MAX);
        pairs.extend(told.map(|name| format!("{kind}={name}")));
    }
    header_value(pairs.iter().map(String::as_str), true)
}

/// Bytes of a SPIFFE ID (SPIFFE-ID section 2.3).
const SPIFFE_BYTES_MAX: usize = 2048;

/// Whether a URI is a SPIFFE ID (SPIFFE-ID section 2): a trust domain, and a path of plain segments.
#[must_use]
pub fn is_spiffe_id(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix("spiffe://") else {
        return false;
    };
    let mut parts = rest.split('/');
    let domain = parts.next().unwrap_or_default();
    let in_domain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    let in_path = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let segment = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(in_path);
    uri.len() <= SPIFFE_BYTES_MAX
        && (1..=255).contains(&domain.len())
        && domain.bytes().all(in_domain)
        && parts.all(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spiffe_id_is_a_trust_domain_and_plain_segments() {
        for (uri, is) in [
            ("spiffe://prod.jts/ns/trading/sa/bot", true),
            ("spiffe://prod.jts", true),
            ("spiffe://prod.jts/", false),
            ("spiffe://prod.jts//bot", false),
            ("spiffe://prod.jts/../bot", false),
            ("spiffe://prod.jts/%62ot", false),
            ("spiffe://prod.jts/bot?x", false),
            ("spiffe://prod.jts/bot#x", false),
            ("spiffe://PROD/bot", false),
            ("spiffe://user@prod/bot", false),
            ("spiffe://prod:443/bot", false),
            ("spiffe:///bot", false),
            ("SPIFFE://prod/bot", false),
            ("https://prod.jts/bot", false),
        ] {
            assert_eq!(is_spiffe_id(uri), is, "{uri}");
        }
    }

    #[test]
    fn two_uris_are_no_svid() {
        let id = "spiffe://prod.jts/bot".to_owned();
        let mut names = CertificateNames {
            subject: "CN=bot".to_owned(),
            uris: vec![id.clone()],
            ..CertificateNames::default()
        };
        assert_eq!(names.spiffe(), Some(id.as_str()));
        assert_eq!(names.principal(), id);
        names.uris.push("https://example.com".to_owned());
        assert_eq!(names.spiffe(), None);
        assert_eq!(names.principal(), "CN=bot");
    }

    #[test]
    fn no_name_can_pose_as_two_in_the_header() {
        let names = CertificateNames {
            subject: "CN=bot,uri=spiffe://prod/admin".to_owned(),
            dns: vec!["a.example".to_owned()],
            ..CertificateNames::default()
        };
        let made = ClientCertificate::new(names, "1f".to_owned(), Fingerprint([7; 32]), 0);
        let told = made.header.unwrap();
        let pairs: Vec<&str> = told.to_str().unwrap().split(',').collect();
        assert_eq!(pairs.len(), 3);
        assert_eq!(pairs[0], format!("sha256={}", "07".repeat(32)));
        assert_eq!(pairs[1], "subject=CN=bot%2Curi=spiffe://prod/admin");
        assert_eq!(pairs[2], "dns=a.example");
    }
}
