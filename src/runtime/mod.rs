//! What carries the rooms while they run. Never knows what a request is.

pub mod drain;
