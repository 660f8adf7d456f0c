//! The signers by name: one file and one line each. A signer is an exchange's rule with the keys of one account; it is
//! given facts, time and nonce, and gives bytes. Never reads a clock, never waits, never shows a key.

#![warn(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod binance;

use std::borrow::Cow;
use std::collections::BTreeMap;

use aws_lc_rs::digest::{Digest, SHA256, digest};
use http::HeaderName;

pub use binance::{BinanceSettings, RecvWindow};

pub use super::signing::explain::{Explained, Line};
pub use super::signing::key::{Algorithm, KeyEncoding, KeyFault, SigningKey};
pub use super::signing::scheme::Program;
pub use super::signing::{Fresh, Needs, Session, SignFault, SignInput, Signed, TimeUnit};

use super::signing::scheme;
use crate::model::decode::suggest;
use crate::model::exchange::Security;
use crate::model::frame::Frame;
use crate::model::secret::Secret;

/// A row of [`SIGNERS`].
#[derive(Debug)]
pub struct Kind {
    /// What `signer:` names.
    pub name: &'static str,
    /// Where its rule is written.
    pub how: How,
}

/// Where a signer's rule is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// In Rust: what the scheme cannot say, such as WebSocket frames.
    Binance,
    /// As YAML in the scheme that platform teams use too; `config` reads it.
    Scheme(&'static str),
}

/// Every signer that has a name.
pub const SIGNERS: &[Kind] = &[
    Kind {
        name: "binance",
        how: How::Binance,
    },
    Kind {
        name: "bitfinex",
        how: How::Scheme(include_str!("bitfinex.yaml")),
    },
    Kind {
        name: "bybit",
        how: How::Scheme(include_str!("bybit.yaml")),
    },
    Kind {
        name: "coinbase",
        how: How::Scheme(include_str!("coinbase.yaml")),
    },
    Kind {
        name: "coinbase-es256",
        how: How::Scheme(include_str!("coinbase_es256.yaml")),
    },
    Kind {
        name: "gate",
        how: How::Scheme(include_str!("gate.yaml")),
    },
    Kind {
        name: "kraken",
        how: How::Scheme(include_str!("kraken.yaml")),
    },
    Kind {
        name: "kucoin",
        how: How::Scheme(include_str!("kucoin.yaml")),
    },
    Kind {
        name: "okx",
        how: How::Scheme(include_str!("okx.yaml")),
    },
    Kind {
        name: "upbit",
        how: How::Scheme(include_str!("upbit.yaml")),
    },
];

/// The signer of this name, or what was probably meant.
pub fn find(name: &str) -> Result<&'static Kind, String> {
    let names: Vec<&str> = SIGNERS.iter().map(|kind| kind.name).collect();
    SIGNERS
        .iter()
        .find(|kind| kind.name == name)
        .ok_or_else(|| suggest(name, &names))
}

/// The secrets of one account, under the names by which the signer's rule calls them. `Debug` names none.
#[derive(Default)]
pub struct Secrets(BTreeMap<String, Secret<Vec<u8>>>);

/// What only the signer may set: a client's are taken off before the request is judged, or refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Headers.
    pub headers: Vec<HeaderName>,
    /// Parameters of query and form, for [`clean`](crate::model::form::clean).
    pub params: Vec<String>,
    /// Parameters of WebSocket frames, for [`Frame::strip`].
    pub members: Vec<String>,
}

/// By what a key is known again after a reload. Never leaves the process, and is never shown.
#[derive(Clone)]
pub struct SignerMark(Digest);

impl PartialEq for SignerMark {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_ref() == other.0.as_ref()
    }
}

impl Eq for SignerMark {}

impl std::fmt::Debug for SignerMark {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SignerMark")
    }
}

/// A rule with the keys of one account. Immutable: new keys make another signer.
pub struct Signer(Inner);

enum Inner {
    Binance(Box<binance::Binance>),
    Scheme(Box<scheme::Bound>),
}

impl Signer {
    /// Binance's rule with a key; `key_id` is what Binance calls the API key.
    pub fn binance(
        settings: BinanceSettings,
        key_id: Secret<Vec<u8>>,
        key: SigningKey,
    ) -> Result<Self, KeyFault> {
        binance::Binance::new(settings, key_id, key)
            .map(|signer| Self(Inner::Binance(Box::new(signer))))
    }

    /// A rule of the scheme with the secrets that it names; one that is missing, or that it does not know, is a fault.
    pub fn scheme(program: &Program, secrets: Secrets) -> Result<Self, String> {
        scheme::Bound::new(program, secrets).map(|bound| Self(Inner::Scheme(Box::new(bound))))
    }

    /// Signs a request. The bytes that come back are those that were signed: they are sent as they are.
    pub fn sign(&self, input: &SignInput<'_>, fresh: &Fresh) -> Result<Signed, SignFault> {
        match &self.0 {
            Inner::Binance(signer) => signer.sign(input, fresh),
            Inner::Scheme(bound) => bound.sign(input, fresh),
        }
    }

    /// Signs a frame of a WebSocket API, from which the client's own credentials were stripped; the new frame.
    pub fn sign_frame(
        &self,
        frame: &Frame<'_>,
        security: Security,
        session: Session,
        fresh: &Fresh,
    ) -> Result<String, SignFault> {
        match &self.0 {
            Inner::Binance(signer) => signer.sign_frame(frame, security, session, fresh),
            Inner::Scheme(_) => Err(SignFault::NoFrames),
        }
    }

    /// The frame that logs a WebSocket on with our key; `id` is a JSON text.
    pub fn log_on(&self, id: &str, fresh: &Fresh) -> Result<String, SignFault> {
        match &self.0 {
            Inner::Binance(signer) => signer.log_on(id, fresh),
            Inner::Scheme(_) => Err(SignFault::NoFrames),
        }
    }

    /// Whether a WebSocket can be logged on with this key.
    #[must_use]
    pub fn can_log_on(&self) -> bool {
        match &self.0 {
            Inner::Binance(signer) => signer.can_log_on(),
            Inner::Scheme(_) => false,
        }
    }

    /// What tells this key from another one for as long as the process runs: two signers with the same rule and key have
    /// the same mark, whatever files they were read from. None where frames are not signed.
    #[must_use]
    pub fn mark(&self) -> Option<SignerMark> {
        let probe = Frame {
            method: Cow::Borrowed(""),
            id: None,
            params: Vec::new(),
        };
        let never = Fresh {
            unix_us: 0,
            nonce: 0,
            random: [0; 32],
        };
        // Signatures that are no two times the same belong to rules without frames.
        let signed = self.sign_frame(&probe, Security::Signed, Session::Anonymous, &never);
        Some(SignerMark(digest(&SHA256, signed.ok()?.as_bytes())))
    }

    /// Whether the rule signs such a call at all; where it does not, the call is public and gets no key.
    #[must_use]
    pub fn signs(&self, method: &http::Method, path: &str) -> bool {
        match &self.0 {
            Inner::Binance(_) => true,
            Inner::Scheme(bound) => bound.program().signs(method, path),
        }
    }

    /// What [`Fresh`] must hold beside the time.
    #[must_use]
    pub fn needs(&self) -> Needs {
        match &self.0 {
            Inner::Binance(_) => Needs::default(),
            Inner::Scheme(bound) => bound.program().needs(),
        }
    }

    /// What only the signer may set. Asked once, when a listener is made ready.
    #[must_use]
    pub fn own(&self) -> Own {
        match &self.0 {
            Inner::Binance(_) => Own {
                headers: binance::OWN_HEADERS.to_vec(),
                params: binance::OWN_PARAMS.map(str::to_owned).to_vec(),
                members: binance::OWN_MEMBERS.map(str::to_owned).to_vec(),
            },
            Inner::Scheme(bound) => bound.program().own(),
        }
    }

    /// Signs, and says how: every step and the result, with secrets masked and signatures cut.
    pub fn explain(&self, input: &SignInput<'_>, fresh: &Fresh) -> Result<Explained, SignFault> {
        match &self.0 {
            Inner::Binance(signer) => signer.explain(input, fresh),
            Inner::Scheme(bound) => bound.explain(input, fresh),
        }
    }
}

impl Signer {
    /// The same for a frame of a WebSocket API, from which the client's own credentials were stripped; the last line is
    /// the frame.
    pub fn explain_frame(
        &self,
        frame: &Frame<'_>,
        security: Security,
        session: Session,
        fresh: &Fresh,
    ) -> Result<Vec<Line>, SignFault> {
        match &self.0 {
            Inner::Binance(signer) => signer.explain_frame(frame, security, session, fresh),
            Inner::Scheme(_) => Err(SignFault::NoFrames),
        }
    }
}

impl Secrets {
    /// Adds one.
    pub fn insert(&mut self, name: impl Into<String>, secret: Secret<Vec<u8>>) {
        self.0.insert(name.into(), secret);
    }

    /// Takes one out.
    pub fn take(&mut self, name: &str) -> Option<Secret<Vec<u8>>> {
        self.0.remove(name)
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secrets")
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Signer")
    }
}
