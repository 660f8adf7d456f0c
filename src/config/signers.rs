//! Signing rules from text: those that come with the program, and files that a platform team wrote in the same scheme.
//! Never holds a key.

use crate::model::decode::Decode as _;
use crate::model::fault::Faults;
use crate::transform::signers::{How, Program, find};

use super::report::Report;
use super::yaml;

/// A signing rule, without keys.
#[derive(Clone, Debug)]
pub enum SigningRule {
    /// Binance's, which is written in Rust.
    Binance,
    /// One of the scheme.
    Scheme(Program),
}

/// The rule of this name; the error says what was probably meant.
pub fn named(name: &str) -> Result<SigningRule, String> {
    let kind = find(name).map_err(|help| format!("there is no signer `{name}`; {help}"))?;
    match kind.how {
        How::Binance => Ok(SigningRule::Binance),
        How::Scheme(text) => program(kind.name, text)
            .map(|(program, _)| SigningRule::Scheme(program))
            .map_err(|report| report.render(false)),
    }
}

/// Reads a rule of the scheme and tries its vectors; with it comes what works, but probably not as meant.
pub fn program(file: &str, text: &str) -> Result<(Program, Report), Box<Report>> {
    let mut faults = Faults::default();
    let root = yaml::parse(text, &mut faults);
    let program = root.and_then(|root| Program::decode(&root, &mut faults));
    let failed = faults.any_error();
    let report = Report::new(file, text, faults);
    match program {
        Some(program) if !failed => Ok((program, report)),
        Some(_) | None => Err(Box::new(report)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::signers::SIGNERS;

    #[test]
    fn every_signer_that_comes_with_the_program_is_sound() {
        for kind in SIGNERS {
            if let Err(message) = named(kind.name) {
                panic!("{}: {message}", kind.name);
            }
        }
    }

    #[test]
    fn every_signer_is_described_and_every_rule_is_listed() {
        let docs = include_str!("../../docs/signers.md");
        for kind in SIGNERS {
            assert!(
                docs.contains(&format!("\n| `{}` |", kind.name)),
                "{}",
                kind.name
            );
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/transform/signers");
        let rules = std::fs::read_dir(folder).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().ends_with(".yaml")
        });
        let listed = SIGNERS.iter().filter(|kind| kind.how != How::Binance);
        assert_eq!(rules.count(), listed.count());
    }

    #[test]
    fn a_wrong_name_is_told_the_right_one() {
        let message = named("krakn").unwrap_err();
        assert_eq!(
            message,
            "there is no signer `krakn`; did you mean `kraken`?"
        );
    }
}
