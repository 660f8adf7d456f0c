//! The programs inside the one binary: wiring only, no decisions. Imported by nothing but `cli`.

pub mod certificates;
pub mod demo;
pub mod load;
pub mod proxy;
mod workers;
