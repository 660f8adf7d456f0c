//! The intervals that an exchange counts in: fixed, calendar-aligned, on the exchange's own time. Never reads a clock.

use std::fmt;
use std::ops::RangeInclusive;

use super::Moment;

/// A time over which an exchange counts, such as `1M` or `10S`. Windows begin at whole multiples of it since
/// 1970-01-01T00:00:00Z: a minute at :00, ten seconds at 0, 10, 20, a day at 00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interval {
    count: u16,
    unit: Unit,
}

/// What intervals are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// `S`, `SECOND`.
    Second,
    /// `M`, `MINUTE`.
    Minute,
    /// `H`, `HOUR`.
    Hour,
    /// `D`, `DAY`.
    Day,
}

/// Longer intervals than a month are not what exchanges count in; whoever says so means something else.
const SECONDS_MAX: u32 = 31 * 86_400;

impl Interval {
    /// An interval of so many units; `None` if it is empty or longer than a month.
    #[must_use]
    pub const fn new(count: u16, unit: Unit) -> Option<Self> {
        let seconds = (count as u32).saturating_mul(unit.seconds());
        if seconds == 0 || seconds > SECONDS_MAX {
            return None;
        }
        Some(Self { count, unit })
    }

    /// Reads the end of a header's name: `1m`, `10s`, `1D`, in either case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letter = text.chars().next_back()?;
        let unit = match letter.to_ascii_uppercase() {
            'S' => Unit::Second,
            'M' => Unit::Minute,
            'H' => Unit::Hour,
            'D' => Unit::Day,
            _ => return None,
        };
        let digits = text.strip_suffix(letter)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        Self::new(digits.parse().ok().filter(|_| plain)?, unit)
    }

    /// Its length in seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        (self.count as u32).saturating_mul(self.unit.seconds())
    }

    /// The number of the window that holds this time, in microseconds since 1970.
    pub(super) fn window(self, unix_us: i64) -> i64 {
        unix_us.div_euclid(self.length_us())
    }

    /// The windows that may be the exchange's at this moment.
    pub(super) fn windows(self, at: Moment) -> RangeInclusive<i64> {
        let (earliest, latest) = at.bounds_us();
        self.window(earliest)..=self.window(latest)
    }

    /// When the window begins, in microseconds since 1970.
    pub(super) fn begin_us(self, window: i64) -> i64 {
        window.saturating_mul(self.length_us())
    }

    fn length_us(self) -> i64 {
        i64::from(self.seconds()) * 1_000_000
    }
}

impl Unit {
    /// Reads the word of `rateLimits`: `SECOND`, `MINUTE`, `HOUR`, `DAY`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "SECOND" => Some(Self::Second),
            "MINUTE" => Some(Self::Minute),
            "HOUR" => Some(Self::Hour),
            "DAY" => Some(Self::Day),
            _ => None,
        }
    }

    const fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    const fn letter(self) -> char {
        match self {
            Self::Second => 'S',
            Self::Minute => 'M',
            Self::Hour => 'H',
            Self::Day => 'D',
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.count, self.unit.letter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_or_refused() {
        for (text, seconds) in [
            ("1m", Some(60)),
            ("1M", Some(60)),
            ("10S", Some(10)),
            ("10s", Some(10)),
            ("1h", Some(3_600)),
            ("1D", Some(86_400)),
            ("31D", Some(31 * 86_400)),
            ("32D", None),
            ("0M", None),
            ("65536S", None),
            ("99999999999999999999S", None),
            ("+1M", None),
            ("-1M", None),
            ("1.5M", None),
            ("1W", None),
            ("M", None),
            ("1", None),
            ("", None),
            ("1é", None),
            (" 1M", None),
        ] {
            let read = Interval::parse(text);
            assert_eq!(read.map(Interval::seconds), seconds, "{text:?}");
        }
        assert_eq!(Interval::parse("10s").unwrap().to_string(), "10S");
    }

    #[test]
    fn windows_are_those_of_the_calendar() {
        // 2026-11-22T23:59:59.999999Z and the microsecond after it.
        let midnight = 1_795_392_000_000_000;
        for text in ["1S", "10S", "1M", "5M", "1H", "1D"] {
            let interval = Interval::parse(text).unwrap();
            let window = interval.window(midnight);
            assert_eq!(interval.window(midnight - 1), window - 1, "{text}");
            assert_eq!(interval.begin_us(window), midnight, "{text}");
        }
        let ten = Interval::parse("10S").unwrap();
        let at = |seconds: i64| ten.window(midnight + seconds * 1_000_000) - ten.window(midnight);
        assert_eq!([0, 9, 10, 19, 20, -1].map(at), [0, 0, 1, 1, 2, -1]);
    }

    #[test]
    fn near_an_edge_both_windows_may_be_meant() {
        let minute = Interval::parse("1M").unwrap();
        let windows = |seconds_ms: i64| {
            minute.windows(Moment::new(0, 60_000_000 + seconds_ms * 1_000, 50_000))
        };
        assert_eq!(windows(-51), 0..=0);
        assert_eq!(windows(-50), 0..=1);
        assert_eq!(windows(49), 0..=1);
        assert_eq!(windows(50), 1..=1);
    }
}
