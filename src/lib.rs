//! Outrider, a security sidecar for automated trading.

pub mod cli;
pub mod model;
pub mod record;
pub mod runtime;
