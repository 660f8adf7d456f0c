//! The listener's certificates while it runs: built at start, swapped by a reload, shown in metrics and readiness.
//! Wiring only.

use std::sync::Arc;
use std::time::Duration;

use crate::accept::tls::{Shown, TlsDoor, TlsState};
use crate::config;
use crate::model::clock::{Clock, Now};
use crate::model::fault::{Fault, Faults};
use crate::model::settings::TlsSettings;
use crate::record::Metrics;

/// How long before its end a certificate is remarked on: time for a person to see it and act.
const REMARK_BEFORE: Duration = Duration::from_secs(14 * 24 * 3600);

/// Builds what handshakes go by out of the files as they are now; `None` if anything is wrong. Warnings are noted too.
pub fn load(settings: &TlsSettings, now: Now, faults: &mut Faults) -> Option<TlsState> {
    TlsState::load(settings, now, &config::read_pem, faults)
}

/// The certificates in use. Cheap to clone.
#[derive(Clone)]
pub struct Certificates {
    door: Arc<TlsDoor>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl Certificates {
    /// Puts the first state in use.
    #[must_use]
    pub fn new(
        state: TlsState,
        handshake_max: Duration,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        show(&metrics, &state);
        let door = Arc::new(TlsDoor::new(state, handshake_max, Arc::clone(&clock)));
        Self {
            door,
            clock,
            metrics,
        }
    }

    /// Where connections become TLS.
    #[must_use]
    pub fn door(&self) -> Arc<TlsDoor> {
        Arc::clone(&self.door)
    }

    /// Reads certificates, keys and client CA anew and goes by them from the next connection on; returns the warnings.
    /// Open connections stay as they are.
    ///
    /// # Errors
    /// What is wrong with the files; then everything stays as it was.
    pub fn renew(&self, settings: &TlsSettings) -> Result<Vec<Fault>, Vec<Fault>> {
        let mut faults = Faults::default();
        let Some(state) = load(settings, self.clock.now(), &mut faults) else {
            return Err(faults.into_sorted());
        };
        show(&self.metrics, &state);
        self.door.swap(state);
        Ok(faults.into_sorted())
    }

    /// What somebody should look at: certificates that have ended, or soon will.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        let now = self.clock.now().unix_seconds();
        let state = self.door.state();
        let soon: Vec<String> = state
            .shown()
            .iter()
            .filter_map(|one| end(one, now))
            .collect();
        (!soon.is_empty()).then(|| soon.join(", "))
    }
}

fn show(metrics: &Metrics, state: &TlsState) {
    let shown = state.shown().iter();
    metrics.certificates(shown.map(|one| (one.name.as_str(), one.not_after)));
}

fn end(one: &Shown, now: i64) -> Option<String> {
    let left = one.not_after.saturating_sub(now);
    let before = i64::try_from(REMARK_BEFORE.as_secs()).unwrap_or(i64::MAX);
    if left < 0 {
        Some(format!("{} has ended", one.name))
    } else if left < before {
        Some(format!("{} ends in {} days", one.name, left / (24 * 3600)))
    } else {
        None
    }
}
