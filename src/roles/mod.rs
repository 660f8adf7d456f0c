//! The programs inside the one binary: wiring only, no decisions. Imported by nothing but `cli`.

pub mod certificates;
mod changes;
pub mod demo;
mod generation;
pub mod keys;
pub mod load;
mod outlets;
pub mod proxy;
mod reload;
mod ways_out;
mod workers;
