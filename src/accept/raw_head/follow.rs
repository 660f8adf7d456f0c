//! The state machine behind [`super::Watched`]: where heads begin and end, and the first fault. Pure; stops for good at
//! a fault, because nothing behind it can be trusted. Never guesses a boundary.

use memchr::memchr;

use super::HeadFault;

/// How much of a line is kept when a read ends inside it: enough for every line whose value matters.
const LINE_KEPT: usize = 64;

/// The follower of one connection.
#[derive(Debug, Default)]
pub(super) struct Follower {
    state: State,
    line: PartLine,
    head: Framing,
    heads: u64,
    fault: Option<(u64, HeadFault)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    RequestLine,
    Fields,
    Length(u64),
    Chunks(Chunk),
    Lost,
}

/// Where in a chunked body (RFC 9112 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    Start,
    Size(u64),
    SizeSpace(u64),
    Extension(u64),
    SizeLineFeed(u64),
    Data(u64),
    DataReturn,
    DataLineFeed,
    TrailerStart,
    Trailer,
    TrailerLineFeed,
    LastLineFeed,
}

/// What the head says of its body so far.
#[derive(Clone, Copy, Debug, Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
}

/// One line without its line feed.
#[derive(Clone, Copy)]
struct Line<'a> {
    /// The line, or its first [`LINE_KEPT`] bytes if not `whole`; without the carriage return if `whole`.
    text: &'a [u8],
    whole: bool,
    returned: bool,
    hash: bool,
}

impl Follower {
    /// Complete heads seen.
    pub(super) const fn heads(&self) -> u64 {
        self.heads
    }

    /// The ordinal (from 1) of the first faulty head, and its fault.
    pub(super) const fn fault(&self) -> Option<(u64, HeadFault)> {
        self.fault
    }

    /// Whether nothing more will be found.
    pub(super) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    /// Whether the bytes so far end inside a head.
    pub(super) fn inside_head(&self) -> bool {
        self.state == State::Fields || self.line.length > 0
    }

    /// Takes the next bytes of the connection.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::RequestLine | State::Fields => self.follow_head(bytes),
                State::Length(left) => {
                    let (left, rest) = skip(bytes, left);
                    self.state = match left {
                        0 => State::RequestLine,
                        _ => State::Length(left),
                    };
                    rest
                }
                State::Chunks(step) => self.follow_chunks(bytes, step),
                State::Lost => return,
            };
        }
    }

    fn follow_head<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some((piece, rest)) = memchr(b'\n', bytes).and_then(|at| {
            let (piece, rest) = bytes.split_at_checked(at)?;
            Some((piece, rest.get(1..).unwrap_or_default()))
        }) else {
            self.line.push(bytes);
            return &[];
        };
        if self.line.length == 0 {
            let (text, returned) = without_return(piece);
            self.judge_line(Line {
                text,
                whole: true,
                returned,
                hash: self.state == State::RequestLine && memchr(b'#', text).is_some(),
            });
        } else {
            self.line.push(piece);
            let line = std::mem::take(&mut self.line);
            self.judge_line(line.view());
        }
        rest
    }

    fn judge_line(&mut self, line: Line<'_>) {
        let request_line = self.state == State::RequestLine;
        if !line.returned {
            self.lose(HeadFault::BareLineFeed);
        } else if line.text.is_empty() && request_line {
            self.lose(HeadFault::LeadingLine);
        } else if line.text.is_empty() {
            self.end_head();
        } else if request_line && line.hash {
            self.lose(HeadFault::Fragment);
        } else if request_line {
            self.head = Framing::default();
            self.state = State::Fields;
        } else if let Err(fault) = self.head.judge_field(line) {
            self.lose(fault);
        }
    }

    const fn end_head(&mut self) {
        self.heads += 1;
        self.state = match (self.head.chunked, self.head.length) {
            (true, _) => State::Chunks(Chunk::Start),
            (false, None | Some(0)) => State::RequestLine,
            (false, Some(length)) => State::Length(length),
        };
    }

    fn follow_chunks<'a>(&mut self, bytes: &'a [u8], step: Chunk) -> &'a [u8] {
        if let Chunk::Data(left) = step {
            let (left, rest) = skip(bytes, left);
            self.state = State::Chunks(match left {
                0 => Chunk::DataReturn,
                _ => Chunk::Data(left),
            });
            return rest;
        }
        let Some((&byte, rest)) = bytes.split_first() else {
            return &[];
        };
        match (step, byte) {
            (Chunk::LastLineFeed, b'\n') => self.state = State::RequestLine,
            _ => match step.after(byte) {
                Some(next) => self.state = State::Chunks(next),
                None => self.lose(HeadFault::Lost),
            },
        }
        rest
    }

    fn lose(&mut self, fault: HeadFault) {
        self.fault = Some((self.heads + 1, fault));
        self.state = State::Lost;
    }
}

impl Chunk {
    /// The place behind `byte`; `None` if it does not belong here. As strict as hyper, and stricter with line feeds.
    fn after(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Start, _) => hex(byte).map(Self::Size),
            (Self::Size(size), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let size = size.checked_mul(16)?.checked_add(hex(byte)?)?;
                Some(Self::Size(size))
            }
            (Self::Size(size) | Self::SizeSpace(size), b' ' | b'\t') => Some(Self::SizeSpace(size)),
            (Self::Size(size) | Self::SizeSpace(size), b';') => Some(Self::Extension(size)),
            (Self::Size(size) | Self::SizeSpace(size) | Self::Extension(size), b'\r') => {
                Some(Self::SizeLineFeed(size))
            }
            (Self::Extension(size), _) if byte != b'\n' => Some(Self::Extension(size)),
            (Self::SizeLineFeed(0), b'\n') => Some(Self::TrailerStart),
            (Self::SizeLineFeed(size), b'\n') => Some(Self::Data(size)),
            (Self::DataReturn, b'\r') => Some(Self::DataLineFeed),
            (Self::DataLineFeed, b'\n') => Some(Self::Start),
            (Self::TrailerStart, b'\r') => Some(Self::LastLineFeed),
            (Self::Trailer, b'\r') => Some(Self::TrailerLineFeed),
            (Self::TrailerStart | Self::Trailer, _) if byte != b'\n' => Some(Self::Trailer),
            (Self::TrailerLineFeed, b'\n') => Some(Self::TrailerStart),
            _ => None,
        }
    }
}

impl Framing {
    fn judge_field(&mut self, line: Line<'_>) -> Result<(), HeadFault> {
        if line.text.starts_with(b" ") || line.text.starts_with(b"\t") {
            return Err(HeadFault::Fold);
        }
        if let Some(value) = value_of(line.text, b"content-length") {
            let length = plain_number(value).filter(|_| line.whole);
            if self.length.is_some() {
                return Err(HeadFault::LengthTwice);
            }
            self.length = Some(length.ok_or(HeadFault::LengthBroken)?);
        } else if let Some(value) = value_of(line.text, b"transfer-encoding") {
            if self.chunked || !line.whole || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(HeadFault::Encoding);
            }
            self.chunked = true;
        }
        if self.chunked && self.length.is_some() {
            return Err(HeadFault::LengthAndEncoding);
        }
        Ok(())
    }
}

/// The start of a line that a read cut off.
#[derive(Debug)]
struct PartLine {
    kept: [u8; LINE_KEPT],
    length: usize,
    last: u8,
    hash: bool,
}

impl Default for PartLine {
    fn default() -> Self {
        Self {
            kept: [0; LINE_KEPT],
            length: 0,
            last: 0,
            hash: false,
        }
    }
}

impl PartLine {
    fn push(&mut self, piece: &[u8]) {
        if let Some(free) = self.kept.get_mut(self.length..) {
            for (slot, byte) in free.iter_mut().zip(piece) {
                *slot = *byte;
            }
        }
        self.length = self.length.saturating_add(piece.len());
        self.last = piece.last().copied().unwrap_or(self.last);
        self.hash |= memchr(b'#', piece).is_some();
    }

    fn view(&self) -> Line<'_> {
        let whole = self.kept.get(..self.length);
        Line {
            text: without_return(whole.unwrap_or(&self.kept)).0,
            whole: whole.is_some(),
            returned: self.last == b'\r',
            hash: self.hash,
        }
    }
}

/// The bytes behind the first `left` ones, and how many of `left` are still missing.
fn skip(bytes: &[u8], left: u64) -> (u64, &[u8]) {
    let here = usize::try_from(left).unwrap_or(usize::MAX);
    match bytes.get(here..) {
        Some(rest) => (0, rest),
        None => (left.saturating_sub(bytes.len() as u64), &[]),
    }
}

fn without_return(text: &[u8]) -> (&[u8], bool) {
    match text.strip_suffix(b"\r") {
        Some(text) => (text, true),
        None => (text, false),
    }
}

/// The trimmed value, if the line is the field `name` (lower case). Any other spelling of the name is refused by hyper.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (own, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    own.eq_ignore_ascii_case(name).then(|| trimmed(value))
}

/// Without the spaces and tabs at both ends (RFC 9110 `OWS`).
fn trimmed(value: &[u8]) -> &[u8] {
    let mut rest = value;
    while let [b' ' | b'\t', inner @ ..] | [inner @ .., b' ' | b'\t'] = rest {
        rest = inner;
    }
    rest
}

fn plain_number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn hex(byte: u8) -> Option<u64> {
    (byte as char).to_digit(16).map(u64::from)
}
