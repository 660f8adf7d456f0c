//! Frames of the WebSocket API: one JSON text each, read with the client's own spelling of every value, and answered.
//! Knows no method.

use std::collections::BTreeMap;
use std::fmt;

use http::StatusCode;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::params::Params;
use super::refusal::Refusal;

/// A request.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Frame {
    #[serde(default)]
    pub(super) id: Value,
    pub(super) method: String,
    #[serde(default)]
    params: Fields,
}

/// Parameters by name, in the order in which they are signed. Strings are decoded, everything else is as it was written.
#[derive(Debug, Default)]
struct Fields(BTreeMap<String, String>);

impl Frame {
    /// Reads a frame.
    ///
    /// # Errors
    ///
    /// -1135 for what is no request, or names a parameter twice.
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        serde_json::from_str(text).map_err(|_| Refusal::bad(-1135, "Invalid JSON Request"))
    }

    pub(super) fn params(&self) -> Params {
        let fields = self.params.0.iter();
        Params::new(
            fields
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    /// What is signed: every parameter but the signature, sorted, `name=value` joined with `&`, in UTF-8 as it is.
    pub(super) fn payload(&self) -> String {
        let fields = self.params.0.iter();
        let signed = fields.filter(|(name, _)| *name != "signature");
        let pairs: Vec<String> = signed
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("&")
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object with parameters")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let raw: Box<RawValue> = map.next_value()?;
            let value = serde_json::from_str::<String>(raw.get());
            let value = value.unwrap_or_else(|_| raw.get().to_owned());
            if fields.insert(name, value).is_some() {
                return Err(A::Error::custom("a parameter stands twice"));
            }
        }
        Ok(Fields(fields))
    }
}

/// The answer to a frame.
pub(super) fn answer(id: &Value, outcome: Result<Value, Refusal>, limits: Option<Value>) -> String {
    let mut answer = match outcome {
        Ok(result) => json!({"id": id, "status": StatusCode::OK.as_u16(), "result": result}),
        Err(refusal) => {
            json!({"id": id, "status": refusal.status.as_u16(), "error": refusal.body()})
        }
    };
    if let (Value::Object(answer), Some(limits)) = (&mut answer, limits) {
        answer.insert("rateLimits".to_owned(), limits);
    }
    answer.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_sorted_and_spelt_as_the_client_spelt_it() {
        let frame = Frame::read(
            r#"{"id":1,"method":"order.place","params":{"symbol":"１２","price":0.10,"a\u0042":true,"signature":"x","quantity":"1.0"}}"#,
        );
        assert_eq!(
            frame.unwrap().payload(),
            "aB=true&price=0.10&quantity=1.0&symbol=１２"
        );
        let empty = Frame::read(r#"{"method":"time"}"#).unwrap();
        assert_eq!(
            (empty.id.clone(), empty.payload().as_str()),
            (Value::Null, "")
        );
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"method":1}"#,
            r#"{"method":"time","params":[]}"#,
            r#"{"method":"time","params":{"a":1,"a":2}}"#,
            r#"{"method":"time"}{}"#,
        ] {
            assert_eq!(Frame::read(text).unwrap_err().code, -1135, "{text}");
        }
    }
}
