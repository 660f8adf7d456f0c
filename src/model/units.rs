//! Numbers with units, as people write them: `10MB`, `30s`, `100/min`. Never accepts a number whose unit is a guess.

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::decode::{Decode, decode_scalar};
use super::fault::Faults;
use super::node::Node;

/// A size in bytes: `512`, `64KiB`, `10MB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const SIZES: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

impl ByteSize {
    /// Reads the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (digits, factor) = SIZES
            .iter()
            .find_map(|(suffix, factor)| text.strip_suffix(suffix).map(|rest| (rest, *factor)))
            .unwrap_or((text, 1));
        whole(digits.trim_end())
            .and_then(|count| count.checked_mul(factor))
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a size (like 512, 64KiB or 10MB)"))
    }

    /// The size for an index or a length.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Decode for ByteSize {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "a size", faults, Self::parse)
    }

    fn schema() -> Json {
        json!({
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": "^[0-9]+ ?(B|KB|MB|GB|KiB|MiB|GiB)?$"},
            ]
        })
    }
}

const DURATIONS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Reads `250ms`, `30s`, `15m`, `12h`, `7d`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    DURATIONS
        .iter()
        .find_map(|(suffix, millis)| {
            whole(text.strip_suffix(suffix)?).and_then(|count| count.checked_mul(*millis))
        })
        .map(Duration::from_millis)
        .ok_or_else(|| format!("`{text}` is not a duration (like 250ms, 30s, 15m, 12h or 7d)"))
}

/// Whole seconds, rounded up and at least one: what HTTP fields can say of a time to wait.
#[must_use]
pub fn seconds_up(time: Duration) -> u64 {
    time.as_secs()
        .saturating_add(u64::from(time.subsec_nanos() > 0))
        .max(1)
}

impl Decode for Duration {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "a duration", faults, parse_duration)
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$"})
    }
}

/// So many in such a time: `10/s`, `100/min`, `1000/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In what time.
    pub per: Duration,
}

const RATES: &[(&str, u64)] = &[("s", 1), ("min", 60), ("h", 3_600), ("d", 86_400)];

impl Rate {
    /// Reads the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let read = || {
            let (count, unit) = text.split_once('/')?;
            let count = u32::try_from(whole(count.trim_end())?)
                .ok()
                .and_then(NonZeroU32::new)?;
            let seconds = RATES.iter().find(|(name, _)| *name == unit.trim_start())?.1;
            // governor counts in whole nanoseconds: more than one a nanosecond has no interval.
            let per = Duration::from_secs(seconds);
            (per.as_nanos() >= u128::from(count.get())).then_some(Self { count, per })
        };
        read()
            .ok_or_else(|| format!("`{text}` is not a rate (like 10/s, 100/min, 1000/h or 5000/d)"))
    }

    /// The time after which one more is granted.
    #[must_use]
    pub fn interval(self) -> Duration {
        self.per / self.count.get()
    }
}

impl Decode for Rate {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "a rate", faults, Self::parse)
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^[0-9]+ ?/ ?(s|min|h|d)$", "examples": ["100/min"]})
    }
}

/// Digits only: no sign, no underscore, no leading zero, no fraction.
fn whole(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = digits == "0" || !digits.starts_with('0');
    (plain && canonical).then(|| digits.parse().ok()).flatten()
}
