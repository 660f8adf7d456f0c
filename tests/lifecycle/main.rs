//! The sidecar over time: changed under load, stopped under load, short of files, full of idle connections. The real
//! binary, and nothing but what an operator has: files, signals, logs, metrics, evidence.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test that cannot go on stops with a panic and waits by the real clock"
)]

#[path = "../support/mod.rs"]
mod support;

mod crowd;
mod memory;
mod panic;
mod reload;
mod rotation;
mod stop;
mod streams;
mod world;
