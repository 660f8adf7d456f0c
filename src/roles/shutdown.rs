//! The end of a sidecar: the way in first, the ways out after it, so that the service can cancel as long as requests are
//! under way. Never cuts what may still come to its own end in time.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::model::settings::Timeouts;
use crate::runtime::drain::{Drain, Drained};
use crate::runtime::signals::StopSignals;

/// Waits for a signal, or for the number of a worker that ended by itself.
pub(super) async fn until_stopped(
    stop: &mut StopSignals,
    ended: &mut mpsc::Receiver<usize>,
) -> Option<usize> {
    tokio::select! {
        signal = stop.next() => {
            tracing::info!(signal, "stopping");
            None
        }
        lost = ended.recv() => lost,
    }
}

/// The end of the way in: connections are still taken in for a moment, because clients do not know yet; then requests in
/// flight may finish. Both together take as long as `drain` says. A second signal means now, and a lost worker needs no
/// pause. Says when all has to be over.
pub(super) async fn drain_inbound(
    connections: &Drain,
    timeouts: &Timeouts,
    lost: Option<usize>,
    stop: &mut StopSignals,
) -> Instant {
    let end = Instant::now() + timeouts.drain;
    let pause = match lost {
        Some(_) => Duration::ZERO,
        None => timeouts.drain_pause.min(timeouts.drain),
    };
    let (drained, end) = tokio::select! {
        drained = async {
            tokio::time::sleep(pause).await;
            connections.drain(end.saturating_duration_since(Instant::now())).await
        } => (drained, end),
        _again = stop.next() => (connections.drain(Duration::ZERO).await, Instant::now()),
    };
    tell(&drained);
    end
}

/// What the ways out are given when the way in has taken all the time: an answer that is on its way arrives in it.
const OUTBOUND_DRAIN_MIN: Duration = Duration::from_secs(2);

/// The end of the ways out, after that of the way in: as long as requests were under way, the service could still cancel.
/// What was sent is seen to its end, so that its record is written.
pub(super) async fn drain_outbound(
    connections: &Drain,
    orders: &Drain,
    end: Instant,
    stop: &mut StopSignals,
) {
    let end = end.max(Instant::now() + OUTBOUND_DRAIN_MIN);
    let left = || end.saturating_duration_since(Instant::now());
    let drained = tokio::select! {
        drained = async {
            // WebSockets are among them, and end when they are told so.
            orders.begin();
            let drained = connections.drain(left()).await;
            // The last connection may have left an order behind.
            orders.drain(left()).await;
            drained
        } => drained,
        _again = stop.next() => {
            tokio::join!(connections.drain(Duration::ZERO), orders.drain(Duration::ZERO)).0
        }
    };
    tell(&drained);
}

fn tell(drained: &Drained) {
    match drained {
        Drained::Finished => tracing::info!("every connection ended by itself"),
        Drained::Aborted(count) => tracing::warn!(count, "connections were cut off"),
    }
}
