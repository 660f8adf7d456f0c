//! The way out on the running program: a service in front with raw bytes, and behind it an exchange of our own over TLS.
//! Nothing here reaches into the program; what an operator cannot see is not asserted.

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

mod alone;
mod attack;
mod door;
mod journey;
mod keys;
mod never_twice;
mod operate;
mod reload;
mod signed;
mod websocket;
mod world;
