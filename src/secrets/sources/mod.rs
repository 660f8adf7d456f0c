//! The sources of secrets: one file each, one line each in [`SOURCES`]. A source finds a value by its name and says where
//! it looked; it never decides which source comes first.

use std::fmt;

use serde_json::{Value as Json, json};

use crate::model::decode::{Decode, Fields, Placed, decode_list, describe_section, read_section};
use crate::model::fault::Faults;
use crate::model::node::{Node, Place, Value};
use crate::model::secret::{SecretBytes, SecretName};

use super::Door;

mod dotenv;
mod env;
mod files;

/// Every source we know.
pub const SOURCES: &[&dyn SourceKind] = &[&env::Kind, &dotenv::Kind, &files::Kind];

/// More places than anybody looks for a secret in.
const SOURCES_MAX: usize = 16;

/// A kind of source: its key in the YAML and how to build it from what stands there.
pub trait SourceKind: Sync {
    /// The key, which is also the source's word in evidence and metrics.
    fn name(&self) -> &'static str;
    /// Declares the key and builds the source; `None` if the key is absent or faulty.
    fn read(&self, fields: &mut Fields<'_>) -> Option<Box<dyn Source>>;
}

/// One source. It is asked while a configuration is loaded and never waits: what is behind a network is fetched in the
/// background, and found at the [`Door`].
pub trait Source: Send + Sync + fmt::Debug {
    /// Its word in evidence and metrics.
    fn word(&self) -> &'static str;
    /// Where it looks for a secret, as a person would write it, and what became of it, such as `.env (does not exist)`.
    fn whereabouts(&self, name: &SecretName) -> String;
    /// Makes ready before the first question, for sources that are read as a whole.
    ///
    /// # Errors
    /// A sentence for each thing that is wrong; none quotes a value.
    fn open(&mut self, _door: &mut dyn Door) -> Result<(), Vec<String>> {
        Ok(())
    }
    /// Looks for a secret; `None` if this source does not have it, and the next one is asked.
    ///
    /// # Errors
    /// A sentence that says why it cannot be told, or must not be used. No other source is asked then: what should come
    /// from here must not silently come from elsewhere.
    fn find(&self, name: &SecretName, door: &mut dyn Door) -> Result<Option<Finding>, String>;
    /// The names of what it has, for the one that was probably meant.
    fn names(&self, door: &dyn Door) -> Vec<String>;
}

/// A secret that was found.
pub struct Finding {
    /// The value.
    pub value: SecretBytes,
    /// Where exactly: `$NAME`, or a file.
    pub origin: String,
    /// Whether it comes of a file that every user of the machine may read.
    pub read_by_all: bool,
}

/// The sources of a configuration in the order in which they are asked.
#[derive(Debug)]
pub struct Sources(pub(super) Vec<Placed<Box<dyn Source>>>);

impl Default for Sources {
    /// The environment alone.
    fn default() -> Self {
        Self(vec![Placed {
            value: env::plain(),
            place: Place::Default,
        }])
    }
}

impl Decode for Sources {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let sources = decode_list(node, faults, decode_one)?;
        let (message, help) = if sources.is_empty() {
            (
                "without a source there is no secret",
                "name one, or leave `secrets` out to ask the environment".to_owned(),
            )
        } else if sources.len() > SOURCES_MAX {
            let help = format!("name {SOURCES_MAX} at most");
            ("there are too many sources", help)
        } else {
            return Some(Self(sources));
        };
        faults.error_with_help(&node.place, message, help);
        None
    }

    fn schema() -> Json {
        let mut item = describe_section(read_one);
        if let Json::Object(members) = &mut item {
            members.insert("minProperties".to_owned(), json!(1));
            members.insert("maxProperties".to_owned(), json!(1));
        }
        json!({"type": "array", "items": item, "minItems": 1, "maxItems": SOURCES_MAX})
    }
}

fn decode_one(item: &Node, faults: &mut Faults) -> Option<Placed<Box<dyn Source>>> {
    if let Value::Map(entries) = &item.value
        && entries.len() != 1
    {
        let names: Vec<&str> = SOURCES.iter().map(|kind| kind.name()).collect();
        let help = format!("write one of {} behind each `-`", names.join(", "));
        faults.error_with_help(&item.place, "expected one source", help);
        return None;
    }
    let value = read_section(item, faults, read_one)?;
    let place = item.place.clone();
    Some(Placed { value, place })
}

/// Every kind declares its key, so that an unknown one is refused with the name that was probably meant.
fn read_one(fields: &mut Fields<'_>) -> Option<Box<dyn Source>> {
    let mut read: Vec<_> = SOURCES
        .iter()
        .filter_map(|kind| kind.read(fields))
        .collect();
    read.pop()
}

/// The value of a file without the one line end that editors put behind it.
fn without_line_end(bytes: &[u8]) -> &[u8] {
    let line = bytes.strip_suffix(b"\n");
    line.map_or(bytes, |line| line.strip_suffix(b"\r").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_taken_off() {
        let table: [(&[u8], &[u8]); 6] = [
            (b"x", b"x"),
            (b"x\n", b"x"),
            (b"x\r\n", b"x"),
            (b"x\n\n", b"x\n"),
            (b" x \n", b" x "),
            (b"\n", b""),
        ];
        for (bytes, value) in table {
            assert_eq!(without_line_end(bytes), value);
        }
    }

    #[test]
    fn no_two_sources_share_a_name() {
        let mut names: Vec<_> = SOURCES.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
