//! What an exchange limits, and what it tells of it: `rateLimits` and header fields, read into types. Never keeps more
//! than a handful of entries, whatever is sent.

use std::fmt::Write as _;

use http::HeaderMap;
use serde::Deserialize;

use super::interval::{Interval, Unit};

/// Limits of one kind of scope that are kept, and figures of one answer that are read: exchanges have two or three.
pub(super) const LIMITS_MAX: usize = 8;

/// Higher limits and figures mean nothing; sums of them still fit.
const FIGURE_MAX: u64 = 1_000_000_000_000;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// `REQUEST_WEIGHT`: what requests weigh, for each IP address.
    Weight,
    /// `RAW_REQUESTS`: requests, for each IP address.
    RawRequests,
    /// `CONNECTIONS`: WebSocket connections opened, for each IP address.
    Connections,
    /// `ORDERS`: orders that are not filled, for each account.
    Orders,
}

impl LimitKind {
    /// Reads the word of `rateLimits`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "REQUEST_WEIGHT" => Some(Self::Weight),
            "RAW_REQUESTS" => Some(Self::RawRequests),
            "CONNECTIONS" => Some(Self::Connections),
            "ORDERS" => Some(Self::Orders),
            _ => None,
        }
    }

    /// The word in logs, audit and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weight => "request_weight",
            Self::RawRequests => "raw_requests",
            Self::Connections => "connections",
            Self::Orders => "orders",
        }
    }
}

/// One limit of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateLimit {
    /// What is limited.
    pub kind: LimitKind,
    /// Over which time.
    pub interval: Interval,
    /// To how much.
    pub limit: u64,
}

/// How much the exchange has counted in the present window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Of what.
    pub kind: LimitKind,
    /// Over which time.
    pub interval: Interval,
    /// How much.
    pub count: u64,
}

impl Figure {
    /// What it is called in the audit: `request_weight_1m`.
    #[must_use]
    pub fn name(&self) -> String {
        /// Bytes of the longest name.
        const ROOM: usize = 24;
        let mut name = String::with_capacity(ROOM);
        // Writing into memory cannot fail.
        write!(name, "{}_{}", self.kind.name(), self.interval).unwrap_or_default();
        name.make_ascii_lowercase();
        name
    }
}

/// The figures of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told([Option<Figure>; LIMITS_MAX]);

/// Names of fields that tell a figure, without the interval at their end.
const FIELDS: [(&str, LimitKind); 2] = [
    ("x-mbx-used-weight-", LimitKind::Weight),
    ("x-mbx-order-count-", LimitKind::Orders),
];

impl Told {
    /// Reads `X-MBX-USED-WEIGHT-(n)(S|M|H|D)` and `X-MBX-ORDER-COUNT-(n)(S|M|H|D)`. What is not such a field, or holds
    /// no plain number, is passed over.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let figure = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            let (kind, interval) = FIELDS.iter().find_map(|(prefix, kind)| {
                Some((*kind, Interval::parse(name.as_str().strip_prefix(prefix)?)?))
            })?;
            let count = number(value.as_bytes())?;
            Some(Figure {
                kind,
                interval,
                count,
            })
        };
        headers.iter().filter_map(figure).collect()
    }

    /// The figures.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.0.iter().flatten()
    }

    pub(super) fn figure(&self, kind: LimitKind, interval: Interval) -> Option<u64> {
        let same = |figure: &&Figure| (figure.kind, figure.interval) == (kind, interval);
        self.figures().filter(same).map(|figure| figure.count).max()
    }
}

impl FromIterator<Figure> for Told {
    /// Takes the first few; further ones are left.
    fn from_iter<I: IntoIterator<Item = Figure>>(figures: I) -> Self {
        let mut told = Self::default();
        for (slot, figure) in told.0.iter_mut().zip(figures) {
            *slot = Some(figure);
        }
        told
    }
}

/// Digits only.
fn number(text: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(text).ok()?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| plain)?;
    Some(number.min(FIGURE_MAX))
}

/// One member of `rateLimits`, in `exchangeInfo` and in every answer of a WebSocket API.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'j> {
    #[serde(borrow)]
    rate_limit_type: std::borrow::Cow<'j, str>,
    #[serde(borrow)]
    interval: std::borrow::Cow<'j, str>,
    interval_num: u64,
    limit: u64,
    count: Option<u64>,
}

impl Entry<'_> {
    fn limit(&self) -> Option<RateLimit> {
        let kind = LimitKind::parse(&self.rate_limit_type)?;
        let count = u16::try_from(self.interval_num).ok()?;
        let interval = Interval::new(count, Unit::parse(&self.interval)?)?;
        let limit = self.limit.min(FIGURE_MAX);
        (limit > 0).then_some(RateLimit {
            kind,
            interval,
            limit,
        })
    }
}

/// Reads a `rateLimits` array: the limits, and the figures where there are any. Members that are of no known kind, have
/// no usable interval or allow nothing are passed over.
///
/// # Errors
/// The text is no JSON array of objects with these members.
pub fn read_rate_limits(json: &[u8]) -> serde_json::Result<(Vec<RateLimit>, Told)> {
    let entries: Vec<Entry<'_>> = serde_json::from_slice(json)?;
    let limits: Vec<_> = entries
        .iter()
        .filter_map(Entry::limit)
        .take(2 * LIMITS_MAX)
        .collect();
    let figure = |entry: &Entry<'_>| {
        let RateLimit { kind, interval, .. } = entry.limit()?;
        let count = entry.count?.min(FIGURE_MAX);
        Some(Figure {
            kind,
            interval,
            count,
        })
    };
    let told = entries.iter().filter_map(figure).collect();
    Ok((limits, told))
}
