//! How much work something is. Never how long it takes: that is the machine's affair.
//!
//! Included with `#[path = "../support/work.rs"] mod work;`.

#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::fs;
use std::time::Duration;

/// More than anything costs whose cost grows with its size only.
pub(crate) const MUCH: Duration = Duration::from_secs(60);

/// Processor time that this thread has used so far.
pub(crate) fn worked() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
    let behind = stat.rsplit(')').next().unwrap();
    // In user mode and in the kernel, each in hundredths of a second.
    let fields = behind.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
