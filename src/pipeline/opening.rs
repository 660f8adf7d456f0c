//! How every walk begins, whichever way it goes: the request gets its name and its record. Never looks further than its
//! first moment; what it asks for is judged by the walk.

use http::{HeaderMap, HeaderValue};
use http_body::Body as _;
use uuid::Uuid;

use crate::accept::http::Arrival;
use crate::model::clock::Now;
use crate::record::{OpenRecord, Recorder, Scheme, new_id};
use crate::transform::{RequestBody, Stamp};

/// A request in its first moment.
pub(super) struct Opening {
    pub(super) id: RequestId,
    pub(super) record: OpenRecord,
    pub(super) body: RequestBody,
}

impl Opening {
    /// Names the request and opens its record, which from here on is closed whatever happens. `generation` is that of the
    /// configuration that it goes by.
    pub(super) fn of(
        arrival: &Arrival,
        recorder: &Recorder,
        now: Now,
        generation: u64,
        scheme: Scheme,
    ) -> Self {
        let id = RequestId::choose(arrival.request.headers(), now);
        let mut record = recorder.open(now, id.uuid, arrival.connection.peer, scheme);
        record.config(generation);
        let body = match arrival.request.body().is_end_stream() {
            true => RequestBody::Settled,
            false => RequestBody::Unread,
        };
        Self { id, record, body }
    }
}

/// What a request is called: by the client, if the name is one that can stand anywhere, or else by us. The record goes
/// by our own in any case, because a client may use a name twice.
pub(super) struct RequestId {
    pub(super) uuid: Uuid,
    pub(super) header: HeaderValue,
}

/// The longest name that is taken from a client, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 64;

impl RequestId {
    fn choose(headers: &HeaderMap, now: Now) -> Self {
        let uuid = new_id(now);
        let mut sent = headers.get_all("x-request-id").iter();
        let only = sent.next().filter(|_| sent.next().is_none());
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        let sound = only.filter(|name| {
            let bytes = name.as_bytes();
            (1..=REQUEST_ID_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(plain)
        });
        let header = sound.cloned().unwrap_or_else(|| Self::own(uuid));
        Self { uuid, header }
    }

    /// What the service is told beside the facts; `traceparent` is our span, where requests are traced.
    pub(super) const fn stamp(&self, secure: bool, traceparent: Option<HeaderValue>) -> Stamp<'_> {
        Stamp {
            request_id: &self.header,
            secure,
            traceparent,
        }
    }

    pub(super) fn own(uuid: Uuid) -> HeaderValue {
        let mut text = Uuid::encode_buffer();
        let text = uuid.hyphenated().encode_lower(&mut text);
        // Hexadecimal digits and hyphens are a header value.
        HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("unnamed"))
    }
}
