//! What a configuration is read from beside its own text: files and the environment. Each file is read once, with a limit,
//! and noted, found or not; never judges what stands in one.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::model::secret::Secret;
use crate::model::settings::FileRead;
use crate::secrets::{Door, SecretFile};

use super::{files, why_unread};

/// The right of everybody to read a file.
const READ_BY_ALL: u32 = 0o004;

/// Names of files in a folder that are looked at for the one that was meant.
const ENTRIES_MAX: usize = 1000;

/// The surroundings of one load. Names of files are relative to the configuration's folder.
pub(super) struct Surroundings<'f> {
    folder: &'f Path,
    environment: &'f [(OsString, OsString)],
    read: Vec<FileRead>,
}

impl<'f> Surroundings<'f> {
    pub(super) const fn new(folder: &'f Path, environment: &'f [(OsString, OsString)]) -> Self {
        Self {
            folder,
            environment,
            read: Vec::new(),
        }
    }

    pub(super) const fn folder(&self) -> &'f Path {
        self.folder
    }

    /// What stands in the file, at most `bytes_max` of it.
    pub(super) fn read(&mut self, name: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
        let (found, read) = files::read(&self.folder.join(name), bytes_max);
        self.read.push(read);
        found
    }

    pub(super) fn into_read(self) -> Vec<FileRead> {
        self.read
    }
}

impl Door for Surroundings<'_> {
    fn variable(&self, name: &str) -> Option<&OsStr> {
        let mut variables = self.environment.iter();
        let found = variables.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_os_str())
    }

    fn variables(&self) -> Vec<String> {
        let names = self
            .environment
            .iter()
            .filter_map(|(name, _)| name.to_str());
        names.map(str::to_owned).collect()
    }

    fn file(&mut self, path: &Path, bytes_max: u64) -> Result<Option<SecretFile>, String> {
        let path = self.folder.join(path);
        // Neither a load nor a look at what has changed may wait for somebody to write into a pipe.
        let special = fs::metadata(&path).is_ok_and(|found| !found.is_file() && !found.is_dir());
        if special {
            return Err("is not a regular file".to_owned());
        }
        let found = read_secret(&path, bytes_max);
        let noted = match &found {
            Ok(found) => files::noted(&path, bytes_max, found.bytes.expose_secret()),
            Err(_) => files::missed(&path, bytes_max),
        };
        self.read.push(FileRead {
            secret: true,
            ..noted
        });
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(why_unread(&error)),
        }
    }

    fn entries(&self, folder: &Path) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.folder.join(folder)) else {
            return Vec::new();
        };
        let names = entries.flatten().map(|entry| entry.file_name());
        let names = names.filter_map(|name| name.into_string().ok());
        names.take(ENTRIES_MAX).collect()
    }
}

/// Reads through a buffer that never grows, because growing leaves copies behind, and is wiped.
fn read_secret(path: &Path, bytes_max: u64) -> io::Result<SecretFile> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let room = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    // One byte more, or reading would make room for more to see the end.
    let mut buffer = Zeroizing::new(Vec::with_capacity(room.saturating_add(1)));
    file.take(bytes_max).read_to_end(&mut buffer)?;
    Ok(SecretFile {
        bytes: Secret::new(buffer.to_vec()),
        read_by_all: mode & READ_BY_ALL != 0,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_secret_is_noted_but_its_digest_is_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("key"), "hunter2").unwrap();
        fs::set_permissions(at("key"), Permissions::from_mode(0o640)).unwrap();
        symlink("key", at("link")).unwrap();
        let mut surroundings = Surroundings::new(folder.path(), &[]);
        let found = surroundings.file(Path::new("link"), 64).unwrap().unwrap();
        assert_eq!(found.bytes.expose_secret(), b"hunter2");
        assert!(!found.read_by_all);
        fs::set_permissions(at("key"), Permissions::from_mode(0o644)).unwrap();
        assert!(
            surroundings
                .file(&at("key"), 3)
                .unwrap()
                .unwrap()
                .read_by_all
        );
        assert!(
            surroundings
                .file(Path::new("missing"), 64)
                .unwrap()
                .is_none()
        );
        assert_eq!(
            surroundings.file(folder.path(), 64).err().as_deref(),
            Some("is a folder")
        );
        let read = surroundings.into_read();
        assert!(read.iter().all(|file| file.secret));
        assert_eq!(
            read[0].digest,
            files::noted(&at("key"), 0, b"hunter2").digest
        );
        assert_eq!(read[2].digest, None);
        assert!(format!("{:?}", read[0]).contains("digest: None"));
    }

    #[test]
    fn nobody_waits_for_a_pipe() {
        let mut surroundings = Surroundings::new(Path::new(""), &[]);
        let told = surroundings.file(Path::new("/dev/null"), 64).err();
        assert_eq!(told.as_deref(), Some("is not a regular file"));
        assert!(surroundings.into_read().is_empty());
    }
}
