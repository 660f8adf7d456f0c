//! What an answer says of a limit: the `RateLimit` fields of draft-ietf-httpapi-ratelimit-headers-11 and the older
//! `X-RateLimit-*`. Never counts anything.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::decide::policy::Route;
use crate::model::denial::Quota;
use crate::model::json::{push_count, push_raw};
use crate::model::settings::LimitHeaders;
use crate::model::units::seconds_up;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEGACY_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const LEGACY_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const LEGACY_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Bytes of the field `RateLimit` beside the limit's name, at most.
const BESIDE_NAME: usize = 40;

/// Tells the state of the tightest limit and the route's policy, in place of what the service may have said.
pub(super) fn tell(
    headers: &mut HeaderMap,
    quota: Option<&Quota>,
    route: Option<&Route>,
    style: LimitHeaders,
) {
    let (draft, legacy) = match style {
        LimitHeaders::Draft => (true, false),
        LimitHeaders::Legacy => (false, true),
        LimitHeaders::Both => (true, true),
        LimitHeaders::None => (false, false),
    };
    if draft && let Some(policy) = route.and_then(|route| route.limit_policy.as_ref()) {
        headers.insert(RATE_LIMIT_POLICY, policy.clone());
    }
    let Some(quota) = quota else { return };
    let more_in = seconds_up(quota.more_in);
    if draft {
        let mut text = Vec::with_capacity(quota.name.len() + BESIDE_NAME);
        push_raw(&mut text, "\"");
        push_raw(&mut text, &quota.name);
        push_raw(&mut text, "\";r=");
        push_count(&mut text, u64::from(quota.remaining));
        push_raw(&mut text, ";t=");
        push_count(&mut text, more_in);
        if let Ok(value) = HeaderValue::from_bytes(&text) {
            headers.insert(RATE_LIMIT, value);
        }
    }
    if legacy {
        headers.insert(LEGACY_LIMIT, quota.burst.into());
        headers.insert(LEGACY_REMAINING, quota.remaining.into());
        headers.insert(LEGACY_RESET, more_in.into());
    }
}
