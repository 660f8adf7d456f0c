//! The way to the collector of spans: one connection for each batch, in clear or over TLS. Follows no redirect, and never
//! says what was sent.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The most bytes of a collector's answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Sends what the exporter of the library makes. Without a connector nothing goes to `https://`.
pub(super) struct Collector(pub(super) Option<TlsConnector>);

impl fmt::Debug for Collector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Collector")
    }
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Collector {
    fn send_bytes<'own, 'out>(&'own self, request: Request<Bytes>) -> Sent<'out>
    where
        'own: 'out,
        Self: 'out,
    {
        Box::pin(self.post(request))
    }
}

impl Collector {
    async fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let secure = request.uri().scheme_str() == Some("https");
        let (mut head, body) = request.into_parts();
        let authority = head.uri.authority().ok_or("the endpoint names no host")?;
        let host = HeaderValue::from_str(authority.as_str())?;
        let port = authority
            .port_u16()
            .unwrap_or(if secure { 443 } else { 80 });
        let name = authority.host().trim_matches(['[', ']']).to_owned();
        let target = head.uri.path_and_query();
        let target = target.map_or("/", |target| target.as_str());
        head.uri = Uri::try_from(target)?;
        head.headers.insert(HOST, host);
        let request = Request::from_parts(head, Full::new(body));
        let socket = TcpStream::connect((name.as_str(), port)).await?;
        if !secure {
            return exchange(socket, request).await;
        }
        let tls = self.0.as_ref().ok_or("TLS was not set up")?;
        let stream = tls.connect(ServerName::try_from(name)?, socket).await?;
        exchange(stream, request).await
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, HttpError> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX);
        #[expect(
            clippy::disallowed_methods,
            reason = "limited in bytes here and in time by the exporter"
        )]
        let body = body.collect().await?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    // Drives the connection. Where it ends first, the exchange has its answer or its error already.
    let driving = async {
        drop(connection.await);
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        answered = exchange => answered,
        never = driving => match never {},
    }
}
