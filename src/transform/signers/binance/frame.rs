//! Binance's WebSocket API: parameters sorted by name, `k=v` joined by `&`, raw UTF-8, with the key's name among them. Never
//! percent-encodes, never respells a number.

use std::borrow::Cow;

use super::super::super::signing::explain::{Line, Mask};
use super::super::super::signing::{Fresh, Session, SignFault};
use super::{Binance, OWN_MEMBERS};
use crate::model::exchange::Security;
use crate::model::frame::{Frame, Member, unquoted};

/// The call that binds a key to a connection.
const LOG_ON: &str = "session.logon";

impl Binance {
    /// The frame with key, time and signature put in; the client's parameters keep their order and spelling.
    pub(in super::super) fn sign_frame(
        &self,
        frame: &Frame<'_>,
        security: Security,
        session: Session,
        fresh: &Fresh,
    ) -> Result<String, SignFault> {
        let signed = self.sign_params(frame, security, session, fresh)?;
        Ok(signed.params.into_frame(frame))
    }

    /// What is signed, the signature and the frame, with the key's name masked and the signature cut.
    pub(in super::super) fn explain_frame(
        &self,
        frame: &Frame<'_>,
        security: Security,
        session: Session,
        fresh: &Fresh,
    ) -> Result<Vec<Line>, SignFault> {
        let SignedParams { params, signature } =
            self.sign_params(frame, security, session, fresh)?;
        let mut mask = Mask::default();
        mask.secret("key_id", self.key_name().as_bytes());
        let mut texts = Vec::new();
        if let Some((payload, signature)) = signature {
            mask.signature("signature", signature.as_bytes());
            texts.extend([("payload", payload), ("signature", signature)]);
        }
        texts.push(("frame", params.into_frame(frame)));
        let line = |(name, text): (&str, String)| Line {
            name: name.to_owned(),
            text: mask.shown(text.as_bytes()),
        };
        Ok(texts.into_iter().map(line).collect())
    }

    fn sign_params<'a>(
        &self,
        frame: &Frame<'a>,
        security: Security,
        session: Session,
        fresh: &Fresh,
    ) -> Result<SignedParams<'a>, SignFault> {
        let ours = |member: &Member<'_>| OWN_MEMBERS.contains(&&*member.name);
        if frame.params.iter().any(ours) {
            return Err(SignFault::NotCleaned);
        }
        if frame.method == LOG_ON && !self.can_log_on() {
            return Err(SignFault::NotAnEd25519Key);
        }
        let (mut params, mut signed) = (Params::of(frame), None);
        match (security, session) {
            (Security::None, _) | (Security::KeyOnly, Session::LoggedOn) => {}
            (Security::KeyOnly, Session::Anonymous) => params.put_text("apiKey", self.key_name()),
            (Security::Signed, Session::LoggedOn) if frame.method != LOG_ON => {
                self.stamp(&mut params, fresh)?;
            }
            (Security::Signed, _) => {
                params.put_text("apiKey", self.key_name());
                self.stamp(&mut params, fresh)?;
                let payload = params.payload()?;
                let signature = self.key.usual_text(&self.key.sign(payload.as_bytes())?);
                params.put_text("signature", &signature);
                signed = Some((payload, signature));
            }
        }
        Ok(SignedParams {
            params,
            signature: signed,
        })
    }

    /// `session.logon` in our own name.
    pub(in super::super) fn log_on(&self, id: &str, fresh: &Fresh) -> Result<String, SignFault> {
        let frame = Frame {
            method: Cow::Borrowed(LOG_ON),
            id: Some(id),
            params: Vec::new(),
        };
        self.sign_frame(&frame, Security::Signed, Session::Anonymous, fresh)
    }

    fn stamp(&self, params: &mut Params<'_>, fresh: &Fresh) -> Result<(), SignFault> {
        params.put("timestamp", self.timestamp(fresh)?);
        let window = self.settings.recv_window.as_ref();
        if let Some(window) = window.filter(|_| !params.has("recvWindow")) {
            params.put("recvWindow", window.as_str().to_owned());
        }
        Ok(())
    }

    fn key_name(&self) -> &str {
        self.key_id.expose_secret()
    }
}

/// The parameters of a signed frame, with what was signed and the signature, where there is one.
struct SignedParams<'a> {
    params: Params<'a>,
    signature: Option<(String, String)>,
}

/// The parameters of a frame that is being signed: names, and values as JSON text.
struct Params<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Params<'a> {
    fn of(frame: &Frame<'a>) -> Self {
        let params = frame.params.iter();
        let kept = params.map(|member| (member.name.clone(), Cow::Borrowed(member.value)));
        Self(kept.collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    fn put(&mut self, name: &'static str, value: String) {
        self.0.push((Cow::Borrowed(name), Cow::Owned(value)));
    }

    fn put_text(&mut self, name: &'static str, text: &str) {
        self.put(name, quoted(text));
    }

    /// What is signed. Names of Binance are ASCII, so that bytes sort as it sorts.
    fn payload(&self) -> Result<String, SignFault> {
        let mut sorted: Vec<&(Cow<'_, str>, Cow<'_, str>)> = self.0.iter().collect();
        sorted.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let mut payload = String::new();
        for (name, value) in sorted {
            if !payload.is_empty() {
                payload.push('&');
            }
            payload.push_str(name);
            payload.push('=');
            payload.push_str(&text_of(name, value)?);
        }
        Ok(payload)
    }

    fn into_frame(self, frame: &Frame<'_>) -> String {
        let mut text = String::from("{");
        if let Some(id) = frame.id {
            text.push_str("\"id\":");
            text.push_str(id);
            text.push(',');
        }
        text.push_str("\"method\":");
        text.push_str(&quoted(&frame.method));
        if !self.0.is_empty() {
            text.push_str(",\"params\":{");
            for (at, (name, value)) in self.0.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                text.push_str(&quoted(name));
                text.push(':');
                text.push_str(value);
            }
            text.push('}');
        }
        text.push('}');
        text
    }
}

/// A value as it is signed: a text without quotes and escapes, everything else as it is spelt. A list or an object has no
/// one spelling that both sides agree on.
fn text_of<'v>(name: &str, value: &'v str) -> Result<Cow<'v, str>, SignFault> {
    let text = match value.as_bytes().first() {
        Some(b'"') => unquoted(value),
        Some(b'{' | b'[' | b'n') | None => None,
        Some(_) => Some(Cow::Borrowed(value)),
    };
    text.ok_or_else(|| SignFault::Parameter(name.to_owned()))
}

/// A JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
