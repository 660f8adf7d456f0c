//! Outrider, a security sidecar for automated trading.

pub mod model;
pub mod record;
pub mod runtime;
