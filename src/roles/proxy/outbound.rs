//! The ways out of a sidecar: bound, served by the workers, and what is asked of exchanges behind them. Wiring only.

use std::sync::Arc;

use tokio::sync::watch;

use crate::accept::outbound::Bound;
use crate::model::exchange::Role;
use crate::pipeline::Live;
use crate::pipeline::outbound::OutboundPipeline;
use crate::roles::exchange_polling;
use crate::roles::outbound_listeners::{BoundListener, ListenerPlan};
use crate::roles::workers;
use crate::runtime::drain::Drain;

use super::{Failure, Sidecar, unbound};

impl Sidecar {
    /// One worker's walk to one exchange.
    pub(super) fn outbound_pipeline(
        &self,
        index: usize,
        worker: usize,
        bound: Bound,
        orders: &Drain,
        newest: &watch::Receiver<u64>,
    ) -> OutboundPipeline {
        OutboundPipeline {
            live: Arc::clone(&self.live),
            index,
            bound,
            recorder: self.recorder.clone(),
            clock: Arc::clone(&self.clock),
            worker,
            orders: orders.clone(),
            newest: newest.clone(),
        }
    }

    /// Starts what is asked of exchanges in the background, over connections of its own, behind those of the workers.
    pub(super) fn poll_exchanges(
        &self,
        newest: &watch::Receiver<u64>,
        orders: &Drain,
        background: &Drain,
    ) {
        let own = self.parts.workers;
        for index in 0..self.outbound.len() {
            let way = move |live: &Live| live.ways_out.get(index)?.way(Role::Rest, own).cloned();
            let live = Arc::clone(&self.live);
            let tending = workers::tend(live, newest.clone(), self.upstream.clone(), way);
            self.upstream.spawn(tending);
            exchange_polling::start(
                self.outbound_pipeline(index, own, Bound::Unix, orders, newest),
                background,
            );
        }
    }

    /// Binds the listeners of the ways out.
    pub(super) fn listen_out(&self) -> Result<Vec<BoundListener>, Failure> {
        let workers = self.parts.workers;
        let bind = |wanted: &ListenerPlan| {
            let bound = wanted.bind(workers);
            bound.map_err(|error| unbound(&wanted.title(), wanted, &error))
        };
        let listening = self.outbound.iter().map(bind);
        let listening = listening.collect::<Result<Vec<_>, _>>()?;
        for (wanted, listening) in self.outbound.iter().zip(&listening) {
            let (listener, address) = (wanted.title(), &listening.shown);
            tracing::info!(listener, address = %address, workers, "listening");
        }
        Ok(listening)
    }
}
