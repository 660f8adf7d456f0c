//! Outrider, a security sidecar for automated trading.

pub mod model;
