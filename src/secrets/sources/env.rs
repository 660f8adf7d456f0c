//! The environment: `NAME`, or `NAME_FILE` with the path of a file that holds the value, as container images do it. What
//! stands in the environment itself can be neither wiped nor changed while running; never prefer it to a file.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::model::decode::{Decode, Fields, decode_scalar};
use crate::model::fault::Faults;
use crate::model::node::Node;
use crate::model::secret::{Secret, SecretBytes, SecretName};

use super::super::Door;
use super::{Finding, Source, SourceKind, files};

/// Variables that begin so are settings: they are shown, and counted in what a configuration goes by.
const SETTINGS: &str = "OUTRIDER_";

/// What a variable ends with that names a file.
const FILE: &str = "_FILE";

/// The key `env`.
pub(super) struct Kind;

impl SourceKind for Kind {
    fn name(&self) -> &'static str {
        "env"
    }

    fn read(&self, fields: &mut Fields<'_>) -> Option<Box<dyn Source>> {
        let doc =
            "the environment: NAME, or NAME_FILE with the path of a file that holds the value";
        fields.section(self.name(), doc, |fields| {
            let doc =
                "what the names of the variables begin with; the secret KEY is then PREFIX and KEY";
            let prefix = fields.optional("prefix", doc).map(|Prefix(prefix)| prefix);
            let source: Box<dyn Source> = Box::new(Environment {
                prefix: prefix.unwrap_or_default(),
            });
            Some(source)
        })
    }
}

/// The environment without a prefix.
pub(super) fn plain() -> Box<dyn Source> {
    Box::new(Environment {
        prefix: String::new(),
    })
}

#[derive(Debug)]
struct Environment {
    prefix: String,
}

impl Source for Environment {
    fn word(&self) -> &'static str {
        "env"
    }

    fn whereabouts(&self, name: &SecretName) -> String {
        let direct = format!("{}{name}", self.prefix);
        format!("the environment (${direct}, or a file named by ${direct}{FILE})")
    }

    fn find(&self, name: &SecretName, door: &mut dyn Door) -> Result<Option<Finding>, String> {
        let direct = format!("{}{name}", self.prefix);
        if direct.starts_with(SETTINGS) {
            return Err(format!(
                "`${direct}` is a setting: a secret's variable must not begin with {SETTINGS}"
            ));
        }
        let through = format!("{direct}{FILE}");
        let value = door.variable(&direct).map(as_secret);
        let path = door.variable(&through).map(OsStr::to_owned);
        match (value, path) {
            (Some(_), Some(_)) => Err(format!(
                "both `${direct}` and `${through}` are set, and only one of them can be meant"
            )),
            (Some(value), None) => Ok(Some(Finding {
                value,
                origin: format!("${direct}"),
                read_by_all: false,
            })),
            (None, Some(path)) => match files::read(Path::new(&path), door)? {
                Some(found) => Ok(Some(found)),
                None => Err(format!("the file that `${through}` names does not exist")),
            },
            (None, None) => Ok(None),
        }
    }

    fn names(&self, door: &dyn Door) -> Vec<String> {
        let variables = door.variables().into_iter();
        let own = variables.filter(|name| !name.starts_with(SETTINGS));
        own.filter_map(|name| name.strip_prefix(&self.prefix).map(str::to_owned))
            .map(|name| name.strip_suffix(FILE).unwrap_or(&name).to_owned())
            .collect()
    }
}

fn as_secret(value: &OsStr) -> SecretBytes {
    Secret::new(value.as_bytes().to_vec())
}

/// What the names of variables begin with.
struct Prefix(String);

/// Bytes of a prefix.
const PREFIX_BYTES_MAX: usize = 64;

impl Decode for Prefix {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "a prefix such as TRADING_", faults, |text| {
            if text.len() > PREFIX_BYTES_MAX || SecretName::parse(text).is_none() {
                return Err(format!(
                    "`{text}` cannot begin the names of variables; write it like TRADING_"
                ));
            }
            if text.starts_with(SETTINGS) {
                return Err(format!(
                    "variables that begin with {SETTINGS} are settings, not secrets"
                ));
            }
            Ok(Self(text.to_owned()))
        })
    }

    fn schema() -> Json {
        let pattern = format!("^(?!{SETTINGS})[A-Za-z0-9_][A-Za-z0-9_.-]{{0,63}}$");
        json!({"type": "string", "pattern": pattern})
    }
}
