//! The sidecar of the demo: the same program in a process of its own, told from its log when it is ready.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};

use http::{Request, Response};
use serde_json::Value;

use super::client::Client;
use super::files::{CONFIGURATION, Folder};
use super::wait::until;

/// A running sidecar. Killed when dropped, so that a failing demo leaves nothing behind.
pub(super) struct Sidecar {
    child: Child,
    pub(super) inbound: SocketAddr,
    /// Where programs on this machine reach the exchange.
    pub(super) outbound: SocketAddr,
    pub(super) health: SocketAddr,
}

impl Sidecar {
    /// Starts `outrider proxy` on the folder's configuration and waits until it listens.
    pub(super) async fn start(folder: &Folder) -> io::Result<Self> {
        let log = folder.at("sidecar.log");
        let out = File::create(&log)?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["proxy", "-c"])
            .arg(folder.at(CONFIGURATION))
            .stdin(Stdio::null())
            .stderr(out.try_clone()?)
            .stdout(out)
            .spawn()?;
        let bound = until("the sidecar", async || {
            let text = std::fs::read_to_string(&log)?;
            let bound = Bound::read(&text);
            if bound.is_none() && child.try_wait()?.is_some() {
                return Err(io::Error::other(format!(
                    "the sidecar did not start:\n{text}"
                )));
            }
            Ok(bound)
        });
        match bound.await {
            Ok(bound) => Ok(Self {
                child,
                inbound: bound.inbound,
                outbound: bound.outbound,
                health: bound.health,
            }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    /// A page of its health listener.
    pub(super) async fn page(&self, path: &str) -> io::Result<Response<String>> {
        let request = Request::get(path).body(String::new());
        let client = Client::clear(self.health);
        client.send(request.map_err(io::Error::other)?).await
    }

    /// The value of a metric that is written just so, with its labels; nothing if it is not there.
    pub(super) async fn metric(&self, name: &str) -> io::Result<f64> {
        let page = self.page("/metrics").await?;
        let mut lines = page.body().lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        Ok(value.unwrap_or_default())
    }

    /// Waits until it says that it is ready.
    pub(super) async fn ready(&self) -> io::Result<Response<String>> {
        until("readiness", async || {
            let page = self.page("/readyz?verbose").await?;
            Ok(Some(page).filter(|page| page.status().is_success()))
        })
        .await
    }

    /// Asks it to stop as Kubernetes would, and waits until it has. The stand-ins go on meanwhile.
    pub(super) async fn stop(mut self) -> io::Result<ExitStatus> {
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        if !asked.success() {
            return Err(io::Error::other("the sidecar could not be asked to stop"));
        }
        until("the end of the sidecar", async || self.child.try_wait()).await
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // Fails if it has ended already, which is what is wanted.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Where it listens.
struct Bound {
    inbound: SocketAddr,
    outbound: SocketAddr,
    health: SocketAddr,
}

impl Bound {
    /// Nothing before all of it is in the log.
    fn read(log: &str) -> Option<Self> {
        Some(Self {
            inbound: listening(log, "inbound")?,
            outbound: listening(log, "outbound/binance")?,
            health: listening(log, "health")?,
        })
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
