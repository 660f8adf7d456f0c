//! The demo's client: requests over connections of its own, with TLS where it is told whom to trust. Never used outside
//! the demo.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::runtime::crypto;

use super::authority::{Pair, roots};

/// The longest a request of the story may take, on a machine that is busy.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Whom to ask, and how. Cheap to clone.
#[derive(Clone)]
pub(super) struct Client {
    to: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

/// A connection that is kept from one request to the next.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// What moves the bytes, until the connection has ended. It is only asked to while an answer is waited for.
    driver: Option<Pin<Box<Driver>>>,
    /// The certificate that the server showed.
    pub(super) shown: Option<CertificateDer<'static>>,
}

type Driver = dyn Future<Output = hyper::Result<()>> + Send;

impl Client {
    /// Asks in clear.
    pub(super) const fn clear(to: SocketAddr) -> Self {
        Self { to, tls: None }
    }

    /// Asks over TLS: whom to trust (PEM), and what to show.
    pub(super) fn trusting(to: SocketAddr, ca: &str, own: Option<&Pair>) -> io::Result<Self> {
        let builder = ClientConfig::builder_with_provider(crypto::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(io::Error::other)?
            .with_root_certificates(roots(ca)?);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => builder
                .with_client_auth_cert(vec![own.shown()?], own.private()?)
                .map_err(io::Error::other)?,
        };
        Ok(Self {
            to,
            tls: Some(Arc::new(config)),
        })
    }

    /// Sends a request over a connection of its own and reads the whole answer.
    pub(super) async fn send(&self, request: Request<String>) -> io::Result<Response<String>> {
        self.connect().await?.send(request).await
    }

    /// Opens a connection.
    pub(super) async fn connect(&self) -> io::Result<Connection> {
        let opened = timeout(PATIENCE, self.open()).await;
        opened.unwrap_or_else(|_| Err(late("accept a connection")))
    }

    async fn open(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect(self.to).await?;
        let Some(tls) = &self.tls else {
            return Connection::over(stream, None).await;
        };
        let name = ServerName::IpAddress(self.to.ip().into());
        let connector = TlsConnector::from(Arc::clone(tls));
        let stream = connector.connect(name, stream).await?;
        let (_, session) = stream.get_ref();
        let shown = session.peer_certificates().and_then(<[_]>::first);
        let shown = shown.map(|shown| shown.clone().into_owned());
        Connection::over(stream, shown).await
    }
}

impl Connection {
    async fn over<S>(stream: S, shown: Option<CertificateDer<'static>>) -> io::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        Ok(Self {
            sender,
            driver: Some(Box::pin(driver)),
            shown,
        })
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn send(&mut self, request: Request<String>) -> io::Result<Response<String>> {
        let answered = timeout(PATIENCE, self.exchange(request)).await;
        answered.unwrap_or_else(|_| Err(late("answer")))
    }

    async fn exchange(&mut self, request: Request<String>) -> io::Result<Response<String>> {
        let request = request.map(|body| Full::new(Bytes::from(body)));
        let answer = answer(&mut self.sender, request);
        let mut answer = std::pin::pin!(answer);
        let Some(driver) = &mut self.driver else {
            return Err(io::Error::other("the connection has ended"));
        };
        let ended = tokio::select! {
            answer = &mut answer => return answer,
            ended = driver => ended,
        };
        self.driver = None;
        ended.map_err(io::Error::other)?;
        answer.await
    }
}

async fn answer(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> io::Result<Response<String>> {
    sender.ready().await.map_err(io::Error::other)?;
    let answer = sender.send_request(request).await;
    let (head, body) = answer.map_err(io::Error::other)?.into_parts();
    #[expect(
        clippy::disallowed_methods,
        reason = "limited, and only the demo's own answers"
    )]
    let body = Limited::new(body, ANSWER_BYTES_MAX)
        .collect()
        .await
        .map_err(io::Error::other)?;
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    Ok(Response::from_parts(head, text))
}

fn late(what: &str) -> io::Error {
    io::Error::other(format!("it did not {what} within {}s", PATIENCE.as_secs()))
}
