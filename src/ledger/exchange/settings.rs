//! What a budget and a clock are told at load. Plain data that `config` fills in; no defaults here.

use std::sync::Arc;
use std::time::Duration;

use super::Lane;
use super::limits::RateLimit;

/// How much of an exchange's limits is spent, in percent of each limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSettings {
    /// At most so much, by anybody. The rest is for what is not seen from here.
    pub use_percent: u8,
    /// Of that, so much by cancels only.
    pub cancels_keep_percent: u8,
}

impl BudgetSettings {
    /// What a lane may spend of a limit. At least one: a limit of one that is never spent is an outage.
    pub(super) fn cap(&self, limit: u64, lane: Lane) -> u64 {
        let percent = match lane {
            Lane::Cancel => self.use_percent,
            Lane::Normal => self.use_percent.saturating_sub(self.cancels_keep_percent),
        };
        (limit.saturating_mul(u64::from(percent.min(100))) / 100).max(1)
    }
}

/// Whose budget it is. Budgets of the same exchange share the limits of the address, those of the same account also
/// share its orders; the names tell them apart and never leave the process.
#[derive(Clone, Debug)]
pub struct BudgetSpec {
    /// The exchange as far as it counts together: REST and WebSocket API of one market, not its testnet.
    pub exchange: Arc<str>,
    /// The account at that exchange: the name of its key, never the key.
    pub account: Arc<str>,
    /// Limits to begin with, until the exchange tells its own.
    pub limits: Vec<RateLimit>,
    /// How much of them is spent.
    pub settings: BudgetSettings,
}

/// How far the exchange's time is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSettings {
    /// How far this machine's clock and the exchange's may be apart.
    pub max_offset: Duration,
    /// How old the newest comparison may be.
    pub max_age: Duration,
}
