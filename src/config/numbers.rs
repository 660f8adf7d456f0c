//! Numbers, shares, sizes and times that have a smallest and a largest value: whatever the file says, every limit has a bound.
//! Never clamps; what lies outside is a fault.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::model::decode::{Decode, decode_scalar, refuse_quotes};
use crate::model::fault::Faults;
use crate::model::node::Node;
use crate::model::units::{ByteSize, parse_duration};

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy)]
pub(super) struct Count<const MIN: u32, const MAX: u32>(pub(super) u32);

impl<const MIN: u32, const MAX: u32> Decode for Count<MIN, MAX> {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let expected = format!("a whole number from {MIN} to {MAX}");
        refuse_quotes(node, faults, &expected)?;
        decode_scalar(node, &expected, faults, |text| {
            let plain = text == "0" || !text.starts_with(['0', '+']);
            let count = text.parse().ok().filter(|_| plain);
            let within = count.filter(|count| (MIN..=MAX).contains(count));
            within
                .map(Self)
                .ok_or_else(|| format!("`{text}` is not {expected}"))
        })
    }

    fn schema() -> Json {
        json!({"type": "integer", "minimum": MIN, "maximum": MAX})
    }
}

/// A size of at least `MIN` and at most `MAX` bytes.
#[derive(Clone, Copy)]
pub(super) struct Size<const MIN: u64, const MAX: u64>(pub(super) ByteSize);

impl<const MIN: u64, const MAX: u64> Decode for Size<MIN, MAX> {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "a size such as 64KiB or 10MB", faults, |text| {
            let size = ByteSize::parse(text)?;
            if (MIN..=MAX).contains(&size.0) {
                return Ok(Self(size));
            }
            Err(format!(
                "`{text}` is out of range; write a size from {} to {}",
                spell(MIN),
                spell(MAX)
            ))
        })
    }

    fn schema() -> Json {
        json!({
            "anyOf": [
                {"type": "integer", "minimum": MIN, "maximum": MAX},
                {"type": "string", "pattern": "^[1-9][0-9]* ?(B|KB|MB|GB|KiB|MiB|GiB)?$"},
            ]
        })
    }
}

/// A time of at least `MIN` and at most `MAX` milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Time<const MIN: u64, const MAX: u64>(pub(super) Duration);

impl<const MIN: u64, const MAX: u64> Decode for Time<MIN, MAX> {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(
            node,
            "a duration such as 250ms, 30s or 15m",
            faults,
            |text| {
                let time = parse_duration(text)?;
                let (min, max) = (Duration::from_millis(MIN), Duration::from_millis(MAX));
                if (min..=max).contains(&time) {
                    return Ok(Self(time));
                }
                Err(format!(
                    "`{text}` is out of range; write a time from {} to {}",
                    spell_time(MIN),
                    spell_time(MAX)
                ))
            },
        )
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^(0|[1-9][0-9]*)(ms|s|m|h|d)$"})
    }
}

/// A share of at least `MIN` and at most `MAX` percent: `90%`.
#[derive(Clone, Copy)]
pub(super) struct Percent<const MIN: u8, const MAX: u8>(pub(super) u8);

impl<const MIN: u8, const MAX: u8> Decode for Percent<MIN, MAX> {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "a share such as 90%", faults, |text| {
            let digits = text.strip_suffix('%').unwrap_or_default();
            let plain = digits == "0" || !digits.starts_with(['0', '+']);
            let share = digits.parse().ok().filter(|_| plain);
            let within = share.filter(|share| (MIN..=MAX).contains(share));
            within
                .map(Self)
                .ok_or_else(|| format!("`{text}` is not a share from {MIN}% to {MAX}%"))
        })
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^(0|[1-9][0-9]?|100)%$"})
    }
}

/// One second, for the bounds of times.
pub(super) const SECOND: u64 = 1_000;
/// One hour.
pub(super) const HOUR: u64 = 3_600 * SECOND;

const SIZES: &[(u64, &str)] = &[
    (1 << 30, "GiB"),
    (1 << 20, "MiB"),
    (1 << 10, "KiB"),
    (1, "B"),
];

const TIMES: &[(u64, &str)] = &[
    (24 * HOUR, "d"),
    (HOUR, "h"),
    (60 * SECOND, "m"),
    (SECOND, "s"),
    (1, "ms"),
];

fn spell(bytes: u64) -> String {
    spell_in(SIZES, bytes)
}

fn spell_time(millis: u64) -> String {
    spell_in(TIMES, millis)
}

/// The number as a person would write it: in the largest unit that leaves it whole.
fn spell_in(units: &[(u64, &str)], number: u64) -> String {
    units
        .iter()
        .find(|(unit, _)| number >= *unit && number.is_multiple_of(*unit))
        .map_or_else(
            || number.to_string(),
            |(unit, name)| format!("{}{name}", number / unit),
        )
}
