//! The whole program against raw bytes: the real binary, a scripted service behind it, and one oracle for every refusal.
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

mod bypass;
mod cors;
mod desync;
mod journey;
mod leaks;
mod pitfalls;
mod world;
