//! Identical public questions asked once: while one is under way, and for a stated moment after, others get its answer.
//! Never for anything with a credential, never for anything that changes something, and never without a bound.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::sync::watch;

use crate::model::clock::Now;

mod key;
#[cfg(test)]
mod tests;

pub use key::Key;

/// Questions that are remembered, under way or answered. Others go alone.
const QUESTIONS_MAX: usize = 256;

/// Bytes of one body; what is longer goes to whoever asked, and the others ask for themselves.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// Bytes of all bodies that are kept.
const BODIES_BYTES_MAX: usize = 8 << 20;

/// The questions under way and the answers that are kept. Shared by all workers; `F` says why a question failed.
#[derive(Debug)]
pub struct Coalescer<F> {
    table: Arc<Mutex<Table<F>>>,
    keep: Duration,
}

/// An answer that may be given to several.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its header.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: Bytes,
}

/// What somebody who asks has to do.
#[derive(Debug)]
pub enum Turn<F> {
    /// Ask, and say what came of it: others wait for that.
    Lead(Lead<F>),
    /// Nothing: this is the answer. What was reserved was not sent.
    Answered(Arc<Answer>),
    /// Nothing: whoever asked for all has failed.
    Failed(F),
    /// Ask without the others.
    Alone,
}

/// The one that asks for all. If it is dropped without a word, the next of those who wait takes its place.
#[derive(Debug)]
#[must_use = "others wait for what comes of this"]
pub struct Lead<F> {
    table: Arc<Mutex<Table<F>>>,
    key: Key,
    keep: Duration,
    landing: watch::Sender<Option<Landed<F>>>,
    is_landed: bool,
}

#[derive(Debug)]
struct Table<F> {
    questions: HashMap<Key, Question<F>>,
    bytes_kept: usize,
}

#[derive(Debug)]
enum Question<F> {
    UnderWay(watch::Receiver<Option<Landed<F>>>),
    Kept { answer: Arc<Answer>, until_ns: u64 },
}

#[derive(Clone, Debug)]
enum Landed<F> {
    Answered(Arc<Answer>),
    Failed(F),
    Alone,
}

enum Entered<F> {
    Turn(Turn<F>),
    Wait(watch::Receiver<Option<Landed<F>>>),
}

impl<F: Clone> Coalescer<F> {
    /// Keeps answers for so long; with zero, only what is under way is shared.
    #[must_use]
    pub fn new(keep: Duration) -> Self {
        let table = Table {
            questions: HashMap::new(),
            bytes_kept: 0,
        };
        Self {
            table: Arc::new(Mutex::new(table)),
            keep,
        }
    }

    /// Says what to do about a question; waits for the answer if somebody is asking already. How long is the asker's to
    /// bound: dropping this leaves the others as they are.
    pub async fn join(&self, key: &Key, now: Now) -> Turn<F> {
        loop {
            let mut under_way = match self.enter(key, now) {
                Entered::Turn(turn) => return turn,
                Entered::Wait(under_way) => under_way,
            };
            let landed = under_way.wait_for(Option::is_some).await;
            if let Some(landed) = landed.ok().and_then(|landed| landed.clone()) {
                return landed.into();
            }
            // Who led has gone. An answer that is kept by now is younger than this question, whatever `now` says.
        }
    }

    /// Questions that are remembered, and the bytes of bodies kept for them.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        let table = lock(&self.table);
        (table.questions.len(), table.bytes_kept)
    }

    fn enter(&self, key: &Key, now: Now) -> Entered<F> {
        let mut table = lock(&self.table);
        match table.questions.get(key) {
            Some(Question::UnderWay(landing)) => return Entered::Wait(landing.clone()),
            Some(Question::Kept { answer, until_ns }) if now.mono_ns < *until_ns => {
                return Entered::Turn(Turn::Answered(Arc::clone(answer)));
            }
            Some(Question::Kept { .. }) => table.forget(key),
            None => {}
        }
        if table.questions.len() >= QUESTIONS_MAX {
            table.sweep(now);
        }
        if table.questions.len() >= QUESTIONS_MAX {
            return Entered::Turn(Turn::Alone);
        }
        let (landing, landed) = watch::channel(None);
        table
            .questions
            .insert(key.clone(), Question::UnderWay(landed));
        Entered::Turn(Turn::Lead(Lead {
            table: Arc::clone(&self.table),
            key: key.clone(),
            keep: self.keep,
            landing,
            is_landed: false,
        }))
    }
}

impl<F> Clone for Coalescer<F> {
    fn clone(&self) -> Self {
        Self {
            table: Arc::clone(&self.table),
            keep: self.keep,
        }
    }
}

impl<F> Lead<F> {
    /// Gives the answer to all who wait. A 200 that says nothing against it is kept for those who come; every other
    /// answer is for those who are here.
    pub fn answer(self, answer: Answer, now: Now) -> Arc<Answer> {
        let answer = Arc::new(answer);
        let keep_ns = u64::try_from(self.keep.as_nanos()).unwrap_or(u64::MAX);
        let kept = (keep_ns > 0 && answer.may_be_kept()).then(|| Question::Kept {
            answer: Arc::clone(&answer),
            until_ns: now.mono_ns.saturating_add(keep_ns),
        });
        let landed = match answer.may_be_shared() {
            true => Landed::Answered(Arc::clone(&answer)),
            false => Landed::Alone,
        };
        self.land(landed, kept, Some(now));
        answer
    }

    /// Says to all who wait why there is no answer.
    pub fn fail(self, failure: F) {
        self.land(Landed::Failed(failure), None, None);
    }

    /// Says to all who wait that they have to ask for themselves: the answer is too long to be shared, or not for all.
    pub fn release(self) {
        self.land(Landed::Alone, None, None);
    }

    fn land(mut self, landed: Landed<F>, kept: Option<Question<F>>, now: Option<Now>) {
        self.is_landed = true;
        let mut table = lock(&self.table);
        table.forget(&self.key);
        if let Some(now) = now {
            table.sweep(now);
        }
        if let Some(kept) = kept {
            table.keep(self.key.clone(), kept);
        }
        drop(table);
        self.landing.send_replace(Some(landed));
    }
}

impl<F> Drop for Lead<F> {
    fn drop(&mut self) {
        if !self.is_landed {
            // Before the sender goes: who waits then finds no question under way and takes this place.
            lock(&self.table).forget(&self.key);
        }
    }
}

impl<F> Table<F> {
    fn forget(&mut self, key: &Key) {
        if let Some(Question::Kept { answer, .. }) = self.questions.remove(key) {
            self.bytes_kept = self.bytes_kept.saturating_sub(answer.body.len());
        }
    }

    fn keep(&mut self, key: Key, question: Question<F>) {
        let Question::Kept { answer, .. } = &question else {
            return;
        };
        let bytes = self.bytes_kept.saturating_add(answer.body.len());
        if bytes <= BODIES_BYTES_MAX {
            self.bytes_kept = bytes;
            self.questions.insert(key, question);
        }
    }

    /// Forgets answers that are too old.
    fn sweep(&mut self, now: Now) {
        let mut bytes_kept = 0;
        self.questions.retain(|_, question| match question {
            Question::UnderWay(_) => true,
            Question::Kept { answer, until_ns } => {
                let is_fresh = now.mono_ns < *until_ns;
                bytes_kept += if is_fresh { answer.body.len() } else { 0 };
                is_fresh
            }
        });
        self.bytes_kept = bytes_kept;
    }
}

impl Answer {
    /// An answer that sets a cookie is for one.
    fn may_be_shared(&self) -> bool {
        self.body.len() <= BODY_BYTES_MAX && !self.headers.contains_key(http::header::SET_COOKIE)
    }

    fn may_be_kept(&self) -> bool {
        self.status == StatusCode::OK && self.may_be_shared()
    }
}

impl<F> From<Landed<F>> for Turn<F> {
    fn from(landed: Landed<F>) -> Self {
        match landed {
            Landed::Answered(answer) => Self::Answered(answer),
            Landed::Failed(failure) => Self::Failed(failure),
            Landed::Alone => Self::Alone,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A query is nothing for a log.
        out.write_str("Key(..)")
    }
}

fn lock<F>(table: &Mutex<Table<F>>) -> MutexGuard<'_, Table<F>> {
    // A count of bytes that a panic left too high keeps less, and the next sweep corrects it.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
