//! The walk out for a question instead of a request: what would leave, and by which line. Nothing is reserved, stamped,
//! signed or sent.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;

use crate::accept::outbound::{self as door, Bound, LocalFacts, LocalRules};
use crate::decide::outbound::{self as decide, AllowLine, ExchangePolicy};
use crate::model::denial::{Cause, Denial};
use crate::model::exchange::{Extent, Known, Role};
use crate::model::facts::Connection;
use crate::model::form::Noted;
use crate::model::frame::Frame;
use crate::model::outbound::ClientCredentials;

/// A request as far as the walk has judged it.
#[derive(Debug)]
pub struct Judged {
    /// What is left of its head.
    pub facts: LocalFacts,
    /// What is left of its body.
    pub body: Bytes,
    /// What the preset knows of it.
    pub known: Known,
    /// The line of `allow` that lets it pass, or why none does.
    pub line: Result<AllowLine, Box<Denial>>,
}

/// A frame of a WebSocket API, judged; without what the client sent to be believed.
#[derive(Debug)]
pub struct JudgedFrame {
    /// What was taken off, by its position among the preset's members.
    pub stripped: Noted,
    /// What the preset knows of it.
    pub known: Known,
    /// The line that lets it pass.
    pub line: AllowLine,
}

/// Judges a request that would come over a socket of the file system, where any host may be named.
///
/// # Errors
/// The request itself is refused, whatever `allow` says.
pub fn judge(
    policy: &Arc<ExchangePolicy>,
    rules: &LocalRules,
    mut head: Parts,
    body: Bytes,
) -> Result<Judged, Box<Denial>> {
    let nobody = Connection::clear(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let facts = door::facts(&nobody, &Bound::Unix, &mut head, rules)?;
    if facts.role != Role::Rest {
        let why = "a WebSocket is opened there; its frames are judged one by one";
        return Err(Denial::new(Cause::ExchangeNotAllowed, why));
    }
    door::refuse_body_on_get(&facts.facts)?;
    let body = door::body(&facts.facts, body, rules)?;
    let (method, path) = (&facts.facts.method, facts.facts.path.path());
    let known = policy.preset.known(method, path, facts.extent);
    let call = decide::call(policy, method, path, facts.extent);
    let line = call.and_then(|call| call.line().cloned().ok_or_else(unnamed));
    Ok(Judged {
        known,
        line,
        body,
        facts,
    })
}

/// Judges a frame, and takes off it what the client sent to be believed.
///
/// # Errors
/// No line of `allow` names its method, or it brings credentials where those are refused.
pub fn judge_frame(
    policy: &Arc<ExchangePolicy>,
    rules: &LocalRules,
    frame: &mut Frame<'_>,
) -> Result<JudgedFrame, Box<Denial>> {
    let call = decide::frame(policy, &frame.method, Extent::of_frame(frame))?;
    let stripped = frame.strip(policy.preset.credentials.members);
    if stripped.any() && rules.credentials == ClientCredentials::Refuse {
        let why = "the frame brings a key, a time or a signature of its own";
        return Err(Denial::new(Cause::ExchangeCredentials, why));
    }
    Ok(JudgedFrame {
        stripped,
        known: *call.known(),
        line: call.line().cloned().ok_or_else(unnamed)?,
    })
}

fn unnamed() -> Box<Denial> {
    Denial::new(Cause::ExchangeNotAllowed, "no line of `allow` names this")
}
