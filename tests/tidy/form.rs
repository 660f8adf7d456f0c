//! The form of a file: its first line, its length, its exceptions.

use crate::source::{Source, is};

/// Lines of a file in `src`.
const LINES_MAX: usize = 500;

/// A file that does not begin with `//!` and a sentence.
pub fn heading(file: &Source) -> Option<String> {
    let first = file.text.lines().next().unwrap_or_default();
    let said = first.strip_prefix("//! ").unwrap_or_default();
    (said.split_whitespace().count() < 3)
        .then(|| file.fault(1, "begin with `//!`: what lives here, and what must never"))
}

/// Files that are too long, and numbers in `ratchet` that can go down.
pub fn lengths(files: &[Source], ratchet: &[(&str, usize)]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files {
        let lines = file.text.lines().count();
        let known = ratchet.iter().find(|(path, _)| *path == file.path);
        let max = known.map_or(LINES_MAX, |(_, max)| *max);
        if lines > max {
            faults.push(file.fault(max, &format!("{lines} lines, more than {max}: split it")));
        } else if known.is_some() && lines < max {
            faults.push(file.fault(
                lines,
                &format!("{lines} lines: lower its number in the ratchet"),
            ));
        }
    }
    for (path, _) in ratchet {
        if !files.iter().any(|file| file.path == *path) {
            faults.push(format!("{path}: is gone; take it out of the ratchet"));
        }
    }
    faults
}

/// Lint exceptions without a reason, and tests that are switched off.
pub fn attributes(file: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for at in 0..file.words.len() {
        let bracket = at + 1 + usize::from(is(&file.words, at + 1, "!"));
        if !is(&file.words, at, "#") || !is(&file.words, bracket, "[") {
            continue;
        }
        let words: Vec<&str> = inside(file, bracket);
        let line = file.words[at].line;
        let excepts = words.iter().any(|word| matches!(*word, "allow" | "expect"));
        if excepts && !words.contains(&"reason") {
            faults.push(file.fault(line, "an exception has a `reason`"));
        }
        if words.contains(&"ignore") {
            faults.push(file.fault(line, "no test is switched off"));
        }
    }
    faults
}

/// The words of an attribute, from its bracket to the one that closes it.
fn inside(file: &Source, bracket: usize) -> Vec<&str> {
    let mut depth = 0_usize;
    let mut words = Vec::new();
    for word in &file.words[bracket..] {
        match word.text.as_str() {
            "[" => depth += 1,
            "]" => depth -= 1,
            text => words.push(text),
        }
        if depth == 0 {
            break;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_on_a_file_that_does_not_say_what_it_is() {
        let fires = |text: &str| heading(&Source::new("src/x.rs", text)).is_some();
        assert!(fires(""));
        assert!(fires("use std::fmt;\n//! Late."));
        assert!(fires("//!\n//! On the second line only."));
        assert!(fires("// A comment is not a heading."));
        assert!(!fires("//! What lives here."));
    }

    #[test]
    fn fires_on_long_files_and_on_a_loose_ratchet() {
        let file = |lines: usize| vec![Source::new("src/x.rs", &"x\n".repeat(lines))];
        assert!(lengths(&file(500), &[]).is_empty());
        assert_eq!(lengths(&file(501), &[]).len(), 1);
        assert!(lengths(&file(600), &[("src/x.rs", 600)]).is_empty());
        assert_eq!(lengths(&file(601), &[("src/x.rs", 600)]).len(), 1);
        assert_eq!(lengths(&file(599), &[("src/x.rs", 600)]).len(), 1);
        assert_eq!(lengths(&file(1), &[("src/gone.rs", 600)]).len(), 1);
    }

    #[test]
    fn fires_on_exceptions_without_reason_and_on_ignored_tests() {
        let count = |text: &str| attributes(&Source::new("src/x.rs", text)).len();
        assert_eq!(count("#[allow(dead_code)]"), 1);
        assert_eq!(count("#![allow(dead_code)]"), 1);
        assert_eq!(count("#[expect(clippy::todo)]"), 1);
        assert_eq!(count("#[cfg_attr(test, allow(dead_code))]"), 1);
        assert_eq!(count("#[test]\n#[ignore]\nfn f() {}"), 1);
        assert_eq!(count("#[ignore = \"slow\"]"), 1);
        assert_eq!(count("#[allow(dead_code, reason = \"why\")]"), 0);
        assert_eq!(
            count("fn f() { x.expect(\"y\"); }\n// #[allow(x)]\n#[derive(Debug)]"),
            0
        );
    }
}
