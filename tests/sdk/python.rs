//! Runs a program of a Python client and reads what became of its steps. Knows no step by itself.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a program may take, with the import of its libraries on a busy machine.
const LONGEST: Duration = Duration::from_secs(240);

/// A step of a program.
#[derive(Debug)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Whether it came out as it should.
    pub ok: bool,
    /// What came out.
    pub detail: String,
}

/// Runs one part of a program against the sidecar that listens there, and gives its steps in their order.
pub fn run(program: &str, part: &str, sidecar: SocketAddr) -> Vec<Step> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("tests/.venv-sdk/bin/python");
    assert!(
        python.exists(),
        "{} is missing: tests/run makes it",
        python.display()
    );
    let mut child = Command::new(python)
        .arg("-B")
        .arg(root.join("tests/sdk").join(program))
        .arg(part)
        .env_clear()
        .env("OUTRIDER_SIDECAR", format!("http://{sidecar}"))
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (steps, rest) = watch(&mut child);
    let ended = child.wait().unwrap();
    let told = ended.success() || steps.iter().any(|step| !step.ok);
    assert!(told, "{program} {part}: {ended}\n{steps:#?}\n{rest}");
    steps
}

/// Reads the lines until the program ends, which is ended itself when it takes too long.
fn watch(child: &mut Child) -> (Vec<Step>, String) {
    let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let errors = thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            tell.send(line).unwrap();
        }
    });
    let until = Instant::now() + LONGEST;
    let (mut steps, mut rest) = (Vec::new(), String::new());
    loop {
        match told.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => match step(&line) {
                Some(step) => steps.push(step),
                None => rest.push_str(&line),
            },
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                child.kill().unwrap();
                rest.push_str("took too long\n");
                break;
            }
        }
    }
    rest.push_str(&errors.join().unwrap());
    (steps, rest)
}

fn step(line: &str) -> Option<Step> {
    let told: Value = serde_json::from_str(line).ok()?;
    Some(Step {
        name: told["step"].as_str()?.to_owned(),
        ok: told["ok"].as_bool()?,
        detail: told["detail"].as_str()?.to_owned(),
    })
}

/// Each step came out well, and none has vanished.
pub fn assert_steps(steps: &[Step], expected: &[&str]) {
    let failed = steps.iter().filter(|step| !step.ok);
    let failed: Vec<String> = failed
        .map(|step| format!("{}: {}", step.name, step.detail))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, expected);
}
