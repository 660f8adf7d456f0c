//! Answers that are open: known with facts and caller, judged again when something else comes into force, and cut when they
//! are refused or their token or certificate has ended. There is at most one for each connection, so they are bounded by
//! those.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http_body::Body;
use tokio::time::{Sleep, sleep};

use super::{Live, Snapshot};
use crate::decide::{self, Admission, Evaluation};
use crate::identify::{self, Verification, Verifier};
use crate::model::caller::Caller;
use crate::model::clock::Now;
use crate::model::denial::{Cause, Denial};
use crate::model::facts::Facts;

#[cfg(test)]
mod tests;

/// An answer of known length up to this many bytes is over before anybody could object.
const SHORT_BYTES_MAX: u64 = 64 * 1024;

/// Whether an answer may stay open after its head was sent.
pub(super) fn is_stream(body: &impl Body) -> bool {
    let short = body
        .size_hint()
        .exact()
        .is_some_and(|bytes| bytes <= SHORT_BYTES_MAX);
    !short && !body.is_end_stream()
}

/// The open answers of all workers.
#[derive(Default)]
pub struct Streams(Mutex<Open>);

#[derive(Default)]
struct Open {
    streams: HashMap<u64, Arc<Stream>>,
    next: u64,
}

/// One open answer.
struct Stream {
    facts: Facts,
    caller: Caller,
    /// Who verified the caller; another one has to do it again.
    tokens: Option<Arc<Verifier>>,
    cut: Mutex<Cut>,
}

/// The refusal on its way to whoever sends the answer.
#[derive(Default)]
struct Cut {
    denial: Option<Box<Denial>>,
    waker: Option<Waker>,
}

impl Streams {
    /// Registers an answer. To be judged only afterwards, so that none slips through between the two.
    pub(super) fn hold(
        streams: &Arc<Self>,
        snapshot: &Snapshot,
        facts: Facts,
        caller: Caller,
        now: Now,
    ) -> Held {
        let end = end(snapshot, &facts, &caller);
        let ends = end.map(|(last, end)| (Box::pin(sleep(left(last, now))), end));
        let stream = Arc::new(Stream {
            facts,
            caller,
            tokens: snapshot.tokens.clone(),
            cut: Mutex::default(),
        });
        let mut open = streams.open();
        let id = open.next;
        open.next += 1;
        open.streams.insert(id, Arc::clone(&stream));
        Held {
            streams: Arc::clone(streams),
            id,
            stream,
            ends,
        }
    }

    /// Judges every open answer by what is in force now, and cuts those that are refused. Says how many.
    pub fn judge(&self, live: &Live, now: Now) -> usize {
        let streams: Vec<_> = self.open().streams.values().cloned().collect();
        let refused = streams.iter().filter_map(|stream| {
            let denial = stream.judge(live, now).err()?;
            stream.cut(denial);
            Some(())
        });
        refused.count()
    }

    /// How many are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.open().streams.len()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // The map is whole at every step, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What ends by itself while an answer is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Token,
    Certificate,
}

impl End {
    fn denial(self) -> Box<Denial> {
        let (cause, detail) = match self {
            Self::Token => (
                Cause::TokenInvalid,
                "the token ended while the answer was open",
            ),
            Self::Certificate => (
                Cause::HandshakeCertificate,
                "the client certificate ended while the answer was open",
            ),
        };
        Denial::new(cause, detail)
    }
}

/// What ends first of that which proves the caller, and its last good second. A certificate counts wherever it was
/// shown: a handshake does not take one that has ended, needed or not.
fn end(snapshot: &Snapshot, facts: &Facts, caller: &Caller) -> Option<(i64, End)> {
    let token = snapshot.tokens.as_ref().zip(caller.identity());
    let token = token.map(|(tokens, identity)| (tokens.good_until(identity), End::Token));
    let certificate = facts.certificate.as_ref();
    let certificate = certificate.map(|shown| (shown.not_after, End::Certificate));
    token.into_iter().chain(certificate).min_by_key(|end| end.0)
}

/// How long until the second after the last good one.
fn left(last: i64, now: Now) -> Duration {
    let end_us = last.saturating_add(1).saturating_mul(1_000_000);
    let left = u64::try_from(end_us.saturating_sub(now.unix_us));
    Duration::from_micros(left.unwrap_or_default())
}

impl Stream {
    /// What a request with this head would be told. Its body is gone, so the rules for bodies are not asked again; limits
    /// are named, not spent. Another verifier, or other roles, have to know the caller anew.
    fn judge(&self, live: &Live, now: Now) -> Result<(), Box<Denial>> {
        live.trusts(&self.facts, now)?;
        let snap = &live.snapshot;
        let facts = &self.facts;
        let evaluation = &mut Evaluation::again(&snap.ledger, now);
        let entry = match decide::admit(&snap.policy, facts, evaluation)? {
            Admission::Enters(entry) => entry,
            Admission::Answered(_) => {
                let why = "this is a preflight now, which the proxy answers by itself";
                return Err(Denial::new(Cause::RouteMethod, why));
            }
        };
        let known = match (&self.tokens, &snap.tokens) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let caller = match known {
            true => self.caller.clone(),
            false => {
                let tokens = snap.tokens.as_deref();
                identify::caller(facts, tokens, Verification::Allowed, now)?
            }
        };
        decide::head(entry, facts, &caller, evaluation)?;
        Ok(())
    }

    fn cut(&self, denial: Box<Denial>) {
        let mut cut = self.state();
        cut.denial.get_or_insert(denial);
        if let Some(waker) = cut.waker.take() {
            waker.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, Cut> {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer's place among the open ones; given up when dropped.
pub(super) struct Held {
    streams: Arc<Streams>,
    id: u64,
    stream: Arc<Stream>,
    /// When what proves the caller ends, and what that is.
    ends: Option<(Pin<Box<Sleep>>, End)>,
}

impl Held {
    /// Judges this one answer by another snapshot than the one it began with.
    pub(super) fn judge(&self, live: &Live, now: Now) -> Result<(), Box<Denial>> {
        self.stream.judge(live, now)
    }

    /// Ready when the answer must break off.
    pub(super) fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<Box<Denial>> {
        if let Some((ends, end)) = &mut self.ends
            && ends.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(end.denial());
        }
        let mut cut = self.stream.state();
        if let Some(denial) = &cut.denial {
            return Poll::Ready(denial.clone());
        }
        match &mut cut.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let left = self.streams.open().streams.remove(&self.id);
        drop(left);
    }
}
