//! The same walk for a question instead of a request: every guard is asked, nothing is spent, nothing is sent.
//! `outrider explain` and policy tests come in here. Never touches the network.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;

use crate::accept::body::BodyFault;
use crate::accept::facts::facts;
use crate::decide::{self, Admission, Evaluation, Line};
use crate::identify::{self, Verification};
use crate::model::caller::{Caller, Identity};
use crate::model::clock::Now;
use crate::model::cors::PreflightVerdict;
use crate::model::denial::Denial;
use crate::model::facts::{Connection, Facts};

use super::Snapshot;

/// What would happen to this request?
#[derive(Debug)]
pub struct Question {
    /// Its head, as it would come in.
    pub head: Parts,
    /// Its body; empty where none is sent.
    pub body: Bytes,
    /// The connection it would come on; a certificate counts as verified.
    pub connection: Connection,
    /// Who would be calling.
    pub assumed: Assumed,
    /// When.
    pub now: Now,
}

/// Whether the caller is taken from the request or given.
#[derive(Clone, Debug)]
pub enum Assumed {
    /// As the request's credentials say.
    Nothing,
    /// This identity, as if its token had been verified.
    Verified(Arc<Identity>),
}

/// The answer to a question.
#[derive(Debug)]
pub struct Explanation {
    /// The request as it was judged, if it got so far.
    pub facts: Option<Facts>,
    /// Who is calling, as far as was found out.
    pub caller: Caller,
    /// Why nobody is, if credentials were refused.
    pub identity_refused: Option<Box<Denial>>,
    /// The route, by its position in the policy.
    pub route: Option<usize>,
    /// What every guard said, in order.
    pub lines: Vec<Line>,
    /// How many of the lines were said before the credentials were looked at.
    pub before_identity: usize,
    /// What it comes to.
    pub verdict: Verdict,
}

/// What it comes to.
#[derive(Debug)]
pub enum Verdict {
    /// The request would be forwarded; rules in shadow mode would have refused it for these reasons.
    Forwarded {
        /// Refusals that were only noted.
        shadow: Vec<Denial>,
    },
    /// It is a preflight, and would be answered without the service.
    Preflight(PreflightVerdict),
    /// It would be refused.
    Refused(Box<Denial>),
}

impl Verdict {
    /// The status of our own answer; `None` where the service answers.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Forwarded { .. } => None,
            Self::Preflight(_) => Some(StatusCode::NO_CONTENT),
            Self::Refused(denial) => Some(denial.cause.status()),
        }
    }
}

/// Answers a question. Limits are named, not spent.
#[must_use]
pub fn explain(snap: &Snapshot, question: &Question) -> Explanation {
    let mut explanation = Explanation {
        facts: None,
        caller: Caller::Anonymous,
        identity_refused: None,
        route: None,
        lines: Vec::new(),
        before_identity: 0,
        verdict: Verdict::Forwarded { shadow: Vec::new() },
    };
    let mut evaluation = Evaluation::question(&snap.ledger, question.now);
    match walk(snap, question, &mut evaluation, &mut explanation) {
        Ok(verdict) => explanation.verdict = verdict,
        Err(denial) => explanation.verdict = Verdict::Refused(denial),
    }
    explanation.lines = evaluation.into_lines();
    explanation
}

fn walk(
    snap: &Snapshot,
    question: &Question,
    evaluation: &mut Evaluation<'_>,
    found: &mut Explanation,
) -> Result<Verdict, Box<Denial>> {
    let facts = facts(&question.connection, &question.head, &snap.fact_rules)?;
    found.facts = Some(facts.clone());
    let admitted = decide::admit(&snap.policy, &facts, evaluation)?;
    found.route = Some(admitted.route().index);
    let mut entry = match admitted {
        Admission::Enters(entry) => entry,
        Admission::Answered(answer) => return Ok(Verdict::Preflight(answer.verdict().clone())),
    };
    found.before_identity = evaluation.lines().len();
    let caller = match caller(snap, &facts, question) {
        Ok(caller) => caller,
        Err(denial) => {
            found.identity_refused = Some(denial.clone());
            entry.refuse_later(denial);
            Caller::Anonymous
        }
    };
    found.caller = caller.clone();
    let mut head = decide::head(entry, &facts, &caller, evaluation)?;
    let body = &question.body;
    if body.len() > head.body_needs().bytes_max().as_usize() {
        head.refuse_later(BodyFault::TooLarge.denial());
    }
    let permit = decide::body(head, &facts, &caller, body, evaluation)?;
    let shadow = permit.shadow().to_vec();
    Ok(Verdict::Forwarded { shadow })
}

fn caller(snap: &Snapshot, facts: &Facts, question: &Question) -> Result<Caller, Box<Denial>> {
    match &question.assumed {
        Assumed::Verified(identity) => Ok(Caller::Token(Arc::clone(identity))),
        Assumed::Nothing => {
            let (tokens, now) = (snap.tokens.as_deref(), question.now);
            Ok(identify::caller(facts, tokens, Verification::Allowed, now)?)
        }
    }
}
