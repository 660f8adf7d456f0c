//! A connection that goes on as something else than HTTP (RFC 9110 section 7.8): asked for by a request, handed out raw.
//! Never judges whether the answer is the right one: who speaks the other protocol does.

use std::fmt;
use std::sync::Arc;

use http::{Response, StatusCode};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};

use super::exchange::Chain;
use super::send::{answer, late};
use super::{RequestBody, ResponseBody, SendFault, Slot};
use crate::model::denial::{Cause, Denial};
use crate::transform::Outbound;

/// What became of a request that asks for another protocol.
pub enum Upgrade<B> {
    /// The connection speaks it from here on.
    Switched(Switched),
    /// The upstream answers in HTTP.
    Answered(Response<ResponseBody<B>>),
}

/// A connection that is no longer HTTP. It keeps its place among the connections of its worker until it is dropped, and is
/// closed by that.
pub struct Switched {
    /// The head of the answer: 101 and its fields.
    pub head: http::response::Parts,
    /// The connection, from the first byte behind that head.
    pub stream: TokioIo<Upgraded>,
    /// What an exchange proved itself with when the connection was made.
    pub chain: Option<Arc<Chain>>,
    /// When the pins that it was checked with expire.
    pub until: Option<Instant>,
}

impl<B> fmt::Debug for Upgrade<B> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switched(switched) => switched.fmt(out),
            Self::Answered(answer) => write!(out, "Answered({})", answer.status()),
        }
    }
}

impl fmt::Debug for Switched {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Switched({:?})", self.chain)
    }
}

impl<B: RequestBody> Slot<B> {
    /// Sends a request that asks for another protocol, on this connection and on no other, and waits for the answer, at the
    /// latest until `deadline`.
    pub async fn upgrade(
        self,
        outbound: Outbound<B>,
        deadline: Instant,
    ) -> Result<Upgrade<B>, SendFault> {
        let (mut response, pool, connection) = self.ask(outbound, deadline).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let answered = answer(response, pool, connection, deadline);
            return answered.map(Upgrade::Answered).map_err(SendFault::late);
        }
        let switching = hyper::upgrade::on(&mut response);
        let switched = match timeout_at(deadline, switching).await {
            Ok(Ok(switched)) => switched,
            Ok(Err(error)) => {
                let why = format!("101 without the connection: {error}");
                return Err(SendFault::late(Denial::new(Cause::UpstreamBroken, why)));
            }
            Err(_elapsed) => return Err(SendFault::late(late())),
        };
        connection.seal.switch();
        let (head, _nothing) = response.into_parts();
        Ok(Upgrade::Switched(Switched {
            head,
            stream: TokioIo::new(switched),
            chain: connection.chain,
            until: connection.until,
        }))
    }
}
