//! Numbers with units, as people write them: `10MB`, `30s`, `100/min`. Never accepts a number whose unit is a guess.

use std::fmt;
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
            .find_map(|(suffix, factor)| {
                let rest = text.strip_suffix(suffix)?;
                Some((rest.strip_suffix(' ').unwrap_or(rest), *factor))
            })
            .unwrap_or((text, 1));
        whole(digits)
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
                {"type": "string", "pattern": "^(0|[1-9][0-9]*)( ?(B|KB|MB|GB|KiB|MiB|GiB))?$"},
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

/// A duration as it would be written in a file, in the largest unit that leaves no rest; below a millisecond nothing
/// is told.
#[must_use]
pub fn spell_duration(time: Duration) -> String {
    let millis = time.as_millis();
    let whole = |unit: &&(&str, u64)| millis > 0 && millis.is_multiple_of(u128::from(unit.1));
    match DURATIONS.iter().rev().find(whole) {
        Some((unit, factor)) => format!("{}{unit}", millis / u128::from(*factor)),
        None => "0s".to_owned(),
    }
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
        json!({"type": "string", "pattern": "^(0|[1-9][0-9]*)(ms|s|m|h|d)$"})
    }
}

/// So many in such a time: `10/s`, `100/min`, `1000/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
            let count = count.strip_suffix(' ').unwrap_or(count);
            let unit = unit.strip_prefix(' ').unwrap_or(unit);
            let count = u32::try_from(whole(count)?)
                .ok()
                .and_then(NonZeroU32::new)?;
            let seconds = RATES.iter().find(|(name, _)| *name == unit)?.1;
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

impl fmt::Display for Rate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = RATES
            .iter()
            .find(|(_, seconds)| *seconds == self.per.as_secs());
        match unit {
            Some((unit, _)) => write!(out, "{}/{unit}", self.count),
            None => write!(out, "{} in {}", self.count, spell_duration(self.per)),
        }
    }
}

impl Decode for Rate {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "a rate", faults, Self::parse)
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^[1-9][0-9]* ?/ ?(s|min|h|d)$", "examples": ["100/min"]})
    }
}

/// Digits only: no sign, no underscore, no leading zero, no fraction.
fn whole(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = digits == "0" || !digits.starts_with('0');
    (plain && canonical).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit_or_refused() {
        for (text, expected) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("512B", Some(512)),
            ("64KiB", Some(65_536)),
            ("10MB", Some(10_000_000)),
            ("10 MB", Some(10_000_000)),
            ("1GiB", Some(1 << 30)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("18446744073709551615KB", None),
            ("", None),
            ("MB", None),
            ("-1", None),
            ("+1", None),
            ("1.5MB", None),
            ("1_000", None),
            ("010MB", None),
            ("0x10", None),
            ("10mb", None),
            ("10M", None),
            ("10  KBB", None),
            (" 10MB", None),
            ("10MB ", None),
            ("10  MB", None),
            ("10\tMB", None),
            ("\u{661}MB", None),
        ] {
            let read = ByteSize::parse(text).ok().map(|size| size.0);
            assert_eq!(read, expected, "{text:?}");
        }
        assert_eq!(ByteSize(5).as_usize(), 5);
    }

    #[test]
    fn what_is_spelt_is_read_again() {
        for text in ["0s", "250ms", "30s", "90s", "15m", "12h", "7d", "1001ms"] {
            let time = parse_duration(text).unwrap();
            assert_eq!(spell_duration(time), text);
        }
        for text in ["10/s", "100/min", "1000/h", "5000/d"] {
            assert_eq!(Rate::parse(text).unwrap().to_string(), text);
        }
        let odd = Rate {
            count: NonZeroU32::MIN,
            per: Duration::from_secs(90),
        };
        assert_eq!(odd.to_string(), "1 in 90s");
    }

    #[test]
    fn durations_are_read_with_their_unit_or_refused() {
        for (text, millis) in [
            ("0s", Some(0)),
            ("250ms", Some(250)),
            ("30s", Some(30_000)),
            ("15m", Some(900_000)),
            ("12h", Some(43_200_000)),
            ("7d", Some(604_800_000)),
            ("30", None),
            ("s", None),
            ("", None),
            ("-1s", None),
            ("1.5s", None),
            ("05s", None),
            ("30 s", None),
            ("30S", None),
            ("1h30m", None),
            ("1min", None),
            ("18446744073709551615s", None),
        ] {
            let read = parse_duration(text).ok().map(|read| read.as_millis());
            assert_eq!(read, millis, "{text:?}");
        }
    }

    #[test]
    fn rates_are_read_with_their_unit_or_refused() {
        for (text, expected) in [
            ("10/s", Some((10, 1))),
            ("100/min", Some((100, 60))),
            ("100 / min", Some((100, 60))),
            ("1000/h", Some((1_000, 3_600))),
            ("5000/d", Some((5_000, 86_400))),
            ("1000000000/s", Some((1_000_000_000, 1))),
            ("1000000001/s", None),
            ("4294967296/d", None),
            ("0/s", None),
            ("-1/s", None),
            ("01/s", None),
            ("1.5/s", None),
            ("10", None),
            ("10/", None),
            ("/s", None),
            ("10/m", None),
            ("10/sec", None),
            ("10/s/s", None),
            ("10  / min", None),
            (" 10/s", None),
            ("10/s ", None),
        ] {
            let read = Rate::parse(text).ok();
            let read = read.map(|rate| (rate.count.get(), rate.per.as_secs()));
            assert_eq!(read, expected, "{text:?}");
        }
        let rate = Rate::parse("100/min").unwrap();
        assert_eq!(rate.interval(), Duration::from_millis(600));
    }
}
