//! The files that a configuration is read from: each read once, with a limit, and noted, found or not. Never judges what
//! stands in one.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256, digest};

use crate::model::settings::FileRead;

use super::env;

/// The door to the files that a configuration names; their names are relative to its folder.
pub(super) struct Files<'f> {
    folder: &'f Path,
    read: Vec<FileRead>,
}

impl<'f> Files<'f> {
    pub(super) const fn new(folder: &'f Path) -> Self {
        Self {
            folder,
            read: Vec::new(),
        }
    }

    /// The folder that names are relative to.
    pub(super) const fn folder(&self) -> &'f Path {
        self.folder
    }

    /// What stands in the file, at most `bytes_max` of it.
    pub(super) fn read(&mut self, name: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
        let (found, read) = read(&self.folder.join(name), bytes_max);
        self.read.push(read);
        found
    }

    pub(super) fn into_read(self) -> Vec<FileRead> {
        self.read
    }
}

/// Reads a file, and says what was read.
pub(super) fn read(path: &Path, bytes_max: u64) -> (io::Result<Vec<u8>>, FileRead) {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(bytes_max).read_to_end(&mut bytes));
    let digest = read.is_ok().then(|| noted(path, bytes_max, &bytes).digest);
    let noted = FileRead {
        path: path.to_owned(),
        bytes_max,
        digest: digest.flatten(),
    };
    (read.map(|_| bytes), noted)
}

/// What is noted of a text that was read of a file.
pub(super) fn noted(path: &Path, bytes_max: u64, bytes: &[u8]) -> FileRead {
    FileRead {
        path: path.to_owned(),
        bytes_max,
        digest: digest(&SHA256, bytes).as_ref().try_into().ok(),
    }
}

/// What a configuration goes by in evidence: without variables of ours it is what `sha256sum FILES | sha256sum` prints,
/// the configuration first and then the files that it names, in its order. Each variable adds a line `NAME=VALUE`.
pub(super) fn fingerprint(files: &[FileRead], variables: &[(OsString, OsString)]) -> String {
    let mut context = Context::new(&SHA256);
    for file in files {
        let digest = file.digest.as_ref().map(|bytes| hex(bytes));
        let digest = digest.as_deref().unwrap_or("-");
        context.update(format!("{digest}  {}\n", file.path.display()).as_bytes());
    }
    let ours = variables.iter().filter(|(name, _)| env::is_ours(name));
    let mut ours: Vec<_> = ours.collect();
    ours.sort();
    for (name, value) in ours {
        context.update(name.as_encoded_bytes());
        context.update(b"=");
        context.update(value.as_encoded_bytes());
        context.update(b"\n");
    }
    hex(context.finish().as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into memory cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_what_sha256sum_prints() {
        let file = noted(Path::new("sidecar.yaml"), 10, b"abc");
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let line = format!("{abc}  sidecar.yaml\n");
        let expected = hex(digest(&SHA256, line.as_bytes()).as_ref());
        let foreign = (OsString::from("PATH"), OsString::from("/bin"));
        assert_eq!(
            fingerprint(std::slice::from_ref(&file), &[foreign]),
            expected
        );
    }

    #[test]
    fn a_variable_of_ours_and_a_missing_file_show() {
        let file = noted(Path::new("a"), 10, b"abc");
        let gone = FileRead {
            digest: None,
            ..file.clone()
        };
        let ours = |value: &str| (OsString::from("OUTRIDER_WORKERS"), OsString::from(value));
        let all = [
            fingerprint(std::slice::from_ref(&file), &[]),
            fingerprint(&[gone], &[]),
            fingerprint(std::slice::from_ref(&file), &[ours("1")]),
            fingerprint(&[file], &[ours("2")]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{all:?}");
        }
    }

    #[test]
    fn a_file_is_read_to_its_limit_and_noted_even_if_it_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("long"), "0123456789").unwrap();
        let mut files = Files::new(folder.path());
        assert_eq!(files.read("long", 4).unwrap(), b"0123");
        assert!(files.read("missing", 4).is_err());
        let read = files.into_read();
        assert_eq!(read[0], noted(&folder.path().join("long"), 4, b"0123"));
        assert_eq!(read[1].digest, None);
    }
}
