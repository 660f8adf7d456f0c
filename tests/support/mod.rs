//! What the whole-program tests stand on: the real binary, a scripted service or a stand-in exchange
//! behind it, and raw bytes in front of it.
//! Nothing here knows what a test expects of the proxy.

#![allow(
    dead_code,
    reason = "each test binary uses its own part of the support"
)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test that cannot set up its world stops with a panic, and waits by the real clock"
)]

pub mod calls;
pub mod case;
pub mod exchange;
pub mod localhost;
pub mod oracle;
pub mod origin;
pub mod setup;
pub mod sidecar;
pub mod tokens;
pub mod wait;
pub mod wire;
