//! One way out as it is in force: what its requests go by, made at load and never changed; a reload makes another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use bytes::Bytes;
use http_body_util::Full;
use tokio::sync::Notify;

use crate::accept::body::WholeBodies;
use crate::accept::http::Http;
use crate::accept::outbound::LocalRules;
use crate::decide::outbound::ExchangePolicy;
use crate::decide::policy::AuditMode;
use crate::forward::Forwarder;
use crate::forward::coalesce::Coalescer;
use crate::forward::exchange::Exchange;
use crate::ledger::exchange::{Budget, Moment};
use crate::ledger::exchange_clock::ExchangeClock;
use crate::model::clock::Now;
use crate::model::denial::{Advice, Cause, Denial};
use crate::model::exchange::{Role, Security};
use crate::model::outbound::{CallerToken, SocketRules};
use crate::model::settings::Timeouts;
use crate::record::{
    BudgetShown, ClientMetrics, ClockShown, ExchangeMetrics, ExchangeTold, Metrics, RouteMetrics,
    Scheme,
};
use crate::runtime::nonces::Nonces;
use crate::transform::outbound::Target;
use crate::transform::signers::{Fresh, Signer, SignerMark, TimeUnit};

/// Binance's INVALID_TIMESTAMP.
const TIME_REFUSED: i64 = -1021;

/// One way out.
pub struct WayOut {
    /// What may be called.
    pub policy: Arc<ExchangePolicy>,
    /// How heads and bodies are judged.
    pub rules: LocalRules,
    /// What callers have to show, if anything.
    pub caller_token: Option<CallerToken>,
    /// Who signs, if anybody does.
    pub signer: Option<Signer>,
    /// By what its key is known again after a reload, where frames are signed.
    pub mark: Option<SignerMark>,
    /// Whether WebSockets of the exchange's API are logged on before they are handed out.
    pub log_on: bool,
    /// What makes each signature another one.
    pub freshness: Freshness,
    /// What the exchange allows, and what is spent of it.
    pub budget: Budget,
    /// Public questions that several ask at once, if their answers are shared.
    pub shared: Option<Coalescer<Box<Denial>>>,
    /// The exchange's interfaces.
    pub sites: Vec<Site>,
    /// How connections are served.
    pub http: Http,
    /// The bounds of each WebSocket.
    pub sockets: SocketRules,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// Bytes of a request body.
    pub body_bytes_max: u64,
    /// The account of bodies held whole.
    pub whole_bodies: WholeBodies,
    /// When the record of a request that changes something is written.
    pub audit: AuditMode,
    /// What is counted.
    pub counters: Counters,
}

/// One interface of an exchange, as it is reached.
pub struct Site {
    /// Which one.
    pub role: Role,
    /// Whom requests name.
    pub target: Target,
    /// The way there, one for each worker, and one for what this program asks by itself.
    pub ways: Vec<Forwarder<Full<Bytes>>>,
    /// The endpoint, and what its handshakes have shown.
    pub endpoint: Arc<Exchange>,
    /// The counters of the way there.
    pub metrics: Arc<ClientMetrics>,
}

impl WayOut {
    /// The way of one worker to an interface.
    #[must_use]
    pub fn way(&self, role: Role, worker: usize) -> Option<&Forwarder<Full<Bytes>>> {
        let site = self.sites.iter().find(|site| site.role == role)?;
        site.ways.get(worker)
    }

    /// What a record says of the exchange before anything was sent.
    pub(super) fn told(&self) -> ExchangeTold {
        ExchangeTold::new(Arc::clone(&self.policy.name), self.rules.preset.name)
    }

    pub(super) fn site(&self, role: Role) -> Result<&Site, Box<Denial>> {
        let site = self.sites.iter().find(|site| site.role == role);
        site.ok_or_else(|| Denial::new(Cause::ExchangeNotAllowed, "no such interface here"))
    }

    /// Whether a call of this kind can be signed at the moment.
    pub(super) fn can_sign(&self, security: Security, now: Now) -> Result<(), Box<Denial>> {
        match (security, &self.signer) {
            (Security::None, _) | (Security::KeyOnly, Some(_)) => Ok(()),
            (Security::Signed, Some(_)) => self.freshness.time(now).map(drop),
            (Security::KeyOnly | Security::Signed, None) => {
                Err(Denial::new(Cause::ExchangeSigning, "no key is configured"))
            }
        }
    }

    /// The moment, as the exchange's windows see it.
    pub(super) fn moment(&self, now: Now) -> Moment {
        self.freshness.clock.moment(now)
    }

    /// Tells the metrics what is only known here.
    pub fn show(&self, now: Now) {
        let exchange = &self.counters.exchange;
        let budget = self.budget.state(self.moment(now));
        let full = |usage: crate::ledger::exchange::Usage| (usage.used, usage.limit);
        exchange.show_budget(BudgetShown {
            weight: budget.weight.map(full),
            orders: budget.orders.map(full),
            halted_until: budget.halted.map(|(_, left)| {
                let left = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
                now.unix_seconds().saturating_add(left)
            }),
        });
        let clock = self.freshness.clock.shown(now);
        exchange.show_clock(ClockShown {
            offset_us: clock.offset_us.unwrap_or_default(),
            uncertainty: clock.uncertainty.unwrap_or_default(),
            is_unsynced: self.signer.is_some() && self.freshness.time(now).is_err(),
            steps: clock.steps.saturating_add(clock.local_steps),
        });
    }

    /// Why nothing can be signed at the moment, if something stands in the way.
    #[must_use]
    pub fn unsynced(&self, now: Now) -> Option<&'static str> {
        self.signer.as_ref()?;
        match self.freshness.machine_time {
            true => None,
            false => self
                .freshness
                .clock
                .corrected(now)
                .err()
                .map(|why| why.name()),
        }
    }
}

/// What makes each signature another one: time, nonces, random bytes.
pub struct Freshness {
    /// The exchange's time.
    pub clock: ExchangeClock,
    /// Doubts of it, which ask for another comparison.
    pub doubts: Arc<Doubts>,
    /// Whether this machine's time is signed, because the exchange's own is asked by nobody here.
    pub machine_time: bool,
    /// Numbers that only grow, for rules that need them.
    pub nonces: Option<(Arc<Nonces>, TimeUnit)>,
    /// Whether the rule needs random bytes.
    pub random: bool,
}

/// What exchanges say of times that were signed: that one was wrong. Whoever compares clocks waits here.
#[derive(Debug, Default)]
pub struct Doubts {
    /// When the newest of them was signed, on the monotonic clock.
    signed_ns: AtomicU64,
    told: Notify,
}

impl Doubts {
    /// The exchange called a time wrong that was signed at this moment.
    pub fn tell(&self, signed: Now) {
        self.signed_ns.fetch_max(signed.mono_ns, Ordering::Relaxed);
        self.told.notify_one();
    }

    /// Waits until a time is called wrong that was signed after this comparison; what was signed before it is settled.
    pub async fn since(&self, compared: Now) {
        loop {
            self.told.notified().await;
            if self.signed_ns.load(Ordering::Relaxed) > compared.mono_ns {
                return;
            }
        }
    }
}

impl Freshness {
    /// The exchange's time, in microseconds since 1970.
    ///
    /// # Errors
    /// [`Cause::ExchangeClock`]: it is not known well enough, and a guess is not signed.
    pub(super) fn time(&self, now: Now) -> Result<i64, Box<Denial>> {
        if self.machine_time {
            return Ok(now.unix_us);
        }
        let time = self.clock.corrected(now).map(|time| time.unix_us);
        time.map_err(|why| {
            let denial = Denial::new(Cause::ExchangeClock, why.name());
            denial.advising(Advice::RetryAfter(std::time::Duration::from_secs(1)))
        })
    }

    /// What the exchange says of a request that was signed at this moment. If it is that the time was wrong, clocks are
    /// compared at once: until then everything else would be refused there too.
    pub(super) fn note_code(&self, code: Option<i64>, signed: Now) {
        if code == Some(TIME_REFUSED) {
            self.doubts.tell(signed);
        }
    }

    /// All of it, for one signature.
    pub(super) fn fresh(&self, now: Now) -> Result<Fresh, Box<Denial>> {
        let unix_us = self.time(now)?;
        let unsigned = |why: &str| Denial::new(Cause::ExchangeSigning, why);
        let nonce = match &self.nonces {
            None => 0,
            Some((nonces, unit)) => {
                let at_least = unit.of(unix_us).unwrap_or_default();
                let next = nonces.next(at_least);
                next.map_err(|fault| unsigned(&fault.to_string()))?
            }
        };
        let mut random = [0; 32];
        if self.random {
            let filled = SystemRandom::new().fill(&mut random);
            filled.map_err(|_| unsigned("the system gives no random bytes"))?;
        }
        Ok(Fresh {
            unix_us,
            nonce,
            random,
        })
    }
}

/// What is counted of one way out, made once so that no request looks a counter up.
pub struct Counters {
    /// In the order of the lines of `allow`.
    lines: Vec<Arc<RouteMetrics>>,
    /// For what no line allows.
    pub(super) unallowed: Arc<RouteMetrics>,
    /// For what this program asks by itself.
    pub(super) own: Arc<RouteMetrics>,
    /// Limits and time.
    pub exchange: ExchangeMetrics,
}

impl Counters {
    /// Makes them.
    #[must_use]
    pub fn new(policy: &ExchangePolicy, metrics: &Metrics) -> Self {
        // The slash keeps it apart from every route of the way in.
        let name = format!("outbound/{}", policy.name);
        let route = |template: &str| metrics.route(&name, template, Scheme::Http);
        Self {
            lines: policy
                .allow
                .iter()
                .map(|line| route(line.pattern()))
                .collect(),
            unallowed: route(""),
            own: route("own"),
            exchange: metrics.exchange(&policy.name),
        }
    }

    /// Those of a line.
    pub(super) fn line(&self, position: Option<usize>) -> Option<&Arc<RouteMetrics>> {
        self.lines.get(position?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_what_was_signed_after_a_comparison_puts_it_in_doubt() {
        let at = |mono_ns| Now {
            mono_ns,
            unix_us: 0,
        };
        let doubts = Doubts::default();
        let soon = std::time::Duration::from_secs(1);
        doubts.tell(at(5));
        assert!(
            tokio::time::timeout(soon, doubts.since(at(5)))
                .await
                .is_err()
        );
        doubts.tell(at(6));
        doubts.tell(at(4));
        assert!(
            tokio::time::timeout(soon, doubts.since(at(5)))
                .await
                .is_ok()
        );
    }
}
