//! Room 3, pure: facts, caller, an immutable policy, the ledger and `now` come in; a permit or a denial comes out.
//! Never tokio, hyper, a clock, a file, the environment or `async`.

#![warn(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod admit;
mod body;
mod evaluation;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod guards;
mod head;
pub mod outbound;
mod permit;
pub mod policy;
mod preflight;
mod tally;

pub use admit::{Admission, Entry, Rejected, admit};
pub use body::{BodyNeeds, body};
pub use evaluation::{Evaluation, Line, Said};
pub use head::{HeadOk, head};
pub use permit::{Permit, Permitted};
pub use preflight::Preflight;
