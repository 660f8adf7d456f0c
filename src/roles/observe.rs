//! What is there for people and probes only: the health and admin listeners, and the way of spans to their collector.
//! Wiring only.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::record::SpanExport;
use crate::runtime::drain::Drain;
use crate::runtime::health::Shown;
use crate::runtime::{admin as operators, health};

use super::admin::{self, Subject};
use super::proxy::unbound;
use crate::cli::exit::Failure;

/// The socket of the admin listener, if there is to be one.
pub(super) async fn bind_admin(
    address: Option<SocketAddr>,
) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = address else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| unbound("admin.listen", address, &error))?;
    let bound = listener.local_addr().unwrap_or(address);
    tracing::info!(listener = "admin", address = %bound, "listening");
    Ok(Some(listener))
}

/// Answers probes and scrapes until the drain is asked to stop.
pub(super) fn answer_probes(listener: TcpListener, shown: Shown, helpers: &Drain) {
    helpers.spawn(health::serve(listener, shown, stopping(helpers.clone())));
}

/// Answers operators, if they have a listener, until the drain is asked to stop.
pub(super) fn administer(listener: Option<TcpListener>, subject: Subject, helpers: &Drain) {
    if let Some(listener) = listener {
        let (offer, stop) = (admin::offer(subject), stopping(helpers.clone()));
        helpers.spawn(operators::serve(listener, offer, stop));
    }
}

/// Sends spans, if requests are traced, until the drain is asked to stop; then what is still queued.
pub(super) fn export(spans: Option<SpanExport>, helpers: &Drain) {
    if let Some(spans) = spans {
        helpers.spawn(spans.run(stopping(helpers.clone())));
    }
}

async fn stopping(drain: Drain) {
    drain.draining().await;
}
