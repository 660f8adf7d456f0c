//! The collected mistakes of a configuration: all of them, each with its place. Never prints; `config::report` does.

use super::node::Place;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It works, but probably not as meant.
    Warning,
}

/// One mistake.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Error or warning.
    pub severity: Severity,
    /// Where it stands.
    pub place: Place,
    /// What is wrong, in one sentence, naming the value.
    pub message: String,
    /// What to write instead, if we can tell.
    pub help: Option<String>,
}

/// All mistakes found so far.
#[derive(Debug, Default)]
pub struct Faults {
    list: Vec<Fault>,
    concealed: Vec<Place>,
}

impl Faults {
    /// Notes an error.
    pub fn error(&mut self, place: &Place, message: impl Into<String>) {
        self.push(Severity::Error, place, message.into(), None);
    }

    /// Notes an error with what to write instead.
    pub fn error_with_help(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Severity::Error, place, message.into(), Some(help.into()));
    }

    /// Notes a warning.
    pub fn warning(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Warning, place, message.into(), Some(help.into()));
    }

    /// Whoever shows the text must not show what stands here: it may be a secret that belongs elsewhere.
    pub fn conceal(&mut self, place: &Place) {
        self.concealed.push(place.clone());
    }

    /// The places that must not be shown.
    #[must_use]
    pub fn concealed(&self) -> &[Place] {
        &self.concealed
    }

    /// Whether the configuration must be refused.
    #[must_use]
    pub fn any_error(&self) -> bool {
        self.list
            .iter()
            .any(|fault| fault.severity == Severity::Error)
    }

    /// Every fault, in the order of the file (environment and defaults last).
    #[must_use]
    pub fn into_sorted(mut self) -> Vec<Fault> {
        sort(&mut self.list);
        self.list
    }

    fn push(&mut self, severity: Severity, place: &Place, message: String, help: Option<String>) {
        self.list.push(Fault {
            severity,
            place: place.clone(),
            message,
            help,
        });
    }
}

/// Puts faults in the order of the file; those of the environment and of no place come last, as they were found.
pub fn sort(faults: &mut [Fault]) {
    faults.sort_by_key(|fault| match fault.place {
        Place::File { offset, .. } => offset,
        Place::Env(_) | Place::Default => usize::MAX,
    });
}
