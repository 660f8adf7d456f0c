//! The demo's keys at the stand-in exchange: made while it runs. The exchange is told the public half, the sidecar gets the
//! rest in files; nobody else ever sees it.

use std::io;

use aws_lc_rs::rand;
use rcgen::{KeyPair, PKCS_ED25519};

use crate::model::secret::Secret;

use super::exchange::ApiKey;
use super::files::Folder;

/// Where the sidecar looks for secrets.
pub(super) const SECRETS: &str = "secrets";

/// The secret that names the key, and the one that signs.
const KEY_ID: &str = "EXCHANGE_KEY_ID";
const KEY: &str = "EXCHANGE_KEY";

/// A trader's key: Ed25519, as Binance recommends.
pub(super) struct TradingKey {
    id: Secret<String>,
    pem: Secret<String>,
    public: Vec<u8>,
}

impl TradingKey {
    /// Makes one.
    pub(super) fn new() -> io::Result<Self> {
        let pair = KeyPair::generate_for(&PKCS_ED25519).map_err(io::Error::other)?;
        let mut random = [0; 32];
        rand::fill(&mut random).map_err(|_| io::Error::other("no key could be made"))?;
        let id = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            id: Secret::new(id),
            pem: Secret::new(pair.serialize_pem()),
            public: pair.public_key_raw().to_vec(),
        })
    }

    /// Its name, which is as secret as a password: with most exchanges it goes with every request.
    pub(super) fn expose_secret_id(&self) -> &str {
        self.id.expose_secret()
    }

    /// The line of the private half that holds it, as nobody should ever find it.
    pub(super) fn expose_secret_line(&self) -> &str {
        let mut lines = self.pem.expose_secret().lines();
        lines.nth(1).unwrap_or_default()
    }

    /// What the exchange keeps of it.
    pub(super) fn known(&self) -> ApiKey {
        ApiKey::ed25519(self.id.expose_secret(), &self.public)
    }

    /// Puts it where the sidecar looks for it, in the place of the one before.
    pub(super) fn mount(&self, folder: &Folder) -> io::Result<()> {
        folder.mount(SECRETS, &[(KEY_ID, &self.id), (KEY, &self.pem)])
    }
}
