//! From what a person writes to a question for one way out, and what is told of it. Reads the configuration; never the
//! network, and never shows a secret.

use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request};

use crate::config::{Loaded, Outbound};
use crate::decide::outbound::AllowLine;
use crate::model::denial::Denial;
use crate::model::exchange::{Effect, Known, Reserve, Security};
use crate::model::node::Place;

use super::exit::{self, Failure};

/// The way out of this name; without a name the only one there is.
pub(super) fn find(loaded: Loaded, name: Option<&str>) -> Result<Outbound, Failure> {
    let ways = loaded.config.outbound;
    let names: Vec<&str> = ways.iter().map(|way| &*way.name).collect();
    let why = match (name, names.as_slice()) {
        (_, []) => "the configuration has no section `outbound`".to_owned(),
        (None, [_, _, ..]) => format!("name one with --outbound: {}", names.join(", ")),
        (Some(name), names) if !names.contains(&name) => {
            format!(
                "no outbound is called `{name}`; known here: {}",
                names.join(", ")
            )
        }
        _ => String::new(),
    };
    let found = ways
        .into_iter()
        .find(|way| name.is_none_or(|name| *way.name == *name));
    let found = found.filter(|_| why.is_empty());
    found.ok_or_else(|| Failure::new(exit::USAGE, why))
}

/// The head of a request as a service would send it. A body without a type is a form, unless it begins as JSON does.
pub(super) fn head(
    method: &Method,
    target: &str,
    headers: &[(String, String)],
    body: &Bytes,
) -> Result<Parts, String> {
    // The parser drops a fragment without a word, and the rest would be judged as if it were the whole.
    if target.contains('#') {
        return Err(format!(
            "`{target}` holds a `#`, which no request does: write %23"
        ));
    }
    let request = Request::builder().method(method).uri(target).body(());
    let request = request.map_err(|error| format!("not a request: {error}"))?;
    let mut head = request.into_parts().0;
    for (name, value) in headers {
        let wrong = |_| format!("the header `{name}` is none");
        let name: HeaderName = name.parse().map_err(|_| wrong(()))?;
        let value = HeaderValue::from_str(value).map_err(|_| wrong(()))?;
        head.headers.append(name, value);
    }
    if !head.headers.contains_key(HOST) {
        let host = HeaderValue::from_static("localhost");
        head.headers.insert(HOST, host);
    }
    if !body.is_empty() {
        head.headers.insert(CONTENT_LENGTH, body.len().into());
        let kind = match body.trim_ascii_start().first() {
            Some(b'{' | b'[') => "application/json",
            Some(_) | None => "application/x-www-form-urlencoded",
        };
        let kind = HeaderValue::from_static(kind);
        head.headers.entry(CONTENT_TYPE).or_insert(kind);
    }
    Ok(head)
}

/// Names and texts in two columns.
pub(super) fn columns<'l>(lines: &[(&'l str, &'l str)]) -> String {
    let width = lines.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or_default();
    let mut text = String::new();
    for (name, value) in lines {
        // Writing into memory cannot fail.
        writeln!(text, "{name:width$}  {value}").ok();
    }
    text
}

/// What is known of a call, and by which line it goes.
pub(super) fn described(
    file: &Path,
    known: &Known,
    line: Result<&AllowLine, &Denial>,
) -> Vec<(&'static str, String)> {
    let needs = match known.security {
        Security::None => "nothing: no key is sent",
        Security::KeyOnly => "the name of the key",
        Security::Signed => "the key, the time and a signature",
    };
    let effect = match known.effect {
        Effect::Read => "reads",
        Effect::Change => "changes something: sent at most once",
        Effect::Cancel => "cancels: sent at most once, in the lane that is kept for it",
    };
    let mut weight = known.weight.to_string();
    if known.orders > 0 {
        // Writing into memory cannot fail.
        write!(weight, ", and {} of the order limits", known.orders).ok();
    }
    let mut told = vec![
        ("needs", needs.to_owned()),
        ("effect", effect.to_owned()),
        ("weight", weight),
    ];
    let reserve = known.reserve.map(|reserve| match reserve {
        Reserve::MovesMoney => {
            "it moves money out or elsewhere: only a line with its exact name opens it"
        }
        Reserve::Unknown => "the preset does not know it: only a line with its exact name opens it",
    });
    told.extend(reserve.map(|why| ("kept back", why.to_owned())));
    told.push(match line {
        Ok(line) => (
            "allowed by",
            format!("{} ({})", line.text, at(file, &line.place)),
        ),
        Err(denial) => ("DENIED", denied(file, denial)),
    });
    told
}

/// A refusal, in the operator's words.
pub(super) fn denied(file: &Path, denial: &Denial) -> String {
    let by = match &denial.rule {
        Some(rule) => format!(" ({})", at(file, &rule.place)),
        None => String::new(),
    };
    let status = denial.cause.status().as_u16();
    format!("{status} {}{by}: {}", denial.cause.code(), denial.detail)
}

fn at(file: &Path, place: &Place) -> String {
    match place {
        Place::File { line, .. } => format!("{}:{line}", file.display()),
        Place::Env(name) => format!("${name}"),
        Place::Default => "default".to_owned(),
    }
}
