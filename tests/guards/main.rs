//! The decision from outside: policies as people write them in YAML, requests as they come in, and what becomes of
//! them. The clock is handed in; nothing here opens a socket.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

#[path = "../support/tokens.rs"]
mod tokens;
#[path = "../support/work.rs"]
mod work;

mod addresses;
mod bodies;
mod callers;
mod failures;
mod limiter;
mod limits;
mod matching;
mod preflight;
mod shadow;
mod support;
mod table;
