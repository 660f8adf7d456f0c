//! TLS towards clients, on the real program: handshakes, certificates of both sides, and what scanners say of it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy's exception covers unit tests only"
)]

#[path = "../support/mod.rs"]
mod support;

mod authority;
mod client;
mod clients;
mod files;
mod handshakes;
mod rotation;
mod scanners;
mod secrets;
mod sidecar;
