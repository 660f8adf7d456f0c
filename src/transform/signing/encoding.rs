//! How bytes become text: hexadecimal and the two alphabets of base64. Never knows what the bytes mean.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// How the bytes of a hash or signature are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Encoding {
    /// As they are.
    #[default]
    Raw,
    /// Hexadecimal, lower case.
    Hex,
    /// RFC 4648 section 4, padded.
    Base64,
    /// RFC 4648 section 5, not padded.
    Base64Url,
}

/// The encodings by name.
pub(super) const ENCODINGS: &[(&str, Encoding)] = &[
    ("raw", Encoding::Raw),
    ("hex", Encoding::Hex),
    ("base64", Encoding::Base64),
    ("base64url", Encoding::Base64Url),
];

impl Encoding {
    /// Appends `bytes` in this encoding.
    pub(in super::super) fn push(self, out: &mut Vec<u8>, bytes: &[u8]) {
        match self {
            Self::Raw => out.extend_from_slice(bytes),
            Self::Hex => push_hex(out, bytes),
            Self::Base64 => out.extend_from_slice(STANDARD.encode(bytes).as_bytes()),
            Self::Base64Url => out.extend_from_slice(URL_SAFE_NO_PAD.encode(bytes).as_bytes()),
        }
    }

    /// The bytes in this encoding; all but [`Encoding::Raw`] give ASCII.
    #[must_use]
    pub(in super::super) fn encode(self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len().saturating_mul(2));
        self.push(&mut out, bytes);
        out
    }
}

/// The bytes that a hexadecimal text writes.
#[must_use]
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let bytes = pairs.iter().map(|[high, low]| {
        let value = digit(*high)? << 4 | digit(*low)?;
        u8::try_from(value).ok()
    });
    bytes
        .collect::<Option<Vec<u8>>>()
        .filter(|_| rest.is_empty())
}

/// The bytes that a padded base64 text writes.
#[must_use]
pub(super) fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(DIGITS.get(usize::from(digit)).copied().unwrap_or(b'0'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_vectors_of_rfc_4648() {
        let table = [
            (Encoding::Raw, &b"\xfb\xff"[..], &b"\xfb\xff"[..]),
            (Encoding::Hex, b"\x00\xfb\xff", b"00fbff"),
            (Encoding::Base64, b"fooba", b"Zm9vYmE="),
            (Encoding::Base64, b"\xfb\xff", b"+/8="),
            (Encoding::Base64Url, b"\xfb\xff", b"-_8"),
            (Encoding::Hex, b"", b""),
        ];
        for (encoding, bytes, expected) in table {
            assert_eq!(encoding.encode(bytes), expected, "{encoding:?}");
        }
    }

    #[test]
    fn reads_only_whole_and_clean_texts() {
        assert_eq!(from_hex("00fBff"), Some(vec![0, 0xfb, 0xff]));
        for bad in ["0", "0g", "+1", " 00"] {
            assert_eq!(from_hex(bad), None, "{bad}");
        }
        assert_eq!(from_base64(b"Zm9vYmE="), Some(b"fooba".to_vec()));
        assert_eq!(from_base64(b"Zm9vYmE"), None);
        assert_eq!(from_base64(b"Zm9v\n"), None);
    }
}
