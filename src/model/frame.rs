//! One request frame of an exchange's WebSocket API (`{"id", "method", "params"}`) as the text it is: numbers keep their
//! digits. Never changes a value, never accepts one name twice.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::form::Noted;

/// Parameters of one frame; the longest calls of exchanges have some thirty.
pub const MEMBERS_MAX: usize = 256;

/// A request of a client, as it was written.
#[derive(Debug)]
pub struct Frame<'a> {
    /// What is called.
    pub method: Cow<'a, str>,
    /// The request's id as JSON text: a number, a text or `null`; none if the client gave none.
    pub id: Option<&'a str>,
    /// The parameters, in the client's order.
    pub params: Vec<Member<'a>>,
}

/// One name with its value.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// The name, unescaped.
    pub name: Cow<'a, str>,
    /// The value as JSON text.
    pub value: &'a str,
}

/// Why a frame is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFault {
    /// Not a JSON object with `method` (a text), and perhaps `id` and `params` (an object), and nothing else.
    NotARequest,
    /// One name twice.
    Duplicate,
    /// More than [`MEMBERS_MAX`] parameters.
    TooMany,
}

impl<'a> Frame<'a> {
    /// Reads a frame.
    pub fn parse(text: &'a str) -> Result<Self, FrameFault> {
        let (mut method, mut id, mut params) = (None, None, None);
        for member in members(text)? {
            match &*member.name {
                "method" => method = Some(member.text().ok_or(FrameFault::NotARequest)?),
                "id" => id = Some(member.value),
                "params" => params = Some(members(member.value)?),
                _ => return Err(FrameFault::NotARequest),
            }
        }
        if id.is_some_and(|id| id.starts_with(['{', '['])) {
            return Err(FrameFault::NotARequest);
        }
        Ok(Self {
            method: method.ok_or(FrameFault::NotARequest)?,
            id,
            params: params.unwrap_or_default(),
        })
    }

    /// The value of a parameter as JSON text.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&'a str> {
        let found = self.params.iter().find(|member| member.name == name);
        found.map(|member| member.value)
    }

    /// The frame as a JSON text: what was read and nothing else, every value as it was spelt.
    #[must_use]
    pub fn text(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut out = String::from("{");
        if let Some(id) = self.id {
            out.push_str("\"id\":");
            out.push_str(id);
            out.push(',');
        }
        out.push_str("\"method\":");
        out.push_str(&quoted(&self.method));
        for (at, member) in self.params.iter().enumerate() {
            out.push_str(if at > 0 { "," } else { ",\"params\":{" });
            out.push_str(&quoted(&member.name));
            out.push(':');
            out.push_str(member.value);
        }
        out.push_str(if self.params.is_empty() { "}" } else { "}}" });
        out
    }

    /// Takes the parameters called one of `own` (at most 32 names) off.
    pub fn strip<S: AsRef<str>>(&mut self, own: &[S]) -> Noted {
        let mut noted = Noted::default();
        self.params
            .retain(|member| !noted.take(member.name.as_bytes(), own));
        noted
    }
}

impl<'a> Member<'a> {
    /// The characters, if the value is a text.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'a, str>> {
        unquoted(self.value)
    }
}

/// The characters of a JSON text in quotes; none for another value.
#[must_use]
pub fn unquoted(value: &str) -> Option<Cow<'_, str>> {
    if !value.starts_with('"') {
        return None;
    }
    serde_json::from_str(value).ok().map(|Text(text)| text)
}

/// The members of one JSON object, in order, no name twice.
pub fn members(text: &str) -> Result<Vec<Member<'_>>, FrameFault> {
    let Members(members) = serde_json::from_str(text).map_err(|_| FrameFault::NotARequest)?;
    if members.len() > MEMBERS_MAX {
        return Err(FrameFault::TooMany);
    }
    let mut names: Vec<&str> = members.iter().map(|member| &*member.name).collect();
    names.sort_unstable();
    let twice = names
        .windows(2)
        .any(|pair| matches!(pair, [one, other] if one == other));
    if twice {
        return Err(FrameFault::Duplicate);
    }
    Ok(members)
}

/// A JSON text that is borrowed where it holds no escape.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Members<'a>(Vec<Member<'a>>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor).map(Self)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<Member<'de>>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            // One more than allowed tells too many from enough; the rest is not kept.
            if members.len() > MEMBERS_MAX {
                return Err(A::Error::custom("too many members"));
            }
            members.push(Member {
                name,
                value: value.get(),
            });
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests;
