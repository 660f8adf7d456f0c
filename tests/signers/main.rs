//! Signers against signatures that exchanges published or that independent clients make.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]
#![expect(clippy::indexing_slicing, reason = "a test may fail by panic")]

mod binance;
mod others;
mod properties;
mod rules;
mod scheme;
mod shared;
