//! The signals that end the process, and the one that asks it to read its configuration again. Never acts on one by
//! itself.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT, counted from the moment this was made.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Takes the signals over from the system's default, which is to die at once.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one and says its name. The first means: finish and stop. The second means: now.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// SIGHUP, counted from the moment this was made.
pub struct ReloadSignal(Signal);

impl ReloadSignal {
    /// Takes the signal over from the system's default, which is to die at once.
    pub fn install() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            // The runtime is going down; there will be no other.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(flag: &str) {
        let sent = std::process::Command::new("kill")
            .args([flag, &std::process::id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    #[tokio::test]
    async fn each_signal_is_seen_and_does_not_kill() {
        let mut signals = StopSignals::install().unwrap();
        let mut reload = ReloadSignal::install().unwrap();
        for (flag, name) in [
            ("-TERM", "SIGTERM"),
            ("-INT", "SIGINT"),
            ("-TERM", "SIGTERM"),
        ] {
            send(flag);
            assert_eq!(signals.next().await, name);
        }
        send("-HUP");
        reload.next().await;
    }
}
