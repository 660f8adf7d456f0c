//! The real program beside a service that answers with the head it got. Ports are the system's choice.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_outrider");

/// A running sidecar in a folder of its own.
pub(crate) struct Sidecar {
    child: Child,
    folder: TempDir,
    pub(crate) inbound: SocketAddr,
    pub(crate) health: SocketAddr,
}

impl Sidecar {
    /// Starts it in the folder, with these lines in `inbound`.
    pub(crate) fn start(folder: TempDir, inbound: &str) -> Self {
        write(folder.path(), inbound, service());
        let log = folder.path().join("log");
        let out = File::create(&log).unwrap();
        let mut child = Command::new(PROGRAM)
            .args(["proxy", "-c"])
            .arg(folder.path().join("sidecar.yaml"))
            .stdin(Stdio::null())
            .stderr(out.try_clone().unwrap())
            .stdout(out)
            .spawn()
            .unwrap();
        for _ in 0..1500 {
            let text = fs::read_to_string(&log).unwrap();
            let bound = (listening(&text, "inbound"), listening(&text, "health"));
            if let (Some(inbound), Some(health)) = bound {
                return Self {
                    child,
                    folder,
                    inbound,
                    health,
                };
            }
            assert!(child.try_wait().unwrap().is_none(), "{text}");
            thread::sleep(Duration::from_millis(20));
        }
        panic!("it did not start: {}", fs::read_to_string(&log).unwrap());
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder().join("log")).unwrap()
    }

    /// Sends it a signal, such as `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(id)
            .status();
        assert!(sent.unwrap().success());
    }

    /// The body of a page of the health listener.
    pub(crate) fn page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.health).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// Stops it in order and returns every audit event.
    pub(crate) fn events(mut self) -> Vec<Value> {
        self.signal("TERM");
        assert!(self.child.wait().unwrap().success());
        let shown = Command::new(PROGRAM)
            .args(["audit", "tail", "--format", "json", "--lines", "100000"])
            .arg(self.folder.path().join("audit"))
            .output()
            .unwrap();
        let lines = String::from_utf8(shown.stdout).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // Fails if it has ended already, which is what is wanted.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// The refusals among events: their codes and details.
pub(crate) fn refusals(events: &[Value]) -> Vec<(String, String)> {
    let text = |event: &Value, at: &str| event.pointer(at)?.as_str().map(str::to_owned);
    let refusal = |event: &Value| {
        Some((
            text(event, "/reason/code")?,
            text(event, "/reason/detail").unwrap_or_default(),
        ))
    };
    events.iter().filter_map(refusal).collect()
}

/// What `outrider check` says of these lines in `inbound`.
pub(crate) fn check(folder: &Path, inbound: &str) -> Output {
    write(folder, inbound, SocketAddr::from(([127, 0, 0, 1], 9)));
    outrider(&["check", "sidecar.yaml"], folder)
}

/// Runs the program in a folder.
pub(crate) fn outrider(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn write(folder: &Path, inbound: &str, service: SocketAddr) {
    let text = format!(
        "service: orders\ninbound:\n  listen: 127.0.0.1:0\n  forward_to: http://{service}\n{inbound}\n\
         health: {{ listen: 127.0.0.1:0 }}\naudit: {{ spool: audit }}\nworkers: 2\n"
    );
    fs::write(folder.join("sidecar.yaml"), text).unwrap();
}

fn listening(log: &str, listener: &str) -> Option<SocketAddr> {
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut named = lines.filter(|line| {
        line.get("msg").is_some_and(|msg| msg == "listening")
            && line.get("listener").is_some_and(|name| name == listener)
    });
    named.next()?.get("address")?.as_str()?.parse().ok()
}

/// Answers every request with its head; ends with the test's process.
fn service() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || answer(&stream.unwrap()));
        }
    });
    address
}

fn answer(mut stream: &TcpStream) {
    let mut head = String::new();
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        if line.is_empty() {
            break;
        }
        head.push_str(&line);
        head.push('\n');
    }
    let length = head.len();
    // A sidecar that has hung up does not want the answer.
    let _sent = write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{head}"
    );
}
