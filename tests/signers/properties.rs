//! Properties of cleaning and signing over arbitrary bytes.

use bytes::Bytes;
use http::Method;
use outrider::model::exchange::Security;
use outrider::model::form::clean;
use outrider::model::frame::Frame;
use outrider::transform::signers::{Session, SignInput};
use proptest::prelude::*;

use crate::shared::{at_ms, binance, json, key};

const OWN: [&str; 2] = ["timestamp", "signature"];

fn signer() -> outrider::transform::signers::Signer {
    let vector = &json("binance_vectors.json")["vectors"][0];
    binance(
        vector["api_key"].as_str().unwrap(),
        key(vector).unwrap(),
        Some("5000"),
    )
}

/// Queries as clients write them, with what is ours strewn in.
fn query() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        "[a-zA-Z]{1,6}",
        Just("timestamp".to_owned()),
        Just("signatur%65".to_owned())
    ];
    let pair = (name, "[ -~é%]{0,8}")
        .prop_map(|(name, value)| format!("{name}={}", value.replace('%', "%25").replace('&', "")));
    proptest::collection::vec(pair, 0..8).prop_map(|pairs| pairs.join("&"))
}

proptest! {
    #[test]
    fn cleaning_twice_is_cleaning_once(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(once) = clean(&raw, &OWN) {
            let twice = clean(once.text.as_bytes(), &OWN).unwrap();
            prop_assert_eq!(&twice.text, &once.text);
            prop_assert!(!twice.noted.any());
            prop_assert!(once.text.is_ascii() && !once.text.contains(' '));
        }
    }

    #[test]
    fn nothing_but_ours_is_added_or_taken(raw in query()) {
        let cleaned = clean(raw.as_bytes(), &OWN).unwrap();
        let body = Bytes::new();
        let input = SignInput {
            method: &Method::POST, host: "h", path: "/p", query: &cleaned.text, body: &body, security: Security::Signed,
        };
        let signed = signer().sign(&input, &at_ms(7)).unwrap();
        let added = signed.query.strip_prefix(cleaned.text.as_str()).unwrap();
        let added = added.trim_start_matches('&');
        prop_assert!(added.starts_with("timestamp=7&recvWindow=5000&signature="), "{}", added);
        prop_assert_eq!(added.len(), "timestamp=7&recvWindow=5000&signature=".len() + 64);
        // Whoever sends our own answer through again gets the same.
        let window = ["timestamp", "signature", "recvWindow"];
        let again = clean(signed.query.as_bytes(), &window).unwrap();
        prop_assert_eq!(again.text, cleaned.text);
    }

    #[test]
    fn no_bytes_make_a_form_panic(raw in proptest::collection::vec(any::<u8>(), 0..300), get in any::<bool>()) {
        let signer = signer();
        let method = if get { Method::GET } else { Method::POST };
        let text = String::from_utf8_lossy(&raw);
        let body = Bytes::from(raw.clone());
        for (query, body) in [(text.as_ref(), &Bytes::new()), ("", &body)] {
            let input = SignInput { method: &method, host: "h", path: "/p", query, body, security: Security::Signed };
            let _either = signer.sign(&input, &at_ms(7));
            let _either = signer.explain(&input, &at_ms(7));
        }
    }

    #[test]
    fn frames_keep_what_the_client_wrote(
        params in proptest::collection::btree_map("[a-z]{1,8}", "(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?", 0..8),
        id in "[0-9]{1,18}",
    ) {
        let members: Vec<String> = params.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let id = id.trim_start_matches('0');
        let id = if id.is_empty() { "0" } else { id };
        let text = format!("{{\"id\":{id},\"method\":\"order.place\",\"params\":{{{}}}}}", members.join(","));
        let mut frame = Frame::parse(&text).unwrap();
        let out = signer().sign_frame(&frame, Security::Signed, Session::Anonymous, &at_ms(7)).unwrap();
        let kept = text.trim_end_matches('}');
        prop_assert!(out.starts_with(kept), "{}", out);
        // Our own frame, sent back to us, is signed alike.
        let mut again = Frame::parse(&out).unwrap();
        prop_assert!(again.strip(&["apiKey", "timestamp", "signature", "recvWindow"]).any());
        prop_assert_eq!(frame.strip(&["apiKey"]).any(), false);
        let twice = signer().sign_frame(&again, Security::Signed, Session::Anonymous, &at_ms(7)).unwrap();
        prop_assert_eq!(twice, out);
    }

    #[test]
    fn no_text_makes_a_frame_panic(text in "\\PC{0,200}") {
        if let Ok(frame) = Frame::parse(&text) {
            let _either = signer().sign_frame(&frame, Security::Signed, Session::Anonymous, &at_ms(7));
        }
    }
}
