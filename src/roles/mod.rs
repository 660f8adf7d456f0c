//! The programs inside the one binary: wiring only, no decisions. Imported by nothing but `cli`.

pub mod demo;
pub mod keys;
pub mod load;
pub mod proxy;
mod workers;
