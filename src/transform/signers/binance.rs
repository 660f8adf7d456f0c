//! Binance: `query ++ body` signed as it is sent, `signature` last, the key's name in `X-MBX-APIKEY`; HMAC-SHA256, Ed25519
//! and RSA keys. Never decodes what it signs, never sends the key on a public call.
//!
//! Source: binance-spot-api-docs, rest-api.md "Request security" and web-socket-api.md "Request security" (2026-07-21).

mod frame;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value as Json, json};

use super::super::signing::explain::{Explained, Line, Mask};
use super::super::signing::key::{KeyFault, SigningKey};
use super::super::signing::{Fresh, SignFault, SignInput, Signed, TimeUnit, sensitive};
use crate::model::decode::{Decode, decode_scalar};
use crate::model::exchange::Security;
use crate::model::fault::Faults;
use crate::model::form::{has, push_encoded, push_param};
use crate::model::node::Node;
use crate::model::secret::Secret;

/// The header that names the key.
const API_KEY: HeaderName = HeaderName::from_static("x-mbx-apikey");
/// Headers that only the signer may set.
pub(super) const OWN_HEADERS: [HeaderName; 1] = [API_KEY];
/// Parameters of query and form that only the signer may set.
pub(super) const OWN_PARAMS: [&str; 2] = ["timestamp", "signature"];
/// Parameters of a frame that only the signer may set.
pub(super) const OWN_MEMBERS: [&str; 3] = ["apiKey", "timestamp", "signature"];

/// What of Binance's rule can be chosen.
#[derive(Clone, Debug, Default)]
pub struct BinanceSettings {
    /// How long a request may be on its way, where the client does not say it; none leaves it to Binance (5000 ms).
    pub recv_window: Option<RecvWindow>,
    /// The unit of `timestamp`.
    pub time_unit: TimeUnit,
}

/// `recvWindow`: milliseconds with at most three decimals, more than 0 and at most 60000. Keeps its spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecvWindow(String);

impl RecvWindow {
    /// Reads the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (whole, decimals) = text
            .split_once('.')
            .map_or((text, None), |(w, d)| (w, Some(d)));
        let digits = |part: &str, max: usize| {
            !part.is_empty() && part.len() <= max && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        let well_formed = digits(whole, 5)
            && (whole == "0" || !whole.starts_with('0'))
            && decimals.is_none_or(|decimals| digits(decimals, 3));
        let zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        let milliseconds: u32 = whole.parse().unwrap_or(u32::MAX);
        let fraction = decimals.is_some_and(|decimals| decimals.bytes().any(|byte| byte != b'0'));
        let small = milliseconds < 60_000 || milliseconds == 60_000 && !fraction;
        if well_formed && small && !zero {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "`{text}` is no receive window: milliseconds from 0.001 to 60000, with at most three decimals"
            ))
        }
    }

    /// As it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Decode for RecvWindow {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "milliseconds", faults, Self::parse)
    }

    fn schema() -> Json {
        json!({"type": "number", "exclusiveMinimum": 0, "maximum": 60_000})
    }
}

/// Bytes that time, window and an HMAC add to a query; longer signatures grow it once more.
const ADDED: usize = 128;

/// The rule with one key.
pub(super) struct Binance {
    settings: BinanceSettings,
    key: SigningKey,
    key_id: Secret<String>,
    header: HeaderValue,
}

impl Binance {
    pub(super) fn new(
        settings: BinanceSettings,
        key_id: Secret<Vec<u8>>,
        key: SigningKey,
    ) -> Result<Self, KeyFault> {
        const FAULT: KeyFault = KeyFault("the API key is not letters and digits");
        let text = key_id.expose_secret().trim_ascii();
        if text.is_empty() || !text.iter().all(u8::is_ascii_alphanumeric) {
            return Err(FAULT);
        }
        let header = sensitive(&API_KEY, text).map_err(|_| FAULT)?;
        let text = String::from_utf8(text.to_vec()).map_err(|_| FAULT)?;
        Ok(Self {
            settings,
            key,
            key_id: Secret::new(text),
            header,
        })
    }

    pub(super) fn sign(&self, input: &SignInput<'_>, fresh: &Fresh) -> Result<Signed, SignFault> {
        let mut signed = Signed {
            query: input.query.to_owned(),
            body: input.body.clone(),
            headers: Vec::new(),
        };
        match input.security {
            Security::None => return Ok(signed),
            Security::KeyOnly => {}
            Security::Signed => {
                let draft = self.draft(input, fresh)?;
                let signature = self.key.sign(draft.payload().as_bytes())?;
                draft.finish(&self.key.usual_text(&signature), &mut signed);
            }
        }
        signed.headers.push((API_KEY, self.header.clone()));
        Ok(signed)
    }

    pub(super) fn explain(
        &self,
        input: &SignInput<'_>,
        fresh: &Fresh,
    ) -> Result<Explained, SignFault> {
        let signed = self.sign(input, fresh)?;
        let mut mask = Mask::default();
        mask.secret("key_id", self.key_id.expose_secret().as_bytes());
        let mut steps = Vec::new();
        if input.security == Security::Signed {
            let payload = self.draft(input, fresh)?.payload();
            let signature = self.key.usual_text(&self.key.sign(payload.as_bytes())?);
            mask.signature("signature", signature.as_bytes());
            for (name, text) in [("payload", payload), ("signature", signature)] {
                steps.push(Line {
                    name: name.to_owned(),
                    text: mask.shown(text.as_bytes()),
                });
            }
        }
        Ok(mask.explained(steps, &signed))
    }

    pub(super) const fn can_log_on(&self) -> bool {
        self.key.is_ed25519()
    }

    /// The request with time and window; the signature is still missing.
    fn draft(&self, input: &SignInput<'_>, fresh: &Fresh) -> Result<Draft, SignFault> {
        let body = std::str::from_utf8(input.body).map_err(|_| SignFault::Body("a form"))?;
        if !body.is_empty() && *input.method == Method::GET {
            return Err(SignFault::BodyOnGet);
        }
        let ours = |text: &str| OWN_PARAMS.iter().any(|name| has(text, name));
        if ours(input.query) || ours(body) {
            return Err(SignFault::NotCleaned);
        }
        let mut draft = Draft {
            query: input.query.to_owned(),
            body: body.to_owned(),
        };
        draft.last().reserve(ADDED);
        let timestamp = self.timestamp(fresh)?;
        push_param(draft.last(), "timestamp", &timestamp);
        let window = self.settings.recv_window.as_ref();
        if let Some(window) = window.filter(|_| !draft.has("recvWindow")) {
            push_param(draft.last(), "recvWindow", window.as_str());
        }
        Ok(draft)
    }

    /// The time in digits.
    fn timestamp(&self, fresh: &Fresh) -> Result<String, SignFault> {
        let time = self.settings.time_unit.of(fresh.unix_us);
        time.map(|time| time.to_string()).ok_or(SignFault::Time)
    }
}

/// Query and body on their way to a signature. Binance reads `signature` where parameters end: in the body if there is
/// one, else in the query.
struct Draft {
    query: String,
    body: String,
}

impl Draft {
    /// What is signed: no separator between the two.
    fn payload(&self) -> String {
        [self.query.as_str(), self.body.as_str()].concat()
    }

    fn last(&mut self) -> &mut String {
        if self.body.is_empty() {
            &mut self.query
        } else {
            &mut self.body
        }
    }

    fn has(&self, name: &str) -> bool {
        has(&self.query, name) || has(&self.body, name)
    }

    fn finish(mut self, signature: &str, signed: &mut Signed) {
        push_param(self.last(), "signature", "");
        push_encoded(self.last(), signature.as_bytes());
        signed.query = self.query;
        signed.body = Bytes::from(self.body);
    }
}
