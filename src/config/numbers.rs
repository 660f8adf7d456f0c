//! Numbers, sizes and times that have a smallest and a largest value: whatever the file says, every limit has a bound.
//! Never clamps; what lies outside is a fault.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::model::decode::{Decode, decode_scalar};
use crate::model::fault::Faults;
use crate::model::node::Node;
use crate::model::units::{ByteSize, parse_duration};

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy)]
pub(super) struct Count<const MIN: u32, const MAX: u32>(pub(super) u32);

impl<const MIN: u32, const MAX: u32> Decode for Count<MIN, MAX> {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let count = u32::decode(node, faults)?;
        if (MIN..=MAX).contains(&count) {
            return Some(Self(count));
        }
        let message = format!("{count} is out of range");
        faults.error_with_help(
            &node.place,
            message,
            format!("write a number from {MIN} to {MAX}"),
        );
        None
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
                    "`{text}` is out of range; write a time from {min:?} to {max:?}"
                ))
            },
        )
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^(0|[1-9][0-9]*)(ms|s|m|h|d)$"})
    }
}

/// One second, for the bounds of times.
pub(super) const SECOND: u64 = 1_000;
/// One hour.
pub(super) const HOUR: u64 = 3_600 * SECOND;

/// A size as a person would write it.
fn spell(bytes: u64) -> String {
    const UNITS: &[(u64, &str)] = &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    UNITS
        .iter()
        .find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit))
        .map_or_else(
            || bytes.to_string(),
            |(unit, name)| format!("{}{name}", bytes / unit),
        )
}
