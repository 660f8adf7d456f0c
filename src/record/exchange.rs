//! What the record of a request on the way out says beside the rest: which exchange, whether it was executed, and what
//! the exchange said of its limits. Never a parameter, a signature or a key.

use std::sync::Arc;

/// Whether a request reached the exchange, as far as anybody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// No byte of it left.
    NotSent,
    /// It was sent, and its answer says what became of it.
    Answered,
    /// It was sent, or a part of it, and nothing says what became of it.
    Unknown,
}

impl Execution {
    /// The word in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Answered => "answered",
            Self::Unknown => "unknown",
        }
    }
}

/// What is told of the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeTold {
    /// The outbound's name.
    pub outbound: Arc<str>,
    /// The preset's name.
    pub preset: &'static str,
    /// Whether a signature left with it.
    pub signed: bool,
    /// Whether it was executed.
    pub execution: Execution,
    /// How often it was sent, or tried to.
    pub attempts: u32,
    /// The exchange's own code of an error.
    pub code: Option<i64>,
    /// What the exchange has counted, by the names of its limits.
    pub used: Vec<(String, u64)>,
}

impl ExchangeTold {
    /// What is known before anything was sent.
    #[must_use]
    pub const fn new(outbound: Arc<str>, preset: &'static str) -> Self {
        Self {
            outbound,
            preset,
            signed: false,
            execution: Execution::NotSent,
            attempts: 0,
            code: None,
            used: Vec::new(),
        }
    }
}
