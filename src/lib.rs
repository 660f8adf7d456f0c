//! Outrider, a security sidecar for automated trading.

pub mod accept;
pub mod decide;
pub mod identify;
pub mod ledger;
pub mod model;
pub mod runtime;
