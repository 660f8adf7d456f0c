//! The stand-in exchange by itself: that it accepts what the real one accepts, and refuses, counts and breaks as told.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking; clippy's exceptions cover unit tests only"
)]

mod checks;
mod faults;
mod futures;
mod handshakes;
mod limits;
mod sockets;
mod vectors;
mod world;
