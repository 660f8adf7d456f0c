//! A folder to run the binary in, with a configuration and whatever a test puts beside it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::tokens::Issuer;

/// The issuer whose key is configured.
pub(crate) static ISSUER: LazyLock<Issuer> = LazyLock::new(|| Issuer::new(2048));

/// The configuration that most tests ask; line numbers in expected texts are lines of this.
pub(crate) const SIDECAR: &str = "\
service: orders
inbound:
  listen: 127.0.0.1:0
  forward_to: http://127.0.0.1:9
  deny_ips: [10.66.0.0/16]
  tokens:
    issuer: https://auth.example
    audience: orders
    keys: { file: keys.json }
  roles: { trader: [orders:place, positions:view] }
  limits:
    - { name: everyone, per: client_ip, rate: 100/min, burst: 20 }
  routes:
    - name: place-order
      match: { method: POST, path: /orders }
      require:
        permissions: [orders:place]
        mfa_within: 15m
      body: { content_types: [application/json], json: true, bytes_max: 1KiB }
      limits: [{ name: place, per: user, rate: 10/s }]
    - name: positions
      match: { method: GET, path: \"/positions/{account}\" }
      require: { permissions: [positions:view], mode: shadow }
    - name: health
      match: { method: GET, path: /health }
      anonymous: true
audit: { spool: audit }
health: { listen: 127.0.0.1:0 }
workers: 1
";

/// What a run came to.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The folder; it goes with the value.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// A folder with the usual configuration and its keys.
    pub(crate) fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("sidecar.yaml", SIDECAR);
        folder.write("keys.json", ISSUER.jwks());
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    /// The usual configuration with a part of it exchanged.
    pub(crate) fn exchange(&self, from: &str, to: &str) {
        assert!(SIDECAR.contains(from), "{from}");
        self.write("sidecar.yaml", SIDECAR.replace(from, to));
    }

    /// Runs to the end. Arguments are separated by spaces; `args` beyond that come as they are.
    pub(crate) fn run(&self, line: &str, args: &[&str]) -> Ran {
        let output = self.command(line, args).output().unwrap();
        Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts and goes on; nothing reads what it prints.
    pub(crate) fn start(&self, line: &str) -> Running {
        let mut command = self.command(line, &[]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        Running(command.spawn().unwrap())
    }

    fn command(&self, line: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
        command.args(line.split_whitespace()).args(args);
        command.current_dir(self.path()).env_clear();
        command
    }
}

/// A process that is ended with the value.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Asks it to stop, and waits until everything is written.
    pub(crate) fn stop(&mut self) {
        let command = format!("kill -TERM {}", self.0.id());
        let asked = Command::new("sh").args(["-c", &command]).status();
        assert!(asked.unwrap().success());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}
