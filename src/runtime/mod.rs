//! What runs beside the requests. Imports only `model`; never decides anything about a request.

pub mod health;
pub mod readiness;
pub mod signals;
pub mod telemetry;
