//! The one table from a cause of refusal to its answer: RFC 9457 problems, RFC 6750 and 9470 challenges, times to wait.
//! Never tells the operator's detail or the rule that decided.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response};
use serde::Serialize;

use super::answer::Answers;
use super::{REQUEST_ID, cors, deprecation, quota};
use crate::decide::policy::{Matching, Route};
use crate::model::cors::Cors;
use crate::model::denial::{Advice, Cause, Denial};
use crate::model::units::seconds_up;

/// Where each code is explained. With the code behind it, the `type` of a problem.
pub(super) const PROBLEMS: &str = "https://outrider.dev/problems/";

/// The media type of a problem (RFC 9457 section 6.1).
pub(super) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Whether the client may still be sending the body of the request that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestBody {
    /// There is none, or it was read to its end.
    Settled,
    /// Bytes of it may follow; the connection closes rather than take them in or mistake them for a request.
    Unread,
}

/// The page that a refused request came from, so that it can read why.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page<'a> {
    /// What is said of pages of other origins: by the route, or where none was found by the listener.
    pub cors: Option<&'a Cors>,
    /// Its origin, if the request named one.
    pub origin: Option<&'a HeaderValue>,
}

/// The answer to a refused request. To HEAD too it has a body, whose length hyper states and whose bytes it leaves out.
#[must_use]
pub fn refusal(
    denial: &Denial,
    answers: &Answers,
    request_id: &HeaderValue,
    route: Option<&Route>,
    page: &Page<'_>,
    body: RequestBody,
) -> Response<Bytes> {
    let problem = problem(denial.cause, request_id, wait_seconds(denial));
    let mut response = refused(denial, problem, PROBLEM_JSON, request_id, body);
    let headers = response.headers_mut();
    answers.set_security(headers);
    if let Some(challenge) = answers.challenges.challenge(denial) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    set_allow(headers, denial);
    if let Advice::Quota(spent) = &denial.advice {
        quota::tell(headers, Some(spent), route, answers.limit_headers);
    }
    deprecation::tell(
        headers,
        route.and_then(|route| route.deprecation.as_deref()),
    );
    cors::tell(headers, page.cors, page.origin);
    response
}

/// What every refusal says, whichever way the request went: its status, when to try again, and whether the connection ends.
pub(super) fn refused(
    denial: &Denial,
    problem: Bytes,
    media_type: HeaderValue,
    request_id: &HeaderValue,
    body: RequestBody,
) -> Response<Bytes> {
    let mut response = Response::new(problem);
    *response.status_mut() = denial.cause.status();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_TYPE, media_type);
    headers.insert(REQUEST_ID, request_id.clone());
    if denial.cause.closes() || body == RequestBody::Unread {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(seconds) = wait_seconds(denial) {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// RFC 9457, with `code` and `retry_after` as extensions. The instance is the request's id.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    instance: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

fn problem(cause: Cause, request_id: &HeaderValue, retry_after: Option<u64>) -> Bytes {
    let problem = Problem {
        r#type: format!("{PROBLEMS}{}", cause.code()),
        title: cause.title(),
        status: cause.status().as_u16(),
        instance: request_id.to_str().unwrap_or_default(),
        code: cause.code(),
        retry_after,
    };
    // Text and numbers always have a JSON form.
    serde_json::to_vec(&problem).unwrap_or_default().into()
}

/// When to try again: as advised, or for a cause that passes by itself a guess on the short side.
pub(super) fn wait_seconds(denial: &Denial) -> Option<u64> {
    let passes = matches!(denial.cause.status().as_u16(), 429 | 503);
    let advised = denial.wait().map(seconds_up);
    advised.or_else(|| passes.then_some(1))
}

/// A 405 names the methods that would do (RFC 9110 section 15.5.6).
fn set_allow(headers: &mut HeaderMap, denial: &Denial) {
    let allow = match (&denial.advice, denial.cause) {
        (Advice::Methods(methods), _) => HeaderValue::try_from(methods.as_str()).ok(),
        (_, Cause::MethodRefused) => usual_methods(),
        _ => None,
    };
    if let Some(allow) = allow {
        headers.insert(ALLOW, allow);
    }
}

/// For a method that is refused wherever it goes: those that a route takes which names none.
fn usual_methods() -> Option<HeaderValue> {
    let names = Matching::USUAL_METHODS.map(|method| method.to_string());
    HeaderValue::try_from(names.join(", ")).ok()
}

/// `WWW-Authenticate` values; those that never change are made at load.
#[derive(Clone, Debug)]
pub(super) struct Challenges {
    plain: HeaderValue,
    invalid_token: HeaderValue,
    invalid_request: HeaderValue,
    realm: String,
}

impl Challenges {
    pub(super) fn new(realm: &str) -> Self {
        let quotable = |char: &char| matches!(char, ' '..='~') && !matches!(char, '"' | '\\');
        let realm: String = realm.chars().filter(quotable).collect();
        Self {
            plain: bearer(&realm, ""),
            invalid_token: bearer(&realm, r#", error="invalid_token""#),
            invalid_request: bearer(&realm, r#", error="invalid_request""#),
            realm,
        }
    }

    /// RFC 6750 section 3.1, and RFC 9470 section 3 for the second factor. A request without credentials is told no
    /// error.
    fn challenge(&self, denial: &Denial) -> Option<HeaderValue> {
        match (denial.cause, &denial.advice) {
            (Cause::CredentialsMissing, _) => Some(self.plain.clone()),
            (Cause::TokenInvalid, _) => Some(self.invalid_token.clone()),
            (Cause::CredentialsSeveral, _) => Some(self.invalid_request.clone()),
            (Cause::PermissionMissing, Advice::Scope(scope)) => Some(bearer(
                &self.realm,
                &format!(r#", error="insufficient_scope", scope="{scope}""#),
            )),
            (Cause::PermissionMissing, _) => {
                Some(bearer(&self.realm, r#", error="insufficient_scope""#))
            }
            (Cause::MfaRequired, Advice::StepUp(within)) => Some(bearer(
                &self.realm,
                &format!(
                    r#", error="insufficient_user_authentication", max_age="{}""#,
                    within.as_secs()
                ),
            )),
            (Cause::MfaRequired, _) => Some(bearer(
                &self.realm,
                r#", error="insufficient_user_authentication""#,
            )),
            _ => None,
        }
    }
}

/// A bearer challenge; without a realm if that has no form in a header.
fn bearer(realm: &str, rest: &str) -> HeaderValue {
    HeaderValue::try_from(format!(r#"Bearer realm="{realm}"{rest}"#))
        .unwrap_or(HeaderValue::from_static("Bearer"))
}
