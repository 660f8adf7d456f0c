//! What is counted together: the limits of one address, or those of one account, at one exchange. Knows nothing of who
//! asks.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::breaker::{Breaker, after};
use super::limits::{LIMITS_MAX, LimitKind, RateLimit, Told};
use super::meter::{Ended, Meter, Source};
use super::settings::BudgetSettings;
use super::{Charge, Lane, Moment, Refused, Usage, Which};

/// The state that every worker of this process shares.
///
/// **The seam between pods.** Pods that leave by one address, or trade with one key, share the exchange's counters as
/// well. Everything that would have to be shared is in a scope, by its name, and is touched only by [`Scope::state`]:
/// shared state stands in for this one or leases parts of its limits to it. Until then each pod learns what the others
/// spend from the figures that the exchange tells with every answer.
#[derive(Debug, Default)]
pub(super) struct Scope(Mutex<State>);

/// The meters of one scope, and whether the exchange said stop.
#[derive(Debug, Default)]
pub(super) struct State {
    meters: Vec<Meter>,
    pub(super) breaker: Breaker,
    /// Begins anew with each figure that was asked for after the newest one had come. What was told before the epoch
    /// that came before this one was true earlier than anything told since.
    epoch: u64,
    /// From when on the exchange's own counts may be asked for again.
    ask_from_ns: u64,
}

impl Scope {
    /// Everything at this moment. Held for a few additions, never while anything is waited for.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Additions that saturate cannot leave a state half-way, whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes over a limit, from the exchange or from a preset. Beyond a handful further ones are not kept.
    pub(super) fn learn(&mut self, limit: RateLimit) {
        if let Some(meter) = self.meter(&limit) {
            meter.set_limit(limit.limit);
        } else if self.meters.len() < LIMITS_MAX {
            self.meters.push(Meter::new(limit));
        }
    }

    /// Takes over a limit only if none of its kind and interval is known.
    pub(super) fn learn_unknown(&mut self, limit: RateLimit) {
        if self.meter(&limit).is_none() {
            self.learn(limit);
        }
    }

    /// The limit that has no room for this, and for how long; of several the one that takes longest.
    pub(super) fn full(
        &mut self,
        charge: &Charge,
        lane: Lane,
        settings: &BudgetSettings,
        at: Moment,
    ) -> Option<Refused> {
        let refusal = |meter: &mut Meter| {
            let amount = Some(charge.of(meter.kind())).filter(|amount| *amount > 0)?;
            let wait = meter.wait(amount, settings.cap(meter.limit(), lane), at)?;
            let which = Which::Limit {
                kind: meter.kind(),
                interval: meter.interval(),
            };
            Some(Refused { which, wait })
        };
        self.meters
            .iter_mut()
            .filter_map(refusal)
            .max_by_key(|refused| refused.wait)
    }

    pub(super) fn take(&mut self, charge: &Charge) {
        for meter in &mut self.meters {
            meter.take(charge.of(meter.kind()));
        }
    }

    pub(super) fn give_back(&mut self, charge: &Charge) {
        for meter in &mut self.meters {
            meter.give_back(charge.of(meter.kind()));
        }
    }

    /// Ends a reservation that was made in this epoch of the scope.
    pub(super) fn settle(
        &mut self,
        reserved: &Charge,
        cost: &Charge,
        (told, source): (&Told, Source),
        (begun, settled): (Moment, Option<Moment>),
        epoch: u64,
    ) {
        let is_newer = epoch == self.epoch;
        let mut was_told = false;
        for meter in &mut self.meters {
            let told = told.figure(meter.kind(), meter.interval());
            was_told |= told.is_some();
            meter.settle(&Ended {
                reserved: reserved.of(meter.kind()),
                cost: cost.of(meter.kind()),
                begun,
                settled,
                told,
                source,
                is_newer,
            });
        }
        if was_told && is_newer {
            self.epoch = self.epoch.wrapping_add(1);
        }
    }

    /// Whether the exchange's own counts may be asked for now; if so, the next time is after the pause.
    pub(super) fn may_ask(&mut self, pause: Duration, at: Moment) -> bool {
        let may = at.mono_ns() >= self.ask_from_ns;
        if may {
            self.ask_after(pause, at);
        }
        may
    }

    /// It is not asked before this is over.
    pub(super) fn ask_after(&mut self, pause: Duration, at: Moment) {
        self.ask_from_ns = after(at, pause);
    }

    /// The window of this kind that is nearest to its limit.
    pub(super) fn fullest(&mut self, kind: LimitKind, at: Moment) -> Option<Usage> {
        let usage = |meter: &mut Meter| Usage {
            interval: meter.interval(),
            used: meter.used(at),
            limit: meter.limit(),
            source: meter.source(),
        };
        let of_kind = self.meters.iter_mut().filter(|meter| meter.kind() == kind);
        of_kind.map(usage).max_by_key(Usage::share)
    }

    #[cfg(test)]
    pub(super) const fn meters_held(&self) -> usize {
        self.meters.len()
    }

    fn meter(&mut self, like: &RateLimit) -> Option<&mut Meter> {
        let same =
            |meter: &&mut Meter| (meter.kind(), meter.interval()) == (like.kind, like.interval);
        self.meters.iter_mut().find(same)
    }
}
