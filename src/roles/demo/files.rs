//! The files of the demo. Each is replaced by renaming, as Kubernetes and editors do, so that nobody ever reads half of
//! one; keys and tokens are for their owner only.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::model::secret::Secret;

use super::authority::Pair;

/// What platform teams write.
pub(super) const CONFIGURATION: &str = "sidecar.yaml";
/// The certificate that the sidecar shows; its key stands beside it.
pub(super) const SIDECAR: &str = "tls/sidecar";
/// Who issues client certificates.
pub(super) const CLIENTS_CA: &str = "tls/clients-ca.crt";
/// Who vouches for the token issuer.
pub(super) const ISSUER_CA: &str = "tls/issuer-ca.crt";
/// Who vouches for the exchange.
pub(super) const EXCHANGE_CA: &str = "tls/exchange-ca.crt";
/// Who vouches for the sidecar: for its clients.
pub(super) const SIDECAR_CA: &str = "sidecar-ca.crt";
/// What the trading bot shows; its key stands beside it.
pub(super) const BOT: &str = "bot";
/// The issuer's public keys, for `explain`, which asks no network.
pub(super) const KEYS: &str = "keys.json";

/// Where the demo's files are.
#[derive(Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder, if it is not there.
    pub(super) fn create(path: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(path.join("tls"))?;
        Ok(Self(path))
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// One of its files.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Puts a text in the place of whatever stands there.
    pub(super) fn put(&self, name: &str, text: &str) -> io::Result<()> {
        self.replace(name, text, 0o644)
    }

    /// The same with something that only its owner may read.
    pub(super) fn put_secret(&self, name: &str, text: &str) -> io::Result<()> {
        self.replace(name, text, 0o600)
    }

    /// A certificate and its key: `NAME.crt` and `NAME.key`.
    pub(super) fn put_pair(&self, name: &str, pair: &Pair) -> io::Result<()> {
        self.put_secret(&format!("{name}.key"), pair.key.expose_secret())?;
        self.put(&format!("{name}.crt"), &pair.certificate)
    }

    /// Puts secrets into a folder as Kubernetes does: each is a link that leads through one and the same link, so that all
    /// of them are replaced at one moment.
    pub(super) fn mount(
        &self,
        folder: &str,
        secrets: &[(&str, &Secret<String>)],
    ) -> io::Result<()> {
        let (folder, data) = (self.at(folder), Path::new("..data"));
        let before = fs::read_link(folder.join(data)).ok();
        let number: u32 = before
            .as_deref()
            .and_then(|before| before.to_str()?.strip_prefix("..")?.parse().ok())
            .unwrap_or_default();
        let fresh = format!("..{}", number.saturating_add(1));
        fs::create_dir_all(folder.join(&fresh))?;
        for (name, secret) in secrets {
            let path = folder.join(&fresh).join(name);
            write_new(&path, secret.expose_secret(), 0o600)?;
        }
        symlink(&fresh, folder.join("..fresh"))?;
        fs::rename(folder.join("..fresh"), folder.join(data))?;
        match before {
            Some(before) => fs::remove_dir_all(folder.join(before)),
            None => (secrets.iter())
                .try_for_each(|(name, _)| symlink(data.join(name), folder.join(name))),
        }
    }

    fn replace(&self, name: &str, text: &str, mode: u32) -> io::Result<()> {
        let fresh = self.at(&format!("{name}.fresh"));
        write_new(&fresh, text, mode)?;
        fs::rename(fresh, self.at(name))
    }
}

fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn secrets_are_replaced_together_and_for_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::create(folder.path().to_owned()).unwrap();
        for value in ["first", "second", "third"] {
            let value = Secret::new(value.to_owned());
            folder.mount("s", &[("A", &value), ("B", &value)]).unwrap();
            for name in ["s/A", "s/B"] {
                let path = folder.at(name);
                assert_eq!(&fs::read_to_string(&path).unwrap(), value.expose_secret());
                let mode = fs::metadata(path).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600);
            }
        }
        let mut names: Vec<_> = fs::read_dir(folder.at("s"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["..3", "..data", "A", "B"]);
    }
}
