//! The real program beside a service that answers with the head it got, in a folder that a test has filled.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::origin::{Origin, send};
use crate::support::sidecar::{self as program, Setup};

/// A running sidecar.
pub(crate) struct Sidecar(program::Sidecar);

impl Sidecar {
    /// Starts it in the folder, with these lines in `inbound`.
    pub(crate) fn start(folder: TempDir, inbound: &str) -> Self {
        let origin = Origin::start();
        origin.answer(|request| {
            let (head, length) = (&request.head, request.head.len());
            let line = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            vec![send(line), send(head)]
        });
        Self::before(&origin, folder, inbound)
    }

    /// The same before another service.
    pub(crate) fn before(origin: &Origin, folder: TempDir, inbound: &str) -> Self {
        let setup = Setup {
            workers: 2,
            ..Setup::new(&origin.url, inbound)
        };
        Self(program::Sidecar::start_in(&setup, folder))
    }

    /// Stops it in order and returns every audit event.
    pub(crate) fn events(mut self) -> Vec<Value> {
        assert!(self.stop().success());
        self.audit()
    }
}

impl Deref for Sidecar {
    type Target = program::Sidecar;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Sidecar {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
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
    let yaml = Setup::new("http://127.0.0.1:9", inbound).yaml(&folder.join("spool"));
    fs::write(folder.join("sidecar.yaml"), yaml).unwrap();
    outrider(&["check", "sidecar.yaml"], folder)
}

/// Runs the program in a folder.
pub(crate) fn outrider(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    command
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}
