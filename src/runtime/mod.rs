//! Process plumbing: drain, readiness, reload, signals, logs, the health and admin listeners. Knows nothing of what a
//! request means.

pub mod admin;
pub mod crypto;
pub mod drain;
pub mod fetch;
pub mod get;
pub mod handshake;
pub mod health;
pub mod memory;
pub mod nonces;
mod pages;
pub mod readiness;
pub mod reload;
pub mod signals;
pub mod telemetry;
pub mod trust;
