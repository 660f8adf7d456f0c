//! Prices and quantities: decimal numbers of eight places, exact. Never a floating-point number.

use std::fmt;

/// What one is, in the smallest unit.
const ONE: i128 = 100_000_000;

/// Digits before the point that an amount can have.
const WHOLE_DIGITS_MAX: usize = 18;

/// Digits behind the point.
const PLACES: usize = 8;

/// A decimal number of eight places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Amount(i128);

impl Amount {
    pub(super) const ZERO: Self = Self(0);

    /// A whole number.
    pub(super) const fn whole(number: i32) -> Self {
        Self(number as i128 * ONE)
    }

    /// So many hundred-millionths.
    pub(super) const fn units(units: i64) -> Self {
        Self(units as i128)
    }

    /// Reads digits with at most one point and eight places; no sign, no exponent.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str, max: usize| {
            !part.is_empty() && part.len() <= max && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, WHOLE_DIGITS_MAX) || !digits(places, PLACES) {
            return None;
        }
        let whole: i128 = whole.parse().ok()?;
        let places: i128 = format!("{places:0<8}").parse().ok()?;
        Some(Self(whole * ONE + places))
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    pub(super) const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The product, rounded down.
    pub(super) const fn times(self, other: Self) -> Self {
        Self(self.0.saturating_mul(other.0) / ONE)
    }

    /// The quotient, rounded down; zero for a division by zero.
    pub(super) const fn over(self, other: Self) -> Self {
        match self.0.saturating_mul(ONE).checked_div(other.0) {
            Some(quotient) => Self(quotient),
            None => Self::ZERO,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let units = self.0.unsigned_abs();
        let one = ONE.unsigned_abs();
        write!(out, "{sign}{}.{:08}", units / one, units % one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_exactly() {
        for (text, written) in [
            ("1", "1.00000000"),
            ("0.015", "0.01500000"),
            ("60000.10", "60000.10000000"),
            ("0.00000001", "0.00000001"),
            ("999999999999999999.99999999", "999999999999999999.99999999"),
        ] {
            assert_eq!(Amount::parse(text).unwrap().to_string(), written);
        }
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "0.000000001",
            " 1",
            "1,5",
            "1.2.3",
            "１",
            "1000000000000000000",
        ] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }

    #[test]
    fn arithmetic_rounds_down_and_never_overflows() {
        let (price, quantity) = (
            Amount::parse("0.3").unwrap(),
            Amount::parse("0.00000001").unwrap(),
        );
        assert_eq!(price.times(quantity), Amount::ZERO);
        assert_eq!(
            Amount::whole(1).over(Amount::whole(3)).to_string(),
            "0.33333333"
        );
        assert_eq!(Amount::whole(1).over(Amount::ZERO), Amount::ZERO);
        assert_eq!(Amount::ZERO.minus(price).to_string(), "-0.30000000");
        let _saturated = Amount(i128::MAX).times(Amount(i128::MAX));
    }
}
