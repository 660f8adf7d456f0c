//! The service's answer as the client gets it: fields of the other hop and of the service's framework off, security
//! fields and limits on. Never looks at the body.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, Entry, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, Version};

use super::problem::Challenges;
use super::{REQUEST_ID, cors, deprecation, hop_by_hop, quota};
use crate::decide::Permit;
use crate::model::settings::{HeaderPreset, LimitHeaders};

/// What a service says of its make, and `Alt-Svc`, which would invite clients to come past this proxy.
fn is_not_for_clients(name: &str) -> bool {
    matches!(
        name,
        "server"
            | "x-powered-by"
            | "x-aspnet-version"
            | "x-aspnetmvc-version"
            | "x-generator"
            | "x-runtime"
            | "x-served-by"
            | "alt-svc"
    )
}

/// A client in clear ignores it (RFC 6797 section 8.1); behind something that ends TLS for us it is needed.
const TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const NO_FEATURES: HeaderValue = HeaderValue::from_static(
    "accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), payment=(), usb=()",
);
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const DENY: HeaderValue = HeaderValue::from_static("DENY");

/// For programs: nothing is embedded, cached or sniffed.
static API: [(HeaderName, HeaderValue); 8] = [
    (STRICT_TRANSPORT_SECURITY, TRANSPORT),
    (X_CONTENT_TYPE_OPTIONS, NOSNIFF),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (X_FRAME_OPTIONS, DENY),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (PERMISSIONS_POLICY, NO_FEATURES),
    (RESOURCE_POLICY, SAME_ORIGIN),
];

/// For pages: scripts, styles and images of their own origin work, caching is left to the page.
static WEB: [(HeaderName, HeaderValue); 8] = [
    (STRICT_TRANSPORT_SECURITY, TRANSPORT),
    (X_CONTENT_TYPE_OPTIONS, NOSNIFF),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
        ),
    ),
    (X_FRAME_OPTIONS, DENY),
    (
        REFERRER_POLICY,
        HeaderValue::from_static("strict-origin-when-cross-origin"),
    ),
    (PERMISSIONS_POLICY, NO_FEATURES),
    (RESOURCE_POLICY, SAME_ORIGIN),
    (OPENER_POLICY, SAME_ORIGIN),
];

/// The most fields that are set here beside a preset.
const SET_BESIDE_PRESET: usize = 13;

/// All about answers that is known at load, shared by those of the service and our own.
#[derive(Clone, Debug)]
pub struct Answers {
    preset: &'static [(HeaderName, HeaderValue)],
    pub(super) limit_headers: LimitHeaders,
    pub(super) challenges: Challenges,
}

impl Answers {
    /// `realm` names the service in challenges; what cannot stand in one is left out of it.
    #[must_use]
    pub fn new(preset: HeaderPreset, limit_headers: LimitHeaders, realm: &str) -> Self {
        Self {
            preset: match preset {
                HeaderPreset::Api => &API,
                HeaderPreset::Web => &WEB,
                HeaderPreset::None => &[],
            },
            limit_headers,
            challenges: Challenges::new(realm),
        }
    }

    /// Sets the preset's fields that nobody has set, so that a service can have its own.
    pub(super) fn set_security(&self, headers: &mut HeaderMap) {
        headers.reserve(self.preset.len() + SET_BESIDE_PRESET);
        for (name, value) in self.preset {
            if let Entry::Vacant(place) = headers.entry(name) {
                place.insert(value.clone());
            }
        }
    }
}

/// Makes the client's answer out of the service's. The length that the service stated stays, so that an answer to HEAD
/// keeps it; all other framing is made anew. `origin` is that of the page that asks, if one does.
pub fn reply<B>(
    permit: &Permit<'_>,
    mut response: Response<B>,
    origin: Option<&HeaderValue>,
    answers: &Answers,
    request_id: &HeaderValue,
) -> Response<B> {
    let route = permit.route();
    // A reason phrase of the service's own, or an upgrade, is nothing for the client.
    response.extensions_mut().clear();
    *response.version_mut() = Version::HTTP_11;
    let headers = response.headers_mut();
    hop_by_hop::strip(headers, is_not_for_clients);
    answers.set_security(headers);
    quota::tell(headers, permit.quota(), Some(route), answers.limit_headers);
    deprecation::tell(headers, route.deprecation.as_deref());
    cors::tell(headers, route.cors.as_deref(), origin);
    headers.insert(REQUEST_ID, request_id.clone());
    response
}
