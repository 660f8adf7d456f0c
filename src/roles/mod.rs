//! The programs inside the one binary: wiring only, no decisions. Imported by nothing but `cli`.
//!
//! * `outrider proxy` is [`proxy`]: `workers` run the way in and the `outbound_listeners`, `exchange_polling` asks exchanges
//!   for their time and limits, `observe` serves probes and operators (`admin`), and `shutdown` ends all of it in order.
//! * A configuration becomes what requests go by in [`load`] (the way in), [`ways_out`] and [`certificates`]; `generation`
//!   puts them together, `reload` puts one in the place of another and tells what has changed (`changes`).
//! * What is filled or told beside requests: [`keys`] (of tokens), [`exchanges`] (servers that are not believed, ends of
//!   pins and certificates), `traces`.
//! * `outrider demo` is [`demo`], `outrider sign --self-test` is [`self_test`].

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
