//! From nodes to types: one declaration of a section both decodes it and describes it as JSON Schema.
//! Collects every fault; never stops at the first, never guesses a value.

use serde_json::{Map, Value as Json, json};

use super::fault::Faults;
use super::node::{Entry, Node, Place, Value};

mod plain;

/// A type that can be read from a node, and can say in JSON Schema what it accepts.
pub trait Decode: Sized {
    /// Reads the node; on `None` at least one error was noted.
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self>;
    /// The JSON Schema of what [`Decode::decode`] accepts.
    fn schema() -> Json;
}

/// A map with declared keys. `read` names every key before it leaves with `?`, so that one pass finds every fault
/// and the same code can describe the section.
pub trait Section: Sized {
    /// Declares and reads the keys.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
}

impl<T: Section> Decode for T {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        read_section(node, faults, Self::read)
    }

    fn schema() -> Json {
        describe_section(Self::read)
    }
}

/// Reads a section with a closure, for sections that need more than the node.
pub fn read_section<T>(
    node: &Node,
    faults: &mut Faults,
    read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
) -> Option<T> {
    let Value::Map(entries) = &node.value else {
        faults.error(
            &node.place,
            format!("expected `key: value` pairs, found {}", node.kind()),
        );
        return None;
    };
    let mut fields = Fields {
        mode: Mode::Read {
            place: &node.place,
            entries,
            faults,
            failed: false,
        },
        known: Vec::new(),
    };
    let value = read(&mut fields);
    let failed = fields.finish();
    value.filter(|_| !failed)
}

/// The JSON Schema of a section that is read by a closure.
pub fn describe_section<T>(read: impl FnOnce(&mut Fields<'_>) -> Option<T>) -> Json {
    let mut fields = Fields {
        mode: Mode::Describe {
            properties: Map::new(),
            required: Vec::new(),
        },
        known: Vec::new(),
    };
    let _described = read(&mut fields);
    fields.into_schema()
}

/// The keys of one section, being read or being described.
pub struct Fields<'a> {
    mode: Mode<'a>,
    known: Vec<&'static str>,
}

enum Mode<'a> {
    Read {
        place: &'a Place,
        entries: &'a [Entry],
        faults: &'a mut Faults,
        failed: bool,
    },
    Describe {
        properties: Map<String, Json>,
        required: Vec<&'static str>,
    },
}

impl Fields<'_> {
    /// A key that must be there.
    pub fn required<T: Decode>(&mut self, key: &'static str, doc: &'static str) -> Option<T> {
        self.required_with(key, doc, T::schema, T::decode)
    }

    /// A key that may be missing. A faulty value is noted and reads as missing.
    pub fn optional<T: Decode>(&mut self, key: &'static str, doc: &'static str) -> Option<T> {
        self.optional_with(key, doc, T::schema, T::decode)
    }

    /// A key that may be missing and then means `default`, written as it would be in the file.
    pub fn or<T: Decode>(
        &mut self,
        key: &'static str,
        doc: &'static str,
        default_text: &'static str,
        default: T,
    ) -> T {
        let described = || with_default(T::schema(), default_text);
        self.optional_with(key, doc, described, T::decode)
            .unwrap_or(default)
    }

    /// A list of maps, each read by `read`; absent reads as `None`.
    pub fn list_of<T>(
        &mut self,
        key: &'static str,
        doc: &'static str,
        mut read: impl FnMut(&mut Fields<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        if self.describing() {
            let item = describe_section(read);
            return self.optional_with(key, doc, || json!({"type": "array", "items": item}), none);
        }
        self.optional_with(
            key,
            doc,
            || Json::Null,
            |node, faults| {
                decode_list(node, faults, |item, faults| {
                    read_section(item, faults, &mut read)
                })
            },
        )
    }

    /// A map with declared keys, read by `read`; absent reads as `None`.
    pub fn section<T>(
        &mut self,
        key: &'static str,
        doc: &'static str,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        if self.describing() {
            let schema = describe_section(read);
            return self.optional_with(key, doc, || schema, none);
        }
        self.optional_with(
            key,
            doc,
            || Json::Null,
            |node, faults| read_section(node, faults, read),
        )
    }

    /// Any required value, with its schema and decoder given.
    pub fn required_with<T>(
        &mut self,
        key: &'static str,
        doc: &'static str,
        schema: impl FnOnce() -> Json,
        decode: impl FnOnce(&Node, &mut Faults) -> Option<T>,
    ) -> Option<T> {
        if let Mode::Describe { required, .. } = &mut self.mode {
            required.push(key);
        }
        let present = self.has(key);
        let value = self.optional_with(key, doc, schema, decode);
        if let Mode::Read {
            place,
            faults,
            failed,
            ..
        } = &mut self.mode
            && !present
        {
            faults.error_with_help(
                place,
                format!("missing key `{key}`"),
                format!("add `{key}`: {doc}"),
            );
            *failed = true;
        }
        value
    }

    /// Any optional value, with its schema and decoder given.
    pub fn optional_with<T>(
        &mut self,
        key: &'static str,
        doc: &'static str,
        schema: impl FnOnce() -> Json,
        decode: impl FnOnce(&Node, &mut Faults) -> Option<T>,
    ) -> Option<T> {
        self.known.push(key);
        match &mut self.mode {
            Mode::Describe { properties, .. } => {
                properties.insert(key.to_owned(), with_doc(schema(), doc));
                None
            }
            Mode::Read {
                entries,
                faults,
                failed,
                ..
            } => {
                let entry = entries.iter().find(|entry| entry.key == key)?;
                let value = decode(&entry.value, faults);
                *failed |= value.is_none();
                value
            }
        }
    }

    /// Whether the section has the key.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Whether the section says `key: true`: for those who go by a key that is not their own and report no fault of it.
    #[must_use]
    pub fn says(&self, key: &str) -> bool {
        let unheard = &mut Faults::default();
        self.entry(key)
            .is_some_and(|entry| bool::decode(&entry.value, unheard) == Some(true))
    }

    /// Where the value of `key` stands, or else where the section stands.
    #[must_use]
    pub fn place_of(&self, key: &str) -> Place {
        self.entry(key)
            .map_or_else(|| self.place(), |entry| entry.value.place.clone())
    }

    /// Where `key` itself stands, or else where the section stands.
    #[must_use]
    pub fn key_place_of(&self, key: &str) -> Place {
        self.entry(key)
            .map_or_else(|| self.place(), |entry| entry.key_place.clone())
    }

    /// Where the section stands.
    #[must_use]
    pub fn place(&self) -> Place {
        match &self.mode {
            Mode::Read { place, .. } => (*place).clone(),
            Mode::Describe { .. } => Place::Default,
        }
    }

    /// Notes an error of meaning; the section then reads as faulty.
    pub fn error(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        if let Mode::Read { faults, failed, .. } = &mut self.mode {
            faults.error_with_help(place, message, help);
            *failed = true;
        }
    }

    /// Notes something that works, but probably not as meant.
    pub fn warning(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        if let Mode::Read { faults, .. } = &mut self.mode {
            faults.warning(place, message, help);
        }
    }

    /// Whether this pass only describes the section.
    #[must_use]
    pub const fn describing(&self) -> bool {
        matches!(self.mode, Mode::Describe { .. })
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.mode {
            Mode::Read { entries, .. } => entries.iter().find(|entry| entry.key == key),
            Mode::Describe { .. } => None,
        }
    }

    /// Refuses unknown keys; true if anything in the section was faulty.
    fn finish(self) -> bool {
        let Mode::Read {
            entries,
            faults,
            mut failed,
            ..
        } = self.mode
        else {
            return false;
        };
        for entry in entries
            .iter()
            .filter(|entry| !self.known.contains(&entry.key.as_str()))
        {
            let message = format!("unknown key `{}`", entry.key);
            faults.error_with_help(&entry.key_place, message, suggest(&entry.key, &self.known));
            failed = true;
        }
        failed
    }

    fn into_schema(self) -> Json {
        match self.mode {
            Mode::Describe {
                properties,
                required,
            } => json!({
                "type": "object",
                "additionalProperties": false,
                "properties": properties,
                "required": required,
            }),
            Mode::Read { .. } => Json::Null,
        }
    }
}

/// The name that was probably meant, or else all that would do.
#[must_use]
pub fn suggest(wrong: &str, known: &[&str]) -> String {
    nearest(wrong, known).unwrap_or_else(|| format!("known here: {}", known.join(", ")))
}

/// Letters in which a slip differs from what was meant. Of long names more would take one word for another: the secret
/// `A_SECRET_KEY` for `A_API_KEY`.
const SLIPS_MAX: usize = 3;

/// The name that was probably meant, if one is near.
#[must_use]
pub fn nearest(wrong: &str, known: &[&str]) -> Option<String> {
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(wrong, name), *name))
        .filter(|(distance, name)| *distance <= (1 + name.len() / 3).min(SLIPS_MAX))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

/// Reads a list, item by item; one faulty item makes the list faulty, but all are read.
pub fn decode_list<T>(
    node: &Node,
    faults: &mut Faults,
    mut decode: impl FnMut(&Node, &mut Faults) -> Option<T>,
) -> Option<Vec<T>> {
    let Value::List(items) = &node.value else {
        let message = format!("expected a list, found {}", node.kind());
        let help = "write each item in a line of its own, behind `- `, or all in `[...]`";
        faults.error_with_help(&node.place, message, help.to_owned());
        return None;
    };
    let read: Vec<Option<T>> = items.iter().map(|item| decode(item, faults)).collect();
    read.into_iter().collect()
}

/// The characters of a scalar; an error for everything else.
pub fn scalar<'n>(node: &'n Node, expected: &str, faults: &mut Faults) -> Option<&'n str> {
    match &node.value {
        Value::Scalar { text, .. } => Some(text),
        Value::Null | Value::List(_) | Value::Map(_) => {
            faults.error(
                &node.place,
                format!("expected {expected}, found {}", node.kind()),
            );
            None
        }
    }
}

/// Reads a scalar with `parse`; its error becomes a fault at the scalar.
pub fn decode_scalar<T>(
    node: &Node,
    expected: &str,
    faults: &mut Faults,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    let text = scalar(node, expected, faults)?;
    parse(text)
        .map_err(|message| faults.error(&node.place, message))
        .ok()
}

/// Refuses a number or truth value in quotes, which say that it is text.
pub fn refuse_quotes(node: &Node, faults: &mut Faults, expected: &str) -> Option<()> {
    if let Value::Scalar { text, quoted: true } = &node.value {
        let message = format!("expected {expected}, found the text \"{text}\"");
        faults.error_with_help(&node.place, message, "leave out the quotes");
        return None;
    }
    Some(())
}

/// Reads one of the words of `table`.
pub fn one_of<T: Copy>(node: &Node, faults: &mut Faults, table: &[(&str, T)]) -> Option<T> {
    let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
    let text = scalar(node, &format!("one of {}", names.join(", ")), faults)?;
    let found = table
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, value)| *value);
    if found.is_none() {
        let message = format!(
            "unknown value `{text}`, expected one of {}",
            names.join(", ")
        );
        match nearest(text, &names) {
            Some(help) => faults.error_with_help(&node.place, message, help),
            None => faults.error(&node.place, message),
        }
    }
    found
}

/// A place kept beside a value, for faults that show only when everything is read.
#[derive(Clone, Debug)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Place,
}

impl<T: Decode> Decode for Placed<T> {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        T::decode(node, faults).map(|value| Self {
            value,
            place: node.place.clone(),
        })
    }

    fn schema() -> Json {
        T::schema()
    }
}

fn none<T>(_: &Node, _: &mut Faults) -> Option<T> {
    None
}

fn with_doc(mut schema: Json, doc: &str) -> Json {
    if let Json::Object(members) = &mut schema {
        members.insert("description".to_owned(), json!(doc));
    }
    schema
}

fn with_default(mut schema: Json, text: &str) -> Json {
    if let Json::Object(members) = &mut schema {
        // A number or truth value stands in the schema as such, so that editors insert it without quotes.
        let typed = ["integer", "boolean"].map(|name| Some(&json!(name)) == members.get("type"));
        let typed = typed
            .contains(&true)
            .then(|| serde_json::from_str(text).ok());
        members.insert(
            "default".to_owned(),
            typed.flatten().unwrap_or_else(|| json!(text)),
        );
    }
    schema
}
