//! What the themes have in common beyond the stand-in exchange: limits, pins, and lines that change. Holds no expectation.

use outrider::roles::demo::exchange::Options;

pub use crate::support::calls::{ORDER, ask, get, out, place, text, told};
use crate::support::exchange::FURTHER;
pub use crate::support::exchange::{
    ED25519, FAR, KEY, SECRET, StandIn, With, is_synced, wait_for_limits,
};
use crate::support::sidecar::Sidecar;
use crate::support::wait::reconfigure;
pub use crate::support::wait::{record_of, services, wait_until, write_config};

/// What stands behind the further lines of the entry.
const BEHIND: &str = "\ninbound:";

/// Limits that no test reaches.
pub fn generous(options: &mut Options) {
    options.limits.weight_per_minute = 10_000_000;
    options.limits.requests_per_5_minutes = 10_000_000;
    options.limits.orders_per_10_seconds = 1_000_000;
    options.limits.orders_per_day = 10_000_000;
    options.limits.orders_per_minute = 1_000_000;
}

/// The lines that pin these keys.
pub fn pins(keys: &[&str], mode: &str) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("\"sha256/{key}\"")).collect();
    format!("    pins: [{}]\n    pin_mode: {mode}\n", keys.join(", "))
}

/// Replaces the further lines of the entry, and waits until that is in force.
pub fn reload(sidecar: &Sidecar, further: &str) {
    reconfigure(sidecar, |text| {
        let (head, rest) = text.split_once(FURTHER).unwrap();
        let (_old, behind) = rest.split_once(BEHIND).unwrap();
        format!("{head}{FURTHER}{further}{BEHIND}{behind}")
    });
}
