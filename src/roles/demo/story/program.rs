//! A trading program on this machine: plain HTTP to the sidecar's way out, and no key.

use std::collections::BTreeMap;
use std::io;

use http::header::{CONTENT_TYPE, HOST};
use http::{Request, Response, request};

use super::super::client::{Client, Connection};
use super::super::exchange::Exchange;
use super::super::wait::until;
use super::super::{EXCHANGE_ORDER, Stage};

/// What is open of the symbol that the story trades.
pub(super) const OPEN_ORDERS: &str = "/api/v3/openOrders?symbol=BTCUSDT";

/// What the sidecar asks by itself, for its clock and its limits.
const OWN: [&str; 2] = ["GET /api/v3/time", "GET /api/v3/exchangeInfo"];

/// Somebody who trades. Cheap to clone.
#[derive(Clone)]
pub(super) struct Program {
    client: Client,
    authority: String,
}

impl Program {
    /// One that goes through the sidecar.
    pub(super) fn of(stage: &Stage) -> Self {
        Self {
            client: Client::clear(stage.sidecar.outbound),
            authority: stage.sidecar.outbound.to_string(),
        }
    }

    /// One that goes to the exchange itself.
    pub(super) fn direct(exchange: &Exchange) -> io::Result<Self> {
        let to = exchange.address();
        Ok(Self {
            client: Client::trusting(to, exchange.root_pem(), None)?,
            authority: to.to_string(),
        })
    }

    /// A connection for many requests.
    pub(super) async fn connect(&self) -> io::Result<Connection> {
        self.client.connect().await
    }

    /// The head of a request.
    pub(super) fn head(&self, method: &str, target: &str) -> request::Builder {
        let head = Request::builder().method(method).uri(target);
        head.header(HOST, &self.authority)
    }

    /// A request without a body.
    pub(super) async fn ask(&self, method: &str, target: &str) -> io::Result<Response<String>> {
        self.send(self.head(method, target), "").await
    }

    /// The usual order.
    pub(super) async fn order(&self) -> io::Result<Response<String>> {
        self.post(self.head("POST", "/api/v3/order"), EXCHANGE_ORDER)
            .await
    }

    /// A form.
    pub(super) async fn post(
        &self,
        head: request::Builder,
        form: &str,
    ) -> io::Result<Response<String>> {
        let form_type = "application/x-www-form-urlencoded";
        self.send(head.header(CONTENT_TYPE, form_type), form).await
    }

    /// A request over a connection of its own.
    pub(super) async fn send(
        &self,
        head: request::Builder,
        body: &str,
    ) -> io::Result<Response<String>> {
        let request = head.body(body.to_owned()).map_err(io::Error::other)?;
        self.client.send(request).await
    }
}

/// Requests that have reached the exchange, but for those that the sidecar asks by itself.
pub(super) fn arrived(exchange: &Exchange) -> BTreeMap<String, u64> {
    let mut routes = exchange.requests();
    routes.retain(|route, _| !OWN.contains(&route.as_str()));
    routes
}

/// Ends the connections to the exchange, so that the next request shakes hands anew.
pub(super) async fn hang_up(exchange: &Exchange) -> io::Result<()> {
    exchange.close_idle();
    until("the end of the connections to the exchange", async || {
        Ok((exchange.open_connections() == 0).then_some(()))
    })
    .await
}
