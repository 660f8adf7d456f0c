//! Outrider, a security sidecar for automated trading.

pub mod cli;
pub mod config;
pub mod decide;
pub mod ledger;
pub mod model;
