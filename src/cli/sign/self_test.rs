//! `sign --self-test`: what was tried of each key, and what came of it, for a person. Never prints a secret, a signature or
//! what an exchange says in its own words.

use std::io::Write;

use super::super::outbound::columns;
use super::{SignArgs, exit};
use crate::roles::self_test::{self, Trial, Verdict};

/// Runs the command: 0 if every key that was tried is accepted, and one was.
pub(super) fn run(args: &SignArgs, out: &mut dyn Write) -> u8 {
    let file = args.config.as_deref().unwrap_or_else(|| "".as_ref());
    match self_test::run(file, std::env::vars_os(), args.outbound.as_deref()) {
        Ok(trials) => {
            let text: String = trials.iter().map(told).collect();
            let code = super::super::answer(out, text, code(&trials));
            if untested(&trials) {
                exit::complain("no key was tried");
            }
            code
        }
        Err(failure) => failure.tell(),
    }
}

/// That of the first key that is not good. Where nothing was tried, nothing is good.
fn code(trials: &[Trial]) -> u8 {
    let codes = trials.iter().map(|trial| trial.verdict.code());
    let bad = codes.into_iter().find(|code| *code != exit::OK);
    match bad {
        Some(code) => code,
        None if untested(trials) => exit::FAILURE,
        None => exit::OK,
    }
}

fn untested(trials: &[Trial]) -> bool {
    let untested = |trial: &Trial| matches!(trial.verdict, Verdict::Untested(_));
    trials.iter().all(untested)
}

fn told(trial: &Trial) -> String {
    let (word, hint) = match trial.verdict {
        Verdict::Accepted => ("accepted", "the exchange accepts the key"),
        Verdict::Untested(why) => ("not tried", why),
        Verdict::Refused(hint) => ("REFUSED", hint),
        Verdict::Unreached(hint) => ("NOT REACHED", hint),
        Verdict::Failed(hint) => ("FAILED", hint),
    };
    let asked = trial.asked.iter();
    let mut lines: Vec<(&str, &str)> = asked
        .map(|asked| (asked.question.as_str(), asked.answer.as_str()))
        .collect();
    lines.push((word, hint));
    let title = format!("{} ({})\n", trial.outbound, trial.preset);
    let lines = columns(&lines);
    let lines = lines.lines().map(|line| format!("  {line}\n"));
    title + &lines.collect::<String>()
}
