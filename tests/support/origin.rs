//! The service behind the sidecar: records every byte it gets, reads requests strictly, answers from a script.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use super::wire::{dechunk, head_length, header_line};

/// What the service received, one complete request.
#[derive(Clone, Debug)]
pub struct Received {
    /// On which connection, counted from 0.
    pub connection: usize,
    /// Counted from 1 over all connections.
    pub tag: usize,
    /// The method.
    pub method: String,
    /// The target, byte for byte.
    pub target: String,
    /// The head, byte for byte.
    pub head: Vec<u8>,
    /// Names as they were spelt.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Vec<u8>,
    /// Lines behind the last chunk.
    pub trailers: Vec<String>,
}

impl Received {
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

    /// Whether there is a line with this name.
    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }
}

/// What the service does, piece by piece.
#[derive(Clone, Debug)]
pub enum Act {
    /// Writes these bytes.
    Send(Vec<u8>),
    /// Does nothing for a while.
    Pause(Duration),
    /// Ends the connection.
    Close,
}

/// `Act::Send` of a text.
pub fn send(text: impl AsRef<[u8]>) -> Act {
    Act::Send(text.as_ref().to_vec())
}

type Script = Box<dyn Fn(&Received) -> Vec<Act> + Send>;

#[derive(Default)]
struct Log {
    requests: Vec<Received>,
    /// Every byte of each connection.
    raw: Vec<Vec<u8>>,
    /// What was not a request.
    violations: Vec<String>,
    open: usize,
}

struct Shared {
    log: Mutex<Log>,
    changed: Condvar,
    script: Mutex<Script>,
}

/// A port of this machine on which nobody listens, and which nobody else gets.
pub struct Vacant {
    /// Whoever connects is refused.
    pub address: SocketAddr,
    socket: Socket,
}

impl Vacant {
    /// A port of the system's choice.
    pub fn take() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        socket.bind(&any.into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self { address, socket }
    }

    /// Listens on it from now on.
    pub fn listen(self) -> TcpListener {
        self.socket.listen(128).unwrap();
        self.socket.into()
    }
}

/// A running service. Its threads end with their connections.
pub struct Origin {
    /// For `forward_to`.
    pub url: String,
    address: Option<SocketAddr>,
    socket: Option<PathBuf>,
    shared: Arc<Shared>,
}

/// The answer that tells which request it belongs to.
pub fn tagged(request: &Received) -> Vec<Act> {
    let body = format!("tag={} {} {}", request.tag, request.method, request.target);
    let shown = if request.method == "HEAD" {
        ""
    } else {
        body.as_str()
    };
    vec![send(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nX-Tag: {}\r\n\r\n{shown}",
        body.len(),
        request.tag
    ))]
}

impl Origin {
    /// Listens on a port of the system's choice.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared::new();
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // What the script sends apart leaves apart.
                stream.set_nodelay(true).unwrap();
                let server = Arc::clone(&server);
                thread::spawn(move || server.serve(stream));
            }
        });
        Self {
            url: format!("http://{address}"),
            address: Some(address),
            socket: None,
            shared,
        }
    }

    /// The same behind TLS, for clients that name `localhost`.
    pub fn start_secret(config: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared::new();
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = Arc::clone(&server);
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                thread::spawn(move || server.serve(StreamOwned::new(connection, stream)));
            }
        });
        Self {
            url: format!("https://localhost:{}", address.port()),
            address: Some(address),
            socket: None,
            shared,
        }
    }

    /// Listens on a Unix socket.
    pub fn start_unix(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let shared = Shared::new();
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = Arc::clone(&server);
                thread::spawn(move || server.serve(stream));
            }
        });
        Self {
            url: format!("unix:{}", path.display()),
            address: None,
            socket: Some(path.to_owned()),
            shared,
        }
    }

    /// Answers like this from now on.
    pub fn answer(&self, script: impl Fn(&Received) -> Vec<Act> + Send + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }

    /// Answers with the tag again.
    pub fn answer_tagged(&self) {
        self.answer(tagged);
    }

    /// How many complete requests there were so far.
    pub fn mark(&self) -> usize {
        self.shared.log().requests.len()
    }

    /// The complete requests behind the first `mark`.
    pub fn since(&self, mark: usize) -> Vec<Received> {
        self.shared.log().requests[mark..].to_vec()
    }

    /// Waits until there are `count` complete requests behind the first `mark`.
    pub fn wait_since(&self, mark: usize, count: usize) -> Vec<Received> {
        let until = Instant::now() + super::wire::PATIENCE;
        let mut log = self.shared.log();
        while log.requests.len() < mark + count {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the service got no request in time");
            log = self.shared.changed.wait_timeout(log, left).unwrap().0;
        }
        log.requests[mark..].to_vec()
    }

    /// Every byte of every connection so far.
    pub fn raw(&self) -> Vec<Vec<u8>> {
        self.shared.log().raw.clone()
    }

    /// Every byte of every connection so far, in one.
    pub fn raw_bytes(&self) -> Vec<u8> {
        self.shared.log().raw.concat()
    }

    /// How many connections there were so far.
    pub fn connections(&self) -> usize {
        self.shared.log().raw.len()
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.shared.log().open
    }

    /// What came that is not a request.
    pub fn violations(&self) -> Vec<String> {
        self.shared.log().violations.clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        // Wakes the listener so that its port is free again; the process ends soon anyway.
        if let Some(address) = self.address {
            let _woken = TcpStream::connect_timeout(&address, Duration::from_millis(50));
        }
        if let Some(path) = &self.socket {
            let _removed = std::fs::remove_file(path);
        }
    }
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            log: Mutex::default(),
            changed: Condvar::new(),
            script: Mutex::new(Box::new(tagged)),
        })
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }

    fn serve<S: Stream>(&self, mut stream: S) {
        let connection = {
            let mut log = self.log();
            log.raw.push(Vec::new());
            log.open += 1;
            log.raw.len() - 1
        };
        let mut pending = Vec::new();
        let mut piece = [0; 64 * 1024];
        'connection: loop {
            while let Some(request) = self.next_request(connection, &mut pending) {
                let acts = (self.script.lock().unwrap())(&request);
                if !perform(&mut stream, acts) {
                    break 'connection;
                }
            }
            match stream.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => {
                    pending.extend_from_slice(&piece[..count]);
                    self.log().raw[connection].extend_from_slice(&piece[..count]);
                    self.changed.notify_all();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        stream.end();
        self.log().open -= 1;
        self.changed.notify_all();
    }

    fn next_request(&self, connection: usize, pending: &mut Vec<u8>) -> Option<Received> {
        let mut log = self.log();
        let tag = log.requests.len() + 1;
        match parse(connection, tag, pending) {
            Ok(None) => None,
            Ok(Some((request, length))) => {
                pending.drain(..length);
                log.requests.push(request.clone());
                self.changed.notify_all();
                Some(request)
            }
            Err(why) => {
                log.violations.push(why);
                pending.clear();
                None
            }
        }
    }
}

trait Stream: Read + Write {
    fn end(&mut self);
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn end(&mut self) {
        self.conn.send_close_notify();
        let _told = self.flush();
        let _gone = self.sock.shutdown(Shutdown::Both);
    }
}

impl Stream for TcpStream {
    fn end(&mut self) {
        let _gone = self.shutdown(Shutdown::Both);
    }
}

impl Stream for UnixStream {
    fn end(&mut self) {
        let _gone = self.shutdown(Shutdown::Both);
    }
}

/// False when the connection is over.
fn perform(stream: &mut impl Stream, acts: Vec<Act>) -> bool {
    for act in acts {
        match act {
            Act::Send(bytes) => {
                if stream.write_all(&bytes).is_err() {
                    return false;
                }
            }
            Act::Pause(time) => thread::sleep(time),
            Act::Close => return false,
        }
    }
    true
}

/// A head as text. Values may hold any byte from 0x80 on (RFC 9110 section 5.5): what is not UTF-8 is read as Latin-1.
fn text_of(head: &[u8]) -> String {
    match std::str::from_utf8(head) {
        Ok(text) => text.to_owned(),
        Err(_) => head.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// The first request of `bytes`; `None` if it is not whole yet. Stricter than any real service.
fn parse(connection: usize, tag: usize, bytes: &[u8]) -> Result<Option<(Received, usize)>, String> {
    let Some(length) = head_length(bytes) else {
        return Ok(None);
    };
    let head = &bytes[..length];
    let text = text_of(&head[..length - 4]);
    let mut lines = text.split("\r\n");
    let start: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.1"] = start.as_slice() else {
        return Err(format!("{start:?} is not a request line"));
    };
    let headers: Vec<(String, String)> = lines.map(header_line).collect::<Result<_, _>>()?;
    let mut request = Received {
        connection,
        tag,
        method: (*method).to_owned(),
        target: (*target).to_owned(),
        head: head.to_vec(),
        headers,
        body: Vec::new(),
        trailers: Vec::new(),
    };
    let rest = &bytes[length..];
    let taken = match (
        request.all("transfer-encoding").as_slice(),
        request.all("content-length").as_slice(),
    ) {
        ([], []) => 0,
        ([], [value]) => {
            let plain = value.bytes().all(|byte| byte.is_ascii_digit());
            let size: Option<usize> = plain.then(|| value.parse().ok()).flatten();
            let size = size.ok_or_else(|| format!("the length {value:?}"))?;
            let Some(body) = rest.get(..size) else {
                return Ok(None);
            };
            request.body = body.to_vec();
            size
        }
        (["chunked"], []) => {
            let Some(chunks) = dechunk(rest)? else {
                return Ok(None);
            };
            request.body = chunks.body;
            request.trailers = chunks.trailers;
            chunks.taken
        }
        (coding, size) => return Err(format!("two framings: {coding:?} and {size:?}")),
    };
    Ok(Some((request, length + taken)))
}
