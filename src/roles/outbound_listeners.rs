//! The local listeners of the ways out: bound once, one socket for each worker, served to their end after the way in has
//! ended. Never decides about a request.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::accept::listener::{self, Gate, Listener};
use crate::accept::outbound::Bound;
use crate::config::Outbound;
use crate::model::facts::Connection;
use crate::model::outbound::LocalListen;
use crate::pipeline::outbound::OutboundPipeline;
use crate::runtime::drain::Drain;

use super::workers;

/// A listening socket of one worker.
pub(super) enum Socket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// What is to be listened to, before it is.
pub(super) struct ListenerPlan {
    name: Arc<str>,
    listen: LocalListen,
    gate: Arc<Gate>,
}

impl ListenerPlan {
    pub(super) fn of(outbound: &Outbound) -> Self {
        let gate = Gate::new(&outbound.limits, outbound.timeouts.response_idle);
        Self {
            name: Arc::clone(&outbound.name),
            listen: outbound.listen.clone(),
            gate: Arc::new(gate),
        }
    }

    /// What it is called in logs and faults.
    pub(super) fn title(&self) -> String {
        format!("outbound/{}", self.name)
    }

    /// Binds one socket for each worker.
    pub(super) fn bind(&self, workers: usize) -> io::Result<BoundListener> {
        let (bound, shown, sockets) = match &self.listen {
            LocalListen::Tcp(address) => {
                let (bound, sockets) = workers::bind(*address, workers)?;
                let sockets = sockets.into_iter().map(Socket::Tcp).collect();
                (Bound::Tcp(bound), Shown::Address(bound), sockets)
            }
            LocalListen::Unix { path, mode } => {
                let first = listener::bind_unix(path, *mode)?;
                // All workers take from one queue: the file system has no shared ports.
                let mut sockets = Vec::new();
                for _ in 1..workers {
                    sockets.push(Socket::Unix(first.try_clone()?));
                }
                sockets.push(Socket::Unix(first));
                (Bound::Unix, Shown::Path(path.clone()), sockets)
            }
        };
        Ok(BoundListener {
            bound,
            shown,
            sockets,
            gate: Arc::clone(&self.gate),
        })
    }
}

impl fmt::Display for ListenerPlan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.listen.fmt(out)
    }
}

/// A listener that is bound.
pub(super) struct BoundListener {
    pub(super) bound: Bound,
    pub(super) shown: Shown,
    /// One for each worker.
    pub(super) sockets: Vec<Socket>,
    pub(super) gate: Arc<Gate>,
}

/// Where a listener is, for people. A socket in the file system goes with it.
pub(super) enum Shown {
    Address(SocketAddr),
    Path(PathBuf),
}

impl fmt::Display for Shown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(out),
            Self::Path(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Self::Path(path) = self {
            // Left behind it does no harm: the next start takes it away.
            std::fs::remove_file(path).ok();
        }
    }
}

/// Shares the sockets out: for each worker one of each way out, with the pipeline that `make` gives for the position of the
/// way out, the worker and where it is bound.
pub(super) fn share_out(
    listening: &mut [BoundListener],
    workers: usize,
    make: impl Fn(usize, usize, Bound) -> OutboundPipeline,
) -> Vec<Vec<OutboundListener>> {
    let mut shares: Vec<Vec<OutboundListener>> = (0..workers).map(|_| Vec::new()).collect();
    for (index, listening) in listening.iter_mut().enumerate() {
        let sockets = listening.sockets.drain(..);
        for (worker, (share, socket)) in shares.iter_mut().zip(sockets).enumerate() {
            share.push(OutboundListener {
                socket,
                gate: Arc::clone(&listening.gate),
                pipeline: make(index, worker, listening.bound.clone()),
            });
        }
    }
    shares
}

/// One worker's part of a way out.
pub(super) struct OutboundListener {
    pub(super) socket: Socket,
    pub(super) gate: Arc<Gate>,
    pub(super) pipeline: OutboundPipeline,
}

impl OutboundListener {
    /// Takes connections in until the drain begins, on the worker's own runtime.
    pub(super) async fn run(self, drain: Drain) {
        let Self {
            socket,
            gate,
            pipeline,
        } = self;
        let pipeline = Arc::new(pipeline);
        match socket {
            Socket::Tcp(socket) => match tokio::net::TcpListener::from_std(socket) {
                Ok(listener) => accept(listener, gate, drain, pipeline).await,
                Err(error) => failed(&error),
            },
            Socket::Unix(socket) => match tokio::net::UnixListener::from_std(socket) {
                Ok(listener) => accept(listener, gate, drain, pipeline).await,
                Err(error) => failed(&error),
            },
        }
    }
}

fn failed(error: &io::Error) {
    tracing::error!("a listener of the way out failed: {error}");
}

async fn accept<L>(listener: L, gate: Arc<Gate>, drain: Drain, pipeline: Arc<OutboundPipeline>)
where
    L: Listener,
    L::Stream: AsyncRead + AsyncWrite + Unpin,
{
    let within = drain.clone();
    let serve = move |stream: L::Stream, peer| {
        let (pipeline, drain) = (Arc::clone(&pipeline), within.clone());
        async move { converse(stream, peer, &pipeline, &drain).await }
    };
    listener::run(listener, gate, drain, serve).await;
}

/// One connection, to its end. It goes by what is live when it comes in.
async fn converse<S>(stream: S, peer: SocketAddr, pipeline: &OutboundPipeline, drain: &Drain)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let live = pipeline.live.load_full();
    let Some(way) = live.ways_out.get(pipeline.index) else {
        return;
    };
    let http = way.http.clone();
    // An idle connection must not keep alive what was replaced long ago.
    drop(live);
    let connection = Connection::clear(peer);
    http.serve(stream, connection, pipeline, drain).await;
}
