//! The requests of one WebSocket by their identifiers: those that wait for their answers, and those that were given up but
//! whose answers may still come. Never lets one identifier stand for two requests, never grows beyond its bound.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::denial::{Cause, Denial};

/// Requests that wait (`W`), and what is remembered of those that were given up (`G`).
pub(super) struct Pending<W, G> {
    waiting: HashMap<String, (W, Instant)>,
    given_up: HashMap<String, G>,
}

/// Whose answer it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<W, G> {
    Waiting(W),
    GivenUp(G),
    Nobodys,
}

impl<W, G> Default for Pending<W, G> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            given_up: HashMap::new(),
        }
    }
}

impl<W, G> Pending<W, G> {
    /// Whether a request may be sent under this identifier, while at most `max` may wait.
    ///
    /// # Errors
    /// [`Cause::ExchangeFrame`]: the identifier stands for another one, whose answer would be taken for this one's.
    /// [`Cause::Overloaded`]: too many wait.
    pub(super) fn admit(&self, id: Option<&str>, max: usize) -> Result<(), Box<Denial>> {
        let refused = |cause, why| Err(Denial::new(cause, why));
        if id.is_some_and(|id| self.waiting.contains_key(id)) {
            let why = "a frame with this id is still in flight";
            return refused(Cause::ExchangeFrame, why);
        }
        if id.is_some_and(|id| self.given_up.contains_key(id)) {
            let why = "the answer to an earlier frame with this id may still come";
            return refused(Cause::ExchangeFrame, why);
        }
        match self.waiting.len() < max {
            true => Ok(()),
            false => refused(Cause::Overloaded, "too many frames wait for their answers"),
        }
    }

    pub(super) fn insert(&mut self, id: &str, waiting: W) {
        let entry = (waiting, Instant::now());
        self.waiting.insert(id.to_owned(), entry);
    }

    /// Takes the request with this identifier out; it is free again.
    pub(super) fn take(&mut self, id: &str) -> Found<W, G> {
        if let Some((waiting, _)) = self.waiting.remove(id) {
            return Found::Waiting(waiting);
        }
        match self.given_up.remove(id) {
            Some(given_up) => Found::GivenUp(given_up),
            None => Found::Nobodys,
        }
    }

    /// Takes the only request out that an answer without an identifier can mean; nothing where it can mean several.
    pub(super) fn take_sole(&mut self) -> Found<W, G> {
        if self.waiting.len() + self.given_up.len() != 1 {
            return Found::Nobodys;
        }
        let waiting = self.waiting.drain().next();
        let given_up = self.given_up.drain().next();
        match (waiting, given_up) {
            (Some((_, (waiting, _))), _) => Found::Waiting(waiting),
            (None, Some((_, given_up))) => Found::GivenUp(given_up),
            (None, None) => Found::Nobodys,
        }
    }

    /// Gives up what has waited for so long, and remembers of it what `keep` makes.
    pub(super) fn expire(&mut self, after: Duration, keep: impl Fn(&W) -> G) -> Vec<(String, W)> {
        let late = |(_, (_, since)): &(&String, &(W, Instant))| since.elapsed() > after;
        let late = self.waiting.iter().filter(late);
        let late: Vec<String> = late.map(|(id, _)| id.clone()).collect();
        let mut expired = Vec::with_capacity(late.len());
        for id in late {
            let Some((waiting, _)) = self.waiting.remove(&id) else {
                continue;
            };
            self.given_up.insert(id.clone(), keep(&waiting));
            expired.push((id, waiting));
        }
        expired
    }

    /// Takes out everything that waits: no answer comes any more.
    pub(super) fn end(&mut self) -> Vec<W> {
        self.given_up.clear();
        let waiting = self.waiting.drain();
        waiting.map(|(_, (waiting, _))| waiting).collect()
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = &W> {
        self.waiting.values().map(|(waiting, _)| waiting)
    }

    pub(super) fn waiting_mut(&mut self) -> impl Iterator<Item = &mut W> {
        self.waiting.values_mut().map(|(waiting, _)| waiting)
    }

    /// Whether no answer is of any interest.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.given_up.is_empty()
    }

    /// Those that were given up, and whose answers may still come.
    pub(super) fn given_up(&self) -> impl ExactSizeIterator<Item = &G> {
        self.given_up.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Table = Pending<u32, &'static str>;

    fn cause(refused: Result<(), Box<Denial>>) -> Option<Cause> {
        refused.err().map(|denial| denial.cause)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_up_keeps_its_identifier_until_its_answer_comes() {
        let mut table = Table::default();
        table.insert("a", 1);
        tokio::time::advance(Duration::from_secs(2)).await;
        table.insert("b", 2);
        tokio::time::advance(Duration::from_secs(2)).await;
        let expired = table.expire(Duration::from_secs(3), |_| "late");
        assert_eq!(expired, [("a".to_owned(), 1)]);
        assert_eq!(cause(table.admit(Some("a"), 9)), Some(Cause::ExchangeFrame));
        assert_eq!(cause(table.admit(Some("b"), 9)), Some(Cause::ExchangeFrame));
        assert_eq!(cause(table.admit(Some("c"), 9)), None);
        assert_eq!(table.take("a"), Found::GivenUp("late"));
        assert_eq!(cause(table.admit(Some("a"), 9)), None);
        assert_eq!(table.take("a"), Found::Nobodys);
        assert_eq!(table.take("b"), Found::Waiting(2));
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_wait_and_what_is_given_up_is_counted_apart() {
        let mut table = Table::default();
        table.insert("a", 1);
        table.insert("b", 2);
        assert_eq!(cause(table.admit(Some("c"), 2)), Some(Cause::Overloaded));
        assert_eq!(cause(table.admit(None, 2)), Some(Cause::Overloaded));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(table.expire(Duration::from_secs(1), |_| "late").len(), 2);
        assert_eq!(table.given_up().len(), 2);
        assert_eq!(cause(table.admit(Some("c"), 2)), None);
        table.insert("c", 3);
        assert_eq!(table.end(), [3]);
        assert_eq!(table.given_up().len(), 0);
        assert_eq!(cause(table.admit(Some("a"), 2)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_without_an_identifier_is_the_only_ones_or_nobodys() {
        let mut table = Table::default();
        assert_eq!(table.take_sole(), Found::Nobodys);
        table.insert("a", 1);
        table.insert("b", 2);
        assert_eq!(table.take_sole(), Found::Nobodys);
        table.take("b");
        assert_eq!(table.take_sole(), Found::Waiting(1));
        table.insert("c", 3);
        tokio::time::advance(Duration::from_secs(2)).await;
        table.expire(Duration::from_secs(1), |_| "late");
        table.insert("d", 4);
        assert_eq!(table.take_sole(), Found::Nobodys);
        table.take("d");
        assert_eq!(table.take_sole(), Found::GivenUp("late"));
        assert_eq!(table.take_sole(), Found::Nobodys);
    }
}
