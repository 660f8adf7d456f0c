//! Outrider, a security sidecar for automated trading.

pub mod accept;
pub mod cli;
pub mod config;
pub mod decide;
pub mod forward;
pub mod identify;
pub mod ledger;
pub mod model;
pub mod pipeline;
pub mod record;
pub mod roles;
pub mod runtime;
pub mod secrets;
pub mod transform;
