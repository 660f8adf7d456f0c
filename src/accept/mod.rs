//! The door: sockets, raw heads, HTTP settings, facts and bodies. Never asks who calls or whether they may.

pub mod body;
pub mod facts;
pub mod handshake;
pub mod http;
pub mod listener;
pub mod outbound;
pub mod raw_head;
pub mod tls;
