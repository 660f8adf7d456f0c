//! The real binary at the command line: what it prints, what it refuses, and the codes it exits with. Nothing here is
//! decided in the test's own process.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

#[path = "../support/tokens.rs"]
mod tokens;

mod audit;
mod demo;
mod explain;
mod folder;
mod others;
mod pin;
mod proxy;
mod suites;
