//! A `.env` file, for development: read once as a whole, strictly, and never put into the environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::decode::Fields;
use crate::model::secret::{Secret, SecretBytes, SecretName};

use super::super::{Door, dotenv};
use super::{Finding, Source, SourceKind};

/// Bytes of the file.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// The key `dotenv`.
pub(super) struct Kind;

impl SourceKind for Kind {
    fn name(&self) -> &'static str {
        "dotenv"
    }

    fn read(&self, fields: &mut Fields<'_>) -> Option<Box<dyn Source>> {
        let doc =
            "a file of lines NAME=value, for development; relative to the folder of this file";
        let file: String = fields.optional(self.name(), doc)?;
        Some(Box::new(File {
            path: PathBuf::from(file),
            read: None,
        }))
    }
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    read: Option<Read>,
}

/// What was read of the file.
struct Read {
    values: BTreeMap<SecretName, SecretBytes>,
    read_by_all: bool,
}

impl std::fmt::Debug for Read {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_set().entries(self.values.keys()).finish()
    }
}

impl Source for File {
    fn word(&self) -> &'static str {
        "dotenv"
    }

    fn whereabouts(&self, _name: &SecretName) -> String {
        let missing = if self.read.is_none() {
            " (does not exist)"
        } else {
            ""
        };
        format!("`{}`{missing}", self.path.display())
    }

    fn open(&mut self, door: &mut dyn Door) -> Result<(), Vec<String>> {
        let name = self.path.display();
        // One byte more than allowed tells a file that is too large from one that just fits.
        let found = door.file(&self.path, FILE_BYTES_MAX + 1);
        let Some(found) = found.map_err(|why| vec![format!("the file `{name}` {why}")])? else {
            return Ok(());
        };
        if found.bytes.expose_secret().len() as u64 > FILE_BYTES_MAX {
            return Err(vec![format!("the file `{name}` is larger than 256KiB")]);
        }
        let text = found.bytes.expose_secret_text();
        let text = text.map_err(|_| vec![format!("the file `{name}` is not UTF-8")])?;
        let values = dotenv::parse(text).map_err(|faults| {
            let told = |(line, why): (usize, String)| format!("`{name}`, line {line}: {why}");
            faults.into_iter().map(told).collect::<Vec<_>>()
        })?;
        self.read = Some(Read {
            values,
            read_by_all: found.read_by_all,
        });
        Ok(())
    }

    fn find(&self, name: &SecretName, _door: &mut dyn Door) -> Result<Option<Finding>, String> {
        let Some(read) = &self.read else {
            return Ok(None);
        };
        let value = read.values.get(name);
        Ok(value.map(|value| Finding {
            value: Secret::new(value.expose_secret().clone()),
            origin: self.path.display().to_string(),
            read_by_all: read.read_by_all,
        }))
    }

    fn names(&self, _door: &dyn Door) -> Vec<String> {
        let values = self.read.iter().flat_map(|read| read.values.keys());
        values.map(SecretName::to_string).collect()
    }
}
