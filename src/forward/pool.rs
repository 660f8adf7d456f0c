//! The connections of one worker to one upstream: how many there are, and those that wait for a request. Last in, first
//! out, so that few stay warm and the rest grow old. Never waits and never reads from a connection.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::exchange::{Chain, DialTimes, Exchange};
use super::request_body::Watched;
use super::wire::Seal;
use super::{PoolLimits, Spawner};
use crate::model::settings::{Timeouts, Upstream};

/// Where connections lead.
pub(super) enum Target {
    /// To the service next door.
    Service(Upstream),
    /// To an exchange.
    Exchange(Arc<Exchange>),
}

impl fmt::Debug for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(upstream) => upstream.fmt(out),
            Self::Exchange(exchange) => exchange.fmt(out),
        }
    }
}

/// What is known of the way to an upstream, and its idle connections.
pub(super) struct Pool<B> {
    pub(super) target: Target,
    pub(super) times: DialTimes,
    pub(super) response_head: Duration,
    pub(super) response_idle: Duration,
    pub(super) spawn: Spawner,
    idle_for: Duration,
    limits: PoolLimits,
    open: Arc<AtomicU32>,
    kept: Mutex<Kept<B>>,
}

struct Kept<B> {
    /// The oldest first.
    idle: Vec<Idle<B>>,
    /// After a stop nothing is kept any more.
    closed: bool,
}

struct Idle<B> {
    connection: Connection<B>,
    since: Instant,
}

/// One connection. When it is dropped the socket closes, whatever is under way on it.
pub(super) struct Connection<B> {
    pub(super) sender: SendRequest<Watched<B>>,
    /// Whether a byte of the request that has it now has left.
    pub(super) seal: Arc<Seal>,
    /// What an exchange proved itself with.
    pub(super) chain: Option<Arc<Chain>>,
    /// From then on no request begins on it.
    pub(super) until: Option<Instant>,
    /// The driver ends when this is dropped.
    pub(super) _hold: oneshot::Sender<()>,
}

impl<B> Connection<B> {
    /// Whether a request can begin on it.
    fn stands(&self, now: Instant) -> bool {
        self.sender.is_ready() && self.until.is_none_or(|until| now < until)
    }
}

impl<B> Pool<B> {
    pub(super) fn new(
        target: Target,
        timeouts: &Timeouts,
        limits: PoolLimits,
        spawn: Spawner,
    ) -> Self {
        Self {
            target,
            times: DialTimes {
                connect: timeouts.connect,
                handshake: timeouts.handshake,
            },
            response_head: timeouts.response_head,
            response_idle: timeouts.response_idle,
            spawn,
            idle_for: timeouts.upstream_idle,
            limits,
            open: Arc::default(),
            kept: Mutex::new(Kept {
                idle: Vec::new(),
                closed: false,
            }),
        }
    }

    /// The youngest connection that still stands. Those found closed or too old are dropped on the way.
    pub(super) fn take_idle(&self) -> Option<Connection<B>> {
        let now = Instant::now();
        let mut kept = self.kept();
        while let Some(Idle { connection, since }) = kept.idle.pop() {
            let fresh = now.duration_since(since) < self.idle_for;
            if fresh && connection.stands(now) {
                return Some(connection);
            }
        }
        None
    }

    /// Takes a connection back if it is certain that both messages on it ended: hyper says that it is ready only once
    /// the answer was read to its end, the request was written to its end, and nothing else was read.
    pub(super) fn give_back(&self, connection: Connection<B>) {
        if !connection.sender.is_ready() {
            return;
        }
        let mut kept = self.kept();
        let room = kept.idle.len() < self.limits.idle_max as usize;
        if room && !kept.closed {
            kept.idle.push(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }

    /// A place for one more connection, if there is one.
    pub(super) fn reserve(&self) -> Option<Place> {
        let max = self.limits.connections_max;
        let more = |open: u32| (open < max).then(|| open + 1);
        let taken = self
            .open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok().then(|| Place(Arc::clone(&self.open)))
    }

    pub(super) fn open(&self) -> usize {
        usize::try_from(self.open.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// Those that were closed meanwhile wait for nothing, although nobody has looked for one since.
    pub(super) fn idle(&self) -> usize {
        let now = Instant::now();
        let kept = self.kept();
        let standing = kept.idle.iter().filter(|idle| idle.connection.stands(now));
        standing.count()
    }

    pub(super) async fn tend(&self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        while tokio::time::timeout(self.idle_for, &mut stop)
            .await
            .is_err()
        {
            self.sweep();
        }
        let mut kept = self.kept();
        kept.closed = true;
        kept.idle.clear();
    }

    fn sweep(&self) {
        let now = Instant::now();
        self.kept().idle.retain(|idle| {
            now.duration_since(idle.since) < self.idle_for && idle.connection.stands(now)
        });
    }

    fn kept(&self) -> MutexGuard<'_, Kept<B>> {
        // A list of whole entries is whole after a panic elsewhere.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the connections that may be open; given back when the socket closes.
pub(super) struct Place(Arc<AtomicU32>);

impl Place {
    #[cfg(test)]
    pub(super) fn of(open: &Arc<AtomicU32>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
