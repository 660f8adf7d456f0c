//! WebSockets on the way out, on the running program against the stand-in exchange.

mod calls;
mod client;
mod ends;
mod handshakes;
mod hostile;
mod late;
mod peer;
mod reload;
mod storm;
mod streams;
mod waits;
