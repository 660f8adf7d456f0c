//! Room 5: to the service or an exchange and back, over pooled connections with limits and deadlines. Never sends a request
//! twice of which a byte may have left, never keeps a connection of which anything is in doubt.

mod answer;
pub mod coalesce;
mod connect;
pub mod exchange;
mod pool;
mod request_body;
mod send;
mod upgrade;
mod wire;

#[cfg(test)]
mod tests;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;

use crate::decide::Permitted;
use crate::model::denial::Denial;
use crate::model::settings::{Timeouts, Upstream};

pub use answer::{AnswerFault, ResponseBody};
pub use send::{SendFault, Sent, Slot};
pub use upgrade::{Switched, Upgrade};

use exchange::Exchange;
use pool::{Pool, Target};

/// A body that can be sent: its error says why the request is refused if it breaks while it is being sent.
pub trait RequestBody:
    Body<Data = Bytes, Error: std::error::Error + Clone + Into<Box<Denial>> + Send + Sync>
    + Send
    + Unpin
    + 'static
{
}

impl<B> RequestBody for B where
    B: Body<Data = Bytes, Error: std::error::Error + Clone + Into<Box<Denial>> + Send + Sync>
        + Send
        + Unpin
        + 'static
{
}

/// Starts the task that drives a connection. Given from outside, so that the task belongs to the drain.
pub type Spawner = Arc<dyn Fn(Pin<Box<dyn Future<Output = ()> + Send>>) + Send + Sync>;

/// How many connections to one upstream a worker has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// At once, busy and idle.
    pub connections_max: u32,
    /// Idle ones that are kept.
    pub idle_max: u32,
}

/// The way to one upstream: the service, or an exchange. One for each worker, so that its lock is never waited for. Clones
/// are the same one.
pub struct Forwarder<B>(Arc<Pool<B>>);

impl<B: RequestBody> Forwarder<B> {
    /// A way without connections; they are made when they are needed.
    #[must_use]
    pub fn new(
        upstream: Upstream,
        timeouts: &Timeouts,
        limits: PoolLimits,
        spawn: Spawner,
    ) -> Self {
        let target = Target::Service(upstream);
        Self(Arc::new(Pool::new(target, timeouts, limits, spawn)))
    }

    /// The same to an exchange, which proves on each connection that it is the exchange before a byte is sent. Of the
    /// timeouts `connect` is for the name and the connection, `handshake` for TLS.
    #[must_use]
    pub fn to_exchange(
        exchange: Arc<Exchange>,
        timeouts: &Timeouts,
        limits: PoolLimits,
        spawn: Spawner,
    ) -> Self {
        let target = Target::Exchange(exchange);
        Self(Arc::new(Pool::new(target, timeouts, limits, spawn)))
    }

    /// A connection for the request that the permit is for: one that waits and still stands, or a new one.
    pub async fn checkout(&self, _permit: &impl Permitted) -> Result<Slot<B>, Box<Denial>> {
        match self.0.take_idle() {
            Some(connection) => Ok(Slot::new(Arc::clone(&self.0), connection, true)),
            None => {
                let connection = connect::connect(&self.0).await?;
                Ok(Slot::new(Arc::clone(&self.0), connection, false))
            }
        }
    }

    /// A new connection for the request that the permit is for, whatever waits: for one that was handed back unsent, which
    /// must not meet another connection that has ended unseen.
    pub async fn connect(&self, _permit: &impl Permitted) -> Result<Slot<B>, Box<Denial>> {
        let connection = connect::connect(&self.0).await?;
        Ok(Slot::new(Arc::clone(&self.0), connection, false))
    }

    /// Closes connections that were idle for too long, again and again, until `stop` is done; then closes every idle
    /// one and keeps no more. Requests in flight are not touched.
    pub async fn tend(&self, stop: impl Future<Output = ()>) {
        self.0.tend(stop).await;
    }

    /// How many connections are open, busy and idle.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.open()
    }

    /// Whether both are the same way.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// How many connections wait for a request.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.0.idle()
    }
}

impl<B> Clone for Forwarder<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B> fmt::Debug for Forwarder<B> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Forwarder({:?})", self.0.target)
    }
}
