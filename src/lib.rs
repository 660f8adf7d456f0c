//! Outrider, a security sidecar for automated trading.

pub mod decide;
pub mod ledger;
pub mod model;
