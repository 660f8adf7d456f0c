//! The signals that end the process. Never acts on one by itself.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_signal_is_seen_and_does_not_kill() {
        let mut signals = StopSignals::install().unwrap();
        for (flag, name) in [
            ("-TERM", "SIGTERM"),
            ("-INT", "SIGINT"),
            ("-TERM", "SIGTERM"),
        ] {
            let sent = std::process::Command::new("kill")
                .args([flag, &std::process::id().to_string()])
                .status()
                .unwrap();
            assert!(sent.success());
            assert_eq!(signals.next().await, name);
        }
    }
}
