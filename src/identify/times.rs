//! The times of a token and the span in which it is good. Takes `now`; never reads a clock.

use std::time::Duration;

use super::json::{Json, Object};
use super::reason::Reason;

/// What the configuration allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    /// Whole seconds by which the issuer's clock may differ.
    skew: i64,
    /// The longest life in whole seconds.
    lifetime_max: i64,
}

impl Tolerance {
    /// Fractions of a second are cut off.
    pub(super) fn new(skew: Duration, lifetime_max: Duration) -> Self {
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(LIMIT).min(LIMIT);
        Self {
            skew: seconds(skew),
            lifetime_max: seconds(lifetime_max),
        }
    }

    /// The last second in which a token that expires at `exp` is good.
    pub(super) const fn good_until(self, exp: i64) -> i64 {
        exp.saturating_add(self.skew)
    }
}

/// The span in which a token is good, in whole seconds since 1970, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    from: i64,
    until: i64,
}

impl Window {
    /// Whether the token is good at this second.
    #[must_use]
    pub const fn contains(self, second: i64) -> bool {
        self.from <= second && second <= self.until
    }
}

/// `exp`, `nbf` and `iat` (RFC 7519 section 4.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    exp: Moment,
    nbf: Option<Moment>,
    iat: Option<Moment>,
}

impl Times {
    /// Reads them; `exp` must be there.
    pub(super) fn read(claims: &Object) -> Result<Self, Reason> {
        Ok(Self {
            exp: Moment::claim(claims, "exp")?.ok_or(Reason::Claims)?,
            nbf: Moment::claim(claims, "nbf")?,
            iat: Moment::claim(claims, "iat")?,
        })
    }

    /// `exp` in whole seconds.
    pub(super) const fn expires_at(&self) -> i64 {
        self.exp.floor
    }

    /// Judges the token at `now` (seconds since 1970). The whole second `exp + skew` still counts, as does `nbf - skew`.
    /// Without `iat` the life is counted from `now`, so a token that lives too long becomes good when enough of its life is over.
    pub(super) fn judge(&self, tolerance: Tolerance, now: i64) -> Result<Window, Reason> {
        let Tolerance { skew, lifetime_max } = tolerance;
        let until = tolerance.good_until(self.exp.floor);
        if now > until {
            return Err(Reason::Expired);
        }
        let begins = self.nbf.map_or(i64::MIN, |nbf| nbf.ceil - skew);
        if now < begins {
            return Err(Reason::NotYetValid);
        }
        let issued = self.iat.map_or(i64::MIN, |iat| iat.ceil - skew);
        if now < issued {
            return Err(Reason::IssuedInFuture);
        }
        let near = match self.iat {
            Some(iat) if (0..=lifetime_max).contains(&(self.exp.ceil - iat.floor)) => issued,
            Some(_) => return Err(Reason::Lifetime),
            None => self.exp.ceil - lifetime_max,
        };
        if now < near {
            return Err(Reason::Lifetime);
        }
        Ok(Window {
            from: begins.max(near),
            until,
        })
    }
}

/// 2^53: beyond it a JSON number has more than one reading (RFC 8259 section 6).
const LIMIT: i64 = 1 << 53;

/// A NumericDate between its two whole seconds; equal if it is whole. Each check takes the stricter one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    floor: i64,
    ceil: i64,
}

impl Moment {
    /// Reads a claim that may be absent; anything but a finite number in 0..2^53 is an error.
    pub(super) fn claim(claims: &Object, name: &str) -> Result<Option<Self>, Reason> {
        match claims.get(name) {
            None => Ok(None),
            Some(Json::Number(number)) => Self::read(number).map(Some).ok_or(Reason::Claims),
            Some(_) => Err(Reason::Claims),
        }
    }

    /// The moment in whole seconds, cut off.
    pub(super) const fn seconds(self) -> i64 {
        self.floor
    }

    fn read(number: &serde_json::Number) -> Option<Self> {
        if let Some(whole) = number.as_i64() {
            return (0..LIMIT).contains(&whole).then_some(Self {
                floor: whole,
                ceil: whole,
            });
        }
        let value = number
            .as_f64()
            .filter(|value| (0.0..LIMIT_F64).contains(value))?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "between 0 and 2^53, and whole"
        )]
        let whole = |value: f64| value as i64;
        Some(Self {
            floor: whole(value.floor()),
            ceil: whole(value.ceil()),
        })
    }
}

const LIMIT_F64: f64 = 9_007_199_254_740_992.0;

#[cfg(test)]
mod tests;
