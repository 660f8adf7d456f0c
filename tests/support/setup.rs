//! What a sidecar is started with: its configuration, files beside it, and its environment. Never starts more than the
//! process.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// What a sidecar is started with.
pub struct Setup<'a> {
    /// `forward_to`.
    pub forward_to: &'a str,
    /// Lines below `inbound:`, each indented by two blanks.
    pub inbound: &'a str,
    /// Lines at the top level.
    pub top: &'a str,
    /// How many workers.
    pub workers: u32,
    /// Further entries of `audit`, such as `segment_bytes_max: 64KiB`.
    pub audit: &'a str,
    /// `inbound.listen`.
    pub listen: &'a str,
    /// Files beside the configuration.
    pub files: &'a [(&'a str, &'a str)],
    /// How many files the process may open.
    pub open_files: Option<u32>,
    /// Variables of the environment; there are no others.
    pub env: &'a [(&'a str, &'a str)],
}

/// Tests do not wait for clients that are not there, look for every record, and count connections to the service, however
/// much time passes between two requests.
const FOR_TESTS: &[(&str, &str)] = &[
    ("OUTRIDER_INBOUND__TIMEOUTS__DRAIN_PAUSE", "0s"),
    ("OUTRIDER_INBOUND__TIMEOUTS__UPSTREAM_IDLE", "1h"),
    ("OUTRIDER_AUDIT__REFUSALS_PER_MINUTE", "1000000"),
];

impl<'a> Setup<'a> {
    /// One worker, nothing beside the configuration.
    pub const fn new(forward_to: &'a str, inbound: &'a str) -> Self {
        Self {
            forward_to,
            inbound,
            top: "",
            workers: 1,
            audit: "",
            listen: "127.0.0.1:0",
            files: &[],
            open_files: None,
            env: FOR_TESTS,
        }
    }

    pub(super) fn command(&self, folder: &TempDir) -> Command {
        let binary = env!("CARGO_BIN_EXE_outrider");
        let mut command = match self.open_files {
            None => Command::new(binary),
            Some(count) => {
                let mut shell = Command::new("sh");
                let script = format!("ulimit -n {count}; exec \"$0\" \"$@\"");
                shell.args(["-c", &script, binary]);
                shell
            }
        };
        command
            .args(["proxy", "-c"])
            .arg(folder.path().join("sidecar.yaml"))
            .env_clear()
            .envs(self.env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Only starts the process; it may be anywhere on its way.
    pub fn spawn(&self) -> (TempDir, Child) {
        let folder = self.lay_out();
        let child = self.command(&folder).spawn().unwrap();
        (folder, child)
    }

    pub(super) fn lay_out(&self) -> TempDir {
        self.lay_out_in(tempfile::tempdir().unwrap())
    }

    pub(super) fn lay_out_in(&self, folder: TempDir) -> TempDir {
        for (name, text) in self.files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let yaml = self.yaml(&folder.path().join("spool"));
        fs::write(folder.path().join("sidecar.yaml"), yaml).unwrap();
        folder
    }

    /// The text of the configuration.
    pub fn yaml(&self, spool: &Path) -> String {
        format!(
            "service: order-gateway\nworkers: {}\nhealth: {{ listen: 127.0.0.1:0 }}\naudit: {{ spool: {}, {} }}\n{}\n\
             inbound:\n  listen: {}\n  forward_to: {}\n{}\n",
            self.workers,
            spool.display(),
            self.audit,
            self.top,
            self.listen,
            self.forward_to,
            self.inbound
        )
    }
}
