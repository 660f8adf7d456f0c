//! The two values by which a WebSocket handshake proves that both ends mean it (RFC 6455 section 1.3). Never opens a
//! connection.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Behind the key, before it is hashed.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Bytes of a key before it is encoded.
const KEY_BYTES: usize = 16;

/// A fresh `Sec-WebSocket-Key`: 16 random bytes. It is no secret; it only has to be another one each time. None if the
/// system has no random bytes.
#[must_use]
pub fn new_key() -> Option<String> {
    let mut bytes = [0; KEY_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(STANDARD.encode(bytes))
}

/// Whether a text is a `Sec-WebSocket-Key`: 16 bytes in base64.
#[must_use]
pub fn is_key(text: &[u8]) -> bool {
    let bytes = STANDARD.decode(text);
    bytes.is_ok_and(|bytes| bytes.len() == KEY_BYTES)
}

/// The `Sec-WebSocket-Accept` that answers a key.
#[must_use]
pub fn accept_of(key: &str) -> String {
    let hashed = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    STANDARD.encode(hashed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455 section 1.3.
    #[test]
    fn the_answer_to_a_key_is_the_standards() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        assert!(is_key(key.as_bytes()));
        assert_eq!(accept_of(key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn keys_are_sixteen_bytes_and_never_the_same() {
        let key = new_key().unwrap();
        assert!(is_key(key.as_bytes()));
        assert_ne!(Some(key), new_key());
        for wrong in ["", "dGhlIHNhbXBsZQ==", "dGhlIHNhbXBsZSBub25jZQ", "@@@"] {
            assert!(!is_key(wrong.as_bytes()), "{wrong}");
        }
    }
}
