//! From what a person writes (a method, a path, some headers, claims) to a question for the pipeline. Reads files;
//! never the network.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};

use crate::cli::exit::{self, Failure};
use crate::config::{self, Loaded};
use crate::model::certificate::ClientCertificate;
use crate::model::clock::{Clock, Now, SystemClock};
use crate::model::facts::Connection;
use crate::model::ip::LOOPBACK;
use crate::model::secret::Secret;
use crate::model::settings::KeySource;
use crate::pipeline::{Assumed, Question, Snapshot};
use crate::roles::load;

/// The configuration that a question is put to, and a key set that stands for its own.
#[derive(clap::Args, Debug)]
pub(super) struct PolicyArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// A key set (PEM or JWK Set) that stands for the configured one; needed for tokens where keys come from a URL
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
}

impl PolicyArgs {
    /// Loads the configuration and builds what requests go by. The error is ready to be shown.
    pub(super) fn snapshot(&self) -> Result<Snapshot, Failure> {
        let environment = std::env::vars_os();
        let loaded = match &self.keys {
            Some(_) => config::load_without_keys(&self.config, environment),
            None => config::load_without_secrets(&self.config, environment),
        };
        let Loaded {
            mut config,
            warnings,
            ..
        } = loaded.map_err(|report| Failure::new(exit::CONFIGURATION, report.refusal(false)))?;
        if config.inbound.listen.is_none() {
            let ways: Vec<&str> = config.outbound.iter().map(|way| &*way.name).collect();
            let why = format!(
                "the configuration has no section `inbound`; of a way out, `outrider explain --outbound NAME` tells: {}",
                ways.join(", ")
            );
            return Err(Failure::new(exit::USAGE, why));
        }
        if let Some(path) = &self.keys {
            let Some(tokens) = &mut config.inbound.tokens else {
                let why = "--keys is given, but the configuration takes no tokens";
                return Err(Failure::new(exit::USAGE, why));
            };
            let kid = match &mut tokens.keys.source {
                KeySource::Text { kid, .. } => kid.take(),
                KeySource::Remote(_) => None,
            };
            let text = read(path)?;
            tokens.keys.source = KeySource::Text { text, kid };
            tokens.keys.origin = path.display().to_string();
        }
        let made = load::snapshot(config.inbound).map_err(|fault| match &self.keys {
            // What is wrong stands in the file that the command line names, not in the configuration.
            Some(_) => fault.message,
            None => warnings.with(*fault).refusal(false),
        });
        match made {
            Ok(loaded) => Ok(loaded.snapshot),
            Err(told) => Err(Failure::new(exit::CONFIGURATION, told)),
        }
    }
}

/// What one request looks like, in words.
#[derive(Default)]
pub(super) struct Sketch {
    /// The method.
    pub(super) method: String,
    /// Path and query.
    pub(super) path: String,
    /// Header lines.
    pub(super) headers: Vec<(String, String)>,
    /// A token, sent as `Authorization: Bearer`.
    pub(super) token: Option<Secret<String>>,
    /// Claims of an identity that counts as verified, as JSON.
    pub(super) claims: Option<String>,
    /// The client's address.
    pub(super) client_ip: Option<IpAddr>,
    /// A client certificate that counts as verified.
    pub(super) certificate: Option<Arc<ClientCertificate>>,
    /// The body; empty where none is sent.
    pub(super) body: Bytes,
    /// The moment, if not this one.
    pub(super) now: Option<Now>,
}

impl Sketch {
    /// The question that this sketch asks of a policy.
    pub(super) fn question(&self, snapshot: &Snapshot) -> Result<Question, String> {
        let now = self.now.unwrap_or_else(|| SystemClock::new().now());
        let head = self.head()?;
        let tokens = snapshot.tokens.as_ref().map(|tokens| tokens.keyring());
        if head.headers.contains_key(AUTHORIZATION)
            && tokens.is_some_and(|keyring| keyring.available(now).is_err())
        {
            return Err(
                "a token can only be judged with `--keys FILE`: the configuration has its keys from a URL, which is \
                 not asked here; or give `claims`"
                    .to_owned(),
            );
        }
        Ok(Question {
            head,
            body: self.body.clone(),
            connection: Connection {
                peer: SocketAddr::new(self.client_ip.unwrap_or(LOOPBACK), 0),
                secure: self.certificate.is_some(),
                certificate: self.certificate.clone(),
            },
            assumed: self.assumed(snapshot, now)?,
            now,
        })
    }

    fn head(&self) -> Result<Parts, String> {
        // The parser drops a fragment without a word, and the rest would be judged as if it were the whole.
        if self.path.contains('#') {
            return Err(format!(
                "`{}` holds a `#`, which no request does: write %23",
                self.path
            ));
        }
        let request = Request::builder()
            .method(self.method.as_str())
            .uri(self.path.as_str())
            .body(());
        let mut head = request
            .map_err(|error| format!("not a request: {error}"))?
            .into_parts()
            .0;
        if head.uri.path_and_query().is_none() && head.method != Method::CONNECT {
            return Err(format!("`{}` does not begin with `/`", self.path));
        }
        for (name, value) in &self.headers {
            let name: HeaderName = name
                .parse()
                .map_err(|_| format!("`{name}` is not a header name"))?;
            let value = HeaderValue::from_str(value)
                .map_err(|_| format!("the value of {name} is not a header value"))?;
            head.headers.append(name, value);
        }
        if !head.headers.contains_key(HOST) {
            head.headers
                .insert(HOST, HeaderValue::from_static("localhost"));
        }
        self.judge_headers(&head.headers)?;
        let framed = [CONTENT_LENGTH, TRANSFER_ENCODING];
        if !self.body.is_empty() && !framed.iter().any(|name| head.headers.contains_key(name)) {
            let length = HeaderValue::from(self.body.len());
            head.headers.insert(CONTENT_LENGTH, length);
        }
        if let Some(token) = &self.token {
            let text = Secret::new(format!("Bearer {}", token.expose_secret().trim()));
            let value = HeaderValue::from_str(text.expose_secret())
                .map_err(|_| "the token holds a character that no header may hold")?;
            // Beside one that was given as a header, as a client would send both.
            head.headers.append(AUTHORIZATION, value);
        }
        Ok(head)
    }

    /// Refuses what contradicts the rest of the sketch; a header that is merely wrong is for the policy to judge.
    fn judge_headers(&self, headers: &HeaderMap) -> Result<(), String> {
        if self.claims.is_some() && headers.contains_key(AUTHORIZATION) {
            return Err(
                "claims stand for a verified token: leave the authorization header out".to_owned(),
            );
        }
        let length = headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok());
        let told = length.and_then(|text| text.parse::<usize>().ok());
        let own = self.body.len();
        match told {
            Some(told) if told != own && !headers.contains_key(TRANSFER_ENCODING) => Err(format!(
                "content-length says {told}, but the body has {own} bytes"
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn assumed(&self, snapshot: &Snapshot, now: Now) -> Result<Assumed, String> {
        let Some(claims) = &self.claims else {
            return Ok(Assumed::Nothing);
        };
        let Some(verifier) = &snapshot.tokens else {
            return Err("claims are given, but the configuration takes no tokens".to_owned());
        };
        let identity = verifier.assume(claims.as_bytes(), now);
        identity.map(Assumed::Verified).map_err(|reason| {
            format!(
                "no token with these claims would be good: {}",
                reason.as_str()
            )
        })
    }
}

/// Reads a file; the error is ready to be shown.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| unread(path, &error))
}

/// Reads a file whose bytes need not be text.
pub(super) fn read_bytes(path: &Path) -> Result<Bytes, Failure> {
    let bytes = fs::read(path).map_err(|error| unread(path, &error))?;
    Ok(Bytes::from(bytes))
}

fn unread(path: &Path, error: &io::Error) -> Failure {
    Failure::new(exit::IO, format!("{}: {error}", path.display()))
}

/// Reads a moment: RFC 3339, such as `2026-11-22T10:00:00Z`.
pub(super) fn parse_now(text: &str) -> Result<Now, String> {
    let moment: jiff::Timestamp = text
        .parse()
        .map_err(|_| format!("`{text}` is not a time (like 2026-11-22T10:00:00Z)"))?;
    Ok(Now {
        mono_ns: 0,
        unix_us: moment.as_microsecond(),
    })
}
