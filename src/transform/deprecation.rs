//! What an answer says of a route on its way out: `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and a link. The values
//! are made at load; never a date of our own.

use http::header::LINK;
use http::{HeaderMap, HeaderName};

use crate::decide::policy::Deprecation;

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// Tells it in place of what the service may have said. Links of the service stay.
pub(super) fn tell(headers: &mut HeaderMap, deprecation: Option<&Deprecation>) {
    let Some(told) = deprecation else { return };
    headers.insert(DEPRECATION, told.since.clone());
    if let Some(sunset) = &told.sunset {
        headers.insert(SUNSET, sunset.clone());
    }
    if let Some(link) = &told.link {
        headers.append(LINK, link.clone());
    }
}
