//! The sidecar of the demo: the same program in a process of its own, told from its log when it is ready.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;

/// How often the log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How often it is looked at before the demo gives up.
const LOOKS_MAX: u32 = 500;

/// A running sidecar. Killed when dropped, so that a failing demo leaves nothing behind.
pub(super) struct Sidecar {
    child: Child,
    pub(super) inbound: SocketAddr,
    pub(super) health: SocketAddr,
    pub(super) log: PathBuf,
}

impl Sidecar {
    /// Starts `outrider proxy` on the folder's configuration and waits until it listens.
    pub(super) async fn start(folder: &Path) -> io::Result<Self> {
        let log = folder.join("sidecar.log");
        let out = File::create(&log)?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["proxy", "-c"])
            .arg(folder.join("sidecar.yaml"))
            .stdin(Stdio::null())
            .stderr(out.try_clone()?)
            .stdout(out)
            .spawn()?;
        for _ in 0..LOOKS_MAX {
            let text = std::fs::read_to_string(&log)?;
            if let (Some(inbound), Some(health)) =
                (listening(&text, "inbound"), listening(&text, "health"))
            {
                return Ok(Self {
                    child,
                    inbound,
                    health,
                    log,
                });
            }
            if child.try_wait()?.is_some() {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        child.kill()?;
        child.wait()?;
        Err(io::Error::other(format!(
            "the sidecar did not start:\n{}",
            std::fs::read_to_string(&log)?
        )))
    }

    /// Asks it to stop as Kubernetes would, and waits until it has.
    pub(super) fn stop(mut self) -> io::Result<ExitStatus> {
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        if !asked.success() {
            return Err(io::Error::other("the sidecar could not be asked to stop"));
        }
        self.child.wait()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // Fails if it has ended already, which is what is wanted.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// The address that the log names for a listener.
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
