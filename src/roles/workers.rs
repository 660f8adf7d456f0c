//! The threads that serve requests: one runtime, one listening socket and one pool of connections each.
//! Never shares a connection; limits, caches and the spool are shared by all.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread::{self, JoinHandle};

use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};

use crate::accept::listener::{self, Gate, PortUse};
use crate::pipeline::Pipeline;
use crate::runtime::drain::Drain;

/// What all workers share.
pub(super) struct Shared {
    pub(super) gate: Arc<Gate>,
    /// The clients' connections.
    pub(super) drain: Drain,
    /// The connections to the service, and what looks after them.
    pub(super) upstream: Drain,
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
    ended: mpsc::Sender<usize>,
) -> io::Result<JoinHandle<io::Result<()>>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let number = pipeline.worker;
    told(number, ended, move || {
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(socket)?;
            serve(listener, shared, Arc::new(pipeline)).await;
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

async fn serve(listener: tokio::net::TcpListener, shared: Arc<Shared>, pipeline: Arc<Pipeline>) {
    let tending = tend(Arc::clone(&shared), Arc::clone(&pipeline));
    shared.upstream.spawn(tending);
    let (gate, drain) = (Arc::clone(&shared.gate), shared.drain.clone());
    let accepting = listener::run(listener, gate, drain, |stream, peer| {
        let (shared, pipeline) = (Arc::clone(&shared), Arc::clone(&pipeline));
        async move {
            let http = pipeline.live.load().http.clone();
            http.serve(stream, peer, pipeline.as_ref(), &shared.drain)
                .await
        }
    });
    accepting.await;
    // Connections of this worker still run on this runtime; it ends when all are done with.
    let mut finished = shared.finished.clone();
    let _ended = finished.wait_for(|finished| *finished).await;
}

/// Looks after the worker's idle connections to the service. A way that another one follows is closed as soon as it is
/// idle; requests on it come to their end.
async fn tend(shared: Arc<Shared>, pipeline: Arc<Pipeline>) {
    let mut newest = shared.newest.clone();
    let current = || pipeline.live.load().ways.get(pipeline.worker).cloned();
    while !shared.upstream.is_draining() {
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
        let (mut replaced, mut draining) = (pin!(replaced), pin!(shared.upstream.draining()));
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
