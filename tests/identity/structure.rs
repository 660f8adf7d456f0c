//! Rows 70 and 71 of the bypass list: tokens of the wrong shape, without one reading, with signatures made of nothing.

use outrider::identify::Reason;
use serde_json::json;

use crate::support::*;
use crate::tokens::{b64, compose};

#[test]
fn case_70_structure() {
    let good = good_token();
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!()
    };
    for (token, reason) in [
        (format!("{header}.{claims}"), Reason::Structure),
        (format!("{good}.{signature}"), Reason::Structure),
        (format!("{good}.{signature}.{signature}"), Reason::Structure),
        (format!("{header}..{signature}"), Reason::Signature),
        (format!(".{claims}.{signature}"), Reason::Structure),
        (format!("{header}.{claims}."), Reason::Structure),
        (String::new(), Reason::Structure),
        ("a.b.c".to_owned(), Reason::Structure),
        (format!("{good}="), Reason::Structure),
        (format!("{good}=="), Reason::Structure),
        (format!("{good} "), Reason::Structure),
        (format!(" {good}"), Reason::Structure),
        (format!("\u{feff}{good}"), Reason::Structure),
        (format!("{good}\n"), Reason::Structure),
        (
            json!({"protected": header, "payload": claims, "signature": signature}).to_string(),
            Reason::Structure,
        ),
        ("a".repeat(TOKEN_BYTES_MAX + 1), Reason::TooLarge),
        (
            format!("{header}.{}.{signature}", "A".repeat(1 << 20)),
            Reason::TooLarge,
        ),
        ("a".repeat(TOKEN_BYTES_MAX), Reason::Structure),
    ] {
        assert_eq!(refusal(&token), Some(reason));
    }
    let jwe = json!({"alg": "RSA-OAEP", "enc": "A256GCM"}).to_string();
    assert_eq!(
        refusal(&format!("{}.a.b.c.d", b64(jwe.as_bytes()))),
        Some(Reason::Structure)
    );
    // The last character of a 256-byte signature holds four bits that mean nothing.
    let last = signature.chars().last().unwrap();
    for other in ('A'..='Z')
        .chain('a'..='z')
        .chain('0'..='9')
        .filter(|other| *other != last)
    {
        let mut changed = good.clone();
        changed.pop();
        changed.push(other);
        assert!(matches!(
            refusal(&changed),
            Some(Reason::Structure | Reason::Signature)
        ));
    }
    // Anybody can send a header; it is short before it is read.
    let padded = json!({"alg": "RS256", "x": "a".repeat(4_096)});
    assert_eq!(
        refusal(&ISSUER.sign(&padded, &crate::support::claims())),
        Some(Reason::TooLarge)
    );
}

#[test]
fn case_70_signed_but_without_one_reading() {
    let head = b64(ISSUER.header().to_string().as_bytes());
    for payload in [
        "",
        "null",
        "[]",
        "1",
        "{}x",
        "\u{feff}{}",
        "{\"a\":1,}",
        "{'a':1}",
    ] {
        let verdict = refusal(&ISSUER.sign_text(&ISSUER.header().to_string(), payload));
        assert_eq!(verdict, Some(Reason::Claims), "{payload}");
    }
    for encoded in ["e30=", "e31", "e3+", "e/0", "e30 "] {
        assert_eq!(
            refusal(&ISSUER.sign_parts(&head, encoded)),
            Some(Reason::Structure),
            "{encoded}"
        );
    }
}

#[test]
fn case_70_names_twice_depth_and_crowds() {
    let text = claims().to_string();
    let member = |extra: &str| format!("{},{extra}}}", text.trim_end_matches('}'));
    let deep = format!(r#""x":{}{}"#, "[".repeat(5_000), "]".repeat(5_000));
    let crowd = format!(r#""permissions":[{}]"#, vec![r#""a:b""#; 1_000].join(","));
    for extra in [
        r#""sub":"trader-7""#,
        r#""sub":"somebody-else""#,
        r#""\u0073ub":"somebody-else""#,
        r#""exp":9999999999"#,
        r#""x":{"a":1,"a":2}"#,
        r#""x":[{"a":1,"a":2}]"#,
        deep.as_str(),
        crowd.as_str(),
    ] {
        let token = ISSUER.sign_text(&ISSUER.header().to_string(), &member(extra));
        assert_eq!(refusal(&token), Some(Reason::Claims), "{extra:.40}");
    }
    let header = r#"{"alg":"RS256","kid":"test-key","alg":"RS256"}"#;
    assert_eq!(
        refusal(&ISSUER.sign_text(header, &text)),
        Some(Reason::Structure)
    );
}

#[test]
fn case_71_signatures_made_of_nothing() {
    let modulus = ISSUER.modulus();
    let mut below = modulus.clone();
    *below.last_mut().unwrap() -= 1;
    let mut above = modulus.clone();
    above.push(0);
    let mut one = vec![0; modulus.len()];
    *one.last_mut().unwrap() = 1;
    for signature in [
        vec![0; modulus.len()],
        vec![0xff; modulus.len()],
        modulus,
        below,
        one,
        above,
        vec![0],
        vec![0; 8_000],
    ] {
        let token = compose(&ISSUER.header(), &claims(), &signature);
        assert_eq!(
            refusal(&token),
            Some(Reason::Signature),
            "{} bytes",
            signature.len()
        );
    }
    let empty = compose(&ISSUER.header(), &claims(), &[]);
    assert_eq!(refusal(&empty), Some(Reason::Structure));
    let by_stranger = STRANGER.sign(&ISSUER.header(), &claims());
    assert_eq!(refusal(&by_stranger), Some(Reason::Signature));
}
