//! The memory of the process is its own, from its first moment on.

use std::fs;

use crate::support::origin::Origin;
use crate::support::sidecar::{Setup, Sidecar};
use crate::world::OPEN;

#[test]
fn a_crash_leaves_no_core_behind() {
    let origin = Origin::start();
    let sidecar = Sidecar::start(&Setup::new(&origin.url, OPEN));
    let limits = fs::read_to_string(format!("/proc/{}/limits", sidecar.pid)).unwrap();
    let mut lines = limits.lines();
    let core = lines.find_map(|line| line.strip_prefix("Max core file size"));
    let values: Vec<&str> = core.unwrap().split_whitespace().collect();
    assert_eq!(values, ["0", "0", "bytes"]);
    // The process counts its own descriptors also where nobody else may.
    assert!(sidecar.metric("process_open_fds", &[]) >= 5.0);
}
