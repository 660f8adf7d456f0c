//! `outrider test`: a table of requests and expected decisions, run offline, told as TAP or JUnit.

use std::io::Write;
use std::path::PathBuf;

use crate::config::{Report, yaml};
use crate::model::cors::PreflightVerdict;
use crate::model::decode::Decode;
use crate::model::fault::Faults;
use crate::pipeline::{Explanation, Snapshot, Verdict, explain};

use super::exit::{self, Failure};
use super::question::{PolicyArgs, read};

mod case;
mod output;

use case::{Case, Decision, Expected, Suite};
use output::Outcome;

/// The arguments of `test`.
#[derive(clap::Args, Debug)]
pub struct TestArgs {
    #[command(flatten)]
    policy: PolicyArgs,
    /// How results are told
    #[arg(long, value_enum, default_value_t = output::Format::Tap)]
    format: output::Format,
    /// The table of cases (YAML)
    #[arg(value_name = "CASES")]
    cases: PathBuf,
}

/// Runs the command: 0 if every decision is as expected, 1 if not.
pub fn run(args: &TestArgs, out: &mut dyn Write) -> u8 {
    let run = args
        .policy
        .snapshot()
        .and_then(|snapshot| Ok((suite(args)?, snapshot)));
    let (suite, snapshot) = match run {
        Ok(run) => run,
        Err(failure) => return failure.tell(),
    };
    let outcomes: Vec<Outcome> = suite
        .cases
        .iter()
        .map(|case| judge(case, &snapshot))
        .collect();
    let failed = outcomes
        .iter()
        .any(|outcome| !outcome.complaints.is_empty());
    let code = if failed { exit::FAILURE } else { exit::OK };
    super::answer(out, output::render(args.format, &outcomes), code)
}

fn suite(args: &TestArgs) -> Result<Suite, Failure> {
    let text = read(&args.cases)?;
    let mut faults = Faults::default();
    let suite = yaml::parse(&text, &mut faults).and_then(|node| Suite::decode(&node, &mut faults));
    match suite {
        Some(suite) if !faults.any_error() => Ok(suite),
        Some(_) | None => {
            let name = args.cases.display().to_string();
            let report = Report::new(&name, &text, faults);
            Err(Failure::new(exit::CONFIGURATION, report.refusal(false)))
        }
    }
}

fn judge(case: &Case, snapshot: &Snapshot) -> Outcome {
    let name = case.name.clone();
    match case.sketch.question(snapshot) {
        Err(why) => Outcome {
            name,
            complaints: vec![why],
        },
        Ok(question) => {
            let found = explain(snapshot, &question);
            Outcome {
                name,
                complaints: complaints(&case.expected, &found, snapshot),
            }
        }
    }
}

/// What is not as expected, a sentence each.
fn complaints(expected: &Expected, found: &Explanation, snapshot: &Snapshot) -> Vec<String> {
    let Told {
        decision,
        status,
        code,
        rule,
        detail,
    } = Told::of(&found.verdict);
    let told = match (decision, rule.as_str()) {
        (Decision::Allow, _) => decision.as_str().to_owned(),
        (Decision::Answer, _) => format!("answer ({status} {code}: {detail})"),
        (Decision::Deny, "") => format!("deny ({status} {code}: {detail})"),
        (Decision::Deny, rule) => format!("deny ({status} {code} by {rule}: {detail})"),
    };
    if expected.decision != decision {
        return vec![format!(
            "decision: expected {}, found {told}",
            expected.decision.as_str()
        )];
    }
    let mut complaints = Vec::new();
    let mut demand = |what: &str, wanted: Option<&str>, found: &str| {
        if let Some(wanted) = wanted
            && wanted != found
        {
            complaints.push(format!("{what}: expected {wanted}, found {found}"));
        }
    };
    let route = found
        .route
        .and_then(|index| snapshot.policy.routes.get(index));
    demand(
        "status",
        expected.status.map(|status| status.to_string()).as_deref(),
        &status,
    );
    demand("code", expected.code.as_deref(), code);
    demand("rule", expected.rule.as_deref(), &rule);
    demand(
        "route",
        expected.route.as_deref(),
        route.map_or("", |route| &route.name),
    );
    if let (Some(wanted), Verdict::Forwarded { shadow }) = (&expected.shadow, &found.verdict) {
        let noted: Vec<String> = shadow
            .iter()
            .filter_map(|denial| denial.rule.as_ref())
            .map(ToString::to_string)
            .collect();
        demand("shadow", Some(&wanted.join(", ")), &noted.join(", "));
    }
    complaints
}

/// A verdict in the words of a table; empty where a verdict has none.
#[derive(Default)]
struct Told<'v> {
    decision: Decision,
    status: String,
    code: &'static str,
    rule: String,
    detail: &'v str,
}

impl<'v> Told<'v> {
    fn of(verdict: &'v Verdict) -> Self {
        let status = verdict.status().map(|status| status.as_str().to_owned());
        let told = Self {
            status: status.unwrap_or_default(),
            ..Self::default()
        };
        match verdict {
            Verdict::Forwarded { .. } => told,
            Verdict::Preflight(verdict) => Self {
                decision: Decision::Answer,
                code: verdict.code(),
                detail: match verdict {
                    PreflightVerdict::Granted => "granted",
                    PreflightVerdict::Refused(why) => why,
                },
                ..told
            },
            Verdict::Refused(denial) => Self {
                decision: Decision::Deny,
                code: denial.cause.code(),
                rule: denial
                    .rule
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                detail: &denial.detail,
                ..told
            },
        }
    }
}
