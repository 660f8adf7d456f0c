//! Tokens against the whole of `identify`: cases 55 to 74 of the bypass list, Project Wycheproof, and mutated tokens.
//! Times are handed in, keys are made here; no network, no clock.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panic"
)]

#[path = "../support/tokens.rs"]
mod tokens;

mod bypass;
mod caching;
mod clock;
mod mutation;
mod structure;
mod support;
mod wycheproof;
