//! The threads that serve requests: one runtime, one listening socket and one pool of connections each.
//! Never shares a connection; limits, caches and the spool are shared by all.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::accept::http::{Handler as _, HeadRefusal, Http};
use crate::accept::listener::{self, Gate, PortUse};
use crate::accept::tls::TlsDoor;
use crate::model::facts::Connection;
use crate::pipeline::Pipeline;
use crate::runtime::crypto;
use crate::runtime::drain::Drain;

/// What all workers share.
pub(super) struct Shared {
    pub(super) http: Http,
    /// Where connections become TLS; without it they stay in clear text.
    pub(super) tls: Option<Arc<TlsDoor>>,
    pub(super) gate: Arc<Gate>,
    /// The clients' connections.
    pub(super) drain: Drain,
    /// The connections to the service, and what looks after them.
    pub(super) upstream: Drain,
    /// Turns true when every connection is done with, and the threads may end.
    pub(super) finished: watch::Receiver<bool>,
}

/// Binds one socket for each worker, all on the port that the first one gets.
pub(super) fn bind(
    address: SocketAddr,
    workers: usize,
) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let port_use = if workers == 1 {
        PortUse::Alone
    } else {
        PortUse::Shared
    };
    let first = listener::bind(address, port_use)?;
    let bound = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(listener::bind(bound, port_use)?);
    }
    Ok((bound, sockets))
}

/// Starts one worker.
pub(super) fn start(
    number: usize,
    socket: TcpListener,
    shared: Arc<Shared>,
    pipeline: Pipeline,
) -> io::Result<JoinHandle<io::Result<()>>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(move || {
            crypto::warm();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(socket)?;
                serve(listener, shared, Arc::new(pipeline)).await;
                Ok(())
            })
        })
}

async fn serve(listener: tokio::net::TcpListener, shared: Arc<Shared>, pipeline: Arc<Pipeline>) {
    let (forwarder, upstream) = (pipeline.forwarder.clone(), shared.upstream.clone());
    shared
        .upstream
        .spawn(async move { forwarder.tend(upstream.draining()).await });
    let (gate, drain) = (Arc::clone(&shared.gate), shared.drain.clone());
    let accepting = listener::run(listener, gate, drain, |stream, peer| {
        let (shared, pipeline) = (Arc::clone(&shared), Arc::clone(&pipeline));
        async move { converse(stream, peer, &shared, &pipeline).await }
    });
    accepting.await;
    // Connections of this worker still run on this runtime; it ends when all are done with.
    let mut finished = shared.finished.clone();
    let _ended = finished.wait_for(|finished| *finished).await;
}

/// One connection, from the handshake, if there is one, to its end.
async fn converse(stream: TcpStream, peer: SocketAddr, shared: &Shared, pipeline: &Pipeline) {
    let (http, drain) = (&shared.http, &shared.drain);
    let Some(door) = &shared.tls else {
        return http
            .serve(stream, Connection::clear(peer), pipeline, drain)
            .await;
    };
    match door.open(stream).await {
        Ok(Some(opened)) => {
            let connection = Connection {
                peer,
                secure: true,
                certificate: opened.certificate,
            };
            http.serve(opened.stream, connection, pipeline, drain).await;
        }
        Ok(None) => {}
        Err(fault) => pipeline.refused_head(HeadRefusal {
            peer,
            cause: fault.cause(),
            detail: fault.reason().to_owned(),
        }),
    }
}
