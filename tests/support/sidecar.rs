//! The real binary as a process: started on ports of the system's choice, watched, stopped. Reads its evidence only
//! by the ways that an operator has: logs, health listener, `outrider audit tail`.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub use super::setup::Setup;
use super::wire::{NoAnswer, PATIENCE, Response, Wire};

/// A running sidecar.
pub struct Sidecar {
    /// Where requests go.
    pub inbound: SocketAddr,
    /// Where `/readyz` and `/metrics` are.
    pub health: SocketAddr,
    /// The process.
    pub pid: u32,
    /// How many workers serve requests.
    pub workers: u32,
    child: Child,
    output: Arc<Output>,
    folder: TempDir,
}

#[derive(Default)]
struct Output {
    text: Mutex<Texts>,
    changed: Condvar,
}

#[derive(Default)]
struct Texts {
    stdout: String,
    stderr: String,
}

impl Sidecar {
    /// Starts one and waits until it is ready.
    pub fn start(setup: &Setup<'_>) -> Self {
        let sidecar = Self::launch(setup);
        sidecar.wait_until("ready", || sidecar.ask_health("/readyz").status == 200);
        sidecar
    }

    /// The same in a folder that has files already.
    pub fn start_in(setup: &Setup<'_>, folder: TempDir) -> Self {
        let sidecar = Self::launch_in(setup, setup.lay_out_in(folder));
        sidecar.wait_until("ready", || sidecar.ask_health("/readyz").status == 200);
        sidecar
    }

    /// Starts one and waits until it listens.
    pub fn launch(setup: &Setup<'_>) -> Self {
        Self::launch_in(setup, setup.lay_out())
    }

    fn launch_in(setup: &Setup<'_>, folder: TempDir) -> Self {
        let mut child = setup.command(&folder).spawn().unwrap();
        let output = Arc::new(Output::default());
        output.collect(child.stdout.take().unwrap(), |texts| &mut texts.stdout);
        output.collect(child.stderr.take().unwrap(), |texts| &mut texts.stderr);
        let listening = |name| output.listening(name, &mut child);
        let mut listening = listening;
        let inbound = listening("inbound");
        let health = listening("health");
        Self {
            inbound,
            health,
            pid: child.id(),
            workers: setup.workers,
            child,
            output,
            folder,
        }
    }

    /// Starts one that must refuse its configuration: its exit code, and what it said.
    pub fn fails_to_start(setup: &Setup<'_>) -> (Option<i32>, String) {
        let folder = setup.lay_out();
        let mut child = setup.command(&folder).spawn().unwrap();
        let until = Instant::now() + PATIENCE;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > until {
                child.kill().unwrap();
            }
            thread::sleep(Duration::from_millis(2));
        }
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }

    /// A connection to the inbound listener.
    pub fn connect(&self) -> Wire {
        Wire::connect(self.inbound)
    }

    /// `GET` on the health listener. Whoever takes long between connecting and asking is hung up on, as its timeout
    /// says: then it is asked again.
    pub fn ask_health(&self, target: &str) -> Response {
        let host = self.health;
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = Wire::connect(host).ask(&request);
            if answer == Err(NoAnswer::Closed) && Instant::now() < until {
                continue;
            }
            return answer.unwrap();
        }
    }

    /// Where another listener is, by its name in the log.
    pub fn listener(&self, name: &str) -> SocketAddr {
        let mut found = None;
        self.wait_until(name, || {
            found = listener(&self.stdout(), name);
            found.is_some()
        });
        found.unwrap()
    }

    /// Waits until the log says this.
    pub fn wait_for_log(&self, text: &str) {
        self.wait_until(text, || self.stdout().contains(text));
    }

    /// The text of `/metrics`.
    pub fn metrics(&self) -> String {
        self.ask_health("/metrics").text()
    }

    /// The sum of all series of a metric whose labels contain each of `labels`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.metrics();
        let series = text.lines().filter(|line| {
            let end = line.find(['{', ' ']).unwrap_or(line.len());
            &line[..end] == name && labels.iter().all(|label| line.contains(label))
        });
        series
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Where the spool is.
    pub fn spool(&self) -> PathBuf {
        self.folder.path().join("spool")
    }

    /// The folder of the configuration.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What `outrider audit tail` prints now.
    pub fn audit_text(&self) -> String {
        audit_text(&self.spool())
    }

    /// The events in the spool now.
    pub fn audit(&self) -> Vec<Value> {
        events(&self.audit_text())
    }

    /// The `http.request` events, as soon as there are at least `count`.
    pub fn requests(&self, count: usize) -> Vec<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let requests = of_type(&self.audit(), "http.request");
            if requests.len() >= count || Instant::now() > until {
                return requests;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Standard output so far.
    pub fn stdout(&self) -> String {
        self.output.text.lock().unwrap().stdout.clone()
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        self.output.text.lock().unwrap().stderr.clone()
    }

    /// Open sockets of the process, listeners included.
    pub fn sockets(&self) -> usize {
        let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", self.pid)) else {
            // Only root may look into the process; it counts for everybody else.
            return self.metric("process_open_fds", &[]) as usize;
        };
        let targets = entries
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok());
        targets
            .filter(|target| target.to_string_lossy().starts_with("socket:"))
            .count()
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
        number.unwrap_or_default() * 1024
    }

    /// CPU time used so far, all threads.
    pub fn cpu_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let behind = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<&str> = behind.split_whitespace().collect();
        let number = |at: usize| {
            fields
                .get(at)
                .and_then(|text| text.parse::<u64>().ok())
                .unwrap_or(0)
        };
        number(11) + number(12)
    }

    /// Waits until it uses less than a fifth of one processor, as it never would in a loop that spins.
    pub fn wait_until_it_rests(&self) {
        self.wait_until("at rest", || {
            let (begun, ticks) = (Instant::now(), self.cpu_ticks());
            thread::sleep(Duration::from_secs(1));
            // A tick is a hundredth of a second.
            u128::from(self.cpu_ticks() - ticks) * 50 < begun.elapsed().as_millis()
        });
    }

    /// Whether the process runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for something that must become true; says what was missing otherwise.
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds() {
            let late = Instant::now() > until;
            assert!(
                !late,
                "not {what} in time\n{}\n{}",
                self.stdout(),
                self.stderr()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.pid);
        let status = Command::new("sh")
            .args(["-c", &command])
            .stderr(Stdio::null())
            .status();
        assert!(status.is_ok());
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > until {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                panic!("the sidecar did not stop\n{}", self.stdout());
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Stops in order; the folder with the evidence stays as long as the value.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Everything the process has written anywhere, by place.
    pub fn outputs(&self) -> Vec<(String, Vec<u8>)> {
        let mut outputs = vec![
            ("stdout".to_owned(), self.stdout().into_bytes()),
            ("stderr".to_owned(), self.stderr().into_bytes()),
            ("audit tail".to_owned(), self.audit_text().into_bytes()),
        ];
        for entry in fs::read_dir(self.spool()).into_iter().flatten().flatten() {
            let name = format!("spool {}", entry.file_name().display());
            outputs.push((name, fs::read(entry.path()).unwrap_or_default()));
        }
        outputs
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal("TERM");
            let until = Instant::now() + PATIENCE;
            while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(2));
            }
            // What is left then has failed already, and must not outlive the test.
            let _killed = self.child.kill();
            let _reaped = self.child.wait();
        }
        if thread::panicking() {
            let (stdout, stderr) = (self.stdout(), self.stderr());
            eprintln!(
                "--- last lines of the sidecar\n{}{}",
                tail(&stdout),
                tail(&stderr)
            );
        }
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(10);
    lines[from..]
        .iter()
        .map(|line| format!("{line}\n"))
        .collect()
}

impl Output {
    fn collect(
        self: &Arc<Self>,
        from: impl Read + Send + 'static,
        into: impl Fn(&mut Texts) -> &mut String + Send + 'static,
    ) {
        let output = Arc::clone(self);
        thread::spawn(move || {
            let mut lines = BufReader::new(from);
            let mut line = Vec::new();
            while lines
                .read_until(b'\n', &mut line)
                .is_ok_and(|count| count > 0)
            {
                let text = String::from_utf8_lossy(&line).into_owned();
                into(&mut output.text.lock().unwrap()).push_str(&text);
                output.changed.notify_all();
                line.clear();
            }
        });
    }

    /// The address in the log line that says that `listener` listens.
    fn listening(&self, listener: &str, child: &mut Child) -> SocketAddr {
        let until = Instant::now() + PATIENCE;
        let mut texts = self.text.lock().unwrap();
        loop {
            if let Some(address) = self::listener(&texts.stdout, listener) {
                return address;
            }
            let ended = child.try_wait().unwrap();
            let waits = Instant::now() < until && ended.is_none();
            assert!(
                waits,
                "no {listener} ({ended:?})\n{}\n{}",
                texts.stdout, texts.stderr
            );
            let pause = Duration::from_millis(20);
            texts = self.changed.wait_timeout(texts, pause).unwrap().0;
        }
    }
}

/// The address that a log names for a listener.
fn listener(log: &str, name: &str) -> Option<SocketAddr> {
    let lines = log.lines();
    let mut lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let found = lines.find(|line| line["msg"] == "listening" && line["listener"] == name)?;
    found["address"].as_str()?.parse().ok()
}

/// What `outrider audit tail` prints of a spool.
pub fn audit_text(spool: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_outrider"))
        .args(["audit", "tail", "--format", "json", "--lines", "100000"])
        .arg(spool)
        .env_clear()
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "audit tail: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// One event a line.
pub fn events(text: &str) -> Vec<Value> {
    let parsed = text.lines().map(serde_json::from_str);
    parsed.collect::<Result<_, _>>().unwrap()
}

/// The events of one type.
pub fn of_type(events: &[Value], name: &str) -> Vec<Value> {
    let same = events
        .iter()
        .filter(|event| event["action"]["type"] == name);
    same.cloned().collect()
}
