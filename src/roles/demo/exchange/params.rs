//! Parameters of a request: the raw query and body, what was signed of them, and what they say. Never re-encodes.

use super::refusal::Refusal;

/// Parameters of one request.
const PARAMS_MAX: usize = 64;

/// Decoded parameters, in the order in which they came; the query before the body.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

/// A request's query and body as they came over the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'r> {
    pub(super) query: &'r [u8],
    pub(super) body: &'r [u8],
}

/// What a signed request says.
#[derive(Debug)]
pub(super) struct Signed {
    /// The raw query and the raw body, with nothing between them, without the signature.
    pub(super) payload: Vec<u8>,
    /// Decoded; none if there is none.
    pub(super) signature: Option<String>,
    /// Whether the signature ends the part in which it stands.
    pub(super) last: bool,
}

impl Params {
    pub(super) fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The first value of a name; the query wins over the body.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The value of a name.
    ///
    /// # Errors
    ///
    /// -1102 if it is missing or empty.
    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        let value = self.get(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| Refusal::missing(name))
    }

    /// A whole number, if there is one.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| Refusal::illegal(name)),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl Raw<'_> {
    /// The parameters of both parts.
    pub(super) fn params(self) -> Params {
        Params(part(self.query).chain(part(self.body)).collect())
    }

    /// Whether each name stands once in its part, and `signature` once in both.
    ///
    /// # Errors
    ///
    /// -1101 otherwise, and for too many.
    pub(super) fn names_once(self) -> Result<(), Refusal> {
        let mut signatures = 0;
        for raw in [self.query, self.body] {
            let mut names: Vec<String> = part(raw).map(|(name, _)| name).collect();
            if names.len() > PARAMS_MAX {
                return Err(Refusal::bad(-1101, "Too many parameters."));
            }
            names.sort();
            let twice = names.windows(2).any(|pair| pair.first() == pair.last());
            signatures += usize::from(names.iter().any(|name| name == "signature"));
            if twice || signatures > 1 {
                let msg = "Duplicate values for a parameter detected.";
                return Err(Refusal::bad(-1101, msg));
            }
        }
        Ok(())
    }

    /// Whether a byte stands in it that must have been percent-encoded.
    pub(super) fn is_ascii(self) -> bool {
        self.query.is_ascii() && self.body.is_ascii()
    }

    /// Takes the signature out of what was signed.
    pub(super) fn signed(self) -> Signed {
        let mut signed = Signed {
            payload: Vec::with_capacity(self.query.len() + self.body.len()),
            signature: None,
            last: true,
        };
        signed.add(self.query);
        signed.add(self.body);
        signed
    }
}

impl Signed {
    fn add(&mut self, part: &[u8]) {
        let begin = self.payload.len();
        let mut behind_signature = false;
        for pair in part.split(|byte| *byte == b'&') {
            if let Some(value) = pair.strip_prefix(b"signature=") {
                self.signature = Some(decoded(value));
                behind_signature = true;
                continue;
            }
            self.last &= !behind_signature;
            if self.payload.len() > begin {
                self.payload.push(b'&');
            }
            self.payload.extend_from_slice(pair);
        }
    }
}

fn part(raw: &[u8]) -> impl Iterator<Item = (String, String)> {
    let pairs = raw
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let name = decoded(halves.next().unwrap_or_default());
        (name, decoded(halves.next().unwrap_or_default()))
    })
}

/// Decodes `application/x-www-form-urlencoded`; what is not valid stays as it is.
fn decoded(raw: &[u8]) -> String {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [first, behind @ ..] = rest {
        rest = behind;
        let escaped = (*first == b'%')
            .then(|| Some(digit(behind.first())? * 16 + digit(behind.get(1))?))
            .flatten();
        match escaped.map(u8::try_from) {
            Some(Ok(byte)) => {
                out.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            _ => out.push(if *first == b'+' { b' ' } else { *first }),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(query: &str, body: &str) -> (String, Option<String>, bool) {
        let raw = Raw {
            query: query.as_bytes(),
            body: body.as_bytes(),
        };
        let signed = raw.signed();
        let payload = String::from_utf8(signed.payload).unwrap();
        (payload, signed.signature, signed.last)
    }

    #[test]
    fn the_payload_is_query_and_body_without_the_signature() {
        let table = [
            ("a=1&b=2&signature=ff", "", "a=1&b=2", true),
            ("", "a=1&signature=ff", "a=1", true),
            ("a=1", "b=2&signature=ff", "a=1b=2", true),
            ("a=1&signature=ff", "b=2", "a=1b=2", true),
            ("signature=ff", "a=1", "a=1", true),
            ("a=1&signature=ff&b=2", "", "a=1&b=2", false),
            ("signature=ff&a=1", "", "a=1", false),
        ];
        for (query, body, payload, last) in table {
            let expected = (payload.to_owned(), Some("ff".to_owned()), last);
            assert_eq!(signed(query, body), expected, "{query} {body}");
        }
        assert_eq!(signed("a=1", "").1, None);
        assert_eq!(
            signed("a=%ef&signature=%2B%2F%3D", "").1.as_deref(),
            Some("+/=")
        );
    }

    #[test]
    fn a_name_may_stand_once_in_each_part_and_the_query_wins() {
        let raw = |query: &'static str, body: &'static str| Raw {
            query: query.as_bytes(),
            body: body.as_bytes(),
        };
        assert_eq!(raw("a=1", "a=2").params().get("a"), Some("1"));
        assert_eq!(raw("a=1+%2B", "").params().get("a"), Some("1 +"));
        assert_eq!(raw("a=%zz%4", "").params().get("a"), Some("%zz%4"));
        raw("a=1", "a=2&signature=1").names_once().unwrap();
        for (query, body) in [
            ("a=1&b=1&a=2", ""),
            ("", "a=1&%61=2"),
            ("signature=1", "signature=1"),
        ] {
            assert_eq!(raw(query, body).names_once().unwrap_err().code, -1101);
        }
        let many: String = (0..65).map(|number| format!("p{number}=1&")).collect();
        let many = Raw {
            query: many.as_bytes(),
            body: b"",
        };
        assert_eq!(many.names_once().unwrap_err().code, -1101);
    }
}
