//! A folder of files, one for each secret: what Docker, Kubernetes and systemd mount. Never lists it but to suggest a
//! name.

use std::path::{Path, PathBuf};

use crate::model::decode::Fields;
use crate::model::secret::{Secret, SecretName};

use super::super::{Door, SECRET_BYTES_MAX};
use super::{Finding, Source, SourceKind, without_line_end};

/// The key `files`.
pub(super) struct Kind;

impl SourceKind for Kind {
    fn name(&self) -> &'static str {
        "files"
    }

    fn read(&self, fields: &mut Fields<'_>) -> Option<Box<dyn Source>> {
        let doc = "a folder with a file for each secret, as Docker and Kubernetes mount them; one line end behind a value is taken off";
        let folder: String = fields.optional(self.name(), doc)?;
        Some(Box::new(Folder {
            folder: PathBuf::from(folder),
        }))
    }
}

#[derive(Debug)]
struct Folder {
    folder: PathBuf,
}

impl Source for Folder {
    fn word(&self) -> &'static str {
        "files"
    }

    fn whereabouts(&self, name: &SecretName) -> String {
        format!("the file `{}`", self.folder.join(name.as_str()).display())
    }

    fn find(&self, name: &SecretName, door: &mut dyn Door) -> Result<Option<Finding>, String> {
        read(&self.folder.join(name.as_str()), door)
    }

    fn names(&self, door: &dyn Door) -> Vec<String> {
        door.entries(&self.folder)
    }
}

/// The value in a file of its own; `None` if there is no such file.
pub(super) fn read(path: &Path, door: &mut dyn Door) -> Result<Option<Finding>, String> {
    let name = path.display();
    // A value that just fits may have a line end of two bytes behind it, and one byte more tells that it does not fit.
    let found = door.file(path, SECRET_BYTES_MAX + 3);
    let Some(found) = found.map_err(|why| format!("the file `{name}` {why}"))? else {
        return Ok(None);
    };
    let value = without_line_end(found.bytes.expose_secret());
    Ok(Some(Finding {
        value: Secret::new(value.to_vec()),
        origin: name.to_string(),
        read_by_all: found.read_by_all,
    }))
}
