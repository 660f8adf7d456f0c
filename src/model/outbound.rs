//! What the way out is told at load: where it listens, whom it takes requests of, where the exchange is. Plain data that
//! `config` fills in; no defaults here.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use subtle::ConstantTimeEq as _;

use super::secret::SecretBytes;

/// Where a service on this machine reaches the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalListen {
    /// On loopback, and nowhere else.
    Tcp(SocketAddr),
    /// On a socket in the file system.
    Unix {
        /// Its path.
        path: PathBuf,
        /// Who may connect: the permission bits of the socket.
        mode: u32,
    },
}

impl fmt::Display for LocalListen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(out),
            Self::Unix { path, .. } => write!(out, "unix:{}", path.display()),
        }
    }
}

/// What a caller on this machine has to show.
pub struct CallerToken(SecretBytes);

impl CallerToken {
    /// Takes the token in.
    #[must_use]
    pub const fn new(token: SecretBytes) -> Self {
        Self(token)
    }

    /// Whether this is it; compared in constant time.
    #[must_use]
    pub fn is(&self, shown: &[u8]) -> bool {
        self.0.expose_secret().ct_eq(shown).into()
    }
}

impl fmt::Debug for CallerToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("CallerToken(..)")
    }
}

/// Bounds of one WebSocket, as they are in force when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketRules {
    /// How long either side may take to take a message in.
    pub write: Duration,
    /// How long the exchange may say nothing, though it is asked whether it is there.
    pub silence: Duration,
    /// Frames that wait for their answers; and as many may be given up before the connection is.
    pub in_flight_max: usize,
}

/// What becomes of the key header, the time and the signature that a client sends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCredentials {
    /// They are taken off, and the sidecar's own are put in their place.
    Replace,
    /// The request is refused.
    Refuse,
}
