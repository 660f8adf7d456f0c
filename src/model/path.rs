//! Request paths: judged once, and the templates they are matched against. Anything with two readings is refused;
//! never matches bytes other than those that are sent.

use std::borrow::Cow;

use http::uri::PathAndQuery;
use serde_json::{Value as Json, json};

use super::decode::{Decode, decode_scalar};
use super::fault::Faults;
use super::node::Node;

#[cfg(test)]
mod tests;

/// A path and query with one reading: what rules see is what the upstream gets, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedPath {
    canonical: PathAndQuery,
    respelt: bool,
}

impl JudgedPath {
    /// The path, without query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.canonical.path()
    }

    /// The query, without `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.canonical.query()
    }

    /// What is sent.
    #[must_use]
    pub const fn target(&self) -> &PathAndQuery {
        &self.canonical
    }

    /// Whether the client had spelt unreserved characters in percent form. Only a route that says `normalise: true`
    /// takes such a path, and then in its canonical form.
    #[must_use]
    pub const fn respelt(&self) -> bool {
        self.respelt
    }

    /// Judges a request target in origin form. The error says what has two readings (for the operator).
    pub fn judge(target: &PathAndQuery) -> Result<Self, &'static str> {
        // Not `path()`, which reads an empty path as `/` where nothing of the kind is sent.
        if !target.as_str().starts_with('/') {
            return Err("the path does not begin with a slash");
        }
        let path = target.path();
        if let Some(query) = target.query()
            && query.bytes().any(|byte| !byte.is_ascii_graphic())
        {
            return Err("the query holds a character that is not visible ASCII");
        }
        let respelt = judge_bytes(path.as_bytes())?;
        let decoded = if respelt {
            Cow::Owned(decode_unreserved(path))
        } else {
            Cow::Borrowed(path)
        };
        if respelt && judge_bytes(decoded.as_bytes())? {
            return Err("an escape that is spelt in escapes");
        }
        judge_segments(&decoded)?;
        if !respelt {
            return Ok(Self {
                canonical: target.clone(),
                respelt,
            });
        }
        let rebuilt = match target.query() {
            Some(query) => format!("{decoded}?{query}"),
            None => decoded.into_owned(),
        };
        let canonical = PathAndQuery::try_from(rebuilt).map_err(|_| "the path is not a path")?;
        Ok(Self { canonical, respelt })
    }
}

/// Refuses what no reading makes safe; true if an unreserved character stands in percent form.
fn judge_bytes(path: &[u8]) -> Result<bool, &'static str> {
    let mut respelt = false;
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        match byte {
            b'%' => {
                let code =
                    escaped(path.get(at + 1..)).ok_or("a percent sign without two hex digits")?;
                respelt |= judge_escape(code, path.get(at + 3..))?;
                at += 3;
                continue;
            }
            b'\\' => return Err("a backslash, which some servers read as a slash"),
            b';' => return Err("a semicolon, behind which some servers see parameters"),
            _ if is_path_byte(byte) => {}
            _ => return Err("a character that a path must not hold"),
        }
        at += 1;
    }
    Ok(respelt)
}

fn judge_escape(code: u8, rest: Option<&[u8]>) -> Result<bool, &'static str> {
    match code {
        b'/' | b'\\' => Err("an encoded slash or backslash"),
        b';' => Err("an encoded semicolon, behind which some servers see parameters"),
        b'%' if escaped(rest).is_some() => Err("a percent sign encoded twice"),
        0..=0x1f | 0x7f => Err("an encoded control character"),
        _ => Ok(is_unreserved(code)),
    }
}

fn judge_segments(path: &str) -> Result<(), &'static str> {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => return Err("a segment of dots"),
            "" if segments.peek().is_some() => return Err("an empty segment"),
            _ => {}
        }
    }
    Ok(())
}

/// The byte that two hex digits at the start of `rest` mean.
fn escaped(rest: Option<&[u8]>) -> Option<u8> {
    let digit = |byte: u8| {
        (byte as char)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    match rest? {
        [high, low, ..] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

fn decode_unreserved(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, behind)) = rest.split_once('%') {
        out.push_str(before);
        let code = escaped(Some(behind.as_bytes())).filter(|code| is_unreserved(*code));
        match code.and_then(|code| behind.get(2..).map(|after| (code, after))) {
            Some((code, after)) => {
                out.push(code as char);
                rest = after;
            }
            None => {
                out.push('%');
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The bytes that a text means once each escape is read as what it stands for, one time.
pub fn decoded(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (first, behind) = rest.split_first()?;
        let code = escaped(Some(behind)).filter(|_| *first == b'%');
        let (byte, behind) = match (code, behind) {
            (Some(code), [_, _, behind @ ..]) => (code, behind),
            _ => (*first, behind),
        };
        rest = behind;
        Some(byte)
    })
}

/// RFC 3986 section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 `pchar` and the slash, without `;` (refused above) and `%` (judged above).
const fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'/' | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b'='
                | b':'
                | b'@'
        )
}

/// A path with `{name}` for one segment and, at the end only, `/**` for any number of further segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    text: String,
    segments: Box<[Segment]>,
    open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// As written, and what it means.
    Literal(String, Vec<u8>),
    Parameter,
}

impl PathTemplate {
    /// Reads a template such as `/accounts/{account}/orders` or `/market/**`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("`{text}` is not a path template: {why}"));
        let Some(rest) = text.strip_prefix('/') else {
            return refuse("it does not begin with `/`");
        };
        let (rest, open) = match rest.strip_suffix("**") {
            Some("") => ("", true),
            Some(before) => match before.strip_suffix('/') {
                None => return refuse("`**` stands only alone as the last segment"),
                Some(before) if before.is_empty() || before.ends_with('/') => {
                    return refuse("it has an empty segment");
                }
                Some(before) => (before, true),
            },
            None => (rest, false),
        };
        let mut segments = Vec::new();
        for segment in rest.split('/').filter(|_| !(open && rest.is_empty())) {
            match Segment::parse(segment) {
                Ok(segment) => segments.push(segment),
                Err(why) => return refuse(&why),
            }
        }
        let literal: Vec<&str> = segments.iter().map(Segment::sample).collect();
        let sample = format!("/{}", literal.join("/"));
        let judged = PathAndQuery::try_from(sample.as_str()).map_err(|_| "not a path");
        match judged.and_then(|sample| JudgedPath::judge(&sample)) {
            Ok(judged) if judged.respelt() => {
                refuse("write plain characters plainly, not in percent form")
            }
            Ok(_) => Ok(Self {
                text: text.to_owned(),
                segments: segments.into(),
                open,
            }),
            Err(why) => refuse(why),
        }
    }

    /// The template as written: the name of the path in metrics, traces and audit.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a judged path matches, whole segments only. A parameter never matches an empty segment.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let mut actual = path.strip_prefix('/').unwrap_or(path).split('/');
        for segment in &self.segments {
            match actual.next() {
                Some(text) if segment.matches(text) => {}
                Some(_) | None => return false,
            }
        }
        self.open || actual.next().is_none()
    }

    /// Whether a judged path would match if letters had no case and a slash at the end no meaning, as many services have
    /// it. True of whatever matches.
    #[must_use]
    pub fn resembles(&self, path: &str) -> bool {
        // A judged path has an empty segment only at its end.
        let mut actual = path.split('/').filter(|text| !text.is_empty());
        for segment in self.named() {
            match actual.next() {
                Some(text) if segment.resembles(text) => {}
                Some(_) | None => return false,
            }
        }
        self.open || actual.next().is_none()
    }

    /// Whether some path resembles both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let (mut own, mut others) = (self.named(), other.named());
        loop {
            match (own.next(), others.next()) {
                (Some(one), Some(another)) if one.meets(another) => {}
                (Some(_), Some(_)) => return false,
                (Some(_), None) => return other.open,
                (None, Some(_)) => return self.open,
                (None, None) => return true,
            }
        }
    }

    /// Whether both are the same but for the case of letters and a slash at the end: somebody wrote both on purpose.
    #[must_use]
    pub fn respells(&self, other: &Self) -> bool {
        let alike = |(one, another): (&Segment, &Segment)| match (one, another) {
            (Segment::Parameter, Segment::Parameter) => true,
            (Segment::Literal(..), Segment::Literal(..)) => one.meets(another),
            (Segment::Literal(..), Segment::Parameter)
            | (Segment::Parameter, Segment::Literal(..)) => false,
        };
        self.open == other.open
            && self.named().count() == other.named().count()
            && self.named().zip(other.named()).all(alike)
    }

    /// The segments without the empty one at the end.
    fn named(&self) -> impl Iterator<Item = &Segment> {
        let empty =
            |segment: &&Segment| matches!(segment, Segment::Literal(text, _) if text.is_empty());
        self.segments.iter().filter(move |segment| !empty(segment))
    }

    /// Whether every path that `other` matches is matched by this one too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if self.segments.len() > other.segments.len() || (other.open && !self.open) {
            return false;
        }
        let beyond = other.segments.len() > self.segments.len();
        let parts = self.segments.iter().zip(&other.segments);
        parts.into_iter().all(|(own, others)| own.covers(others)) && (self.open || !beyond)
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, String> {
        let Some(inner) = text.strip_prefix('{') else {
            // An empty segment is a slash at the end, or the root; judging refuses it anywhere else.
            if text == "**" {
                return Err("`**` stands only at the end".to_owned());
            }
            return if text.contains(['{', '}', '*', '?', '#']) {
                Err(format!(
                    "`{text}` is not a segment; a parameter is `{{name}}`, whole and alone"
                ))
            } else {
                Ok(Self::Literal(
                    text.to_owned(),
                    decoded(text.as_bytes()).collect(),
                ))
            };
        };
        let name = inner.strip_suffix('}').unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(format!(
                "`{text}` is not a parameter; write `{{name}}`, whole and alone"
            ));
        }
        Ok(Self::Parameter)
    }

    fn sample(&self) -> &str {
        match self {
            Self::Literal(text, _) => text,
            Self::Parameter => "x",
        }
    }

    /// What both mean is compared, so that `a%3Ab` cannot pass by a rule for `a:b`, nor `%c3` by one for `%C3`.
    fn matches(&self, actual: &str) -> bool {
        match self {
            Self::Parameter => !actual.is_empty(),
            Self::Literal(_, meaning) => decoded(actual.as_bytes()).eq(meaning.iter().copied()),
        }
    }

    fn resembles(&self, actual: &str) -> bool {
        match self {
            Self::Parameter => true,
            Self::Literal(_, meaning) => {
                let lower = |byte: u8| byte.to_ascii_lowercase();
                decoded(actual.as_bytes())
                    .map(lower)
                    .eq(meaning.iter().copied().map(lower))
            }
        }
    }

    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(_, own), Self::Literal(_, others)) => own.eq_ignore_ascii_case(others),
            (Self::Parameter, _) | (_, Self::Parameter) => true,
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Parameter, Self::Parameter) => true,
            (Self::Parameter, Self::Literal(text, _)) => !text.is_empty(),
            (Self::Literal(_, own), Self::Literal(_, others)) => own == others,
            (Self::Literal(..), Self::Parameter) => false,
        }
    }
}

impl Decode for PathTemplate {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "a path template", faults, Self::parse)
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^/", "examples": ["/api/v1/orders/{id}", "/market/**"]})
    }
}
