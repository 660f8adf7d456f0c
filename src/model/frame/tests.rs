//! Frames as clients write them: spelling is kept, one name twice is not.

use super::*;

#[test]
fn keeps_the_spelling_of_values() {
    let text = r#" {"params": {"price": 52000.00, "n":1e5, "big":12345678901234567890123, "s":"a\u00e9\/"}, "id" : 7, "method":"order.place"} "#;
    let frame = Frame::parse(text).unwrap();
    assert_eq!((&*frame.method, frame.id), ("order.place", Some("7")));
    let values: Vec<&str> = frame.params.iter().map(|member| member.value).collect();
    assert_eq!(
        values,
        [
            "52000.00",
            "1e5",
            "12345678901234567890123",
            r#""a\u00e9\/""#
        ]
    );
    assert_eq!(frame.params[3].text().unwrap(), "aé/");
    assert_eq!(frame.params[0].text(), None);
    assert_eq!(frame.param("n"), Some("1e5"));
    assert_eq!(frame.param("m"), None);
}

#[test]
fn takes_requests_without_id_or_params() {
    for text in [
        r#"{"method":"time"}"#,
        r#"{"method":"time","id":null,"params":{}}"#,
    ] {
        assert!(Frame::parse(text).unwrap().params.is_empty());
    }
    let frame = Frame::parse(r#"{"method":"ti\u006de","id":"a\"b"}"#).unwrap();
    assert_eq!((&*frame.method, frame.id), ("time", Some(r#""a\"b""#)));
}

#[test]
fn refuses_what_is_no_request() {
    let table = [
        "",
        "null",
        "[]",
        "{}",
        r#"{"id":1}"#,
        r#"{"method":1}"#,
        r#"{"method":null}"#,
        r#"{"method":"a","params":[]}"#,
        r#"{"method":"a","params":null}"#,
        r#"{"method":"a","id":{}}"#,
        r#"{"method":"a","id":[1]}"#,
        r#"{"method":"a","extra":1}"#,
        r#"{"method":"a"} {"method":"b"}"#,
        r#"{"method":"a"#,
        r#"{"method":"a","params":{"b":01}}"#,
        r#"{"method":"a","params":{"b":NaN}}"#,
        "{\"method\":\"a\u{1}\"}",
    ];
    for text in table {
        assert_eq!(
            Frame::parse(text).err(),
            Some(FrameFault::NotARequest),
            "{text}"
        );
    }
}

#[test]
fn refuses_one_name_twice_in_any_spelling() {
    let table = [
        r#"{"method":"a","method":"b"}"#,
        r#"{"method":"a","m\u0065thod":"b"}"#,
        r#"{"method":"a","params":{"x":1,"x":1}}"#,
        r#"{"method":"a","params":{"x":1,"\u0078":2}}"#,
    ];
    for text in table {
        assert_eq!(
            Frame::parse(text).err(),
            Some(FrameFault::Duplicate),
            "{text}"
        );
    }
}

#[test]
fn bounds_the_parameters() {
    let frame = |count: usize| {
        let params: Vec<String> = (0..count).map(|at| format!("\"p{at}\":{at}")).collect();
        format!("{{\"method\":\"a\",\"params\":{{{}}}}}", params.join(","))
    };
    assert!(Frame::parse(&frame(MEMBERS_MAX)).is_ok());
    let fault = Frame::parse(&frame(MEMBERS_MAX + 1)).err();
    assert_eq!(fault, Some(FrameFault::TooMany));
    // Far too many are not even read.
    let fault = Frame::parse(&frame(10 * MEMBERS_MAX)).err();
    assert_eq!(fault, Some(FrameFault::NotARequest));
}

#[test]
fn strips_what_is_ours() {
    let text = r#"{"method":"a","params":{"apiKey":"k","x":1,"sign\u0061ture":"s"}}"#;
    let mut frame = Frame::parse(text).unwrap();
    let own = ["apiKey", "timestamp", "signature"];
    let noted = frame.strip(&own);
    assert_eq!(
        noted.names(&own).collect::<Vec<_>>(),
        ["apiKey", "signature"]
    );
    assert_eq!(frame.params.len(), 1);
    assert!(!frame.strip(&own).any());
}
