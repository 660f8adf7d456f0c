//! Results of policy tests in two forms that CI systems read: TAP 14 and JUnit XML.

/// The form.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub(super) enum Format {
    /// Test Anything Protocol, version 14
    Tap,
    /// JUnit XML
    Junit,
}

/// One case and what was not as expected.
pub(super) struct Outcome {
    pub(super) name: String,
    pub(super) complaints: Vec<String>,
}

/// The whole text.
pub(super) fn render(format: Format, outcomes: &[Outcome]) -> String {
    match format {
        Format::Tap => tap(outcomes),
        Format::Junit => junit(outcomes),
    }
}

fn tap(outcomes: &[Outcome]) -> String {
    let mut text = format!("TAP version 14\n1..{}\n", outcomes.len());
    for (number, outcome) in (1..).zip(outcomes) {
        let word = if outcome.complaints.is_empty() {
            "ok"
        } else {
            "not ok"
        };
        // A `#` would begin a directive.
        let name = outcome
            .name
            .replace('\\', "\\\\")
            .replace('#', "\\#")
            .replace('\n', " ");
        text.push_str(&format!("{word} {number} - {name}\n"));
        for complaint in &outcome.complaints {
            text.push_str(&format!("  # {}\n", complaint.replace('\n', " ")));
        }
    }
    text
}

fn junit(outcomes: &[Outcome]) -> String {
    let failed = outcomes
        .iter()
        .filter(|outcome| !outcome.complaints.is_empty())
        .count();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    text.push_str(&format!(
        "<testsuite name=\"outrider\" tests=\"{}\" failures=\"{failed}\">\n",
        outcomes.len()
    ));
    for outcome in outcomes {
        let name = escape(&outcome.name);
        if outcome.complaints.is_empty() {
            text.push_str(&format!(
                "  <testcase classname=\"outrider\" name=\"{name}\"/>\n"
            ));
        } else {
            let why = escape(&outcome.complaints.join("; "));
            text.push_str(&format!(
                "  <testcase classname=\"outrider\" name=\"{name}\">\n    <failure message=\"{why}\"/>\n  </testcase>\n"
            ));
        }
    }
    text.push_str("</testsuite>\n");
    text
}

/// Text for an XML attribute. Characters that XML 1.0 cannot hold become a replacement character.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\r' | '\t' => out.push(' '),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
    out
}
