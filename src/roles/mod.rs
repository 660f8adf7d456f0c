//! The programs inside the one binary: wiring only, no decisions. Imported by nothing but `cli`.

mod admin;
pub mod certificates;
mod changes;
pub mod demo;
mod exchange_polling;
pub mod exchanges;
mod generation;
pub mod keys;
pub mod load;
mod observe;
mod outbound_listeners;
pub mod proxy;
mod reload;
pub mod self_test;
mod shutdown;
mod traces;
pub mod ways_out;
mod workers;
