//! How one request is judged, the same at each step: live, again, or as a question. Never waits, and never spends a limit
//! but for a live request.

use crate::ledger::Ledger;
use crate::model::clock::Now;
use crate::model::denial::{Cause, RuleId};

use super::policy::Mode;

/// What every step goes by beside the request: the counters, the moment, and what it is judged for.
#[derive(Debug)]
pub struct Evaluation<'l> {
    pub(super) ledger: &'l Ledger,
    pub(super) now: Now,
    purpose: Purpose,
}

#[derive(Debug)]
enum Purpose {
    /// The first refusal ends it; limits are spent.
    Live,
    /// The first refusal ends it; limits are only named.
    Again,
    /// Every guard is asked, and what it said is kept; limits are only named.
    Question(Vec<Line>),
}

impl<'l> Evaluation<'l> {
    /// Of a live request: the first refusal ends it, and limits are spent.
    #[must_use]
    pub const fn live(ledger: &'l Ledger, now: Now) -> Self {
        Self::new(ledger, now, Purpose::Live)
    }

    /// Of a request that was let pass and is still being answered: the first refusal ends it, but judging it again must not
    /// use up what a request may use.
    #[must_use]
    pub const fn again(ledger: &'l Ledger, now: Now) -> Self {
        Self::new(ledger, now, Purpose::Again)
    }

    /// Of a question, for `explain` and policy tests: every guard is asked, and nothing is spent.
    #[must_use]
    pub const fn question(ledger: &'l Ledger, now: Now) -> Self {
        Self::new(ledger, now, Purpose::Question(Vec::new()))
    }

    const fn new(ledger: &'l Ledger, now: Now, purpose: Purpose) -> Self {
        Self {
            ledger,
            now,
            purpose,
        }
    }

    /// What every guard said so far, in order; nothing but for a question.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        match &self.purpose {
            Purpose::Question(lines) => lines,
            Purpose::Live | Purpose::Again => &[],
        }
    }

    /// What every guard said, in order; nothing but for a question.
    #[must_use]
    pub fn into_lines(self) -> Vec<Line> {
        match self.purpose {
            Purpose::Question(lines) => lines,
            Purpose::Live | Purpose::Again => Vec::new(),
        }
    }

    /// Whether limits are spent, or only named.
    pub(super) const fn spends(&self) -> bool {
        matches!(self.purpose, Purpose::Live)
    }

    /// Where a guard's answer is noted; nowhere but for a question, which also goes on after a refusal.
    pub(super) const fn notes(&mut self) -> Option<&mut Vec<Line>> {
        match &mut self.purpose {
            Purpose::Question(lines) => Some(lines),
            Purpose::Live | Purpose::Again => None,
        }
    }

    /// Whether the first refusal ends it.
    pub(super) const fn stops(&self) -> bool {
        !matches!(self.purpose, Purpose::Question(_))
    }
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
