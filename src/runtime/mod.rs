//! Process plumbing: drain, readiness, reload, signals, logs, the health listener. Knows nothing of what a request means.

pub mod crypto;
pub mod drain;
pub mod fetch;
pub mod get;
pub mod health;
pub mod nonces;
pub mod readiness;
pub mod reload;
pub mod signals;
pub mod telemetry;
