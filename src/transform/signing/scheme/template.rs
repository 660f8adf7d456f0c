//! Texts with `{name}` in them. Values are bytes; a template joins them and knows nothing else.

use super::run::Work;
use crate::model::form::push_encoded;

/// A text in which names stand for values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template(pub(super) Vec<Part>);

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// As written.
    Literal(String),
    /// A value, perhaps changed.
    Value(Source, Option<Filter>),
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Method,
    Host,
    Path,
    Query,
    Body,
    /// The path, and behind a `?` the query if there is one.
    PathQuery,
    /// A fresh value or the result of a step, by number.
    Value(usize),
    /// A secret, by number.
    Secret(usize),
}

/// What every rule may name.
pub(super) const BUILTINS: &[(&str, Source)] = &[
    ("method", Source::Method),
    ("host", Source::Host),
    ("path", Source::Path),
    ("query", Source::Query),
    ("body", Source::Body),
    ("path_query", Source::PathQuery),
];

/// How a value is changed before it is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    UrlEncode,
    Upper,
    Lower,
}

/// The filters by name.
pub(super) const FILTERS: &[(&str, Filter)] = &[
    ("urlencode", Filter::UrlEncode),
    ("upper", Filter::Upper),
    ("lower", Filter::Lower),
];

impl Template {
    /// Appends the text with the values of this request.
    pub(super) fn push(&self, out: &mut Vec<u8>, work: &Work<'_>) {
        for part in &self.0 {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Value(source, None) => source.push(out, work),
                Part::Value(source, Some(filter)) => {
                    let mut value = Vec::new();
                    source.push(&mut value, work);
                    filter.push(out, &value);
                }
            }
        }
    }

    /// The text with the values of this request.
    pub(super) fn render(&self, work: &Work<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        self.push(&mut out, work);
        out
    }
}

impl Source {
    fn push(self, out: &mut Vec<u8>, work: &Work<'_>) {
        let input = work.input;
        match self {
            Self::Method => out.extend_from_slice(input.method.as_str().as_bytes()),
            Self::Host => out.extend_from_slice(input.host.as_bytes()),
            Self::Path => out.extend_from_slice(input.path.as_bytes()),
            Self::Query => out.extend_from_slice(work.query.as_bytes()),
            Self::Body => out.extend_from_slice(&work.body),
            Self::PathQuery => {
                out.extend_from_slice(input.path.as_bytes());
                if !work.query.is_empty() {
                    out.push(b'?');
                    out.extend_from_slice(work.query.as_bytes());
                }
            }
            Self::Value(at) => out.extend_from_slice(work.value(at)),
            Self::Secret(at) => out.extend_from_slice(work.bound.secret(at)),
        }
    }
}

impl Filter {
    fn push(self, out: &mut Vec<u8>, value: &[u8]) {
        match self {
            Self::UrlEncode => {
                let mut text = String::with_capacity(value.len());
                push_encoded(&mut text, value);
                out.extend_from_slice(text.as_bytes());
            }
            Self::Upper => out.extend(value.iter().map(u8::to_ascii_uppercase)),
            Self::Lower => out.extend(value.iter().map(u8::to_ascii_lowercase)),
        }
    }
}
