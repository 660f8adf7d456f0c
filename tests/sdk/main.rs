//! The way out as those meet it who trade by it, on the running program and against the stand-in exchange: official
//! clients as their users install them, and what goes wrong between a sidecar and an exchange. Nothing here reaches into
//! the program; what a client, an operator or the exchange cannot see is not asserted.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::too_many_lines,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test that cannot go on stops with a panic and waits by the real clock; a table has as many lines as cases"
)]

#[path = "../support/mod.rs"]
mod support;

mod bans;
mod clients;
mod clock;
mod crowd;
mod faults;
mod futures;
mod leaks;
mod middle;
mod python;
mod rotation;
mod trust;
mod world;
