//! The exchange's limits: calendar-aligned windows of weight, requests and orders, and the penalty of who overdoes it.
//! Counts what arrives; never delays anything.

use std::collections::HashMap;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::dialect::{Dialect, Market};
use super::refusal::Refusal;

/// What the exchange allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Request weight in a minute, of one IP.
    pub weight_per_minute: u64,
    /// Requests in five minutes, of one IP. Spot only.
    pub requests_per_5_minutes: u64,
    /// New orders in ten seconds, of one account.
    pub orders_per_10_seconds: u64,
    /// New orders in a minute, of one account. Futures only.
    pub orders_per_minute: u64,
    /// New orders in a day, of one account. Spot only.
    pub orders_per_day: u64,
    /// How often 429 is answered in a window before 418.
    pub warnings: u32,
    /// How long the first ban lasts; each further one lasts twice as long.
    pub ban: Duration,
    /// What arrives so soon after a ban was first answered was sent before that could be read, and is no violation.
    pub grace: Duration,
}

impl Default for Limits {
    /// The limits of Binance's spot exchange; a ban of two minutes.
    fn default() -> Self {
        Self {
            weight_per_minute: 6000,
            requests_per_5_minutes: 300_000,
            orders_per_10_seconds: 50,
            orders_per_minute: 1200,
            orders_per_day: 160_000,
            warnings: 3,
            ban: Duration::from_secs(120),
            grace: Duration::from_millis(250),
        }
    }
}

impl Limits {
    /// Those of a market of Binance.
    #[must_use]
    pub fn of(market: Market) -> Self {
        match market {
            Market::Spot => Self::default(),
            Market::UsdM | Market::CoinM => Self {
                weight_per_minute: 2400,
                orders_per_10_seconds: 300,
                ..Self::default()
            },
        }
    }

    /// As `exchangeInfo` lists them.
    pub(super) fn listed(&self, dialect: &Dialect) -> Value {
        let weight = json!({
            "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.weight_per_minute,
        });
        let orders = dialect.counted.iter().map(|counted| counted.listed(self));
        let requests = dialect.counts_requests.then(|| {
            json!({
                "rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5,
                "limit": self.requests_per_5_minutes,
            })
        });
        [weight].into_iter().chain(orders).chain(requests).collect()
    }
}

/// A window in which a market counts the orders of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    TenSeconds,
    Minute,
    Day,
}

impl Counted {
    const fn seconds(self) -> i64 {
        match self {
            Self::TenSeconds => 10,
            Self::Minute => 60,
            Self::Day => 86_400,
        }
    }

    const fn limit(self, limits: &Limits) -> u64 {
        match self {
            Self::TenSeconds => limits.orders_per_10_seconds,
            Self::Minute => limits.orders_per_minute,
            Self::Day => limits.orders_per_day,
        }
    }

    /// The interval's number and name.
    const fn interval(self) -> (u32, &'static str) {
        match self {
            Self::TenSeconds => (10, "SECOND"),
            Self::Minute => (1, "MINUTE"),
            Self::Day => (1, "DAY"),
        }
    }

    /// The header that tells the orders of this window.
    pub(super) const fn header(self) -> &'static str {
        match self {
            Self::TenSeconds => "x-mbx-order-count-10s",
            Self::Minute => "x-mbx-order-count-1m",
            Self::Day => "x-mbx-order-count-1d",
        }
    }

    fn listed(self, limits: &Limits) -> Value {
        let (number, interval) = self.interval();
        json!({
            "rateLimitType": "ORDERS", "interval": interval, "intervalNum": number, "limit": self.limit(limits),
        })
    }
}

/// What has been used of the limits.
#[derive(Debug)]
pub(super) struct Meter {
    limits: Limits,
    dialect: &'static Dialect,
    weight: Window,
    requests: Window,
    /// By account, in the order of the dialect's windows.
    orders: HashMap<String, Vec<Window>>,
    warned: u32,
    bans: u32,
    ban: Option<Ban>,
}

/// A moment on the server's clock and on one that nothing changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) unix_us: i64,
    pub(super) mono_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Ban {
    /// When somebody was first told.
    told_ns: Option<u64>,
    until_ns: u64,
}

/// Why a request is not looked at.
#[derive(Debug)]
pub(super) struct Limited {
    pub(super) refusal: Refusal,
    /// Sent although the sender knew that it is banned.
    pub(super) in_spite: bool,
}

impl Meter {
    pub(super) fn new(limits: Limits, dialect: &'static Dialect) -> Self {
        Self {
            limits,
            dialect,
            weight: Window::new(60),
            requests: Window::new(300),
            orders: HashMap::new(),
            warned: 0,
            bans: 0,
            ban: None,
        }
    }

    /// Counts a request that has arrived.
    ///
    /// # Errors
    ///
    /// 429 when a window is full, 418 when the sender goes on all the same or is banned already.
    pub(super) fn arrive(&mut self, now: Moment, weight: u64) -> Result<(), Limited> {
        if let Some(ban) = self.ban.take_if(|ban| now.mono_ns < ban.until_ns) {
            return Err(self.banned(now, ban));
        }
        self.ban = None;
        if self.weight.roll(now.unix_us) {
            self.warned = 0;
        }
        self.requests.roll(now.unix_us);
        self.requests.used += 1;
        let full = self.weight.used + weight > self.limits.weight_per_minute
            || self.weight.used >= self.limits.weight_per_minute
            || (self.dialect.counts_requests
                && self.requests.used > self.limits.requests_per_5_minutes);
        if full {
            return Err(self.overdone(now));
        }
        self.weight.used += weight;
        Ok(())
    }

    /// Tells of a ban that goes on.
    fn banned(&mut self, now: Moment, ban: Ban) -> Limited {
        let told_ns = ban.told_ns.unwrap_or(now.mono_ns);
        self.ban = Some(Ban {
            told_ns: Some(told_ns),
            ..ban
        });
        let left = Duration::from_nanos(ban.until_ns.saturating_sub(now.mono_ns));
        let since = Duration::from_nanos(now.mono_ns.saturating_sub(told_ns));
        Limited {
            refusal: Refusal::too_many(self.limits.weight_per_minute, true, left),
            in_spite: since > self.limits.grace,
        }
    }

    fn overdone(&mut self, now: Moment) -> Limited {
        self.warned = self.warned.saturating_add(1);
        if self.warned > self.limits.warnings {
            let length = self.limits.ban * 2_u32.saturating_pow(self.bans.min(16));
            let ban = self.next_ban(now, length);
            return self.banned(now, ban);
        }
        let left = self.weight.left(now.unix_us);
        Limited {
            refusal: Refusal::too_many(self.limits.weight_per_minute, false, left),
            in_spite: false,
        }
    }

    /// Bans from now on.
    pub(super) fn ban(&mut self, now: Moment, length: Duration) {
        self.ban = Some(self.next_ban(now, length));
    }

    fn next_ban(&mut self, now: Moment, length: Duration) -> Ban {
        let length = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        self.bans = self.bans.saturating_add(1);
        self.warned = 0;
        Ban {
            told_ns: None,
            until_ns: now.mono_ns.saturating_add(length),
        }
    }

    /// Charges weight afterwards: for a failed order, or for somebody else at the same address.
    pub(super) fn charge(&mut self, now: Moment, weight: u64) {
        self.weight.roll(now.unix_us);
        self.weight.used += weight;
    }

    /// The weight used in this minute.
    pub(super) fn used(&mut self, now: Moment) -> u64 {
        self.weight.roll(now.unix_us);
        self.weight.used
    }

    /// Counts a new order of an account.
    ///
    /// # Errors
    ///
    /// -1015 when a window is full.
    pub(super) fn order(&mut self, now: Moment, account: &str) -> Result<(), Refusal> {
        let (limits, counted) = (self.limits, self.dialect.counted);
        let windows = self.orders_of(now, account);
        for (counted, window) in counted.iter().zip(windows.iter()) {
            let limit = counted.limit(&limits);
            if window.used >= limit {
                let (number, interval) = counted.interval();
                let per = format!("{limit} orders per {number} {interval}");
                return Err(too_many_orders(&per, window.left(now.unix_us)));
            }
        }
        for window in windows {
            window.used += 1;
        }
        Ok(())
    }

    /// The orders of an account in each window.
    pub(super) fn orders_used(&mut self, now: Moment, account: &str) -> Vec<(Counted, u64)> {
        let counted = self.dialect.counted.iter();
        let windows = self.orders_of(now, account).iter();
        let used = windows.map(|window| window.used);
        counted.copied().zip(used).collect()
    }

    fn orders_of(&mut self, now: Moment, account: &str) -> &mut [Window] {
        let windows = self.orders.entry(account.to_owned()).or_insert_with(|| {
            let counted = self.dialect.counted.iter();
            counted.map(|one| Window::new(one.seconds())).collect()
        });
        for window in windows.iter_mut() {
            window.roll(now.unix_us);
        }
        windows
    }

    /// What `rateLimits` says in a WebSocket answer: the weight, and the orders of an account.
    pub(super) fn reported(&mut self, now: Moment, account: Option<&str>) -> Value {
        let weight = json!({
            "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
            "limit": self.limits.weight_per_minute, "count": self.used(now),
        });
        match account {
            None => json!([weight]),
            Some(account) => {
                let orders = self.orders_reported(now, account).into_iter();
                orders.chain([weight]).collect()
            }
        }
    }

    /// What `rateLimit/order` answers.
    pub(super) fn orders_reported(&mut self, now: Moment, account: &str) -> Vec<Value> {
        let limits = self.limits;
        let used = self.orders_used(now, account).into_iter();
        let reported = used.map(|(counted, used)| {
            let mut listed = counted.listed(&limits);
            if let Some(listed) = listed.as_object_mut() {
                listed.insert("count".to_owned(), used.into());
            }
            listed
        });
        reported.collect()
    }
}

fn too_many_orders(per: &str, left: Duration) -> Refusal {
    let msg = format!("Too many new orders; current limit is {per}.");
    let mut refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, -1015, msg);
    refusal.retry_after = Some(left);
    refusal
}

/// A window that begins and ends with the calendar.
#[derive(Clone, Copy, Debug)]
struct Window {
    seconds: i64,
    index: i64,
    used: u64,
}

impl Window {
    const fn new(seconds: i64) -> Self {
        Self {
            seconds,
            index: 0,
            used: 0,
        }
    }

    /// Empties the window if another has begun, and says whether it has.
    fn roll(&mut self, unix_us: i64) -> bool {
        let index = unix_us.div_euclid(self.seconds * 1_000_000);
        let other = index != self.index;
        if other {
            self.index = index;
            self.used = 0;
        }
        other
    }

    /// Time until the window ends.
    fn left(&self, unix_us: i64) -> Duration {
        let length = self.seconds * 1_000_000;
        let left = length - unix_us.rem_euclid(length);
        Duration::from_micros(left.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment {
            unix_us: i64::try_from(seconds * 1_000_000).unwrap(),
            mono_ns: seconds * 1_000_000_000,
        }
    }

    fn small() -> Limits {
        Limits {
            weight_per_minute: 10,
            warnings: 1,
            orders_per_10_seconds: 2,
            ..Limits::default()
        }
    }

    #[test]
    fn windows_follow_the_calendar() {
        let mut meter = Meter::new(small(), Market::Spot.dialect());
        meter.arrive(at(59), 10).unwrap();
        assert_eq!(meter.used(at(59)), 10);
        let refused = meter.arrive(at(59), 1).unwrap_err();
        assert_eq!(refused.refusal.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.refusal.retry_after, Some(Duration::from_secs(1)));
        meter.arrive(at(60), 10).unwrap();
        assert_eq!(meter.used(at(120)), 0);
    }

    #[test]
    fn who_goes_on_is_banned_and_each_ban_is_longer() {
        let mut meter = Meter::new(small(), Market::Spot.dialect());
        meter.charge(at(0), 10);
        assert_eq!(
            meter.arrive(at(1), 0).unwrap_err().refusal.status.as_u16(),
            429
        );
        let ban = meter.arrive(at(1), 1).unwrap_err();
        assert_eq!(ban.refusal.status.as_u16(), 418);
        assert!(!ban.in_spite);
        let again = meter.arrive(at(100), 1).unwrap_err();
        assert!(again.in_spite);
        assert_eq!(again.refusal.retry_after, Some(Duration::from_secs(21)));
        meter.arrive(at(121), 10).unwrap();
        meter.arrive(at(121), 1).unwrap_err();
        let longer = meter.arrive(at(121), 1).unwrap_err();
        assert_eq!(longer.refusal.retry_after, Some(Duration::from_secs(240)));
    }

    #[test]
    fn nobody_knows_of_a_ban_before_somebody_was_told() {
        let mut meter = Meter::new(small(), Market::Spot.dialect());
        meter.ban(at(0), Duration::from_secs(60));
        let mut in_spite = |seconds| meter.arrive(at(seconds), 1).unwrap_err().in_spite;
        assert_eq!([5, 5, 6].map(&mut in_spite), [false, false, true]);
        meter.arrive(at(60), 1).unwrap();
    }

    #[test]
    fn orders_are_counted_for_each_account() {
        let mut meter = Meter::new(small(), Market::Spot.dialect());
        meter.order(at(1), "a").unwrap();
        meter.order(at(9), "a").unwrap();
        let refused = meter.order(at(9), "a").unwrap_err();
        assert_eq!(
            (refused.code, refused.retry_after),
            (-1015, Some(Duration::from_secs(1)))
        );
        meter.order(at(9), "b").unwrap();
        meter.order(at(10), "a").unwrap();
        let used = vec![(Counted::TenSeconds, 1), (Counted::Day, 3)];
        assert_eq!(meter.orders_used(at(10), "a"), used);
    }
}
