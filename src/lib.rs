//! Outrider, a security sidecar for automated trading.

pub mod decide;
pub mod forward;
pub mod ledger;
pub mod model;
pub mod transform;
