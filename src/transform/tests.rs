//! Tables: what passes in each direction, what is set, and the answer of every cause.

mod answers;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::Full;

use super::*;
use crate::decide::fixtures::{facts, open_route, permit};
use crate::model::caller::{Caller, Identity, IdentityHeaders};
use crate::model::denial::{Advice, Cause, Denial, Quota, RuleId};
use crate::model::facts::Framing;
use crate::model::node::Place;
use crate::model::settings::{HeaderPreset, LimitHeaders};

static ID: HeaderValue = HeaderValue::from_static("0193-request");

/// All values of a field.
fn all<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect()
}
