//! The names that a rule may use at the point that is being read, and where each may stand: secrets only where they stay
//! secret. Never guesses a name.

use super::super::key::{Algorithm, KeyEncoding};
use super::template::{BUILTINS, FILTERS, Filter, Part, Source, Template};
use super::{KeyUse, SecretUse};
use crate::model::decode::{scalar, suggest};
use crate::model::fault::Faults;
use crate::model::node::{Node, Place};

/// Everything that was named so far.
#[derive(Default)]
pub(super) struct Names {
    /// Fresh values, then steps.
    values: Vec<String>,
    /// Secrets that the rule says are public.
    pub(super) public: Vec<String>,
    pub(super) secrets: Vec<SecretUse>,
    pub(super) keys: Vec<KeyUse>,
}

/// What a template may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allow {
    /// Every secret: headers, which are sent to the exchange alone and never logged, and what a MAC digests.
    Secrets,
    /// Only those that are listed as public: everything that becomes a URL, a body, a token or a hash.
    Public,
}

const SECRET: &str = "secret.";

impl Names {
    /// Adds the name of a fresh value or a step.
    pub(super) fn declare(&mut self, name: &str, place: &Place, faults: &mut Faults) -> Option<()> {
        let word = name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        let taken = self.values.iter().any(|known| known == name)
            || BUILTINS.iter().any(|(builtin, _)| *builtin == name);
        // Known even if it is refused, so that its uses are no faults of their own.
        self.values.push(name.to_owned());
        if name.is_empty() || !word {
            let help = "a name is lower case letters, digits and _";
            faults.error_with_help(place, format!("`{name}` is no name for a value"), help);
            return None;
        }
        if taken {
            faults.error(place, format!("there is already a value `{name}`"));
            return None;
        }
        Some(())
    }

    /// The number of a fresh value or a step.
    pub(super) fn value(&self, name: &str) -> Option<usize> {
        self.values.iter().position(|known| known == name)
    }

    /// Reads a template.
    pub(super) fn template(
        &mut self,
        node: &Node,
        faults: &mut Faults,
        allow: Allow,
    ) -> Option<Template> {
        let text = scalar(node, "a text with {names}", faults)?;
        self.parse(text, &node.place, faults, allow)
    }

    /// Reads the text of a template that stands at `place`.
    pub(super) fn parse(
        &mut self,
        text: &str,
        place: &Place,
        faults: &mut Faults,
        allow: Allow,
    ) -> Option<Template> {
        let Some(pieces) = pieces(text) else {
            let help = "close it, or write `{{` and `}}` for the characters themselves";
            faults.error_with_help(place, format!("a brace has no partner in `{text}`"), help);
            return None;
        };
        let parts = pieces.into_iter().map(|piece| match piece {
            Piece::Literal(text) => Some(Part::Literal(text)),
            Piece::Name(name) => self.named(name, place, faults, allow),
        });
        // Every name is looked at, so that all faults come together.
        let parts: Vec<Option<Part>> = parts.collect();
        parts.into_iter().collect::<Option<Vec<_>>>().map(Template)
    }

    /// Reads what must be one secret and nothing else, such as a `key`; the number of the secret.
    pub(super) fn only_secret(&mut self, node: &Node, faults: &mut Faults) -> Option<usize> {
        let text = scalar(node, "one {secret.NAME}", faults)?;
        let name = text
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        let name = name.and_then(|name| name.strip_prefix(SECRET));
        let Some(name) = name.filter(|name| is_secret_name(name)) else {
            let message = format!("expected one {{secret.NAME}}, found `{text}`");
            faults.error_with_help(&node.place, message, "write key: \"{secret.NAME}\"");
            return None;
        };
        if self.public.iter().any(|public| public == name) {
            let message = format!("`{name}` is listed as public and used as a key");
            faults.error_with_help(&node.place, message, "take it out of `public`");
            return None;
        }
        Some(self.secret(name, false))
    }

    /// Notes that a secret becomes a key; the number of the key.
    pub(super) fn key(
        &mut self,
        secret: usize,
        password: Option<usize>,
        algorithm: Algorithm,
        encoding: KeyEncoding,
    ) -> usize {
        let used = KeyUse {
            secret,
            password,
            algorithm,
            encoding,
        };
        if let Some(at) = self.keys.iter().position(|known| *known == used) {
            return at;
        }
        self.keys.push(used);
        self.keys.len().saturating_sub(1)
    }

    fn named(
        &mut self,
        inside: &str,
        place: &Place,
        faults: &mut Faults,
        allow: Allow,
    ) -> Option<Part> {
        let (name, filter) = match inside.split_once('|') {
            Some((name, filter)) => (
                name.trim(),
                Some(read_filter(filter.trim(), place, faults)?),
            ),
            None => (inside.trim(), None),
        };
        let source = match name.strip_prefix(SECRET) {
            Some(secret) => self.secret_text(secret, place, faults, allow)?,
            None => self.source(name, place, faults)?,
        };
        Some(Part::Value(source, filter))
    }

    fn source(&self, name: &str, place: &Place, faults: &mut Faults) -> Option<Source> {
        if let Some((_, source)) = BUILTINS.iter().find(|(builtin, _)| *builtin == name) {
            return Some(*source);
        }
        let value = self.value(name).map(Source::Value);
        if value.is_none() {
            let values = self.values.iter().map(String::as_str);
            let known: Vec<&str> = values
                .chain(BUILTINS.iter().map(|(name, _)| *name))
                .collect();
            let message = format!("unknown name `{name}`; a step knows only what stands before it");
            faults.error_with_help(place, message, suggest(name, &known));
        }
        value
    }

    fn secret_text(
        &mut self,
        name: &str,
        place: &Place,
        faults: &mut Faults,
        allow: Allow,
    ) -> Option<Source> {
        if !is_secret_name(name) {
            faults.error(place, format!("`{name}` is no name of a secret"));
            return None;
        }
        let public = self.public.iter().any(|public| public == name);
        if allow == Allow::Public && !public {
            let message = format!("the secret `{name}` would become readable here");
            let help = "secrets stand in `key`, in the `input` of a mac, and in `headers`; an id that is no secret is listed in `public`";
            faults.error_with_help(place, message, help);
            return None;
        }
        Some(Source::Secret(self.secret(name, true)))
    }

    /// The number of a secret, new or known.
    fn secret(&mut self, name: &str, text: bool) -> usize {
        let known = self.secrets.iter().position(|secret| secret.name == name);
        let at = known.unwrap_or_else(|| {
            self.secrets.push(SecretUse {
                name: name.to_owned(),
                text: false,
            });
            self.secrets.len().saturating_sub(1)
        });
        if let Some(secret) = self.secrets.get_mut(at) {
            secret.text |= text;
        }
        at
    }
}

fn is_secret_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn read_filter(name: &str, place: &Place, faults: &mut Faults) -> Option<Filter> {
    let found = FILTERS.iter().find(|(known, _)| *known == name);
    if found.is_none() {
        let known: Vec<&str> = FILTERS.iter().map(|(known, _)| *known).collect();
        faults.error_with_help(
            place,
            format!("unknown filter `{name}`"),
            suggest(name, &known),
        );
    }
    found.map(|(_, filter)| *filter)
}

enum Piece<'t> {
    Literal(String),
    Name(&'t str),
}

/// Takes a text apart at its braces; none if one has no partner.
fn pieces(text: &str) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, behind) = rest.split_at_checked(at)?;
        literal.push_str(before);
        if let Some(behind) = behind.strip_prefix("{{") {
            literal.push('{');
            rest = behind;
        } else if let Some(behind) = behind.strip_prefix("}}") {
            literal.push('}');
            rest = behind;
        } else {
            let (name, behind) = behind.strip_prefix('{')?.split_once('}')?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Name(name));
            rest = behind;
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Some(pieces)
}
