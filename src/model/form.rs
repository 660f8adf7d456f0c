//! Query strings and form bodies as the bytes they are: a client's own credentials come off, and what no URI may hold
//! becomes percent-encoded. Never decodes what it keeps, never reorders.

use std::borrow::Cow;

/// Parameters of one query or form body; the longest calls of exchanges have some thirty.
pub const PARAMS_MAX: usize = 256;

/// A query or form body that is valid and holds nothing that the sidecar puts in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleaned {
    /// What is left, byte for byte as it came where it was valid.
    pub text: String,
    /// What was taken off.
    pub noted: Noted,
}

/// Which of the names that were looked for were there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noted(u32);

/// Why a query or form body is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormFault {
    /// One parameter twice: which one counts is for the receiver to choose, so it is refused (Binance: -1101).
    Duplicate(String),
    /// A `%` that two hexadecimal digits do not follow: two readings.
    Percent,
    /// More than [`PARAMS_MAX`] parameters.
    TooMany,
}

/// Takes every parameter off whose decoded name is one of `own` (at most 32 names), and percent-encodes every byte of
/// the rest that RFC 3986 section 3.4 does not allow in a query: spaces, quotes, brackets, everything that is not ASCII.
/// A valid escape stays as it is, in either case of letters.
pub fn clean<S: AsRef<str>>(raw: &[u8], own: &[S]) -> Result<Cleaned, FormFault> {
    let mut text = String::with_capacity(raw.len());
    let mut noted = Noted::default();
    let mut first = true;
    for (count, pair) in raw.split(|byte| *byte == b'&').enumerate() {
        if count >= PARAMS_MAX {
            return Err(FormFault::TooMany);
        }
        if noted.take(&decoded(name_of(pair)), own) {
            continue;
        }
        if !first {
            text.push('&');
        }
        first = false;
        push_valid(&mut text, pair)?;
    }
    Ok(Cleaned { text, noted })
}

/// Refuses a parameter that stands twice in `query` and `body` together, whatever its spelling.
pub fn refuse_duplicates(query: &str, body: &str) -> Result<(), FormFault> {
    let mut names: Vec<Cow<'_, [u8]>> = pairs(query).chain(pairs(body)).map(decoded_name).collect();
    names.sort_unstable();
    for pair in names.windows(2) {
        if let [one, other] = pair
            && one == other
        {
            return Err(FormFault::Duplicate(
                String::from_utf8_lossy(one).into_owned(),
            ));
        }
    }
    Ok(())
}

/// Whether a parameter of this (decoded) name is there.
#[must_use]
pub fn has(text: &str, name: &str) -> bool {
    pairs(text).any(|pair| is_named(pair, name))
}

/// What a server reads as the value of the first parameter of each of these (decoded) names.
#[must_use]
pub fn values<'t, const N: usize>(text: &'t str, names: [&str; N]) -> [Option<Cow<'t, [u8]>>; N] {
    let mut found = [const { None }; N];
    for pair in pairs(text) {
        let named = names.iter().zip(&mut found);
        for (_, place) in named.filter(|(name, place)| place.is_none() && is_named(pair, name)) {
            let value = pair.splitn(2, |byte| *byte == b'=').nth(1);
            *place = Some(decoded(value.unwrap_or_default()));
        }
    }
    found
}

/// Appends `name=value` behind what is there; both must be percent-encoded already.
pub fn push_param(text: &mut String, name: &str, value: &str) {
    if !text.is_empty() {
        text.push('&');
    }
    text.push_str(name);
    text.push('=');
    text.push_str(value);
}

/// Appends `bytes` with everything but the unreserved characters of RFC 3986 section 2.3 as `%XX`, in upper case.
pub fn push_encoded(text: &mut String, bytes: &[u8]) {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let mut rest = push_while(text, bytes, plain);
    while let Some((byte, behind)) = rest.split_first() {
        push_escape(text, *byte);
        rest = push_while(text, behind, plain);
    }
}

// === impl Noted ===

impl Noted {
    /// Whether anything was taken off.
    #[must_use]
    pub const fn any(self) -> bool {
        self.0 != 0
    }

    /// What was taken off here or there.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The names, out of the list that was looked for.
    pub fn names<S: AsRef<str>>(self, own: &[S]) -> impl Iterator<Item = &str> {
        own.iter()
            .take(32)
            .enumerate()
            .filter(move |(at, _)| self.0 >> at & 1 == 1)
            .map(|(_, name)| name.as_ref())
    }

    /// Whether `name` is one of `own`; if so it is noted.
    pub(super) fn take<S: AsRef<str>>(&mut self, name: &[u8], own: &[S]) -> bool {
        let found = own
            .iter()
            .take(32)
            .position(|own| own.as_ref().as_bytes() == name);
        if let Some(at) = found {
            self.0 |= 1 << at;
        }
        found.is_some()
    }
}

/// The parameters; nothing between two `&` is none.
fn pairs(text: &str) -> impl Iterator<Item = &[u8]> {
    text.as_bytes()
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
}

/// Whether a parameter's decoded name is this one. Escapes only make a name longer, so most are told apart unread.
fn is_named(pair: &[u8], name: &str) -> bool {
    let raw = name_of(pair);
    raw.len() >= name.len() && *decoded(raw) == *name.as_bytes()
}

fn decoded_name(pair: &[u8]) -> Cow<'_, [u8]> {
    decoded(name_of(pair))
}

fn name_of(pair: &[u8]) -> &[u8] {
    pair.split(|byte| *byte == b'=').next().unwrap_or_default()
}

/// What a server reads: `%XX` and `+` undone.
fn decoded(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match (byte, escape(behind)) {
            (b'%', Some((value, behind))) => {
                out.push(value);
                rest = behind;
            }
            (b'+', _) => out.push(b' '),
            (other, _) => out.push(*other),
        }
    }
    Cow::Owned(out)
}

/// The byte that the two digits behind a `%` stand for, and what follows them.
fn escape(behind: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = behind.split_first_chunk::<2>()?;
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    let value = u8::try_from(high? << 4 | low?).ok()?;
    Some((value, rest))
}

fn push_valid(text: &mut String, pair: &[u8]) -> Result<(), FormFault> {
    let mut rest = push_while(text, pair, is_query);
    while let Some((byte, behind)) = rest.split_first() {
        match byte {
            b'%' if escape(behind).is_none() => return Err(FormFault::Percent),
            b'%' => text.push('%'),
            byte => push_escape(text, *byte),
        }
        rest = push_while(text, behind, is_query);
    }
    Ok(())
}

/// Appends bytes as long as they may stand as they are, which only ASCII may, and gives back the others.
fn push_while<'b>(text: &mut String, bytes: &'b [u8], stands: impl Fn(u8) -> bool) -> &'b [u8] {
    let end = bytes.iter().position(|byte| !stands(*byte));
    let (run, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
    text.push_str(std::str::from_utf8(run).unwrap_or_default());
    rest
}

/// What may stand in a query as it is: `pchar / "/" / "?"` of RFC 3986.
const fn is_query(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
                | b'/'
                | b'?'
        )
}

fn push_escape(text: &mut String, byte: u8) {
    text.push('%');
    for digit in [byte >> 4, byte & 15] {
        let digit = char::from_digit(u32::from(digit), 16).unwrap_or('0');
        text.push(digit.to_ascii_uppercase());
    }
}

#[cfg(test)]
mod tests;
