//! New connections: to the service, over TCP or a Unix socket, and to an exchange. Never sends a byte of a request.

use std::io;
use std::sync::Arc;

use hyper::client::conn::http1::{Builder, Connection as Driver, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::RequestBody;
use super::exchange::{Dialled, Exchange};
use super::pool::{Connection, Place, Pool, Target};
use super::request_body::Watched;
use super::wire::{Seal, Wire};
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
        let why = "every connection that `bounds.connections_max` allows is in use";
        return Err(Denial::new(Cause::Overloaded, why));
    };
    match &pool.target {
        Target::Service(Upstream::Tcp { address, .. }) => {
            let opening = async {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(stream)
            };
            speak(pool, in_time(pool, opening).await?, place).await
        }
        Target::Service(Upstream::Unix(path)) => {
            let stream = in_time(pool, UnixStream::connect(path)).await?;
            speak(pool, stream, place).await
        }
        // In a box, so that a connection in clear does not carry the room that a handshake needs.
        Target::Exchange(exchange) => Box::pin(dial(pool, exchange, place)).await,
    }
}

async fn in_time<B, T>(
    pool: &Pool<B>,
    opening: impl Future<Output = io::Result<T>>,
) -> Result<T, Box<Denial>> {
    match timeout(pool.times.connect, opening).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(unreachable(&error.to_string())),
        Err(_elapsed) => Err(unreachable("no connection within `timeouts.connect`")),
    }
}

async fn dial<B: RequestBody>(
    pool: &Arc<Pool<B>>,
    exchange: &Exchange,
    place: Place,
) -> Result<Connection<B>, Box<Denial>> {
    let Dialled {
        stream,
        chain,
        until,
    } = exchange.dial(pool.times, &pool.spawn).await?;
    let connection = speak(pool, stream, place).await?;
    Ok(Connection {
        chain: Some(chain),
        until,
        ..connection
    })
}

/// Begins to speak HTTP, as far as that needs no byte.
async fn speak<B, T>(
    pool: &Arc<Pool<B>>,
    stream: T,
    place: Place,
) -> Result<Connection<B>, Box<Denial>>
where
    B: RequestBody,
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let seal = Arc::new(Seal::default());
    let wire = Wire::new(stream, Arc::clone(&seal), place);
    let shaken = handshake(wire).await;
    let (sender, driver) = shaken.map_err(|error| unreachable(&error.to_string()))?;
    let (hold, dropped) = oneshot::channel();
    (pool.spawn)(Box::pin(drive(driver, dropped)));
    Ok(Connection {
        sender,
        seal,
        chain: None,
        until: None,
        _hold: hold,
    })
}

type Made<T, B> = (
    SendRequest<Watched<B>>,
    Driver<TokioIo<Wire<T>>, Watched<B>>,
);

/// Every lenience of hyper's that could give an answer a second reading is off.
async fn handshake<T, B>(wire: Wire<T>) -> hyper::Result<Made<T, B>>
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
        .handshake(TokioIo::new(wire))
        .await
}

/// Drives a connection to its end, or until nobody holds it any more: then the socket closes at once, so that neither a
/// half-read answer nor a half-sent request lingers. One that is no longer HTTP is handed over, and driven by whoever
/// asked for that.
async fn drive<T, B>(driver: Driver<TokioIo<Wire<T>>, Watched<B>>, dropped: oneshot::Receiver<()>)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: RequestBody,
{
    tokio::select! {
        biased;
        // Whoever waits for the answer is told of an error by hyper; beyond that there is nobody to tell.
        _ended = driver.with_upgrades() => {}
        _nobody = dropped => {}
    }
}

fn unreachable(why: &str) -> Box<Denial> {
    Denial::new(Cause::UpstreamUnreachable, format!("connect: {why}"))
}
