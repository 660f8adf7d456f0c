//! Outrider, a security sidecar for automated trading.

pub mod accept;
pub mod model;
pub mod runtime;
