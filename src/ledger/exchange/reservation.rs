//! A part of a budget that one request holds, from before it is sent to what became of it. Never forgotten: one that is
//! dropped counts as sent.

use super::answer::{Answer, Outcome};
use super::breaker::Pass;
use super::firewall::CallMark;
use super::limits::Told;
use super::meter::Source;
use super::{Budget, Charge, Moment};

/// A part of a budget, held for one request.
#[derive(Debug)]
#[must_use = "a reservation that is dropped counts as sent without an answer"]
pub struct Reservation {
    budget: Budget,
    charge: Charge,
    pass: Pass,
    begun: Moment,
    /// Of the address and of the account.
    epochs: [u64; 2],
    is_open: bool,
}

/// What became of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled<'a> {
    /// The exchange answered.
    Answered(&'a Answer),
    /// No byte of it was sent: everything is given back.
    NotSent,
    /// It was sent, or may have been, and nobody answered: everything is kept.
    Unknown,
}

impl Reservation {
    pub(super) const fn new(
        budget: Budget,
        charge: Charge,
        pass: Pass,
        begun: Moment,
        epochs: [u64; 2],
    ) -> Self {
        Self {
            budget,
            charge,
            pass,
            begun,
            epochs,
            is_open: true,
        }
    }

    /// Which call it is held for.
    #[must_use]
    pub const fn call(&self) -> CallMark {
        self.charge.call
    }

    /// Ends it.
    pub fn settle(mut self, settled: Settled<'_>, at: Moment) {
        self.is_open = false;
        match settled {
            Settled::NotSent => self.give_back(),
            Settled::Unknown => self.keep(Some(at)),
            Settled::Answered(answer) => self.reconcile(answer, at),
        }
    }

    fn give_back(&self) {
        let mut address = self.budget.address.state();
        address.give_back(&self.charge);
        address.breaker.unanswered(self.pass);
        drop(address);
        self.budget.account.state().give_back(&self.charge);
    }

    fn keep(&self, at: Option<Moment>) {
        self.budget.address.state().breaker.unanswered(self.pass);
        self.count(self.charge, &Told::default(), at);
    }

    fn reconcile(&self, answer: &Answer, at: Moment) {
        let mut address = self.budget.address.state();
        match answer.outcome {
            Outcome::Success | Outcome::Failure => address.breaker.answered(self.pass),
            Outcome::Halt(halt, retry) => {
                let asked = (self.charge.call, self.pass);
                address.breaker.halt(asked, halt, retry, at);
            }
        }
        drop(address);
        let cost = match answer.outcome {
            Outcome::Success => self.charge.after_success(),
            Outcome::Failure | Outcome::Halt(..) => self.charge,
        };
        self.count(cost, &answer.told, Some(at));
    }

    fn count(&self, cost: Charge, told: &Told, at: Option<Moment>) {
        let times = (self.begun, at);
        for (scope, epoch) in [&self.budget.address, &self.budget.account]
            .into_iter()
            .zip(self.epochs)
        {
            scope
                .state()
                .settle(&self.charge, &cost, (told, Source::Answer), times, epoch);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.is_open {
            self.keep(None);
        }
    }
}
