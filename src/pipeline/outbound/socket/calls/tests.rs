//! Identifiers that can be found again, and what is read of an answer. The conversation itself is tested on the running
//! program.

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
