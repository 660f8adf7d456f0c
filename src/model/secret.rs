//! `Secret<T>`: a value that cannot be printed, is wiped when dropped and is compared in constant time; and the names
//! that secrets go by. Never give a value `Debug`, `Display`, `Clone` or `Serialize`.

use std::borrow::Borrow;
use std::fmt;
use std::str::Utf8Error;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::decode::{Decode, scalar};
use super::fault::Faults;
use super::node::{Node, Place};

/// A value that must not reach a log, an error, a metric or a core dump's long-lived memory.
///
/// ```compile_fail
/// let secret = outrider::model::secret::Secret::new(String::from("x"));
/// println!("{secret:?}");
/// ```
///
/// ```compile_fail
/// let secret = outrider::model::secret::Secret::new(String::from("x"));
/// println!("{secret}");
/// ```
///
/// ```compile_fail
/// let secret = outrider::model::secret::Secret::new(String::from("x"));
/// let another = secret.clone();
/// ```
pub struct Secret<T: Zeroize>(T);

/// What most secrets are: keys, passwords, PEM texts.
pub type SecretBytes = Secret<Vec<u8>>;

impl<T: Zeroize> Secret<T> {
    /// Takes the value in.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. The name is long so that each use is seen in review.
    pub const fn expose_secret(&self) -> &T {
        &self.0
    }
}

impl SecretBytes {
    /// The value as text, for what must stand in a header or a parameter.
    ///
    /// # Errors
    /// It is not UTF-8. The error tells a position, never a byte.
    pub fn expose_secret_text(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(&self.0)
    }
}

impl<T: Zeroize + AsRef<[u8]>> PartialEq for Secret<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_ref().ct_eq(other.0.as_ref()).into()
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Bytes of a name: file systems and Kubernetes stop at 253, nobody needs half of that.
const NAME_BYTES_MAX: usize = 128;

/// The name that a secret goes by in every source: letters, digits, `_`, `.` and `-`, and no `.` or `-` in front, so that
/// it can be a file and never a way out of a folder. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(Arc<str>);

impl SecretName {
    /// Reads a name; `None` if it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let first = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let further = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let sound = text.as_bytes().first().is_some_and(first) && text.bytes().all(further);
        (sound && text.len() <= NAME_BYTES_MAX).then(|| Self(Arc::from(text)))
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for SecretName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "secret:{}", self.0)
    }
}

impl Borrow<str> for SecretName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// How a reference begins.
const SCHEME: &str = "secret:";

/// `secret:NAME` in the configuration, where a secret is expected.
#[derive(Clone, Debug)]
pub struct SecretRef {
    /// Which one.
    pub name: SecretName,
    /// Where it was written.
    pub place: Place,
}

impl SecretRef {
    /// Whether a text claims to be a reference, for keys that take something else too.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }
}

impl Decode for SecretRef {
    /// A text that is no reference may be the secret itself, written into the file by mistake: no fault shows it.
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let text = scalar(node, "a reference such as secret:NAME", faults)?;
        let (message, help) = match text.strip_prefix(SCHEME).map(SecretName::parse) {
            Some(Some(name)) => {
                return Some(Self {
                    name,
                    place: node.place.clone(),
                });
            }
            Some(None) => (
                "what stands behind `secret:` is not the name of a secret",
                "a name has letters, digits, `_`, `.` and `-`, begins with none of the last two, and has 128 bytes at most",
            ),
            None => (
                "expected a reference such as secret:NAME, found something that may be a secret itself",
                "keep the value in the environment or in a file that `secrets` names, and write secret: and its name here",
            ),
        };
        faults.conceal(&node.place);
        faults.error_with_help(&node.place, message, help);
        None
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^secret:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::Value;

    #[test]
    fn a_name_is_a_plain_file_name() {
        for good in [
            "A",
            "a",
            "7",
            "_x",
            "BINANCE_TESTNET_API_KEY",
            "tls.key",
            "a-b",
        ] {
            assert_eq!(SecretName::parse(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(129);
        for bad in [
            "", ".", "..", "..data", ".env", "-x", "a/b", "a\\b", "a b", "a\n", "ä", "a=b", "a:b",
            "a\0", &long,
        ] {
            assert_eq!(SecretName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_reference_is_read_and_nothing_else_is_shown() {
        let decode = |text: &str| {
            let node = Node {
                value: Value::Scalar {
                    text: text.to_owned(),
                    quoted: true,
                },
                place: Place::Default,
            };
            let mut faults = Faults::default();
            let read = SecretRef::decode(&node, &mut faults).map(|found| found.name.to_string());
            (read, format!("{faults:?}"))
        };
        assert_eq!(decode("secret:API_KEY").0.as_deref(), Some("API_KEY"));
        for bad in [
            "hunter2",
            "Secret:hunter2",
            "secret:hun ter2",
            "secret:",
            " secret:X",
            "",
        ] {
            let (read, told) = decode(bad);
            assert_eq!(read, None, "{bad}");
            assert!(!told.contains("hun"), "{told}");
        }
    }

    #[test]
    fn values_are_compared_by_content() {
        let bytes = |text: &str| Secret::new(text.as_bytes().to_vec());
        assert!(bytes("a") == bytes("a"));
        assert!(bytes("a") != bytes("b") && bytes("a") != bytes("aa"));
        assert_eq!(bytes("text").expose_secret_text(), Ok("text"));
        assert!(Secret::new(vec![0xff]).expose_secret_text().is_err());
    }
}
