//! Where the demo's stand-ins take requests, in clear or over TLS. Never used outside the demo.

use std::convert::Infallible;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::runtime::drain::Drain;

/// What handshakes go by. It may be replaced at any time; a connection takes the newest.
pub(super) type Tls = Arc<ArcSwap<ServerConfig>>;

/// Serves until the demo ends. A stand-in that cannot accept any more ends: the demo shows what a sidecar makes of that.
pub(super) fn serve<A>(listener: TcpListener, tls: Option<Tls>, drain: &Drain, answer: A)
where
    A: Fn(Request<Incoming>) -> Response<String> + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    let connections = drain.clone();
    drain.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answer, tls) = (Arc::clone(&answer), tls.as_ref().map(|tls| tls.load_full()));
            connections.spawn(async move {
                match tls {
                    None => converse(stream, &*answer).await,
                    Some(tls) => {
                        // Who does not trust the stand-in hangs up.
                        if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                            converse(stream, &*answer).await;
                        }
                    }
                }
            });
        }
    });
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &(impl Fn(Request<Incoming>) -> Response<String> + Sync),
) {
    let service = service_fn(|request| {
        let response = answer(request).map(|text| Full::new(Bytes::from(text)));
        async { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    // A client that hangs up is not the stand-in's concern.
    let _ended = connection.await;
}
