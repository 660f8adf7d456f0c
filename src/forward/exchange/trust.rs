//! Whether a server is the exchange: its name, the path to a trusted root, and the pins, in one judgement before a byte of
//! HTTP. There is no switch that lets anybody pass.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::{TrustAnchor, UnixTime};
use rustls::{CertificateError, Error, OtherError};
use webpki::VerifiedPath;

use super::path::Chain;
use super::verifier::{Judging, Shown};
use crate::model::pins::{PinMode, PinSet};

/// Why a server is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustFault {
    /// Its certificate, or one it sent along, cannot be read.
    Unreadable,
    /// Its certificate is for another host.
    Host,
    /// A certificate of the chain is expired or not yet valid.
    OutOfDate,
    /// No path leads to a root that is trusted.
    Issuer,
    /// The certificate is not one for servers, or not valid otherwise.
    Invalid,
    /// It does not hold the private half of its certificate's key.
    Key,
    /// Everybody has the private half of a key in the chain; why, a sentence.
    SharedKey(&'static str),
    /// The pins count no more.
    PinsExpired,
    /// All is well but for the pins: none of these keys is pinned.
    Pins(Chain),
}

impl TrustFault {
    /// The fault that the library means.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign list that grows; what is new there is invalid, as most of what is here"
    )]
    pub(super) const fn of(error: &webpki::Error) -> Self {
        use webpki::Error as E;
        match error {
            E::BadDer | E::BadDerTime | E::TrailingData(_) => Self::Unreadable,
            E::CertNotValidForName(_) => Self::Host,
            E::CertExpired { .. } | E::CertNotValidYet { .. } | E::InvalidCertValidity => {
                Self::OutOfDate
            }
            E::UnknownIssuer | E::InvalidSignatureForPublicKey => Self::Issuer,
            _ => Self::Invalid,
        }
    }

    /// The same for the library, which tells the server by an alert (RFC 8446 section 6.2).
    pub(super) fn error(&self) -> Error {
        let error = match self {
            Self::Unreadable => CertificateError::BadEncoding,
            Self::Host => CertificateError::NotValidForName,
            Self::OutOfDate => CertificateError::Expired,
            Self::Issuer => CertificateError::UnknownIssuer,
            Self::Key => CertificateError::BadSignature,
            Self::Invalid | Self::SharedKey(_) | Self::PinsExpired | Self::Pins(_) => {
                CertificateError::Other(OtherError(Arc::new(self.clone())))
            }
        };
        Error::InvalidCertificate(error)
    }
}

impl fmt::Display for TrustFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => out.write_str("its certificate cannot be read"),
            Self::Host => out.write_str("its certificate is for another host"),
            Self::OutOfDate => out.write_str("a certificate is expired or not yet valid"),
            Self::Issuer => out.write_str("its certificate does not lead to a trusted root"),
            Self::Invalid => out.write_str("its certificate is not valid for a server"),
            Self::Key => out.write_str("it does not hold the key of its certificate"),
            Self::SharedKey(why) => write!(out, "its key proves nothing: {why}"),
            Self::PinsExpired => out.write_str("the pins have expired"),
            Self::Pins(chain) => {
                out.write_str("none of its keys is pinned:")?;
                let mut links = chain.links().iter();
                links.try_for_each(|link| write!(out, " {} {}", link.level.name(), link.pin))
            }
        }
    }
}

impl std::error::Error for TrustFault {}

/// A server that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The chain that proves it.
    pub chain: Chain,
    /// Whether one of its keys is pinned; `None` without pins. `Some(false)` only where pins are tried out.
    pub pinned: Option<bool>,
}

/// Whom to believe. Immutable: other pins or roots are another one.
pub(super) struct Trust {
    roots: Vec<TrustAnchor<'static>>,
    pins: Option<PinSet>,
}

impl Trust {
    pub(super) const fn new(roots: Vec<TrustAnchor<'static>>, pins: Option<PinSet>) -> Self {
        Self { roots, pins }
    }

    /// Judges what a server sent. Every path is tried until one meets the pins, because a certificate can have several
    /// (cross-signed authorities), and the first that is found need not be the one that was pinned.
    pub(super) fn judge(&self, shown: &Shown<'_>) -> Result<Proven, TrustFault> {
        let pins = self.pins_at(shown.now)?;
        // As many as the library's bound on signatures allows.
        let tried = RefCell::new(Vec::new());
        let meets = |path: &VerifiedPath<'_>| {
            let chain = Chain::of(path);
            let met = pins.meet(&chain);
            tried.borrow_mut().push(chain);
            // Any error means: try another path.
            met.then_some(()).ok_or(webpki::Error::UnknownIssuer)
        };
        let built = shown.paths(&self.roots, &meets);
        let mut tried = tried.into_inner().into_iter();
        let proven = match built {
            Ok(()) => tried.next_back().map(|chain| pins.met(chain)),
            Err(error) => match tried.next() {
                Some(chain) => Some(self.missed(chain)?),
                None => return Err(error),
            },
        };
        // A path that was built was tried.
        let proven = proven.ok_or(TrustFault::Invalid)?;
        match shared(&proven.chain) {
            Some(why) => Err(TrustFault::SharedKey(why)),
            None => Ok(proven),
        }
    }

    /// What the pins ask for at this moment.
    fn pins_at(&self, now: UnixTime) -> Result<Asked<'_>, TrustFault> {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        match &self.pins {
            None => Ok(Asked::Nothing),
            Some(pins) if !pins.is_expired(now) => Ok(Asked::One(pins)),
            Some(pins) => match pins.mode() {
                PinMode::Enforce => Err(TrustFault::PinsExpired),
                PinMode::Report => Ok(Asked::Lapsed),
            },
        }
    }

    /// A chain that holds in everything but the pins.
    fn missed(&self, chain: Chain) -> Result<Proven, TrustFault> {
        let mode = self.pins.as_ref().map(PinSet::mode);
        if mode == Some(PinMode::Report) {
            let pinned = Some(false);
            return Ok(Proven { chain, pinned });
        }
        Err(TrustFault::Pins(chain))
    }
}

/// What a chain must meet.
enum Asked<'t> {
    /// There are no pins.
    Nothing,
    /// One of these.
    One(&'t PinSet),
    /// Pins that were tried out and count no more: nothing meets them.
    Lapsed,
}

impl Asked<'_> {
    fn meet(&self, chain: &Chain) -> bool {
        match self {
            Self::Nothing => true,
            Self::One(pins) => chain.meets(pins),
            Self::Lapsed => false,
        }
    }

    const fn met(&self, chain: Chain) -> Proven {
        let pinned = match self {
            Self::Nothing => None,
            Self::One(_) | Self::Lapsed => Some(true),
        };
        Proven { chain, pinned }
    }
}

/// Why a chain proves nothing, if everybody has the private half of a key in it.
pub(super) fn shared(chain: &Chain) -> Option<&'static str> {
    chain.links().iter().find_map(|link| link.pin.shared())
}

/// The judge of one handshake: it remembers what it said, so that the connection knows what it was believed by.
pub(super) struct Judge {
    trust: Arc<Trust>,
    said: Mutex<Option<Result<Proven, TrustFault>>>,
}

impl Judge {
    pub(super) const fn new(trust: Arc<Trust>) -> Self {
        Self {
            trust,
            said: Mutex::new(None),
        }
    }

    /// What was said, if it came to that.
    pub(super) fn take(&self) -> Option<Result<Proven, TrustFault>> {
        self.said().take()
    }

    fn said(&self) -> MutexGuard<'_, Option<Result<Proven, TrustFault>>> {
        // A verdict is written whole.
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Judging for Judge {
    fn judge(&self, shown: &Shown<'_>) -> Result<(), TrustFault> {
        let judged = self.trust.judge(shown);
        let answer = judged.as_ref().map(|_| ()).map_err(TrustFault::clone);
        *self.said() = Some(judged);
        answer
    }
}
