//! The words of the trade: plain data that every room shares. Never imports a room, tokio, hyper, a clock or a file.

pub mod caller;
pub mod certificate;
pub mod clock;
pub mod cors;
pub mod decode;
pub mod denial;
pub mod endpoint;
pub mod exchange;
pub mod facts;
pub mod fault;
pub mod form;
pub mod frame;
pub mod ip;
pub mod json;
pub mod node;
pub mod outbound;
pub mod path;
pub mod pins;
pub mod secret;
pub mod settings;
pub mod traceparent;
pub mod units;
