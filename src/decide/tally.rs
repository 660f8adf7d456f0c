//! Asking rules in order and keeping what they said: the first refusal, the tightest limit, the shadows.

use crate::model::denial::{Denial, Quota};

use super::evaluation::{Evaluation, Line, Said};
use super::guards::{Ask, Pass};
use super::policy::{Mode, Rule};

/// What was said so far of one request.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The tightest enforced limit.
    pub(super) quota: Option<Quota>,
    /// What shadowed rules would have refused.
    pub(super) shadow: Vec<Denial>,
    /// The first refusal, kept while a question goes on to ask the rest.
    pub(super) refused: Option<Box<Denial>>,
}

impl Tally {
    /// Asks the rules. A live request stops at the first refusal; a question asks them all and keeps it.
    pub(super) fn ask(
        &mut self,
        rules: &[Rule],
        ask: &Ask<'_>,
        evaluation: &mut Evaluation<'_>,
    ) -> Result<(), Box<Denial>> {
        for rule in rules {
            let only_named = !evaluation.spends() && rule.guard.limit().is_some();
            let answer = if only_named {
                Ok(Pass::Plain)
            } else {
                rule.guard.check(ask)
            };
            note(evaluation, rule, ask, &answer, only_named);
            match (answer, rule.mode) {
                (Ok(Pass::Counted(quota)), Mode::Enforce) => self.count(quota),
                (Ok(_), _) => {}
                (Err(mut denial), mode) => {
                    denial.rule = Some(rule.id.clone());
                    match mode {
                        Mode::Shadow => self.shadow.push(*denial),
                        Mode::Enforce => self.refuse(denial, evaluation)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Refuses: at once on the path, at the end for a question.
    pub(super) fn refuse(
        &mut self,
        denial: Box<Denial>,
        evaluation: &Evaluation<'_>,
    ) -> Result<(), Box<Denial>> {
        if evaluation.stops() {
            return Err(denial);
        }
        self.refused.get_or_insert(denial);
        Ok(())
    }

    /// Keeps the limit with the least left; of equals the one that lasts longest.
    fn count(&mut self, quota: Quota) {
        let tighter = self.quota.as_ref().is_none_or(|kept| {
            (quota.remaining, std::cmp::Reverse(quota.more_in))
                < (kept.remaining, std::cmp::Reverse(kept.more_in))
        });
        if tighter {
            self.quota = Some(quota);
        }
    }
}

fn note(
    evaluation: &mut Evaluation<'_>,
    rule: &Rule,
    ask: &Ask<'_>,
    answer: &Result<Pass, Box<Denial>>,
    only_named: bool,
) {
    let Some(lines) = evaluation.notes() else {
        return;
    };
    let said = match answer {
        Ok(_) if only_named => Said::Named,
        Ok(_) => Said::Pass,
        Err(denial) => Said::Deny(denial.cause),
    };
    let why = rule.guard.explain(ask);
    lines.push(Line {
        rule: rule.id.clone(),
        mode: rule.mode,
        said,
        why,
    });
}
