//! What every guard said, for `explain` and policy tests. Never fills on the path of a live request.

use crate::model::denial::{Cause, RuleId};

use super::policy::Mode;

/// Off for live requests, which stop at the first refusal; on for questions, which ask every guard.
#[derive(Debug)]
pub enum Trace {
    /// Stop at the first refusal, note nothing.
    Off,
    /// Ask everything, note all.
    On(Vec<Line>),
}

/// One guard's answer.
#[derive(Clone, Debug)]
pub struct Line {
    /// Who answered.
    pub rule: RuleId,
    /// Enforced or shadowed.
    pub mode: Mode,
    /// The answer.
    pub said: Said,
    /// Why, for the operator.
    pub why: String,
}

/// A guard's answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It lets the request pass.
    Pass,
    /// It refuses for this cause.
    Deny(Cause),
    /// It was not asked, only named: a limit.
    Named,
}
