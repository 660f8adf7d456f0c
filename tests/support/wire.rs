//! A client that sends bytes as they are and reads answers strictly. Never repairs anything on either way.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

/// How long a test waits for something that must come: so long that no machine is too slow, and a hang is still a failure.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long a test waits to see that nothing comes.
pub const QUIET: Duration = Duration::from_millis(150);
/// After so long a proxy that has said nothing waits for more. A busy one may take its time for an answer.
pub const SILENCE: Duration = Duration::from_secs(3);
/// How long a service of a test holds what must end without it: for ever, as far as a test goes.
pub const HOLD: Duration = Duration::from_secs(3600);

/// One connection to the sidecar.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    ended: bool,
}

/// Why no answer could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The connection ended before the first byte of an answer.
    Closed,
    /// The connection ended inside an answer.
    Cut(Vec<u8>),
    /// Nothing, or not the whole, came in time.
    Late(Vec<u8>),
    /// What came is not HTTP/1.1.
    Garbled(String),
}

/// One answer, as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// `HTTP/1.1`.
    pub version: String,
    /// The status.
    pub status: u16,
    /// Names as they were spelt, values without the surrounding blanks.
    pub headers: Vec<(String, String)>,
    /// The content, without chunk framing.
    pub body: Vec<u8>,
}

impl Response {
    /// The values of every line with this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        let values = self.headers.iter().filter(same);
        values.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of the only line with this name.
    pub fn one(&self, name: &str) -> Option<&str> {
        match self.all(name).as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// Whether the answer says that the connection ends.
    pub fn says_close(&self) -> bool {
        let tokens = self.all("connection");
        let mut tokens = tokens.iter().flat_map(|line| line.split(','));
        tokens.any(|token| token.trim().eq_ignore_ascii_case("close"))
    }

    /// The content as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `code` of a problem document.
    pub fn code(&self) -> Option<String> {
        let problem: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        Some(problem.get("code")?.as_str()?.to_owned())
    }
}

impl fmt::Display for Response {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.status)?;
        match self.code() {
            Some(code) => write!(out, " {code}"),
            None => write!(
                out,
                " {:?}",
                self.text().chars().take(120).collect::<String>()
            ),
        }
    }
}

/// An answer that came, or why none did, in one word.
pub fn describe(answer: &Result<Response, NoAnswer>) -> String {
    match answer {
        Ok(response) => response.to_string(),
        Err(NoAnswer::Closed) => "closed without an answer".to_owned(),
        Err(NoAnswer::Cut(bytes)) => format!("cut after {:?}", shown(bytes)),
        Err(NoAnswer::Late(bytes)) => format!("late, after {:?}", shown(bytes)),
        Err(NoAnswer::Garbled(why)) => format!("garbled: {why}"),
    }
}

/// Bytes for a person, the beginning of them.
pub fn shown(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(400)
        .copied()
        .collect::<Vec<u8>>()
        .escape_ascii()
        .to_string()
}

impl Wire {
    /// Connects from whatever address the system takes.
    pub fn connect(to: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&to, PATIENCE).unwrap())
    }

    /// Connects from an address of this machine, such as `127.0.0.9`.
    pub fn connect_from(from: IpAddr, to: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
        socket.connect_timeout(&to.into(), PATIENCE).unwrap();
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            buffer: Vec::new(),
            ended: false,
        }
    }

    /// Where this end is.
    pub fn local(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Sends; a peer that has closed already is no fault of the sender.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        match self.stream.write_all(bytes.as_ref()) {
            Ok(()) => {}
            Err(error) if is_gone(&error) => {}
            Err(error) => panic!("sending: {error}"),
        }
    }

    /// Whether the peer still takes bytes.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Says that nothing more is sent.
    pub fn finish(&self) {
        // A peer that is gone already needs not be told.
        let _gone = self.stream.shutdown(Shutdown::Write);
    }

    /// Sends one request and reads its answer.
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Result<Response, NoAnswer> {
        let head_only = request.as_ref().starts_with(b"HEAD ");
        self.send(request);
        self.answer_to(head_only, PATIENCE)
    }

    /// The next answer.
    pub fn answer(&mut self) -> Result<Response, NoAnswer> {
        self.answer_to(false, PATIENCE)
    }

    /// The next answer; `head_only` for one that has no content whatever its fields say.
    pub fn answer_to(&mut self, head_only: bool, patience: Duration) -> Result<Response, NoAnswer> {
        let until = Instant::now() + patience;
        loop {
            match parse(&self.buffer, head_only, self.ended) {
                Parsed::Whole(response, length) => {
                    self.buffer.drain(..length);
                    return Ok(response);
                }
                Parsed::Broken(why) => return Err(NoAnswer::Garbled(why)),
                Parsed::Partly if self.ended && self.buffer.is_empty() => {
                    return Err(NoAnswer::Closed);
                }
                Parsed::Partly if self.ended => return Err(NoAnswer::Cut(self.buffer.clone())),
                Parsed::Partly => {}
            }
            if !self.read_more(until) {
                return Err(NoAnswer::Late(self.buffer.clone()));
            }
        }
    }

    /// The bytes that have come and are not read as an answer yet, after waiting for at least `count`.
    pub fn bytes(&mut self, count: usize, patience: Duration) -> Vec<u8> {
        let until = Instant::now() + patience;
        while self.buffer.len() < count && !self.ended && self.read_more(until) {}
        self.buffer.clone()
    }

    /// Whatever comes until the connection ends; an error if it does not end in time.
    pub fn rest(&mut self, patience: Duration) -> Result<Vec<u8>, Vec<u8>> {
        let until = Instant::now() + patience;
        while !self.ended {
            if !self.read_more(until) {
                return Err(std::mem::take(&mut self.buffer));
            }
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Whether the peer has ended the connection by then.
    pub fn ends_within(&mut self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while !self.ended && self.read_more(until) {}
        self.ended
    }

    /// Reads once; false when the time is over.
    fn read_more(&mut self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        self.stream.set_read_timeout(Some(left)).unwrap();
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => self.ended = true,
            Ok(count) => self.buffer.extend_from_slice(&piece[..count]),
            Err(error) if is_gone(&error) => self.ended = true,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return false;
            }
            Err(error) => panic!("reading: {error}"),
        }
        true
    }
}

fn is_gone(error: &std::io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionReset | ConnectionAborted | NotConnected
    )
}

/// Where a message's head ends.
pub fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map(|at| at + 4)
}

enum Parsed {
    Whole(Response, usize),
    Partly,
    Broken(String),
}

fn parse(bytes: &[u8], head_only: bool, ended: bool) -> Parsed {
    let Some(head) = head_length(bytes) else {
        return Parsed::Partly;
    };
    let mut response = match parse_head(&bytes[..head - 4]) {
        Ok(response) => response,
        Err(why) => return Parsed::Broken(why),
    };
    let rest = &bytes[head..];
    let bodiless = head_only || matches!(response.status, 100..=199 | 204 | 304);
    let chunked = !response.all("transfer-encoding").is_empty();
    let lengths = response.all("content-length");
    if lengths.len() > 1 || (chunked && !lengths.is_empty()) {
        return Parsed::Broken("an answer with two framings".to_owned());
    }
    let length: Option<usize> = match lengths.first().map(|text| text.parse()) {
        Some(Ok(length)) => Some(length),
        Some(Err(_)) => return Parsed::Broken("an answer with a broken length".to_owned()),
        None => None,
    };
    if bodiless {
        return Parsed::Whole(response, head);
    }
    let (body, taken) = match (chunked, length) {
        (true, _) => match dechunk(rest) {
            Ok(Some(chunks)) => (chunks.body, chunks.taken),
            Ok(None) => return Parsed::Partly,
            Err(why) => return Parsed::Broken(why),
        },
        (false, Some(length)) if rest.len() >= length => (rest[..length].to_vec(), length),
        (false, Some(_)) => return Parsed::Partly,
        (false, None) if ended => (rest.to_vec(), rest.len()),
        (false, None) => return Parsed::Partly,
    };
    response.body = body;
    Parsed::Whole(response, head + taken)
}

fn parse_head(head: &[u8]) -> Result<Response, String> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let start = lines.next().unwrap_or_default();
    let mut words = start.splitn(3, ' ');
    let version = words.next().unwrap_or_default().to_owned();
    let status = words.next().and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| format!("{start:?} is not a status line"))?;
    if version != "HTTP/1.1" && version != "HTTP/1.0" {
        return Err(format!("{start:?} is not HTTP/1"));
    }
    let headers = lines.map(header_line).collect::<Result<_, _>>()?;
    Ok(Response {
        version,
        status,
        headers,
        body: Vec::new(),
    })
}

/// `name: value`, strictly.
pub fn header_line(line: &str) -> Result<(String, String), String> {
    let (name, value) = line
        .split_once(':')
        .ok_or_else(|| format!("{line:?} has no colon"))?;
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) || value.contains(['\r', '\n', '\0']) {
        return Err(format!("{line:?} is not a header line"));
    }
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

/// A chunked body and what stood around it.
pub struct Chunks {
    /// The content.
    pub body: Vec<u8>,
    /// Bytes taken, the end of the trailers included.
    pub taken: usize,
    /// Lines between the last chunk and the empty line.
    pub trailers: Vec<String>,
}

/// Reads chunks strictly; `None` if the end has not come yet. Extensions are not taken: nobody here sends them.
pub fn dechunk(bytes: &[u8]) -> Result<Option<Chunks>, String> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let Some(line) = line_at(bytes, at) else {
            return Ok(None);
        };
        let plain = !line.is_empty()
            && line.len() <= 16
            && line.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = plain
            .then(|| usize::from_str_radix(&line, 16).ok())
            .flatten();
        let size = size.ok_or_else(|| format!("{line:?} is not a chunk size"))?;
        at += line.len() + 2;
        if size == 0 {
            break;
        }
        let Some(chunk) = bytes.get(at..at + size + 2) else {
            return Ok(None);
        };
        if !chunk.ends_with(b"\r\n") {
            return Err("a chunk without its end".to_owned());
        }
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
    }
    let mut trailers = Vec::new();
    loop {
        let Some(line) = line_at(bytes, at) else {
            return Ok(None);
        };
        at += line.len() + 2;
        if line.is_empty() {
            return Ok(Some(Chunks {
                body,
                taken: at,
                trailers,
            }));
        }
        trailers.push(line);
    }
}

fn line_at(bytes: &[u8], at: usize) -> Option<String> {
    let rest = bytes.get(at..)?;
    let length = rest.windows(2).position(|two| two == b"\r\n")?;
    Some(rest[..length].escape_ascii().to_string())
}
