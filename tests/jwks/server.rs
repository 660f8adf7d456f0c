//! A key server behind TLS: counts who comes and who asks, and answers as it is told. Never repairs what it is told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::wire::PATIENCE;

/// What is answered.
#[derive(Clone)]
pub enum Answer {
    /// The connection is closed before TLS.
    Down,
    /// 200 with this document.
    Document(String),
    /// 200 with this document, confirmed with 304 to whoever has it.
    Tagged(String, &'static str),
    /// These bytes.
    Bytes(String),
    /// Nothing for so long.
    Slow(Duration),
    /// A document of so many bytes, with or without a stated length.
    Flood(usize, Stated),
}

/// Whether a length is stated.
#[derive(Clone, Copy)]
pub enum Stated {
    Yes,
    No,
}

/// Who vouches for servers.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// Makes a certificate authority.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// For `ca_file`.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    fn config(&self, names: &[&str]) -> ServerConfig {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap()
    }
}

/// A running key server. Its thread ends with the process.
pub struct KeyServer {
    address: SocketAddr,
    names: Vec<&'static str>,
    shared: Arc<Shared>,
}

struct Shared {
    answer: Mutex<Answer>,
    config: Mutex<Arc<ServerConfig>>,
    connections: AtomicUsize,
    requests: AtomicUsize,
    confirmed: AtomicUsize,
    held: Mutex<bool>,
    freed: Condvar,
}

impl KeyServer {
    /// Listens on a port of the system's choice.
    pub fn start(authority: &Authority, answer: Answer) -> Self {
        Self::start_as(authority, answer, &["127.0.0.1", "localhost"])
    }

    /// The same with a certificate for these names.
    pub fn start_as(authority: &Authority, answer: Answer, names: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            answer: Mutex::new(answer),
            config: Mutex::new(Arc::new(authority.config(names))),
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            confirmed: AtomicUsize::new(0),
            held: Mutex::new(false),
            freed: Condvar::new(),
        });
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let server = Arc::clone(&server);
                let config = Arc::clone(&server.config.lock().unwrap());
                thread::spawn(move || server.serve(socket, config));
            }
        });
        Self {
            address,
            names: names.to_vec(),
            shared,
        }
    }

    /// For `url`.
    pub fn url(&self) -> String {
        format!("https://{}/keys?tenant=hush", self.address)
    }

    /// For `url`, by name.
    pub fn url_by_name(&self) -> String {
        format!("https://localhost:{}/keys", self.address.port())
    }

    /// From now on.
    pub fn answer(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    /// For whoever asks from now on, once it is let go. Says how many have asked before.
    pub fn hold(&self, answer: Answer) -> usize {
        let mut held = self.shared.held.lock().unwrap();
        *held = true;
        self.answer(answer);
        self.requests()
    }

    /// Lets every answer go.
    pub fn let_go(&self) {
        *self.shared.held.lock().unwrap() = false;
        self.shared.freed.notify_all();
    }

    /// Shows a certificate of this authority from now on.
    pub fn show(&self, authority: &Authority) {
        *self.shared.config.lock().unwrap() = Arc::new(authority.config(&self.names));
    }

    /// How many came.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many asked.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many were told that nothing has changed.
    pub fn confirmed(&self) -> usize {
        self.shared.confirmed.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn serve(&self, socket: TcpStream, config: Arc<ServerConfig>) {
        self.connections.fetch_add(1, Ordering::SeqCst);
        if matches!(*self.answer.lock().unwrap(), Answer::Down) {
            return;
        }
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        let held = self.held.lock().unwrap();
        self.requests.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer.lock().unwrap().clone();
        drop(self.freed.wait_while(held, |held| *held).unwrap());
        let head = String::from_utf8(head).unwrap();
        // Who asks may have had enough before the end.
        let _early_end = self.write(&mut stream, &head, answer);
        stream.conn.send_close_notify();
        let _flushed = stream.flush();
    }

    fn write(&self, out: &mut impl Write, head: &str, answer: Answer) -> std::io::Result<()> {
        match answer {
            Answer::Down => Ok(()),
            Answer::Bytes(bytes) => out.write_all(bytes.as_bytes()),
            Answer::Slow(time) => {
                thread::sleep(time);
                Ok(())
            }
            Answer::Document(text) => {
                let length = text.len();
                write!(
                    out,
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}"
                )
            }
            Answer::Tagged(_, tag) if head.contains(&format!("if-none-match: {tag}\r\n")) => {
                self.confirmed.fetch_add(1, Ordering::SeqCst);
                write!(out, "HTTP/1.1 304 Not Modified\r\nETag: {tag}\r\n\r\n")
            }
            Answer::Tagged(text, tag) => {
                let length = text.len();
                write!(
                    out,
                    "HTTP/1.1 200 OK\r\nETag: {tag}\r\nContent-Length: {length}\r\n\r\n{text}"
                )
            }
            Answer::Flood(bytes, stated) => {
                match stated {
                    Stated::Yes => {
                        write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n")?
                    }
                    Stated::No => write!(out, "HTTP/1.1 200 OK\r\n\r\n")?,
                }
                let piece = [b' '; 65_536];
                for _ in 0..bytes / piece.len() {
                    out.write_all(&piece)?;
                }
                Ok(())
            }
        }
    }
}
