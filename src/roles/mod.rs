//! The programs inside the one binary: wiring only, no decisions. Imported by nothing but `cli`.

mod admin;
mod changes;
pub mod demo;
mod generation;
pub mod load;
pub mod proxy;
mod reload;
mod traces;
mod workers;
