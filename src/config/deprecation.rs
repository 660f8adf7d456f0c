//! Section `deprecated` of a route: since when it is out of date, and when it ends. Dates become header values here.

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderValue;
use http::Uri;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use crate::decide::policy::Deprecation;
use crate::model::clock::{Clock as _, SystemClock};
use crate::model::decode::{Decode, Fields, Placed, decode_scalar, one_of};
use crate::model::fault::Faults;
use crate::model::node::Node;

/// Reads the section.
pub(super) fn read(fields: &mut Fields<'_>) -> Option<Deprecation> {
    let doc = "since when the route is out of date; a day in UTC, or a time such as 2026-01-01T12:00:00Z; it may lie ahead";
    let since: Option<Moment> = fields.required("since", doc);
    let doc = "when the route ends: at the beginning of that day";
    let sunset: Option<Placed<Moment>> = fields.optional("sunset", doc);
    let doc = "a page that says what to do instead";
    let link: Option<Link> = fields.optional("link", doc);
    let doc = "what happens from then on: serve, or gone to answer 410";
    let after = fields.or("after_sunset", doc, "serve", AfterSunset::Serve);
    if let (Some(since), Some(sunset)) = (since, &sunset) {
        judge_order(fields, since, sunset, after);
    }
    if sunset.is_none() && after == AfterSunset::Gone && !fields.has("sunset") {
        let place = fields.place_of("after_sunset");
        fields.error(
            &place,
            "there is no sunset after which the route is gone",
            "add `sunset`",
        );
    }
    let sunset = sunset.map(|sunset| sunset.value.0);
    let gone = sunset.filter(|_| after == AfterSunset::Gone);
    Some(Deprecation {
        since: HeaderValue::try_from(format!("@{}", since?.0.as_second())).ok()?,
        sunset: sunset.map(http_date),
        link: link.map(|link| link.0),
        gone_from: gone.map(Timestamp::as_second),
    })
}

/// A route ends after it is out of date (RFC 9745 section 4); one that has ended and still answers is worth a word.
fn judge_order(
    fields: &mut Fields<'_>,
    since: Moment,
    sunset: &Placed<Moment>,
    after: AfterSunset,
) {
    let (end, place) = (sunset.value.0, &sunset.place);
    if end < since.0 {
        let message = "the route would end before it is out of date";
        fields.error(place, message, "put `sunset` behind `since`");
    }
    let now = SystemClock::new().now().unix_seconds();
    if end.as_second() <= now && after == AfterSunset::Serve {
        let help = "take the route away, move the date, or say `after_sunset: gone`";
        fields.warning(
            place,
            "this sunset is past, and the route still answers",
            help,
        );
    }
}

/// IMF-fixdate, as RFC 8594 has it. Never before 1970: [`Moment`] sees to it.
fn http_date(time: Timestamp) -> HeaderValue {
    let seconds = u64::try_from(time.as_second()).unwrap_or_default();
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    // Letters, digits, commas, colons and blanks are a header value.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// Whether a route answers after its sunset.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AfterSunset {
    Serve,
    Gone,
}

impl Decode for AfterSunset {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        one_of(
            node,
            faults,
            &[("serve", Self::Serve), ("gone", Self::Gone)],
        )
    }

    fn schema() -> Json {
        json!({"enum": ["serve", "gone"]})
    }
}

/// A day, meaning its beginning in UTC, or a moment; from 1970 on.
#[derive(Clone, Copy)]
struct Moment(Timestamp);

impl Decode for Moment {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "a date such as 2026-12-31", faults, |text| {
            parse(text).map(Self).ok_or_else(|| {
                format!("`{text}` is not a date (like 2026-12-31 or 2026-12-31T12:00:00Z, from 1970 to 9999)")
            })
        })
    }

    fn schema() -> Json {
        json!({
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2}))?$",
        })
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    const DAY: usize = "2026-12-31".len();
    let time = if text.len() == DAY {
        let day: Date = text.parse().ok()?;
        day.to_zoned(TimeZone::UTC).ok()?.timestamp()
    } else {
        let plain = |byte: u8| byte.is_ascii_digit() || b"-+:TZ".contains(&byte);
        text.bytes()
            .all(plain)
            .then(|| text.parse().ok())
            .flatten()?
    };
    // httpdate has no words for years beyond.
    let sound = time.as_second() >= 0 && time.to_zoned(TimeZone::UTC).year() <= 9999;
    sound.then_some(time)
}

/// A `Link` to a page about the deprecation (RFC 9745 section 3).
struct Link(HeaderValue);

impl Decode for Link {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(
            node,
            "an address such as https://docs.example.com/v2",
            faults,
            |text| {
                let web = text.starts_with("https://") || text.starts_with("http://");
                let plain = text
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte));
                let sound =
                    web && plain && text.parse::<Uri>().is_ok_and(|uri| uri.host().is_some());
                let line = format!("<{text}>; rel=\"deprecation\"");
                let line = HeaderValue::try_from(line).ok().filter(|_| sound);
                line.map(Self).ok_or_else(|| {
                    format!("`{text}` is not an address (like https://docs.example.com/v2)")
                })
            },
        )
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^https?://[!#-;=?-~]+$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_or_moments_and_nothing_else() {
        for (text, seconds) in [
            ("1970-01-01", Some(0)),
            ("2026-12-31", Some(1_798_675_200)),
            ("2026-12-31T12:00:00Z", Some(1_798_718_400)),
            ("2026-12-31T12:00:00+02:00", Some(1_798_711_200)),
            ("1969-12-31", None),
            ("2026-02-30", None),
            ("2026-13-01", None),
            ("2026-1-1", None),
            ("31.12.2026", None),
            ("20261231", None),
            ("2026-12-31T12:00:00", None),
            ("2026-12-31 12:00:00Z", None),
            ("2026-12-31T12:00:00Z[UTC]", None),
            ("tomorrow", None),
            ("", None),
        ] {
            let read = parse(text).map(Timestamp::as_second);
            assert_eq!(read, seconds, "{text}");
        }
    }

    #[test]
    fn a_sunset_is_told_as_http_tells_dates() {
        let told = http_date(parse("2026-12-31").unwrap());
        assert_eq!(told, "Thu, 31 Dec 2026 00:00:00 GMT");
    }
}
