//! The programs inside the one binary: wiring only, no decisions. Imported by nothing but `cli`.

mod admin;
pub mod demo;
pub mod load;
pub mod proxy;
mod traces;
mod workers;
