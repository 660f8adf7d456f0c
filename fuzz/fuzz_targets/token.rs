//! Fuzzes `token`: feeds the engine's bytes to the shared body, and holds nothing of its own.
#![no_main]

#[path = "../bodies/token.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::token(bytes));
