//! Keys behind a URL, with the real binary and a key server that does what it likes: cases 77, 79, 80 and 82, faults
//! F16 and F17. Nothing here reaches into the program.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test that cannot go on stops with a panic, and waits by the real clock"
)]

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod outage;
mod reload;
mod rotation;
mod server;
mod start;
mod world;
