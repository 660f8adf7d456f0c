//! Faults as a person reads them (the line, a caret under it, what to write instead) and as a machine does. Never
//! decides what a fault is.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value as Json, json};

use crate::model::fault::{Fault, Faults, Severity, sort};
use crate::model::node::Place;
use crate::model::settings::FileRead;

use super::files::Contents;

/// Faults that are shown in full; a person mends these first.
const SHOWN_MAX: usize = 100;

/// Every fault of one configuration, with the text they stand in.
#[derive(Clone, Debug)]
pub struct Report {
    file: String,
    text: String,
    faults: Vec<Fault>,
    /// Of files that this one names.
    others: Vec<Self>,
    files: Vec<FileRead>,
    fingerprint: String,
    contents: Option<Contents>,
}

impl Report {
    /// The faults of this text, found under this file name.
    #[must_use]
    pub fn new(file: &str, text: &str, faults: Faults) -> Self {
        Self {
            file: file.to_owned(),
            text: conceal(text, faults.concealed()),
            faults: faults.into_sorted(),
            others: Vec::new(),
            files: Vec::new(),
            fingerprint: String::new(),
            contents: None,
        }
    }

    /// The same, followed by what is wrong in files that this one names, each with its own lines.
    pub(super) fn followed_by(mut self, others: Vec<Self>) -> Self {
        self.others.extend(others);
        self
    }

    /// The same, saying what it was read from.
    pub(super) fn read_from(mut self, files: Vec<FileRead>, fingerprint: String) -> Self {
        self.contents = Some(Contents::new(&fingerprint, &files));
        self.files = files;
        self.fingerprint = fingerprint;
        self
    }

    /// The files that were read or looked for, the configuration first.
    #[must_use]
    pub fn files(&self) -> &[FileRead] {
        &self.files
    }

    /// SHA-256, in hexadecimal digits, of all that was read but secrets: what the configuration goes by in evidence.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// All that was read, secrets too, to see whether anything has changed.
    #[must_use]
    pub const fn contents(&self) -> Option<Contents> {
        self.contents
    }

    /// The same with one more fault, found after the text was read.
    #[must_use]
    pub fn with(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        sort(&mut self.faults);
        self
    }

    /// The faults in the order of the file.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// How many are warnings.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    /// How many are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// The faults for a person; `coloured` for a terminal.
    #[must_use]
    pub fn render(&self, coloured: bool) -> String {
        let renderer = if coloured {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut out = String::new();
        for fault in self.faults.iter().take(SHOWN_MAX) {
            out.push_str(&renderer.render(&[self.group(fault)]));
            out.push_str("\n\n");
        }
        let hidden = self.faults.len().saturating_sub(SHOWN_MAX);
        if hidden > 0 {
            out.push_str(&format!(
                "and {hidden} more, shown when these are mended\n\n"
            ));
        }
        out.extend(self.others.iter().map(|other| other.render(coloured)));
        out
    }

    /// The faults for a person, and a last line that says what becomes of the file.
    #[must_use]
    pub fn refusal(&self, coloured: bool) -> String {
        format!(
            "{}{}: refused, {}\n",
            self.render(coloured),
            self.file,
            self.summary()
        )
    }

    /// One line that counts: `2 errors, 1 warning`.
    #[must_use]
    pub fn summary(&self) -> String {
        let errors = plural(self.errors(), "error");
        match self.warnings() {
            0 => errors,
            warnings => format!("{errors}, {}", plural(warnings, "warning")),
        }
    }

    /// The faults for a machine: a list of objects.
    #[must_use]
    pub fn to_json(&self) -> Json {
        Json::Array(self.described())
    }

    fn described(&self) -> Vec<Json> {
        let own = self.faults.iter().map(|fault| self.describe(fault));
        own.chain(self.others.iter().flat_map(Self::described))
            .collect()
    }

    fn count(&self, severity: Severity) -> usize {
        self.faults
            .iter()
            .filter(|fault| fault.severity == severity)
            .count()
            + self
                .others
                .iter()
                .map(|other| other.count(severity))
                .sum::<usize>()
    }

    fn group<'a>(&'a self, fault: &'a Fault) -> Group<'a> {
        let level = match fault.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(printable(&fault.message));
        let group = match &fault.place {
            Place::File {
                line,
                offset,
                length,
                ..
            } => title.element(self.snippet(*line, *offset, *length)),
            Place::Env(name) => title.element(Origin::path(format!("${name}"))),
            Place::Default => title.element(Origin::path(self.file.as_str())),
        };
        match &fault.help {
            Some(help) => group.element(Level::HELP.message(printable(help))),
            None => group,
        }
    }

    /// Only the first line of what is meant: a map of twenty lines is known by its first.
    fn snippet(
        &self,
        line: u32,
        offset: usize,
        length: usize,
    ) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
        let (before, after) = self
            .text
            .split_at_checked(offset)
            .unwrap_or((&self.text, ""));
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_length = after.find(['\n', '\r']).unwrap_or(after.len());
        let end = offset + line_length;
        let shown = self.text.get(start..end).unwrap_or_default();
        let from = offset.saturating_sub(start);
        let least = length.clamp(1, line_length.max(1));
        let ends = after.char_indices().map(|(at, _)| at);
        let until = from
            + ends
                .into_iter()
                .find(|at| *at >= least)
                .unwrap_or(line_length);
        Snippet::source(shown)
            .path(self.file.as_str())
            .line_start(usize::try_from(line).unwrap_or(1))
            .annotation(AnnotationKind::Primary.span(from..until))
    }

    fn describe(&self, fault: &Fault) -> Json {
        let severity = match fault.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let (file, line, column) = match &fault.place {
            Place::File { line, column, .. } => (Some(&self.file), Some(line), Some(column)),
            Place::Default => (Some(&self.file), None, None),
            Place::Env(_) => (None, None, None),
        };
        let mut described = json!({
            "severity": severity,
            "file": file,
            "line": line,
            "column": column,
            "message": fault.message,
            "help": fault.help,
        });
        if let (Json::Object(members), Place::Env(name)) = (&mut described, &fault.place) {
            members.insert("variable".to_owned(), json!(&**name));
        }
        described
    }
}

/// The text with stars in these places. Every byte stays where it was, so that other faults find their lines.
fn conceal(text: &str, places: &[Place]) -> String {
    let ranges: Vec<_> = places
        .iter()
        .filter_map(|place| match place {
            Place::File { offset, length, .. } => Some(*offset..offset.saturating_add(*length)),
            Place::Env(_) | Place::Default => None,
        })
        .collect();
    if ranges.is_empty() {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        let hidden = ranges.iter().any(|range| range.contains(&at));
        if hidden && !character.is_control() {
            shown.extend(std::iter::repeat_n('*', character.len_utf8()));
        } else {
            shown.push(character);
        }
    }
    shown
}

/// `1 error`, `2 errors`.
#[must_use]
pub fn plural(count: usize, word: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {word}{ending}")
}

/// The line of a place in the file, for faults that speak of two places.
pub(super) fn line_of(place: &Place) -> String {
    match place {
        Place::File { line, .. } => format!("line {line}"),
        Place::Env(_) | Place::Default => place.to_string(),
    }
}

/// A message may quote the file, and the file may hold what a terminal would obey.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;
    use crate::model::decode::Decode;
    use crate::model::secret::SecretRef;

    #[test]
    fn a_secret_in_the_wrong_place_is_not_shown_by_any_fault() {
        let text = "sign: { algorithm: hmac, key: hunter2\u{e4}, kind: x }\nother: y\n";
        let mut faults = Faults::default();
        let root = yaml::parse(text, &mut faults).unwrap();
        let sign = root.get("sign").unwrap();
        assert!(SecretRef::decode(sign.get("key").unwrap(), &mut faults).is_none());
        faults.error(&sign.get("kind").unwrap().place, "on the same line");
        faults.error(&root.get("other").unwrap().place, "on the next");
        let report = Report::new("sidecar.yaml", text, faults);
        let told = report.render(false);
        assert!(!told.contains("hunter"), "{told}");
        assert_eq!(
            told.matches("key: *********, kind: x }").count(),
            2,
            "{told}"
        );
        assert!(told.contains("2 | other: y"), "{told}");
        assert!(!format!("{report:?}").contains("hunter"));
    }
}
