//! What an answer says to a browser about pages of other origins (the CORS protocol of the Fetch standard). Ours stands
//! in place of the service's wherever it is configured. Never refuses: a page without permission is stopped by its own
//! browser, which does not let it read the answer.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CONNECTION,
    VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::REQUEST_ID;
use super::answer::Answers;
use super::problem::RequestBody;
use crate::decide::Preflight;
use crate::model::cors::{Cors, Origins};

/// All that a service may say of it.
static OF_THE_SERVICE: [HeaderName; 7] = [
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_MAX_AGE,
    HeaderName::from_static("access-control-allow-private-network"),
];

const ORIGIN_VARIES: HeaderValue = HeaderValue::from_static("Origin");

/// The answer to a preflight. Always a 204 with all that is granted, so that the browser finds the one thing that is
/// missing and names it to its developer; a refusing status would only be told as such. A page that may not read
/// anything learns nothing: without its origin the rest is left out.
#[must_use]
pub fn preflight(
    preflight: &Preflight<'_>,
    origin: Option<&HeaderValue>,
    answers: &Answers,
    request_id: &HeaderValue,
    body: RequestBody,
) -> Response<Bytes> {
    let cors = preflight.cors();
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    answers.set_security(headers);
    headers.insert(REQUEST_ID, request_id.clone());
    if body == RequestBody::Unread {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    headers.insert(VARY, ORIGIN_VARIES);
    if allow_origin(headers, cors, origin) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, preflight.methods().clone());
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, cors.headers_line.clone());
        headers.insert(ACCESS_CONTROL_MAX_AGE, cors.max_age.clone());
    }
    response
}

/// Tells the browser who may read this answer. `Vary` stands also where nobody asked, or a cache would hand that answer
/// to a page that needs another.
pub(super) fn tell(headers: &mut HeaderMap, cors: Option<&Cors>, origin: Option<&HeaderValue>) {
    let Some(cors) = cors else { return };
    for name in &OF_THE_SERVICE {
        headers.remove(name);
    }
    vary(headers);
    if allow_origin(headers, cors, origin) {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, cors.expose_line.clone());
    }
}

/// Whether the page may read the answer; if so, the answer says it.
fn allow_origin(headers: &mut HeaderMap, cors: &Cors, origin: Option<&HeaderValue>) -> bool {
    let Some(origin) = origin.filter(|origin| cors.takes(origin)) else {
        return false;
    };
    let told = match cors.origins {
        Origins::Any => HeaderValue::from_static("*"),
        Origins::Listed(_) => origin.clone(),
    };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, told);
    if cors.credentials {
        headers.insert(
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
    true
}

/// Puts `Origin` into `Vary`, in one line with what the service says there: some caches read only the first.
fn vary(headers: &mut HeaderMap) {
    let mut line: Vec<u8> = Vec::new();
    for value in headers.get_all(VARY) {
        let mut names = value
            .as_bytes()
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii);
        if names.any(|name| name == b"*" || name.eq_ignore_ascii_case(b"origin")) {
            return;
        }
        line.extend_from_slice(value.as_bytes());
        line.extend_from_slice(b", ");
    }
    if line.is_empty() {
        headers.insert(VARY, ORIGIN_VARIES);
        return;
    }
    line.extend_from_slice(b"Origin");
    // Header values joined by commas are a header value.
    headers.insert(
        VARY,
        HeaderValue::try_from(line).unwrap_or(HeaderValue::from_static("*")),
    );
}
