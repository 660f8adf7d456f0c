//! The page behind a request: `Origin`, and what a browser asks in a preflight. Says nothing of what a page may do.

use http::header::{ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{Lines, refuse};
use crate::model::cors::PreflightAsk;
use crate::model::denial::{Cause, Denial};

/// One `Origin` with one value (Fetch section 3.2), or none.
pub(super) fn judge(headers: &HeaderMap) -> Result<Option<HeaderValue>, Box<Denial>> {
    match Lines::of(headers, &ORIGIN) {
        Lines::None => Ok(None),
        Lines::One(value) if is_one(value) => Ok(Some(value.clone())),
        Lines::One(_) => refuse(Cause::Header, "Origin is not one origin"),
        Lines::Several => refuse(Cause::Header, "more than one Origin"),
    }
}

/// The origin of a request that was refused before it was judged, so that its page can read why.
#[must_use]
pub fn sole(headers: &HeaderMap) -> Option<HeaderValue> {
    judge(headers).ok().flatten()
}

/// What a browser asks in an `OPTIONS` with an origin; `None` if it asks nothing and the request is an ordinary one.
pub(super) fn judge_preflight(
    headers: &HeaderMap,
) -> Result<Option<Box<PreflightAsk>>, Box<Denial>> {
    let method = match Lines::of(headers, &ACCESS_CONTROL_REQUEST_METHOD) {
        Lines::None => return Ok(None),
        Lines::One(value) => Method::from_bytes(value.as_bytes()).or_else(|_| {
            refuse(
                Cause::Header,
                "a preflight asks for something that is no method",
            )
        })?,
        Lines::Several => {
            return refuse(Cause::Header, "a preflight asks for more than one method");
        }
    };
    let mut names = Vec::new();
    for line in headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
        for name in line.as_bytes().split(|byte| *byte == b',') {
            let name = name.trim_ascii();
            if name.is_empty() {
                continue;
            }
            match HeaderName::from_bytes(name) {
                Ok(name) => names.push(name),
                Err(_) => {
                    return refuse(
                        Cause::Header,
                        "a preflight asks for something that is no header",
                    );
                }
            }
        }
    }
    let headers = names;
    Ok(Some(Box::new(PreflightAsk { method, headers })))
}

/// Visible ASCII, and no list.
fn is_one(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_graphic() && *byte != b',')
}
