//! How a signature came about, for a person: every step with secrets masked and signatures cut. Never shows a secret in
//! any of the forms in which signers write one.

use super::Signed;
use super::encoding::Encoding;
use crate::model::form::push_encoded;
use crate::model::json::shown;

/// A signed request, told step by step. All texts are safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The values that the rule works out, in its order; the string that is signed is among them.
    pub steps: Vec<Line>,
    /// The query as it would be sent.
    pub query: String,
    /// The body as it would be sent.
    pub body: String,
    /// The headers that would be set.
    pub headers: Vec<Line>,
}

/// One value with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The name.
    pub name: String,
    /// The value, masked.
    pub text: String,
}

/// What must not be shown, and what stands in its place.
#[derive(Default)]
pub(in super::super) struct Mask {
    hidden: Vec<(Vec<u8>, String)>,
}

/// Characters of a signature that are shown: enough to compare two, useless to send one.
const SIGNATURE_SHOWN: usize = 8;

impl Mask {
    /// Hides a secret behind `<name>`, also percent-encoded, in base64 and in hexadecimal.
    pub(in super::super) fn secret(&mut self, name: &str, bytes: &[u8]) {
        for encoding in [
            Encoding::Raw,
            Encoding::Base64,
            Encoding::Base64Url,
            Encoding::Hex,
        ] {
            self.hide(encoding.encode(bytes), &format!("<{name}>"));
        }
    }

    /// Hides all but the beginning of a signature.
    pub(in super::super) fn signature(&mut self, name: &str, bytes: &[u8]) {
        let begin = String::from_utf8_lossy(bytes)
            .chars()
            .take_while(char::is_ascii_graphic)
            .take(SIGNATURE_SHOWN)
            .collect::<String>();
        self.hide(bytes.to_vec(), &format!("<{name} {begin}…>"));
    }

    /// `bytes` as they may be shown: on one line, with everything hidden that is to be.
    pub(in super::super) fn shown(&self, bytes: &[u8]) -> String {
        let mut text = String::new();
        let mut plain = Vec::new();
        let mut rest = bytes;
        while let Some((first, behind)) = rest.split_first() {
            let hidden = self
                .hidden
                .iter()
                .find(|(hidden, _)| rest.starts_with(hidden));
            if let Some((hidden, stand_in)) = hidden {
                flush(&mut text, &mut plain);
                text.push_str(stand_in);
                rest = rest.get(hidden.len()..).unwrap_or_default();
            } else {
                plain.push(*first);
                rest = behind;
            }
        }
        flush(&mut text, &mut plain);
        text
    }

    /// A whole signed request.
    pub(in super::super) fn explained(&self, steps: Vec<Line>, signed: &Signed) -> Explained {
        let headers = signed.headers.iter().map(|(name, value)| Line {
            name: name.to_string(),
            text: self.shown(value.as_bytes()),
        });
        Explained {
            steps,
            query: self.shown(signed.query.as_bytes()),
            body: self.shown(&signed.body),
            headers: headers.collect(),
        }
    }

    /// The longest first, so that a secret that begins another does not uncover its end.
    fn hide(&mut self, bytes: Vec<u8>, stand_in: &str) {
        let mut encoded = String::new();
        push_encoded(&mut encoded, &bytes);
        for form in [encoded.into_bytes(), bytes] {
            if !form.is_empty() && !self.hidden.iter().any(|(hidden, _)| *hidden == form) {
                self.hidden.push((form, stand_in.to_owned()));
            }
        }
        self.hidden
            .sort_by_key(|(hidden, _)| std::cmp::Reverse(hidden.len()));
    }
}

/// Quotes and backslashes stay as they are signed; what would break a line or mislead a reader is escaped.
fn flush(text: &mut String, plain: &mut Vec<u8>) {
    for chunk in plain.utf8_chunks() {
        for piece in chunk.valid().split_inclusive(['"', '\\']) {
            let kept = piece.strip_suffix(['"', '\\']).unwrap_or(piece);
            text.push_str(&shown(kept));
            text.push_str(piece.get(kept.len()..).unwrap_or_default());
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    plain.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_every_form_of_a_secret() {
        let mut mask = Mask::default();
        mask.secret("key", b"s3cr+t/x");
        mask.secret("longer", b"s3cr+t/xyz");
        let table: [(&[u8], &str); 8] = [
            (b"a=s3cr+t/x&b=1", "a=<key>&b=1"),
            (b"a=s3cr%2Bt%2Fx", "a=<key>"),
            (b"s3cr+t/xyz", "<longer>"),
            (b"733363722b742f78", "<key>"),
            (b"czNjcit0L3g=", "<key>"),
            (b"czNjcit0L3g%3D", "<key>"),
            (b"plain\n\x1b", "plain\\n\\u001b"),
            (b"{\"a\":\"\\u0041\"}\xff", "{\"a\":\"\\u0041\"}\\xff"),
        ];
        for (bytes, expected) in table {
            assert_eq!(mask.shown(bytes), expected);
        }
    }

    #[test]
    fn cuts_signatures() {
        let mut mask = Mask::default();
        mask.signature("sig", b"c8db56825ae71d6d79447849");
        assert_eq!(
            mask.shown(b"x c8db56825ae71d6d79447849"),
            "x <sig c8db5682…>"
        );
        mask.signature("raw", &[0xff, 0, 1]);
        assert_eq!(mask.shown(&[0xff, 0, 1, b'z']), "<raw …>z");
    }
}
