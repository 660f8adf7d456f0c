//! Secrets: where they are kept, how a name becomes a value, and the immutable set that one configuration goes by.
//! Reads only through a [`Door`] that it is given; never tells a value, only names, sources and ages.

mod dotenv;
mod resolver;
mod sources;
mod store;

use std::ffi::OsStr;
use std::path::Path;

use crate::model::secret::SecretBytes;

pub use resolver::{Gathered, Resolver};
pub use sources::{Finding, SOURCES, Source, SourceKind, Sources};
pub use store::{Access, Held, Secrets};

/// Bytes of one secret: a chain of RSA keys in PEM has 16 KiB.
pub const SECRET_BYTES_MAX: u64 = 64 << 10;

/// What sources read from: the surroundings of one load. A source behind a network finds here what a task in the
/// background has fetched before, as it finds the environment; a load never waits.
pub trait Door {
    /// The value of a variable of the environment.
    fn variable(&self, name: &str) -> Option<&OsStr>;
    /// The names of all variables.
    fn variables(&self) -> Vec<String>;
    /// What stands in a file, at most `bytes_max` of it; `None` if there is no such file. It is watched from now on,
    /// there or not.
    ///
    /// # Errors
    /// It may not be read, or is not a regular file: the end of a sentence that begins with its name.
    fn file(&mut self, path: &Path, bytes_max: u64) -> Result<Option<SecretFile>, String>;
    /// The names of the files in a folder; none if it cannot be read.
    fn entries(&self, folder: &Path) -> Vec<String>;
}

/// What stands in a file that holds secrets.
pub struct SecretFile {
    /// The bytes.
    pub bytes: SecretBytes,
    /// Whether every user of the machine may read it.
    pub read_by_all: bool,
}
