//! The demo's token issuer: RSA keys made while it runs, three users, a token for whoever asks, all over TLS. Never used
//! outside the demo.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, Response, StatusCode};
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::model::clock::{Clock as _, SystemClock};
use crate::model::ip::LOOPBACK;
use crate::model::secret::Secret;
use crate::runtime::crypto;
use crate::runtime::drain::Drain;

use super::authority::Pair;
use super::listener::{self, Tls};

/// The `iss` of its tokens.
pub(super) const NAME: &str = "https://issuer.demo";

/// Where its public keys are.
pub(super) const KEYS_PATH: &str = "/jwks.json";

/// The `aud` of its tokens.
const AUDIENCE: &str = "order-gateway";

/// Seconds that a token lives.
const LIFE: i64 = 900;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 128;

/// Somebody who can have a token.
#[derive(Clone, Copy)]
pub(super) struct User {
    pub(super) name: &'static str,
    role: &'static str,
    /// Seconds since the second factor.
    factor_age: i64,
}

pub(super) const TRADER: User = User {
    name: "trader",
    role: "trader",
    factor_age: 0,
};

pub(super) const VIEWER: User = User {
    name: "viewer",
    role: "viewer",
    factor_age: 0,
};

/// A trader whose second factor was an hour ago.
pub(super) const TIRED_TRADER: User = User {
    name: "tired-trader",
    role: "trader",
    factor_age: 3600,
};

/// Everybody who can have a token.
pub(super) const USERS: [User; 3] = [TRADER, VIEWER, TIRED_TRADER];

/// Signs tokens. Cheap to clone.
#[derive(Clone)]
pub(super) struct Issuer {
    keys: Arc<Mutex<Keys>>,
    tls: Tls,
}

/// What it signs with, and what it publishes.
struct Keys {
    signing: Arc<Key>,
    published: Vec<Arc<Key>>,
    /// How many were made so far: they are named by it.
    made: u32,
}

struct Key {
    kid: String,
    pair: KeyPair,
}

/// The issuer's port before anybody answers there: whoever connects is refused.
pub(super) struct Closed {
    socket: TcpSocket,
    pub(super) address: SocketAddr,
}

impl Closed {
    /// Takes a free port of this machine.
    pub(super) fn reserve() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(LOOPBACK, 0))?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// From now on the issuer answers `/token/USER` and `/jwks.json` there.
    pub(super) fn open(self, issuer: &Issuer, drain: &Drain) -> io::Result<()> {
        let (issuer, tls) = (issuer.clone(), Arc::clone(&issuer.tls));
        let listener = self.socket.listen(BACKLOG)?;
        listener::serve(listener, Some(tls), drain, move |request| {
            issuer.answer(&request)
        });
        Ok(())
    }
}

impl Issuer {
    /// One key, and a certificate to show.
    pub(super) fn new(certificate: &Pair) -> io::Result<Self> {
        let first = Arc::new(Key::new(1)?);
        let keys = Keys {
            signing: Arc::clone(&first),
            published: vec![first],
            made: 1,
        };
        Ok(Self {
            keys: Arc::new(Mutex::new(keys)),
            tls: Arc::new(ArcSwap::from_pointee(config(certificate)?)),
        })
    }

    /// Shows another certificate from now on.
    pub(super) fn show(&self, certificate: &Pair) -> io::Result<()> {
        self.tls.store(Arc::new(config(certificate)?));
        Ok(())
    }

    /// Publishes a second key. Nothing is signed with it yet, so that everybody can learn it first.
    pub(super) fn publish_next(&self) -> io::Result<()> {
        let mut keys = self.keys();
        let number = keys.made.saturating_add(1);
        keys.published.push(Arc::new(Key::new(number)?));
        keys.made = number;
        Ok(())
    }

    /// Signs with the newest key from now on.
    pub(super) fn sign_with_newest(&self) {
        let mut keys = self.keys();
        if let Some(newest) = keys.published.last().map(Arc::clone) {
            keys.signing = newest;
        }
    }

    /// Publishes only the key that it signs with.
    pub(super) fn retire_others(&self) {
        let mut keys = self.keys();
        keys.published = vec![Arc::clone(&keys.signing)];
    }

    /// The public keys as a JWK Set.
    pub(super) fn jwks(&self) -> String {
        let keys: Vec<Value> = self.keys().published.iter().map(|key| key.jwk()).collect();
        json!({"keys": keys}).to_string()
    }

    /// An access token for a user.
    pub(super) fn token(&self, user: &User) -> io::Result<Secret<String>> {
        let key = Arc::clone(&self.keys().signing);
        let now = SystemClock::new().now().unix_seconds();
        let claims = json!({
            "iss": NAME, "aud": AUDIENCE, "sub": user.name, "roles": [user.role],
            "amr": ["pwd", "otp"], "auth_time": now - user.factor_age,
            "iat": now, "exp": now + LIFE, "tokenType": "access",
        });
        let header = json!({"alg": "RS256", "typ": "at+jwt", "kid": key.kid});
        let message = format!("{}.{}", part(&header), part(&claims));
        let signature = key.sign(message.as_bytes())?;
        Ok(Secret::new(format!("{message}.{}", b64(&signature))))
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<String> {
        let path = request.uri().path();
        let user = path
            .strip_prefix("/token/")
            .and_then(|name| USERS.iter().find(|user| user.name == name));
        let body = match user {
            Some(user) => self
                .token(user)
                .ok()
                .map(|token| token.expose_secret().clone()),
            None => (path == KEYS_PATH).then(|| self.jwks()),
        };
        let status = if body.is_some() {
            StatusCode::OK
        } else {
            StatusCode::NOT_FOUND
        };
        let mut response = Response::new(body.unwrap_or_default());
        *response.status_mut() = status;
        response
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        // Whole at every step, so a panic elsewhere does not spoil it.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    fn new(number: u32) -> io::Result<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048);
        Ok(Self {
            kid: format!("demo-{number}"),
            pair: pair.map_err(|_| io::Error::other("no key could be made"))?,
        })
    }

    fn jwk(&self) -> Value {
        let public = self.pair.public_key();
        let modulus = b64(public.modulus().big_endian_without_leading_zero());
        let exponent = b64(public.exponent().big_endian_without_leading_zero());
        json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "n": modulus, "e": exponent})
    }

    fn sign(&self, message: &[u8]) -> io::Result<Vec<u8>> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let (padding, random) = (&RSA_PKCS1_SHA256, SystemRandom::new());
        let signed = self.pair.sign(padding, &random, message, &mut signature);
        signed.map_err(|_| io::Error::other("no token could be signed"))?;
        Ok(signature)
    }
}

fn config(certificate: &Pair) -> io::Result<ServerConfig> {
    ServerConfig::builder_with_provider(crypto::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.shown()?], certificate.private()?)
        .map_err(io::Error::other)
}

fn part(value: &Value) -> String {
    b64(value.to_string().as_bytes())
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
