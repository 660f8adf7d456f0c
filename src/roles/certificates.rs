//! The listener's certificates: made ready beside those in use, shown in metrics and readiness. Wiring only.

use std::sync::Arc;
use std::time::Duration;

use crate::accept::tls::{Shown, TlsDoor, TlsState};
use crate::config::Report;
use crate::model::clock::{Clock, Now};
use crate::model::fault::Faults;
use crate::model::settings::TlsSettings;
use crate::record::Metrics;

/// How long before its end a certificate is remarked on: time for a person to see it and act.
const REMARK_BEFORE: Duration = Duration::from_secs(14 * 24 * 3600);

/// Makes the door of a configuration, if its listener speaks TLS. The report comes back with what is to be said of the
/// certificates.
///
/// # Errors
/// The report with what is wrong with them.
pub fn door(
    settings: Option<&TlsSettings>,
    handshake_max: Duration,
    clock: &Arc<dyn Clock>,
    report: Report,
) -> Result<(Option<TlsDoor>, Report), Box<Report>> {
    let Some(settings) = settings else {
        return Ok((None, report));
    };
    let mut faults = Faults::default();
    let state = TlsState::load(settings, clock.now(), &mut faults);
    let report = faults.into_sorted().into_iter().fold(report, Report::with);
    match state {
        Some(state) => {
            let door = TlsDoor::new(state, handshake_max, Arc::clone(clock));
            Ok((Some(door), report))
        }
        None => Err(Box::new(report)),
    }
}

/// Tells the metrics which certificates are in use, and when they end.
pub(super) fn show(metrics: &Metrics, state: &TlsState) {
    let shown = state.shown().iter();
    metrics.certificates(shown.map(|one| (one.name.as_str(), one.not_after)));
}

/// What somebody should look at: certificates that have ended, or soon will.
pub(super) fn remark(state: &TlsState, now: Now) -> Option<String> {
    let now = now.unix_seconds();
    let soon: Vec<String> = state
        .shown()
        .iter()
        .filter_map(|one| end(one, now))
        .collect();
    (!soon.is_empty()).then(|| soon.join(", "))
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
