//! WebSockets on the way out, on the running program against the stand-in exchange.

mod calls;
mod client;
mod ends;
mod handshakes;
mod reload;
mod streams;
