//! The programs inside the one binary: wiring only, no decisions. Imported by nothing but `cli`.

pub mod certificates;
mod changes;
pub mod demo;
pub mod exchanges;
mod generation;
pub mod keys;
pub mod load;
pub mod proxy;
mod reload;
mod workers;
