//! What must not enter an event: queries, user information, tokens that stand in a path. Works on texts only, before
//! the event exists.

use crate::model::json::push_text;

/// Bytes of a path that an event keeps.
pub(super) const PATH_BYTES_MAX: usize = 1024;
/// A segment of a path that is longer says nothing to a reader, but may be a credential.
const SEGMENT_BYTES_MAX: usize = 128;
/// Letters and digits without a break that are a key to something, and no name.
const RANDOM_BYTES_MIN: usize = 40;
/// Bytes of an operator's explanation that an event keeps.
const DETAIL_BYTES_MAX: usize = 512;
/// How a JSON object begins in base64url, and so every JWT.
const JWT_START: &str = "eyJ";

/// Appends a path. Segments that may hold a credential are named, not shown.
pub(super) fn push_path(out: &mut Vec<u8>, path: &str) {
    if path.split('/').any(is_suspect) {
        let parts: Vec<&str> = path.split('/').map(shown_segment).collect();
        push_text(out, &parts.join("/"), PATH_BYTES_MAX);
    } else {
        push_text(out, path, PATH_BYTES_MAX);
    }
}

/// Appends a word that the client chose: a method, a host. It is held to what a segment of a path is held to.
pub(super) fn push_word(out: &mut Vec<u8>, word: &str, bytes_max: usize) {
    push_text(out, shown_segment(word), bytes_max);
}

/// Appends what the operator is told of a refusal. By contract it holds no secret; one that a guard quoted by mistake
/// does not get through here either.
pub(super) fn push_detail(out: &mut Vec<u8>, detail: &str) {
    let kept = if detail.contains(JWT_START) {
        "[withheld: it looks like a token]"
    } else {
        detail
    };
    push_text(out, kept, DETAIL_BYTES_MAX);
}

/// The part of an unjudged request target that may be kept: no query, no fragment, no scheme, no user information.
pub(super) fn unjudged_path(target: &[u8]) -> String {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let kept = target
        .get(..end.unwrap_or(target.len()))
        .unwrap_or_default();
    let kept = kept.get(..PATH_BYTES_MAX + 1).unwrap_or(kept);
    let text = String::from_utf8_lossy(kept);
    if text.starts_with('/') {
        return text.into_owned();
    }
    match text.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or_else(
            || "/".to_owned(),
            |slash| rest.get(slash..).unwrap_or_default().to_owned(),
        ),
        None => match text.rsplit_once('@') {
            // `user:password@host`, the authority form.
            Some((_, host)) => host.to_owned(),
            None => text.into_owned(),
        },
    }
}

fn is_suspect(segment: &str) -> bool {
    segment.len() > SEGMENT_BYTES_MAX || segment.contains(JWT_START) || is_random(segment)
}

/// Whether a segment is a long word of random letters and digits: the keys to somebody's account that exchanges have in
/// paths (listen keys). Digests in hexadecimal are none.
fn is_random(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let letter = |byte: &u8| byte.is_ascii_alphabetic() && !byte.is_ascii_hexdigit();
    bytes.len() >= RANDOM_BYTES_MIN
        && bytes.iter().any(u8::is_ascii_digit)
        && bytes.iter().any(letter)
        && bytes.iter().all(u8::is_ascii_alphanumeric)
}

fn shown_segment(segment: &str) -> &str {
    if segment.contains(JWT_START) || is_random(segment) {
        "[token]"
    } else if segment.len() > SEGMENT_BYTES_MAX {
        "[long]"
    } else {
        segment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_shows_no_token() {
        let long = "x".repeat(200);
        let digest = format!("/blobs/{}", "0a".repeat(32));
        let table = [
            ("/api/v1/orders", "\"/api/v1/orders\"".to_owned()),
            (
                "/t/eyJhbGciOiJSUzI1NiJ9.e30.sig/x",
                "\"/t/[token]/x\"".to_owned(),
            ),
            (&format!("/a/{long}/b"), "\"/a/[long]/b\"".to_owned()),
            (
                "/ws/pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1",
                "\"/ws/[token]\"".to_owned(),
            ),
            (&digest, format!("\"{digest}\"")),
        ];
        for (path, expected) in table {
            let mut out = Vec::new();
            push_path(&mut out, path);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn a_method_and_a_host_show_no_token() {
        let table = [
            ("POST", "\"POST\""),
            ("orders.example:8443", "\"orders.example:8443\""),
            ("eyJhbGciOiJSUzI1NiJ9.e30.sig", "\"[token]\""),
            ("www.eyJhbGciOiJSUzI1NiJ9.example", "\"[token]\""),
            (&"X".repeat(200), "\"[long]\""),
        ];
        for (word, expected) in table {
            let mut out = Vec::new();
            push_word(&mut out, word, 256);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn a_detail_that_quotes_a_token_is_withheld() {
        let mut out = Vec::new();
        push_detail(&mut out, "bad token eyJhbGciOiJub25lIn0.e30.");
        push_detail(&mut out, "the audience is not ours");
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains("eyJ") && text.contains("the audience is not ours"));
    }

    #[test]
    fn an_unjudged_target_shows_no_query_and_no_password() {
        let table: [(&[u8], &str); 8] = [
            (b"/x://a@b", "/x://a@b"),
            (b"/a?token=secret", "/a"),
            (b"/a#secret", "/a"),
            (b"http://user:secret@host/a?x=secret", "/a"),
            (b"http://user:secret@host", "/"),
            (b"user:secret@host:443", "host:443"),
            (b"*", "*"),
            (b"/\xff", "/\u{fffd}"),
        ];
        for (target, expected) in table {
            assert_eq!(unjudged_path(target), expected);
        }
        assert!(unjudged_path(&[b'a'; 100_000]).len() <= PATH_BYTES_MAX + 1);
    }
}
