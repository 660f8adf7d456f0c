//! The files and secrets that a configuration names, as its sections ask for them, and what all that was read goes by.
//! Never judges what stands in a file; never tells a digest of a secret.

use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256, digest};

use crate::model::fault::Faults;
use crate::model::secret::{SecretBytes, SecretName, SecretRef};
use crate::model::settings::FileRead;
use crate::secrets::{Gathered, Resolver, Sources};

use super::env;
use super::report::Report;
use super::surroundings::Surroundings;

/// How much of what a configuration names is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Everything.
    Whole,
    /// No secrets, for those who only ask what a policy says.
    NoSecrets,
    /// Neither secrets nor the keys of tokens, which come from elsewhere.
    NoKeys,
}

/// The door to the files and the secrets that a configuration names; names of files are relative to its folder.
pub(super) struct Files<'f> {
    surroundings: Surroundings<'f>,
    extent: Extent,
    resolver: Resolver,
    refused: Vec<Report>,
}

impl<'f> Files<'f> {
    pub(super) fn new(
        folder: &'f Path,
        environment: &'f [(OsString, OsString)],
        extent: Extent,
    ) -> Self {
        Self {
            surroundings: Surroundings::new(folder, environment),
            extent,
            resolver: Resolver::default(),
            refused: Vec::new(),
        }
    }

    /// Whether the files that hold keys are to be read.
    pub(super) fn wants_keys(&self) -> bool {
        self.extent != Extent::NoKeys
    }

    /// The folder that names are relative to.
    pub(super) const fn folder(&self) -> &'f Path {
        self.surroundings.folder()
    }

    /// What stands in the file, at most `bytes_max` of it.
    pub(super) fn read(&mut self, name: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
        self.surroundings.read(name, bytes_max)
    }

    /// Keeps what is wrong in a file, to be told behind the configuration's own faults.
    pub(super) fn refuse(&mut self, report: Report) {
        self.refused.push(report);
    }

    /// What was wrong in files.
    pub(super) fn take_refused(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.refused)
    }

    /// Says where secrets are kept. To be called before the first is asked for.
    pub(super) fn open_secrets(&mut self, sources: Sources, faults: &mut Faults) {
        if self.extent == Extent::Whole {
            self.resolver = Resolver::open(sources, &mut self.surroundings, faults);
        }
    }

    /// Sees to it that a secret is there for whoever builds something of it; if it is not, that is a fault at the
    /// reference. Every reference of a configuration goes through here. Nothing happens where no secrets are read.
    pub(super) fn want(&mut self, reference: &SecretRef, faults: &mut Faults) {
        if self.extent == Extent::Whole {
            self.resolver
                .resolve(reference, &mut self.surroundings, faults);
        }
    }

    /// A secret that was asked for and found.
    pub(super) fn secret(&self, name: &SecretName) -> Option<&SecretBytes> {
        self.resolver.found(name)
    }

    /// All secrets that were asked for, once nobody asks any more.
    pub(super) fn take_secrets(&mut self) -> Gathered {
        std::mem::take(&mut self.resolver).gathered()
    }

    pub(super) fn into_read(self) -> Vec<FileRead> {
        self.surroundings.into_read()
    }
}

/// Reads a file, and says what was read.
pub(super) fn read(path: &Path, bytes_max: u64) -> (io::Result<Vec<u8>>, FileRead) {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(bytes_max).read_to_end(&mut bytes));
    let noted = match &read {
        Ok(_) => noted(path, bytes_max, &bytes),
        Err(_) => missed(path, bytes_max),
    };
    (read.map(|_| bytes), noted)
}

/// What is noted of a file that could not be read.
pub(super) fn missed(path: &Path, bytes_max: u64) -> FileRead {
    FileRead {
        path: path.to_owned(),
        bytes_max,
        digest: None,
        secret: false,
    }
}

/// What is noted of a text that was read of a file.
pub(super) fn noted(path: &Path, bytes_max: u64, bytes: &[u8]) -> FileRead {
    FileRead {
        digest: digest(&SHA256, bytes).as_ref().try_into().ok(),
        ..missed(path, bytes_max)
    }
}

/// What a configuration goes by in evidence: without variables of ours it is what `sha256sum FILES | sha256sum` prints,
/// the configuration first and then the files that it names, in its order. Each variable adds a line `NAME=VALUE`. What
/// holds secrets is left out: of a short one, whoever knows the rest could try every value.
pub(super) fn fingerprint(files: &[FileRead], variables: &[(OsString, OsString)]) -> String {
    let mut context = Context::new(&SHA256);
    for file in files.iter().filter(|file| !file.secret) {
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

/// All that was read, secrets too, for comparison within this process. Never told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Contents([u8; 32]);

impl fmt::Debug for Contents {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Contents")
    }
}

impl Contents {
    pub(super) fn new(fingerprint: &str, files: &[FileRead]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(fingerprint.as_bytes());
        for file in files.iter().filter(|file| file.secret) {
            context.update(file.path.as_os_str().as_encoded_bytes());
            context.update(&[0, u8::from(file.digest.is_some())]);
            context.update(&file.digest.unwrap_or_default());
        }
        Self(context.finish().as_ref().try_into().unwrap_or_default())
    }
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
        let mut files = Files::new(folder.path(), &[], Extent::Whole);
        assert_eq!(files.read("long", 4).unwrap(), b"0123");
        assert!(files.read("missing", 4).is_err());
        let read = files.into_read();
        assert_eq!(read[0], noted(&folder.path().join("long"), 4, b"0123"));
        assert_eq!(read[1].digest, None);
    }

    #[test]
    fn a_secret_changes_the_contents_but_not_what_is_told() {
        let own = noted(Path::new("a"), 10, b"abc");
        let secret = |bytes: &[u8]| FileRead {
            secret: true,
            ..noted(Path::new("key"), 10, bytes)
        };
        let told = |files: &[FileRead]| fingerprint(files, &[]);
        let whole = |files: &[FileRead]| Contents::new(&told(files), files);
        let (one, other) = (
            [own.clone(), secret(b"1234")],
            [own.clone(), secret(b"1235")],
        );
        assert_eq!(told(&one), told(&other));
        assert_eq!(told(&one), told(std::slice::from_ref(&own)));
        assert!(whole(&one) == whole(&one) && whole(&one) != whole(&other));
        let gone = FileRead {
            digest: None,
            ..secret(b"")
        };
        assert!(whole(&one) != whole(&[own, gone]));
    }
}
