//! Whether the process is ready: a set of named guards, each held by whoever prepares something, and of checks that
//! are asked each time. Never waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What must be there before requests are welcome. Cheap to clone.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Inner>);

#[derive(Default)]
struct Inner {
    checks: Mutex<Vec<Check>>,
    draining: AtomicBool,
    started: AtomicBool,
}

struct Check {
    name: &'static str,
    state: State,
}

enum State {
    Waiting,
    Ready,
    Failed,
    Asked(Box<Probe>),
}

type Probe = dyn Fn() -> Said + Send + Sync;

/// What a check says when it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// All is well.
    Good,
    /// Requests are served, but somebody should look.
    Warning(String),
    /// This is wrong; requests are not welcome.
    Bad(String),
}

impl From<Result<(), &'static str>> for Said {
    fn from(said: Result<(), &'static str>) -> Self {
        said.map_or_else(|wrong| Self::Bad(wrong.to_owned()), |()| Self::Good)
    }
}

/// Holds readiness back until it is dropped.
#[must_use = "dropping the guard says that it is ready"]
pub struct ReadyGuard {
    readiness: Readiness,
    index: usize,
}

/// The answer to `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether requests are welcome.
    pub ready: bool,
    /// One line for each check: `[+]keys ok`, `[+]keys warning: ...`, `[-]keys waiting`.
    pub lines: String,
}

impl Readiness {
    /// Nothing to wait for yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds something to wait for.
    pub fn wait_for(&self, name: &'static str) -> ReadyGuard {
        let mut checks = self.checks();
        checks.push(Check {
            name,
            state: State::Waiting,
        });
        ReadyGuard {
            readiness: self.clone(),
            index: checks.len() - 1,
        }
    }

    /// Adds something that is asked each time. It must answer at once.
    pub fn ask<S: Into<Said>>(
        &self,
        name: &'static str,
        probe: impl Fn() -> S + Send + Sync + 'static,
    ) {
        self.checks().push(Check {
            name,
            state: State::Asked(Box::new(move || probe().into())),
        });
    }

    /// From now on not ready, because the process is about to stop.
    pub fn set_draining(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the process is about to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Whether everything has been ready once.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.0.started.load(Ordering::Relaxed) || self.report().ready
    }

    /// Goes through every check.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = Report {
            ready: true,
            lines: String::new(),
        };
        for check in self.checks().iter() {
            match &check.state {
                State::Ready => report.add(check.name, &Said::Good),
                State::Waiting => report.wrong(check.name, "waiting"),
                State::Failed => report.wrong(check.name, "failed"),
                State::Asked(probe) => report.add(check.name, &probe()),
            }
        }
        if report.ready {
            self.0.started.store(true, Ordering::Relaxed);
        }
        if self.0.draining.load(Ordering::Relaxed) {
            report.wrong("draining", "stopping");
        }
        report
    }

    fn checks(&self) -> MutexGuard<'_, Vec<Check>> {
        self.0.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report {
    fn add(&mut self, name: &str, said: &Said) {
        match said {
            Said::Good => self.lines.push_str(&format!("[+]{name} ok\n")),
            Said::Warning(what) => self.lines.push_str(&format!("[+]{name} warning: {what}\n")),
            Said::Bad(what) => self.wrong(name, what),
        }
    }

    fn wrong(&mut self, name: &str, what: &str) {
        self.ready = false;
        self.lines.push_str(&format!("[-]{name} {what}\n"));
    }
}

impl ReadyGuard {
    /// What was waited for is there.
    pub fn ready(self) {
        drop(self);
    }
}

impl Drop for ReadyGuard {
    /// A guard that falls in a panic stands for something that will never be there.
    fn drop(&mut self) {
        let state = if std::thread::panicking() {
            State::Failed
        } else {
            State::Ready
        };
        if let Some(check) = self.readiness.checks().get_mut(self.index) {
            check.state = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_every_guard_has_gone() {
        let readiness = Readiness::new();
        let keys = readiness.wait_for("keys");
        let policy = readiness.wait_for("policy");
        policy.ready();
        assert!(!readiness.has_started());
        let report = readiness.report();
        assert_eq!(
            (report.ready, report.lines.as_str()),
            (false, "[-]keys waiting\n[+]policy ok\n")
        );
        drop(keys);
        assert!(readiness.report().ready);
        readiness.set_draining();
        let report = readiness.report();
        assert!(!report.ready);
        assert!(report.lines.ends_with("[-]draining stopping\n"));
        assert!(readiness.has_started(), "a stop does not undo the start");
    }

    #[test]
    fn a_probe_is_asked_each_time() {
        let readiness = Readiness::new();
        let failing = Arc::new(AtomicBool::new(true));
        let asked = Arc::clone(&failing);
        readiness.ask("audit", move || {
            if asked.load(Ordering::Relaxed) {
                Err("the disk is full")
            } else {
                Ok(())
            }
        });
        assert_eq!(readiness.report().lines, "[-]audit the disk is full\n");
        failing.store(false, Ordering::Relaxed);
        assert_eq!(readiness.report().lines, "[+]audit ok\n");
    }

    #[test]
    fn a_warning_is_told_and_does_not_hold_back() {
        let readiness = Readiness::new();
        readiness.ask("keys", || Said::Warning("3 h old".to_owned()));
        let report = readiness.report();
        assert!(report.ready);
        assert_eq!(report.lines, "[+]keys warning: 3 h old\n");
    }

    #[test]
    fn a_guard_that_falls_in_a_panic_is_never_ready() {
        let readiness = Readiness::new();
        let guard = readiness.wait_for("keys");
        let fallen = std::thread::spawn(move || {
            let _held = guard;
            panic!("the keys cannot be read");
        });
        assert!(fallen.join().is_err());
        assert_eq!(readiness.report().lines, "[-]keys failed\n");
    }
}
