//! Outrider, a security sidecar for automated trading.

pub mod identify;
pub mod model;
