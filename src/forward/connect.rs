//! New connections to the service, over TCP or a Unix socket. Never sends a byte of a request.

use std::io;
use std::sync::Arc;

use hyper::client::conn::http1::{Builder, Connection as Driver};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::RequestBody;
use super::pool::{Connection, Pool};
use super::request_body::Watched;
use crate::model::denial::{Cause, Denial};
use crate::model::settings::Upstream;

/// Bytes of the head of an answer. Larger ones are no valid answer.
const ANSWER_HEAD_BYTES_MAX: usize = 64 * 1024;

/// Bytes that wait in hyper for the client to take them, each way.
const BUFFER_BYTES_MAX: usize = 128 * 1024;

/// Makes a connection, in time and if there is a place for one more.
pub(super) async fn connect<B: RequestBody>(
    pool: &Arc<Pool<B>>,
) -> Result<Connection<B>, Box<Denial>> {
    let Some(place) = pool.reserve() else {
        let why = "every connection to the service is in use";
        return Err(Denial::new(Cause::Overloaded, why));
    };
    let opened = match timeout(pool.connect, open(&pool.upstream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(unreachable(&error.to_string())),
        Err(_elapsed) => return Err(unreachable("no connection in time")),
    };
    let (hold, dropped) = oneshot::channel();
    let made = match opened {
        Stream::Tcp(stream) => handshake(stream).await.map(|(sender, driver)| {
            (pool.spawn)(Box::pin(drive(driver, dropped, place)));
            sender
        }),
        Stream::Unix(stream) => handshake(stream).await.map(|(sender, driver)| {
            (pool.spawn)(Box::pin(drive(driver, dropped, place)));
            sender
        }),
    };
    let sender = made.map_err(|error| unreachable(&error.to_string()))?;
    Ok(Connection {
        sender,
        _hold: hold,
    })
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

async fn open(upstream: &Upstream) -> io::Result<Stream> {
    match upstream {
        Upstream::Tcp { address, .. } => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        }
        Upstream::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
    }
}

type Made<T, B> = (
    hyper::client::conn::http1::SendRequest<Watched<B>>,
    Driver<TokioIo<T>, Watched<B>>,
);

/// Every lenience of hyper's that could give an answer a second reading is off.
async fn handshake<T, B>(stream: T) -> hyper::Result<Made<T, B>>
where
    T: AsyncRead + AsyncWrite + Unpin,
    B: RequestBody,
{
    Builder::new()
        .http09_responses(false)
        .allow_spaces_after_header_name_in_responses(false)
        .allow_obsolete_multiline_headers_in_responses(false)
        .ignore_invalid_headers_in_responses(false)
        .max_header_size(ANSWER_HEAD_BYTES_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
}

/// Drives a connection to its end, or until nobody holds it any more: then the socket closes at once, so that neither a
/// half-read answer nor a half-sent request lingers.
async fn drive<T, B>(
    driver: Driver<TokioIo<T>, Watched<B>>,
    dropped: oneshot::Receiver<()>,
    place: super::pool::Place,
) where
    T: AsyncRead + AsyncWrite + Unpin,
    B: RequestBody,
{
    tokio::select! {
        biased;
        // Whoever waits for the answer is told of an error by hyper; beyond that there is nobody to tell.
        _ended = driver => {}
        _nobody = dropped => {}
    }
    drop(place);
}

fn unreachable(why: &str) -> Box<Denial> {
    Denial::new(Cause::UpstreamUnreachable, format!("connect: {why}"))
}
