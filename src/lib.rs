//! Outrider, a security sidecar for automated trading.

pub mod decide;
pub mod identify;
pub mod ledger;
pub mod model;
