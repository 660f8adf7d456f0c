//! The lines of `allow`: `GET /api/v3/**`, `WS order.place`, `STREAM **`. Compiled once; never opens more than it says.

use std::sync::Arc;

use http::Method;

use crate::model::node::Place;

/// Bytes of a line.
const LINE_BYTES_MAX: usize = 512;

/// Wildcards of a line. Each one may be tried at every place, so their number bounds the work.
const WILDCARDS_MAX: usize = 4;

/// One line of `allow`.
#[derive(Clone, Debug)]
pub struct AllowLine {
    /// As written, with a single blank: what evidence names.
    pub text: Arc<str>,
    /// Where it is written.
    pub place: Place,
    names: Names,
    glob: Glob,
}

/// What a line names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// Calls of the REST interface; `None` is every method.
    Rest(Option<Method>),
    /// Methods of the WebSocket API.
    Ws,
    /// Streams.
    Stream,
}

impl AllowLine {
    /// Reads a line: a method, `*`, `WS` or `STREAM`, a blank, and what is allowed. In that `*` stands for anything
    /// within a segment and `**` for anything at all.
    ///
    /// # Errors
    /// What is wrong with the line, a sentence.
    pub fn parse(text: &str, place: &Place) -> Result<Self, String> {
        let mut words = text.split_ascii_whitespace();
        let (Some(first), Some(second), None) = (words.next(), words.next(), words.next()) else {
            return Err(format!(
                "`{text}` is not a line such as `GET /api/v3/**`, `WS order.place` or `STREAM **`"
            ));
        };
        if text.len() > LINE_BYTES_MAX {
            return Err(format!("a line of more than {LINE_BYTES_MAX} bytes"));
        }
        let names = match first {
            "WS" => Names::Ws,
            "STREAM" => Names::Stream,
            "*" => Names::Rest(None),
            method => Names::Rest(Some(read_method(method)?)),
        };
        let separator = match names {
            Names::Rest(_) => '/',
            Names::Ws => '.',
            Names::Stream => '@',
        };
        if matches!(names, Names::Rest(_)) && !second.starts_with('/') {
            return Err(format!("`{second}` is not a path: it begins with a slash"));
        }
        Ok(Self {
            text: Arc::from(format!("{first} {second}")),
            place: place.clone(),
            names,
            glob: Glob::parse(second, separator)?,
        })
    }

    /// What is allowed, without the method.
    #[must_use]
    pub fn pattern(&self) -> &str {
        self.text.split_once(' ').map_or("", |(_, pattern)| pattern)
    }

    /// What the line names.
    #[must_use]
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// Whether it names exactly one thing: then it also opens what is kept back.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.names != Names::Rest(None) && self.glob.is_literal()
    }

    /// Whether it allows this call. Who may GET may HEAD: the same is asked, and less is told.
    #[must_use]
    pub fn allows_call(&self, method: &Method, path: &str) -> bool {
        let method = match *method {
            Method::HEAD => &Method::GET,
            _ => method,
        };
        let named = match &self.names {
            Names::Rest(named) => match named {
                Some(named) => named == method,
                None => METHODS.contains(method),
            },
            Names::Ws | Names::Stream => false,
        };
        named && self.glob.matches(path)
    }

    /// Whether it allows this method of the WebSocket API.
    #[must_use]
    pub fn allows_frame(&self, method: &str) -> bool {
        self.names == Names::Ws && self.glob.matches(method)
    }

    /// Whether it allows this stream.
    #[must_use]
    pub fn allows_stream(&self, stream: &str) -> bool {
        self.names == Names::Stream && self.glob.matches(stream)
    }
}

/// The methods that exchanges have: what a line may name, and what `*` stands for. HEAD goes by GET.
const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

fn read_method(text: &str) -> Result<Method, String> {
    let named = METHODS.into_iter().find(|method| method.as_str() == text);
    named.ok_or_else(|| {
        let names = METHODS.map(|method| method.to_string()).join(", ");
        format!("`{text}` is none of {names}, `*`, WS and STREAM")
    })
}

/// A text with wildcards.
#[derive(Clone, Debug)]
struct Glob {
    pieces: Vec<Piece>,
    separator: char,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// Anything without a separator.
    Segment,
    /// Anything.
    Rest,
}

impl Glob {
    fn parse(text: &str, separator: char) -> Result<Self, String> {
        let plain = |char: char| char.is_ascii_graphic() && !"?#%\\[]{}".contains(char);
        if let Some(odd) = text.chars().find(|char| !plain(*char)) {
            return Err(format!(
                "`{text}` holds `{odd}`, which no name of a call does"
            ));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, behind) = if let Some(behind) = rest.strip_prefix("**") {
                (Piece::Rest, behind)
            } else if let Some(behind) = rest.strip_prefix('*') {
                (Piece::Segment, behind)
            } else {
                let end = rest.find('*').unwrap_or(rest.len());
                let (literal, behind) = rest.split_at(end);
                (Piece::Literal(literal.to_owned()), behind)
            };
            pieces.push(piece);
            rest = behind;
        }
        let wildcards = pieces
            .iter()
            .filter(|piece| !matches!(piece, Piece::Literal(_)));
        if wildcards.count() > WILDCARDS_MAX {
            return Err(format!("`{text}` has more than {WILDCARDS_MAX} wildcards"));
        }
        if text.contains("***") {
            return Err(format!("`{text}`: write `*` or `**`"));
        }
        Ok(Self { pieces, separator })
    }

    fn is_literal(&self) -> bool {
        matches!(self.pieces.as_slice(), [Piece::Literal(_)])
    }

    fn matches(&self, text: &str) -> bool {
        fit(&self.pieces, text, self.separator) == Fit::Yes
    }
}

/// How a text and a pattern come out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    Yes,
    No,
    /// No, and not with less of the same segment either.
    NotInSegment,
    /// No, and not with less of the text either.
    Never,
}

/// A wildcard stays at the first place where what is behind it fits up to the next wildcard: whatever a later place leaves
/// to that one, the first leaves it too. So the work grows with the length of a text as its square at most, and never with
/// the number of wildcards as its power.
fn fit(pieces: &[Piece], text: &str, separator: char) -> Fit {
    let Some((first, others)) = pieces.split_first() else {
        return if text.is_empty() { Fit::Yes } else { Fit::No };
    };
    match first {
        Piece::Literal(literal) => text
            .strip_prefix(literal.as_str())
            .map_or(Fit::No, |rest| fit(others, rest, separator)),
        Piece::Rest if others.is_empty() => Fit::Yes,
        Piece::Rest => tails(text, None)
            .map(|rest| fit(others, rest, separator))
            .find(|found| matches!(found, Fit::Yes | Fit::Never))
            .unwrap_or(Fit::Never),
        Piece::Segment => tails(text, Some(separator))
            .map(|rest| fit(others, rest, separator))
            .find(|found| *found != Fit::No)
            .unwrap_or(Fit::NotInSegment),
    }
}

/// What may be left behind a wildcard: the whole, then less and less of it, up to the separator if there is one.
fn tails(text: &str, separator: Option<char>) -> impl Iterator<Item = &str> {
    let end = separator.and_then(|separator| text.find(separator));
    let end = end.unwrap_or(text.len());
    let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    starts
        .take_while(move |at| *at <= end)
        .filter_map(|at| text.get(at..))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> AllowLine {
        AllowLine::parse(text, &Place::Default).unwrap()
    }

    #[test]
    fn lines_allow_what_they_say_and_nothing_else() {
        let table = [
            ("GET /api/v3/**", "GET", "/api/v3/order", true),
            ("GET /api/v3/**", "GET", "/api/v3/ticker/24hr", true),
            ("GET /api/v3/**", "HEAD", "/api/v3/time", true),
            ("GET /api/v3/**", "POST", "/api/v3/order", false),
            ("GET /api/v3/**", "GET", "/api/v31/order", false),
            ("GET /api/v3/**", "GET", "/sapi/v1/x", false),
            ("GET /api/*/time", "GET", "/api/v3/time", true),
            ("GET /api/*/time", "GET", "/api/v3/x/time", false),
            ("GET /api/*", "GET", "/api/v3/time", false),
            ("* /api/v3/order", "DELETE", "/api/v3/order", true),
            ("POST /api/v3/order", "POST", "/api/v3/order/test", false),
            ("POST /api/v3/order", "POST", "/api/v3/Order", false),
            ("POST /api/v3/order*", "POST", "/api/v3/orderList", true),
            ("GET /**/time", "GET", "/api/v3/time", true),
            ("WS order.place", "GET", "/order.place", false),
        ];
        for (text, method, path, expected) in table {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(
                line(text).allows_call(&method, path),
                expected,
                "{text} {path}"
            );
        }
        for (method, expected) in [
            ("PUT", true),
            ("HEAD", true),
            ("PATCH", true),
            ("DELETE", true),
            ("OPTIONS", false),
            ("TRACE", false),
            ("CONNECT", false),
            ("MOVE", false),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(line("* /**").allows_call(&method, "/a"), expected);
        }
        assert!(line("WS order.*").allows_frame("order.place"));
        assert!(!line("WS order.*").allows_frame("order.amend.keepPriority"));
        assert!(line("WS order.**").allows_frame("order.amend.keepPriority"));
        assert!(!line("GET /**").allows_frame("order.place"));
        assert!(line("STREAM **").allows_stream("btcusdt@trade"));
        assert!(!line("STREAM *@trade").allows_stream("btcusdt@depth"));
        assert!(line("STREAM *@trade").allows_stream("btcusdt@trade"));
    }

    /// What the lines mean, without regard to time.
    fn plainly(pieces: &[Piece], text: &str, separator: char) -> bool {
        match pieces.split_first() {
            None => text.is_empty(),
            Some((Piece::Literal(literal), others)) => text
                .strip_prefix(literal.as_str())
                .is_some_and(|rest| plainly(others, rest, separator)),
            Some((piece, others)) => {
                let until = (*piece == Piece::Segment).then_some(separator);
                tails(text, until).any(|rest| plainly(others, rest, separator))
            }
        }
    }

    #[test]
    fn globs_mean_what_they_say_wherever_their_wildcards_stand() {
        let word = |mut number: usize, letters: &[&str], length: usize| -> String {
            let mut text = String::from("/");
            for _ in 0..length {
                text.push_str(letters[number % letters.len()]);
                number /= letters.len();
            }
            text
        };
        let texts: Vec<String> = (0..243).map(|at| word(at, &["a", "b", "/"], 5)).collect();
        for at in 0..3125 {
            let pattern = word(at, &["a", "b", "/", "*", "**"], 5);
            let Ok(glob) = Glob::parse(&pattern, '/') else {
                continue;
            };
            for text in &texts {
                let expected = plainly(&glob.pieces, text, '/');
                assert_eq!(glob.matches(text), expected, "{pattern} {text}");
            }
        }
    }

    #[test]
    fn no_path_makes_a_line_slow() {
        // Were it slow it would be so for years, so nothing has to be timed.
        let (paths, segment) = ("/a".repeat(4096), "a".repeat(8192));
        for text in [
            "GET /**a**a**a**b",
            "GET /*a*a*a*b",
            "GET /**/a/**/a/**/a/**/b",
        ] {
            assert!(!line(text).allows_call(&Method::GET, &paths));
            assert!(!line(text).allows_call(&Method::GET, &format!("/{segment}")));
        }
    }

    #[test]
    fn only_one_thing_by_its_name_is_exact() {
        assert!(line("POST /sapi/v1/capital/withdraw/apply").is_exact());
        assert!(line("WS order.place").is_exact());
        assert!(!line("* /sapi/v1/capital/withdraw/apply").is_exact());
        assert!(!line("POST /sapi/v1/capital/withdraw/*").is_exact());
        assert!(!line("POST /**").is_exact());
    }

    #[test]
    fn what_is_no_line_is_refused() {
        for text in [
            "",
            "GET",
            "/api/v3/order",
            "get /api/v3/order",
            "GET api/v3/order",
            "GET /a /b",
            "GET /a?b",
            "GET /a%2fb",
            "CONNECT /a",
            "GET /***",
            "GET /*/*/*/*/*",
            "WS ördern",
        ] {
            assert!(AllowLine::parse(text, &Place::Default).is_err(), "{text}");
        }
    }
}
