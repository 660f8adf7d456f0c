//! One GET of a small document over a connection of its own: bounded in time and bytes, TLS 1.2 or newer. Never follows
//! a redirect, never asks the environment for a proxy, never believes a content type.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use http::header::{ACCEPT, CACHE_CONTROL, CONNECTION, ETAG, HOST, IF_NONE_MATCH, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::model::settings::KeysUrl;

use super::trust::{self, Unfit};

/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
/// The longest `ETag` that is sent back.
const ETAG_BYTES_MAX: usize = 256;

/// What is fetched, and within which bounds.
pub struct Getter {
    url: KeysUrl,
    host: Host,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
    bytes_max: usize,
}

/// What is connected to.
enum Host {
    /// An address that the URL names.
    Address(IpAddr),
    /// A name to be resolved each time.
    Name,
}

/// An answer.
#[derive(Debug)]
pub enum Got {
    /// A document.
    Document {
        /// Its bytes.
        bytes: Vec<u8>,
        /// What to ask with the next time.
        etag: Option<HeaderValue>,
        /// For how long it is good, as its server says.
        fresh: Option<Duration>,
    },
    /// The document is the one that `etag` stands for.
    NotModified {
        /// For how long it is good, as its server says.
        fresh: Option<Duration>,
    },
}

/// Why there is no document.
#[derive(Debug)]
pub enum GetError {
    /// It took longer than allowed.
    Timeout,
    /// The name cannot be resolved, or nobody answers there.
    Unreachable(std::io::Error),
    /// There is no TLS that can be trusted.
    Tls(std::io::Error),
    /// It leads elsewhere, where nobody may be sent.
    Redirect(StatusCode),
    /// Any other status.
    Status(StatusCode),
    /// More bytes than allowed.
    TooLarge(usize),
    /// It broke off, or was not HTTP.
    Broken(hyper::Error),
}

impl fmt::Display for GetError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => out.write_str("no whole answer came in time"),
            Self::Unreachable(error) => write!(out, "no connection: {error}"),
            Self::Tls(error) => write!(out, "no TLS that can be trusted: {error}"),
            Self::Redirect(status) => write!(out, "a redirect ({status}), which is not followed"),
            Self::Status(status) => write!(out, "the answer is {status}"),
            Self::TooLarge(most) => write!(out, "the document has more than {most} bytes"),
            Self::Broken(error) => write!(out, "no valid answer: {error}"),
        }
    }
}

impl std::error::Error for GetError {}

impl Getter {
    /// Prepares TLS. `ca` is the PEM text of the authorities to trust, instead of the public ones.
    ///
    /// # Errors
    /// The certificates or the host cannot be used.
    pub fn new(
        url: &KeysUrl,
        ca: Option<&str>,
        timeout: Duration,
        bytes_max: usize,
    ) -> Result<Self, Unfit> {
        let host = match (url.host.parse(), url.https) {
            (Ok(address), _) => Host::Address(address),
            // In clear the only name is `localhost`, and nobody is asked what it means.
            (Err(_), false) => Host::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            (Err(_), true) => Host::Name,
        };
        // Certificates that are named are judged even where they are not needed.
        let connector = (url.https || ca.is_some()).then(|| trust::connector(ca));
        let tls = match connector.transpose()?.filter(|_| url.https) {
            Some(connector) => {
                let name = ServerName::try_from(url.host.clone()).map_err(Unfit::Host)?;
                Some((connector, name))
            }
            None => None,
        };
        Ok(Self {
            url: url.clone(),
            host,
            tls,
            timeout,
            bytes_max,
        })
    }

    /// Asks once. With `etag` a document that is still the same need not be sent.
    ///
    /// # Errors
    /// There is no document within the bounds.
    pub async fn get(&self, etag: Option<&HeaderValue>) -> Result<Got, GetError> {
        let got = timeout(self.timeout, self.ask(etag)).await;
        got.unwrap_or(Err(GetError::Timeout))
    }

    async fn ask(&self, etag: Option<&HeaderValue>) -> Result<Got, GetError> {
        let request = self.request(etag);
        let socket = match self.host {
            Host::Address(address) => TcpStream::connect((address, self.url.port)).await,
            Host::Name => TcpStream::connect((self.url.host.as_str(), self.url.port)).await,
        };
        let socket = socket.map_err(GetError::Unreachable)?;
        match &self.tls {
            None => self.exchange(socket, request).await,
            Some((tls, name)) => {
                let stream = tls.connect(name.clone(), socket).await;
                self.exchange(stream.map_err(GetError::Tls)?, request).await
            }
        }
    }

    fn request(&self, etag: Option<&HeaderValue>) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        // Both were judged when the URL was read.
        if let Ok(target) = self.url.target.parse() {
            *request.uri_mut() = target;
        }
        let headers = request.headers_mut();
        if let Ok(host) = HeaderValue::from_str(&self.url.authority) {
            headers.insert(HOST, host);
        }
        let json = HeaderValue::from_static("application/jwk-set+json, application/json");
        headers.insert(ACCEPT, json);
        let agent = concat!("outrider/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if let Some(etag) = etag {
            headers.insert(IF_NONE_MATCH, etag.clone());
        }
        request
    }

    /// Sends and reads, while the connection is driven beside it. Nothing is left running behind.
    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        request: Request<Empty<Bytes>>,
    ) -> Result<Got, GetError> {
        let conditional = request.headers().contains_key(IF_NONE_MATCH);
        let mut builder = http1::Builder::new();
        builder
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX);
        let shaken = builder.handshake(TokioIo::new(stream)).await;
        let (mut sender, driver) = shaken.map_err(GetError::Broken)?;
        let reading = async {
            let answer = sender.send_request(request).await;
            self.read(answer.map_err(GetError::Broken)?, conditional)
                .await
        };
        let (mut reading, mut driver) = (std::pin::pin!(reading), std::pin::pin!(driver));
        let mut driven = false;
        loop {
            tokio::select! {
                biased;
                got = &mut reading => return got,
                // How it ended is told to the reader, who may still have something to read.
                _ended = &mut driver, if !driven => driven = true,
            }
        }
    }

    async fn read(&self, answer: Response<Incoming>, conditional: bool) -> Result<Got, GetError> {
        let (status, headers) = (answer.status(), answer.headers());
        let fresh = fresh(headers);
        let etag = headers
            .get(ETAG)
            .filter(|etag| etag.len() <= ETAG_BYTES_MAX);
        let etag = etag.cloned();
        match status {
            StatusCode::OK => Ok(Got::Document {
                bytes: self.whole(answer.into_body()).await?,
                etag,
                fresh,
            }),
            StatusCode::NOT_MODIFIED if conditional => Ok(Got::NotModified { fresh }),
            status if status.is_redirection() => Err(GetError::Redirect(status)),
            status => Err(GetError::Status(status)),
        }
    }

    async fn whole(&self, mut body: Incoming) -> Result<Vec<u8>, GetError> {
        let most = u64::try_from(self.bytes_max).unwrap_or(u64::MAX);
        // A length that is stated is refused before a byte is read.
        if body.size_hint().lower() > most {
            return Err(GetError::TooLarge(self.bytes_max));
        }
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(GetError::Broken)?.into_data() else {
                continue;
            };
            if data.len() > self.bytes_max - whole.len() {
                return Err(GetError::TooLarge(self.bytes_max));
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole)
    }
}

impl fmt::Debug for Getter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Getter({})", self.url.origin())
    }
}

/// `max-age` (RFC 9111 section 5.2.2.1), if it is more than nothing.
fn fresh(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(CACHE_CONTROL);
    let lines = lines.iter().filter_map(|line| line.to_str().ok());
    let mut directives = lines.flat_map(|line| line.split(',')).map(str::trim);
    let age = directives.find_map(|directive| directive.strip_prefix("max-age="))?;
    age.parse()
        .ok()
        .filter(|age| *age > 0)
        .map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
