//! Queries as clients write them: what comes off, what is encoded, what is refused.

use super::*;

const OWN: [&str; 2] = ["timestamp", "signature"];

fn cleaned(raw: &[u8]) -> String {
    clean(raw, &OWN).unwrap().text
}

#[test]
fn takes_off_what_is_ours_however_it_is_spelt() {
    let table = [
        ("", ""),
        ("a=1", "a=1"),
        ("timestamp=1", ""),
        ("a=1&timestamp=1&b=2", "a=1&b=2"),
        ("timestamp=1&a=1&signature=x%3D", "a=1"),
        ("a=1&%74imestamp=1&signatur%65=2", "a=1"),
        ("a=1&signature", "a=1"),
        ("signature=1&signature=2&a=1", "a=1"),
        // Other names, also those that look alike.
        (
            "Timestamp=1&timestamps=2&a=timestamp",
            "Timestamp=1&timestamps=2&a=timestamp",
        ),
        // Nothing else changes, sensible or not.
        ("a=1&&b=2&", "a=1&&b=2&"),
        ("=1&a==2&a=1", "=1&a==2&a=1"),
    ];
    for (raw, expected) in table {
        assert_eq!(cleaned(raw.as_bytes()), expected, "{raw}");
    }
}

#[test]
fn notes_what_it_took_off() {
    let table: [(&str, &[&str]); 4] = [
        ("a=1", &[]),
        ("timestamp=1", &["timestamp"]),
        ("signature=1&signature=2", &["signature"]),
        ("signature=1&timestamp=2", &["timestamp", "signature"]),
    ];
    for (raw, expected) in table {
        let noted = clean(raw.as_bytes(), &OWN).unwrap().noted;
        assert_eq!(noted.names(&OWN).collect::<Vec<_>>(), expected, "{raw}");
        assert_eq!(noted.any(), !expected.is_empty());
    }
    let (one, other) = (clean(b"timestamp=1", &OWN), clean(b"signature=1", &OWN));
    let both = one.unwrap().noted.and(other.unwrap().noted);
    assert_eq!(both.names(&OWN).count(), 2);
}

#[test]
fn encodes_what_no_query_may_hold_and_nothing_twice() {
    let table: [(&[u8], &str); 8] = [
        ("symbol=１".as_bytes(), "symbol=%EF%BC%91"),
        (b"symbol=%ef%bc%91", "symbol=%ef%bc%91"),
        (b"symbols=[\"A\",\"B\"]", "symbols=%5B%22A%22,%22B%22%5D"),
        (b"a=1 2+3%204", "a=1%202+3%204"),
        (b"a=\x00\xff\r\n#", "a=%00%FF%0D%0A%23"),
        (b"a=100%25", "a=100%25"),
        (b"a={}|\\^`<>", "a=%7B%7D%7C%5C%5E%60%3C%3E"),
        (b"a=-._~!$'()*+,;=:@/?", "a=-._~!$'()*+,;=:@/?"),
    ];
    for (raw, expected) in table {
        assert_eq!(cleaned(raw), expected);
    }
}

#[test]
fn refuses_what_has_two_readings() {
    for raw in ["a=%", "a=%2", "a=%zz", "a=%+1", "%=1"] {
        assert_eq!(
            clean(raw.as_bytes(), &OWN),
            Err(FormFault::Percent),
            "{raw}"
        );
    }
    let many = vec!["a=1"; PARAMS_MAX + 1].join("&");
    assert_eq!(clean(many.as_bytes(), &OWN), Err(FormFault::TooMany));
    assert!(clean(&many.as_bytes()[4..], &OWN).is_ok());
}

#[test]
fn finds_duplicates_over_query_and_body() {
    let table = [
        ("a=1&b=2", "c=3", None),
        ("a=1&a=1", "", Some("a")),
        ("a=1", "a=2", Some("a")),
        ("%61=1", "a=2", Some("a")),
        ("a+b=1", "a%20b=2", Some("a b")),
        ("a=1&&", "&b=1", None),
        ("A=1", "a=1", None),
    ];
    for (query, body, twice) in table {
        let expected = twice.map_or(Ok(()), |name| Err(FormFault::Duplicate(name.to_owned())));
        assert_eq!(refuse_duplicates(query, body), expected, "{query} {body}");
    }
}

#[test]
fn encodes_values_whole() {
    let mut text = String::new();
    push_encoded(&mut text, "aZ09-._~ +/=&%é".as_bytes());
    assert_eq!(text, "aZ09-._~%20%2B%2F%3D%26%25%C3%A9");
}
