//! The threads that serve requests: one runtime, one listening socket and one pool of connections each.
//! Never shares a connection; limits, caches and the spool are shared by all.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread::{self, JoinHandle};

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};

use crate::accept::http::{Handler as _, HeadRefusal};
use crate::accept::listener::{self, Gate, PortUse};
use crate::forward::{Forwarder, RequestBody};
use crate::model::exchange::Role;
use crate::model::facts::Connection;
use crate::pipeline::{Live, Pipeline};
use crate::runtime::crypto;
use crate::runtime::drain::Drain;

use super::outbound_listeners::OutboundListener;

/// What all workers share.
pub(super) struct Shared {
    pub(super) gate: Arc<Gate>,
    /// The clients' connections.
    pub(super) drain: Drain,
    /// The connections to the service, and what looks after them.
    pub(super) upstream: Drain,
    /// The connections of the ways out, which stay open while the way in ends.
    pub(super) outbound: Drain,
    /// Told when something else is live.
    pub(super) newest: watch::Receiver<u64>,
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
    if port_use == PortUse::Shared {
        listener::probe(address)?;
    }
    let first = listener::bind(address, port_use)?;
    let bound = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(listener::bind(bound, port_use)?);
    }
    Ok((bound, sockets))
}

/// Starts one worker. When it ends, for whatever reason, its number comes out of `ended`.
pub(super) fn start(
    socket: TcpListener,
    shared: Arc<Shared>,
    pipeline: Pipeline,
    outbound: Vec<OutboundListener>,
    ended: mpsc::Sender<usize>,
) -> io::Result<JoinHandle<io::Result<()>>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let number = pipeline.worker;
    told(number, ended, move || {
        crypto::warm();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(socket)?;
            serve(listener, shared, Arc::new(pipeline), outbound).await;
            Ok(())
        })
    })
}

/// Starts a thread whose end is told, even if it ends in a panic.
fn told(
    number: usize,
    ended: mpsc::Sender<usize>,
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<io::Result<()>>> {
    struct Tell(usize, mpsc::Sender<usize>);
    impl Drop for Tell {
        fn drop(&mut self) {
            // Nobody listens any more when all are stopping.
            self.1.try_send(self.0).ok();
        }
    }
    let tell = Tell(number, ended);
    let name = format!("worker-{number}");
    thread::Builder::new().name(name).spawn(move || {
        let _tell = tell;
        work()
    })
}

async fn serve(
    listener: tokio::net::TcpListener,
    shared: Arc<Shared>,
    pipeline: Arc<Pipeline>,
    outbound: Vec<OutboundListener>,
) {
    let (live, worker) = (Arc::clone(&pipeline.live), pipeline.worker);
    let service = move |live: &Live| live.ways.get(worker).cloned();
    let upstream = &shared.upstream;
    upstream.spawn(tend(
        Arc::clone(&live),
        shared.newest.clone(),
        upstream.clone(),
        service,
    ));
    for listener in outbound {
        let index = listener.pipeline.index;
        for role in Role::ALL {
            let way = move |live: &Live| live.ways_out.get(index)?.way(role, worker).cloned();
            upstream.spawn(tend(
                Arc::clone(&live),
                shared.newest.clone(),
                upstream.clone(),
                way,
            ));
        }
        shared.outbound.spawn(listener.run(shared.outbound.clone()));
    }
    let (gate, drain) = (Arc::clone(&shared.gate), shared.drain.clone());
    let mut finished = shared.finished.clone();
    let accepting = listener::run(listener, gate, drain, |stream, peer| {
        let (shared, pipeline) = (Arc::clone(&shared), Arc::clone(&pipeline));
        async move { converse(stream, peer, &shared, &pipeline).await }
    });
    accepting.await;
    // Connections of this worker still run on this runtime; it ends when all are done with.
    let _ended = finished.wait_for(|finished| *finished).await;
}

/// One connection, from the handshake, if there is one, to its end. It goes by what is live when it comes in.
async fn converse(stream: TcpStream, peer: SocketAddr, shared: &Shared, pipeline: &Pipeline) {
    let live = pipeline.live.load_full();
    if live.tls.is_some() {
        // In a box, so that a connection in clear does not carry the room that a handshake needs.
        return Box::pin(converse_secretly(live, stream, peer, shared, pipeline)).await;
    }
    let http = live.http.clone();
    // An idle connection must not keep alive what was replaced long ago.
    drop(live);
    let connection = Connection::clear(peer);
    http.serve(stream, connection, pipeline, &shared.drain)
        .await;
}

/// The same over TLS.
async fn converse_secretly(
    live: Arc<Live>,
    stream: TcpStream,
    peer: SocketAddr,
    shared: &Shared,
    pipeline: &Pipeline,
) {
    let http = live.http.clone();
    let Some(door) = &live.tls else { return };
    let opened = door.open(stream).await;
    drop(live);
    match opened {
        Ok(Some(opened)) => {
            let connection = Connection {
                peer,
                secure: true,
                certificate: opened.certificate,
            };
            let drain = &shared.drain;
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

/// Looks after the worker's idle connections to one upstream. A way that another one follows is closed as soon as it is
/// idle; requests on it come to their end.
pub(super) async fn tend<B: RequestBody>(
    live: Arc<ArcSwap<Live>>,
    mut newest: watch::Receiver<u64>,
    drain: Drain,
    way: impl Fn(&Live) -> Option<Forwarder<B>>,
) {
    let current = || way(&live.load());
    while !drain.is_draining() {
        // What comes after this look is a change.
        newest.mark_unchanged();
        let Some(way) = current() else { return };
        let replaced = async {
            while newest.changed().await.is_ok() {
                if current().is_none_or(|now| !now.is(&way)) {
                    return;
                }
            }
            // Nobody replaces anything any more.
            std::future::pending().await
        };
        let (mut replaced, mut draining) = (pin!(replaced), pin!(drain.draining()));
        let stop = poll_fn(|cx| match replaced.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => draining.as_mut().poll(cx),
        });
        way.tend(stop).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_worker_that_ends_is_told_of_even_if_it_panics() {
        let (tell, mut ended) = mpsc::channel(2);
        let fine = told(1, tell.clone(), || Ok(())).unwrap();
        assert_eq!(ended.recv().await, Some(1));
        assert!(fine.join().is_ok());
        let panicked = told(2, tell, || panic!("on purpose")).unwrap();
        assert_eq!(ended.recv().await, Some(2));
        assert!(panicked.join().is_err());
    }
}
