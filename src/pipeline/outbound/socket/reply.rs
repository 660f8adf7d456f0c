//! Answers of exchanges, as far as they are read, and the identifiers by which they are found again. Never keeps one.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::frame::unquoted;

/// Bytes of an identifier.
const ID_BYTES_MAX: usize = 64;

/// What is read of an answer or an event.
#[derive(Deserialize)]
pub(super) struct Reply<'a> {
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    pub(super) status: Option<u16>,
    #[serde(borrow, rename = "rateLimits")]
    pub(super) limits: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

/// What a session's state tells beside the rest: the name of the key it is logged on with.
#[derive(Deserialize)]
struct SessionState<'a> {
    #[serde(borrow, rename = "apiKey")]
    key: Option<&'a RawValue>,
}

/// Of an error what is understood: one in an odd shape must not hide that there is an answer, or a ban.
#[derive(Deserialize, Default)]
struct Failure<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Retry {
    #[serde(rename = "retryAfter")]
    after_ms: Option<i64>,
}

impl Reply<'_> {
    /// The error's code and its `retryAfter`, in milliseconds since 1970.
    pub(super) fn failure(&self) -> (Option<i64>, Option<i64>) {
        let failure = self.error.and_then(read::<Failure<'_>>);
        let Failure { code, data } = failure.unwrap_or_default();
        let retry = data.and_then(|data| read::<Retry>(data)?.after_ms);
        (code.and_then(read), retry)
    }
}

/// What stands in the place of a key's name.
const MASK: &str = "\"***\"";

/// A message of the exchange without the name of our key, where it is an answer that tells it: the client has no key. One
/// that says that there is none goes on saying so.
pub(super) fn masked(text: &str) -> Option<String> {
    if !text.contains("apiKey") && !text.contains("\\u") {
        return None;
    }
    let reply: Reply<'_> = serde_json::from_str(text).ok()?;
    let state = reply.result.and_then(read::<SessionState<'_>>)?;
    let key = state.key?.get();
    let from = key.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let (before, rest) = text.split_at_checked(from)?;
    let (_key, after) = rest.split_at_checked(key.len())?;
    Some([before, MASK, after].concat())
}

fn read<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Option<T> {
    serde_json::from_str(json.get()).ok()
}

/// An identifier that can be found again in an answer, however that spells it: digits, or printable ASCII that needs no
/// escape.
pub(super) fn plain_id(id: &str) -> Option<&str> {
    if id.len() > ID_BYTES_MAX + 2 {
        return None;
    }
    let plain = match id.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(text) => text
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\' | b'/')),
        None => {
            let digits = id.strip_prefix('-').unwrap_or(id);
            id.parse::<i64>().is_ok()
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && (!digits.starts_with('0') || id == "0")
        }
    };
    (plain && !id.is_empty()).then_some(id)
}

/// An answer's identifier as the client spelt it.
pub(super) fn spelt(id: &str) -> String {
    match unquoted(id) {
        Some(text) => format!("\"{text}\""),
        None => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_one_that_an_answer_can_only_spell_in_one_way() {
        let long = format!("\"{}\"", "a".repeat(ID_BYTES_MAX));
        for id in [
            "0",
            "7",
            "-7",
            "9223372036854775807",
            "\"a-1 b\"",
            "\"\"",
            &long,
        ] {
            assert_eq!(plain_id(id), Some(id), "{id}");
            assert_eq!(spelt(id), id, "{id}");
        }
        let too_long = format!("\"{}\"", "a".repeat(ID_BYTES_MAX + 1));
        for id in [
            "",
            "null",
            "true",
            "1.0",
            "1e3",
            "01",
            "\"a\\u0041\"",
            "\"a/b\"",
            "\"ä\"",
            "{}",
            "[]",
            "99999999999999999999",
            "9223372036854775808",
            "-0",
            "-",
            &too_long,
        ] {
            assert_eq!(plain_id(id), None, "{id}");
        }
        assert_eq!(spelt("\"\\u0041\""), "\"A\"");
    }

    #[test]
    fn an_answer_is_read_and_an_event_has_no_identifier() {
        let text = r#"{"id":"a","status":429,"error":{"code":-1003,"msg":"x","data":{"serverTime":1,"retryAfter":5}},
            "rateLimits":[{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":50,"count":3}]}"#;
        let reply: Reply<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(reply.status, Some(429));
        assert_eq!(reply.failure(), (Some(-1003), Some(5)));
        assert!(reply.limits.is_some());
        for text in [
            r#"{"id":null,"status":401,"error":{"code":-2015,"msg":"x"}}"#,
            r#"{"subscriptionId":0,"event":{"e":"executionReport","i":7}}"#,
        ] {
            let reply: Reply<'_> = serde_json::from_str(text).unwrap();
            assert!(reply.id.is_none(), "{text}");
        }
    }

    #[test]
    fn the_name_of_a_key_is_masked_wherever_a_session_tells_it() {
        for (text, expected) in [
            (
                r#"{"id":1,"status":200,"result":{"apiKey":"abc","serverTime":7},"rateLimits":[]}"#,
                Some(
                    r#"{"id":1,"status":200,"result":{"apiKey":"***","serverTime":7},"rateLimits":[]}"#,
                ),
            ),
            (
                r#"{"result":{"a":"é","apiKe\u0079" : "abc"},"id":null,"status":200}"#,
                Some(r#"{"result":{"a":"é","apiKe\u0079" : "***"},"id":null,"status":200}"#),
            ),
            (
                r#"{"result":{"apiKey":["a","b"]}}"#,
                Some(r#"{"result":{"apiKey":"***"}}"#),
            ),
            (r#"{"id":1,"status":200,"result":{"apiKey":null}}"#, None),
            (r#"{"id":1,"status":200,"result":["apiKey"]}"#, None),
            (r#"{"id":1,"status":400,"error":{"msg":"apiKey"}}"#, None),
            (r#"{"event":{"e":"x"},"subscriptionId":0}"#, None),
            ("apiKey", None),
        ] {
            assert_eq!(masked(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn an_error_in_an_odd_shape_hides_neither_the_answer_nor_a_ban() {
        for (error, expected) in [
            ("7", (None, None)),
            ("null", (None, None)),
            (
                r#"{"code":"-1003","data":{"retryAfter":5}}"#,
                (None, Some(5)),
            ),
            (
                r#"{"code":-1003,"data":{"retryAfter":1.5}}"#,
                (Some(-1003), None),
            ),
            (r#"{"code":-1003,"data":"later"}"#, (Some(-1003), None)),
            (r#"{"code":-1003,"data":[]}"#, (Some(-1003), None)),
        ] {
            let text = format!(r#"{{"id":1,"status":418,"error":{error}}}"#);
            let reply: Reply<'_> = serde_json::from_str(&text).unwrap();
            assert_eq!(reply.status, Some(418), "{error}");
            assert_eq!(reply.failure(), expected, "{error}");
        }
    }
}
