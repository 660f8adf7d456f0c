//! What an exchange's own pages say: its time, and its limits out of a page of many megabytes, of which only a few
//! kilobytes are ever held. Never builds a tree of what it does not need.

use serde::Deserialize;

use super::limits::{RateLimit, read_rate_limits};
use crate::ledger::exchange_clock::ServerTime;

/// Bytes of `{"serverTime":...}`, white space included.
const TIME_BYTES_MAX: usize = 1_024;

/// From here on a time since 1970 counts microseconds: as milliseconds it would be the year 5138.
const MICROSECONDS_FROM: i64 = 100_000_000_000_000;

/// Reads `{"serverTime":1499827319559}`, in milliseconds or microseconds. `None` if it is anything else.
#[must_use]
pub fn read_server_time(body: &[u8]) -> Option<ServerTime> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Page {
        server_time: i64,
    }
    if body.len() > TIME_BYTES_MAX {
        return None;
    }
    let page: Page = serde_json::from_slice(body).ok()?;
    match page.server_time {
        ..=0 => None,
        MICROSECONDS_FROM.. => Some(ServerTime::from_us(page.server_time)),
        millis => Some(ServerTime::from_ms(millis)),
    }
}

/// Bytes that are looked at before the search is given up. The array stands near the beginning.
const PAGE_BYTES_MAX: u64 = 16 << 20;

/// Bytes of the array. Exchanges need a few hundred.
const ARRAY_BYTES_MAX: usize = 8 << 10;

const NAME: &[u8] = b"rateLimits";

/// The search for `rateLimits` at the top of an `exchangeInfo` page, as its pieces come.
#[derive(Debug, Default)]
pub struct RateLimitsScan {
    bytes_seen: u64,
    depth: u32,
    string: Option<Text>,
    /// Whether the next string at the top is a name.
    is_name_next: bool,
    /// How many bytes of the name that is being read are those of [`NAME`]; `None` if it is another one.
    matched: Option<usize>,
    /// Whether the value that comes is the one looked for.
    is_armed: bool,
    array: Vec<u8>,
}

/// Inside a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Plain,
    /// Behind a backslash.
    Escaped,
}

/// How far a search is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanned {
    /// Not found yet.
    More,
    /// Found; the rest of the page need not be read.
    Found(Vec<RateLimit>),
}

/// Why a search has ended without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanFault {
    /// The page or the array is longer than can be right.
    TooLarge,
    /// The page is no JSON object, or the array is not one of limits.
    Malformed,
    /// The page has ended and has no such member.
    Missing,
}

impl RateLimitsScan {
    /// Goes on with the next piece of the page.
    ///
    /// # Errors
    /// There is nothing to be found any more; the search is over.
    pub fn feed(&mut self, piece: &[u8]) -> Result<Scanned, ScanFault> {
        self.bytes_seen = self.bytes_seen.saturating_add(piece.len() as u64);
        for byte in piece {
            if self.step(*byte)? {
                let (limits, _) =
                    read_rate_limits(&self.array).map_err(|_| ScanFault::Malformed)?;
                return Ok(Scanned::Found(limits));
            }
        }
        if self.bytes_seen > PAGE_BYTES_MAX {
            return Err(ScanFault::TooLarge);
        }
        Ok(Scanned::More)
    }

    /// True when the array is whole.
    fn step(&mut self, byte: u8) -> Result<bool, ScanFault> {
        let is_inside = self.depth > 1 && self.is_armed;
        if is_inside {
            if self.array.len() >= ARRAY_BYTES_MAX {
                return Err(ScanFault::TooLarge);
            }
            self.array.push(byte);
        }
        match self.string {
            Some(text) => self.step_in_string(text, byte),
            None => self.step_outside(byte)?,
        }
        Ok(is_inside && self.depth == 1)
    }

    fn step_in_string(&mut self, text: Text, byte: u8) {
        self.string = match (text, byte) {
            (Text::Plain, b'"') => None,
            (Text::Plain, b'\\') => Some(Text::Escaped),
            _ => Some(Text::Plain),
        };
        if self.string.is_some() {
            let expected = self.matched.and_then(|matched| NAME.get(matched));
            self.matched = self
                .matched
                .filter(|_| expected == Some(&byte))
                .map(|matched| matched + 1);
        }
    }

    fn step_outside(&mut self, byte: u8) -> Result<(), ScanFault> {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'{' if self.depth == 0 => {
                self.depth = 1;
                self.is_name_next = true;
            }
            _ if self.depth == 0 => return Err(ScanFault::Malformed),
            b'[' if self.depth == 1 && self.is_armed => {
                self.depth = 2;
                self.array.push(byte);
            }
            b'"' => {
                self.string = Some(Text::Plain);
                let is_name = self.depth == 1 && self.is_name_next;
                self.matched = is_name.then_some(0);
            }
            _ if self.depth == 1 && self.is_armed => return Err(ScanFault::Malformed),
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' if self.depth == 1 => return Err(ScanFault::Missing),
            b'}' | b']' => self.depth -= 1,
            b':' if self.depth == 1 => {
                self.is_armed = self.matched == Some(NAME.len());
                (self.is_name_next, self.matched) = (false, None);
            }
            b',' if self.depth == 1 => self.is_name_next = true,
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::exchange::{Interval, LimitKind};

    #[test]
    fn the_time_is_read_in_milliseconds_and_microseconds() {
        let at = |text: &str| read_server_time(text.as_bytes());
        assert_eq!(
            at("{\"serverTime\":1499827319559}"),
            Some(ServerTime::from_ms(1_499_827_319_559))
        );
        assert_eq!(
            at(" { \"serverTime\" : 1499827319559123, \"other\": [1] } "),
            Some(ServerTime::from_us(1_499_827_319_559_123))
        );
        for bad in [
            "",
            "{}",
            "[]",
            "{\"serverTime\":\"1499827319559\"}",
            "{\"serverTime\":0}",
            "{\"serverTime\":-1}",
            "{\"serverTime\":1.5}",
            "{\"serverTime\":1e400}",
            "{\"serverTime\":99999999999999999999}",
            "{\"serverTime\":1499827319559",
            "{\"serverTime\":1,\"serverTime\":2}",
            "<html>",
        ] {
            assert_eq!(at(bad), None, "{bad}");
        }
        let long = format!(
            "{{\"serverTime\":1499827319559{}}}",
            " ".repeat(TIME_BYTES_MAX)
        );
        assert_eq!(at(&long), None);
    }

    const ARRAY: &str = r#"[
        {"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000},
        {"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":100,"note":"]}\"["},
        {"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":200000},
        {"rateLimitType":"RAW_REQUESTS","interval":"MINUTE","intervalNum":5,"limit":300000},
        {"rateLimitType":"MOON_PHASES","interval":"DAY","intervalNum":1,"limit":1},
        {"rateLimitType":"ORDERS","interval":"CENTURY","intervalNum":1,"limit":1},
        {"rateLimitType":"ORDERS","interval":"DAY","intervalNum":100000,"limit":1},
        {"rateLimitType":"CONNECTIONS","interval":"MINUTE","intervalNum":5,"limit":0}]"#;

    fn expected() -> Vec<RateLimit> {
        let limit = |kind, interval, limit| RateLimit {
            kind,
            interval: Interval::parse(interval).unwrap(),
            limit,
        };
        vec![
            limit(LimitKind::Weight, "1M", 6_000),
            limit(LimitKind::Orders, "10S", 100),
            limit(LimitKind::Orders, "1D", 200_000),
            limit(LimitKind::RawRequests, "5M", 300_000),
        ]
    }

    #[test]
    fn the_array_is_found_however_the_page_is_cut() {
        let page = format!(
            "\n{{\"timezone\":\"UTC\",\"a\":\"rateLimits\",\"x\":{{\"rateLimits\":[1]}},\"\\\"rateLimits\":[],\
             \"rateLimitsX\":[],\"rateLimit\":[{{\"b\":\"}}\"}}], \"rateLimits\" : {ARRAY},\"symbols\":[not json"
        );
        for size in [1, 2, 3, 7, 64, page.len()] {
            let mut scan = RateLimitsScan::default();
            let found = page
                .as_bytes()
                .chunks(size)
                .map(|piece| scan.feed(piece))
                .find(|scanned| *scanned != Ok(Scanned::More));
            assert_eq!(found, Some(Ok(Scanned::Found(expected()))), "{size}");
        }
    }

    #[test]
    fn what_is_not_there_ends_the_search() {
        let scan = |page: &str| RateLimitsScan::default().feed(page.as_bytes());
        for (page, expected) in [
            ("", Ok(Scanned::More)),
            ("{\"symbols\":[", Ok(Scanned::More)),
            ("{}", Err(ScanFault::Missing)),
            ("{\"a\":{\"rateLimits\":[]}}", Err(ScanFault::Missing)),
            ("[]", Err(ScanFault::Malformed)),
            ("<html>", Err(ScanFault::Malformed)),
            ("{\"rateLimits\":{}}", Err(ScanFault::Malformed)),
            ("{\"rateLimits\":null}", Err(ScanFault::Malformed)),
            ("{\"rateLimits\":[1]}", Err(ScanFault::Malformed)),
            ("{\"rateLimits\":[[]}]", Err(ScanFault::Malformed)),
            ("{\"rateLimits\":[]", Ok(Scanned::Found(Vec::new()))),
        ] {
            assert_eq!(scan(page), expected, "{page}");
        }
    }

    #[test]
    fn a_hostile_page_costs_no_memory() {
        let mut scan = RateLimitsScan::default();
        let nested = "[".repeat(1 << 20);
        assert_eq!(scan.feed(b"{\"a\":"), Ok(Scanned::More));
        let ended = (0..64)
            .map(|_| scan.feed(nested.as_bytes()))
            .find(|scanned| *scanned != Ok(Scanned::More));
        assert_eq!(ended, Some(Err(ScanFault::TooLarge)));
        assert_eq!(scan.array.capacity(), 0);

        let mut scan = RateLimitsScan::default();
        assert_eq!(scan.feed(b"{\"rateLimits\":["), Ok(Scanned::More));
        let ended = scan.feed("{},".repeat(1 << 20).as_bytes());
        assert_eq!(ended, Err(ScanFault::TooLarge));
        assert!(scan.array.capacity() <= 2 * ARRAY_BYTES_MAX);
    }
}
