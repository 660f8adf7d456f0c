//! The pitfalls of a proxy built on hyper, each by raw bytes in and raw bytes out.

mod answers;
mod connections;
mod requests;
mod timeouts;
