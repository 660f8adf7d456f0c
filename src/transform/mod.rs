//! Room 4: what leaves for the service, and what goes back to the client. Takes off what must not pass, puts on what is
//! ours, and turns a refusal into its answer. Never decides, never waits, never reads a body.

mod answer;
mod cors;
mod deprecation;
mod hop_by_hop;
pub mod outbound;
mod problem;
mod quota;
mod request;
pub mod signers;
mod signing;
mod trace_context;

#[cfg(test)]
mod tests;

pub use answer::{Answers, reply};
pub use cors::preflight;
pub use problem::{Page, RequestBody, refusal};
pub use request::{Outbound, Stamp, prepare};

use http::HeaderName;

/// The id of a request, the same in its record, towards the service and in the answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
