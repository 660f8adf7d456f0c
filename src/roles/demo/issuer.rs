//! The demo's token issuer: one RSA key made at start, three users, a token for whoever asks. Never used outside the demo.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::model::clock::{Clock as _, SystemClock};
use crate::model::secret::Secret;
use crate::runtime::drain::Drain;

use super::service;

/// The `iss` of its tokens.
pub(super) const NAME: &str = "https://issuer.demo";

/// The `aud` of its tokens.
const AUDIENCE: &str = "order-gateway";

/// Seconds that a token lives.
const LIFE: i64 = 900;

/// Somebody who can have a token.
#[derive(Clone, Copy)]
pub(super) struct User {
    pub(super) name: &'static str,
    pub(super) role: &'static str,
    /// Seconds since the second factor.
    factor_age: i64,
}

/// A trader, a viewer, and a trader whose second factor was an hour ago.
pub(super) const USERS: &[User] = &[
    User {
        name: "trader",
        role: "trader",
        factor_age: 0,
    },
    User {
        name: "viewer",
        role: "viewer",
        factor_age: 0,
    },
    User {
        name: "tired-trader",
        role: "trader",
        factor_age: 3600,
    },
];

/// Signs tokens. Cheap to clone.
#[derive(Clone)]
pub(super) struct Issuer(Arc<KeyPair>);

impl Issuer {
    pub(super) fn new() -> io::Result<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048);
        pair.map(|pair| Self(Arc::new(pair)))
            .map_err(|_| io::Error::other("no key could be made"))
    }

    /// The public key as a JWK Set.
    pub(super) fn jwks(&self) -> String {
        let public = self.0.public_key();
        let modulus = b64(public.modulus().big_endian_without_leading_zero());
        let exponent = b64(public.exponent().big_endian_without_leading_zero());
        let key = json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "demo", "n": modulus, "e": exponent});
        json!({"keys": [key]}).to_string()
    }

    /// An access token for a user.
    pub(super) fn token(&self, user: &User) -> io::Result<Secret<String>> {
        let now = SystemClock::new().now().unix_seconds();
        let claims = json!({
            "iss": NAME, "aud": AUDIENCE, "sub": user.name, "roles": [user.role],
            "amr": ["pwd", "otp"], "auth_time": now - user.factor_age,
            "iat": now, "exp": now + LIFE, "tokenType": "access",
        });
        let header = json!({"alg": "RS256", "typ": "at+jwt", "kid": "demo"});
        let message = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message.as_bytes(),
                &mut signature,
            )
            .map_err(|_| io::Error::other("no token could be signed"))?;
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
            None => (path == "/jwks.json").then(|| self.jwks()),
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
}

/// Answers `/token/USER` and `/jwks.json`.
pub(super) async fn start(issuer: &Issuer, drain: &Drain) -> io::Result<SocketAddr> {
    let issuer = issuer.clone();
    service::listen(drain, move |request| issuer.answer(&request)).await
}

fn part(value: &Value) -> String {
    b64(value.to_string().as_bytes())
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
