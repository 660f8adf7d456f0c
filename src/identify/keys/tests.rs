//! Texts of keys, and what becomes of them. The keys are made here; weak ones are numbers of the right size.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn modulus() -> Vec<u8> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    pair.public_key()
        .modulus()
        .big_endian_without_leading_zero()
        .to_vec()
}

fn jwk(kid: &str, modulus: &[u8], exponent: &[u8]) -> Value {
    json!({"kty": "RSA", "kid": kid, "n": b64(modulus), "e": b64(exponent)})
}

fn good(kid: &str) -> Value {
    jwk(kid, &modulus(), &[1, 0, 1])
}

fn with(mut key: Value, name: &str, value: Value) -> Value {
    key[name] = value;
    key
}

fn parse(keys: &[Value]) -> Result<(KeySet, Vec<DroppedKey>), KeyError> {
    KeySet::parse(&json!({"keys": keys}).to_string(), None)
}

fn der(modulus: &[u8]) -> Vec<u8> {
    let components = RsaPublicKeyComponents {
        n: modulus,
        e: &[1, 0, 1][..],
    };
    let der: PublicKeyX509Der<'_> = components.as_der().unwrap();
    der.as_ref().to_vec()
}

fn pem(label: &str, der: &[u8]) -> String {
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    )
}

/// An odd number of so many bits that is no product of anything in particular.
fn odd(bits: usize) -> Vec<u8> {
    let mut number: Vec<u8> = modulus()
        .into_iter()
        .cycle()
        .take(bits.div_ceil(8))
        .collect();
    number[0] |= 0x80;
    *number.last_mut().unwrap() |= 1;
    number
}

fn even() -> Vec<u8> {
    let mut number = modulus();
    *number.last_mut().unwrap() &= 0xfe;
    number
}

#[test]
fn weak_and_misused_keys_are_dropped_one_by_one() {
    let rsa = modulus();
    for (key, reason) in [
        (jwk("bad", &odd(1024), &[1, 0, 1]), DropReason::TooShort),
        (jwk("bad", &odd(2040), &[1, 0, 1]), DropReason::TooShort),
        (jwk("bad", &odd(8200), &[1, 0, 1]), DropReason::TooLong),
        (jwk("bad", &rsa, &[1]), DropReason::Exponent),
        (jwk("bad", &rsa, &[3]), DropReason::Exponent),
        (jwk("bad", &rsa, &[255, 255]), DropReason::Exponent),
        (jwk("bad", &rsa, &[1, 0, 2]), DropReason::Exponent),
        (jwk("bad", &rsa, &[1, 0, 0, 0, 1]), DropReason::Exponent),
        (jwk("bad", &rsa, &[]), DropReason::Exponent),
        (jwk("bad", &[], &[1, 0, 1]), DropReason::TooShort),
        (jwk("bad", &roca_modulus(), &[1, 0, 1]), DropReason::Roca),
        (jwk("bad", &even(), &[1, 0, 1]), DropReason::Malformed),
        (with(good("bad"), "use", json!("enc")), DropReason::Use),
        (with(good("bad"), "use", json!(null)), DropReason::Use),
        (
            with(good("bad"), "key_ops", json!(["encrypt"])),
            DropReason::KeyOps,
        ),
        (with(good("bad"), "key_ops", json!([])), DropReason::KeyOps),
        (
            with(good("bad"), "key_ops", json!("verify")),
            DropReason::KeyOps,
        ),
        (
            with(good("bad"), "alg", json!("RS512")),
            DropReason::Algorithm,
        ),
        (
            with(good("bad"), "alg", json!("PS256")),
            DropReason::Algorithm,
        ),
        (with(good("bad"), "kty", json!("EC")), DropReason::NotRsa),
        (
            with(good("bad"), "n", json!("not base64!")),
            DropReason::Malformed,
        ),
        (with(good("bad"), "n", json!(5)), DropReason::Malformed),
        (
            json!({"kty": "RSA", "kid": "bad", "e": "AQAB"}),
            DropReason::Malformed,
        ),
        (json!({"kid": "bad"}), DropReason::NotRsa),
    ] {
        let (set, dropped) = parse(&[good("good"), key.clone()]).unwrap();
        assert_eq!(
            dropped,
            [DroppedKey {
                kid: "bad".into(),
                reason
            }],
            "{key}"
        );
        assert_eq!(set.kids(), ["good"]);
        assert_eq!(set.find(Some("bad")).err(), Some(Reason::KidUnknown));
        let alone = parse(std::slice::from_ref(&key)).err();
        assert!(
            matches!(alone, Some(KeyError::NoneUsable(dropped)) if dropped.len() == 1),
            "{key}"
        );
    }
}

/// A number that is a power of 65537 modulo each prime of the fingerprint, by the Chinese remainder theorem with
/// power 1: 65537 + m * M, where M is the product of the primes.
fn roca_modulus() -> Vec<u8> {
    let primes: Vec<u32> = (3..=167)
        .step_by(2)
        .filter(|n| (3..*n).all(|factor| n % factor != 0))
        .collect();
    let mut number = vec![0_u32; 64];
    number[0] = 1;
    let mut multiply = |factor: u32| {
        let mut carry = 0_u64;
        for digit in &mut number {
            let product = u64::from(*digit) * u64::from(factor) + carry;
            *digit = u32::try_from(product & 0xffff_ffff).unwrap();
            carry = product >> 32;
        }
    };
    primes.iter().for_each(|prime| multiply(*prime));
    // Even, and grown until the number has 2048 bits: the sum stays odd.
    (0..1_829).for_each(|_| multiply(2));
    let mut bytes: Vec<u8> = number
        .iter()
        .rev()
        .flat_map(|digit| digit.to_be_bytes())
        .collect();
    assert!(bytes[0] >= 0x80, "2048 bits");
    let end = bytes.len() - 3;
    assert_eq!(bytes[end..], [0, 0, 0]);
    bytes[end..].copy_from_slice(&[1, 0, 1]);
    bytes
}

#[test]
fn sets_that_are_refused_whole() {
    let secret = json!({"kty": "oct", "kid": "s", "k": "AAAA"});
    let elliptic = json!({"kty": "EC", "kid": "e", "crv": "P-256", "x": "AA", "y": "AA"});
    for (keys, error) in [
        (
            vec![good("a"), good("a")],
            KeyError::DuplicateKid("a".into()),
        ),
        (
            vec![good("a"), with(good("a"), "use", json!("enc"))],
            KeyError::DuplicateKid("a".into()),
        ),
        (vec![good("a"), secret], KeyError::Symmetric),
        (
            vec![good("a"), with(good("b"), "k", json!("AAAA"))],
            KeyError::Symmetric,
        ),
        (
            vec![good("a"), with(good("b"), "d", json!("AAAA"))],
            KeyError::Private,
        ),
        (
            vec![good("a"), with(good("b"), "qi", json!(null))],
            KeyError::Private,
        ),
        (
            vec![good("a"), with(elliptic, "d", json!("AA"))],
            KeyError::Private,
        ),
        (vec![], KeyError::NoneUsable(vec![])),
        (vec![good("a"), json!("text")], KeyError::NotJwk),
    ] {
        assert_eq!(parse(&keys).err(), Some(error));
    }
    let many: Vec<_> = (0..=KEYS_MAX)
        .map(|n| json!({"kty": "EC", "kid": n.to_string()}))
        .collect();
    assert_eq!(parse(&many).err(), Some(KeyError::TooMany));
}

#[test]
fn texts_that_are_not_keys() {
    let key = good("a");
    let n = key["n"].as_str().unwrap();
    for text in [
        format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB","e":"AQAB"}}"#),
        format!(r#"{{"keys":[{{"kty":"RSA","kid":"a","kid":"b","n":"{n}","e":"AQAB"}}]}}"#),
        r#"{"keys":["#.to_owned(),
        r#"{"keys":[]} trailing"#.to_owned(),
    ] {
        assert!(
            matches!(KeySet::parse(&text, None), Err(KeyError::Json { .. })),
            "{text}"
        );
    }
    for (text, error) in [
        ("{}", KeyError::NotJwk),
        (r#"{"keys":{}}"#, KeyError::NotJwk),
        (r#"{"keys":[],"kty":"RSA"}"#, KeyError::NotJwk),
        ("", KeyError::NotKeys),
        ("ssh-rsa AAAA", KeyError::NotKeys),
        (
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
            KeyError::Private,
        ),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----",
            KeyError::Private,
        ),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----", KeyError::Private),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            KeyError::Certificate,
        ),
        (
            "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----",
            KeyError::Pem,
        ),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n", KeyError::Pem),
        (
            "-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----",
            KeyError::Pem,
        ),
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----",
            KeyError::Pem,
        ),
    ] {
        assert_eq!(KeySet::parse(text, None).err(), Some(error), "{text}");
    }
}

#[test]
fn pem_keys_in_both_encodings_are_the_same_key() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let modulus = pair
        .public_key()
        .modulus()
        .big_endian_without_leading_zero();
    let spki = pem("PUBLIC KEY", &der(modulus));
    let pkcs1 = pem("RSA PUBLIC KEY", pair.public_key().as_ref());
    let by_jwk = with(jwk("", modulus, &[1, 0, 1]), "kid", json!(null));
    let nameless: Value = by_jwk
        .as_object()
        .unwrap()
        .clone()
        .into_iter()
        .filter(|(name, _)| name != "kid")
        .collect();
    let kids = |text: &str, kid| -> Vec<String> {
        let (set, _) = KeySet::parse(text, kid).unwrap();
        set.kids().into_iter().map(str::to_owned).collect()
    };
    assert_eq!(kids(&spki, Some("mine")), ["mine"]);
    assert_eq!(kids(&spki, None), kids(&pkcs1, None));
    assert_eq!(kids(&spki, None), kids(&nameless.to_string(), None));
    let twice = format!("issued by us\n{spki}{pkcs1}");
    assert!(matches!(
        KeySet::parse(&twice, None),
        Err(KeyError::DuplicateKid(_))
    ));
    let other = pem("PUBLIC KEY", &der(&self::modulus()));
    assert_eq!(kids(&format!("{spki}\n# the next\n{other}"), None).len(), 2);
    let named = KeySet::parse(&format!("{spki}{other}"), Some("mine"));
    assert_eq!(named.err(), Some(KeyError::DuplicateKid("mine".into())));
    let jwk = KeySet::parse(&nameless.to_string(), Some("mine"));
    assert_eq!(jwk.err(), Some(KeyError::KidForJwk));
    let short = KeySet::parse(&pem("PUBLIC KEY", &der(&odd(1024))), None);
    assert!(matches!(short, Err(KeyError::NoneUsable(_))));
}

#[test]
fn the_thumbprint_of_rfc_7638_section_3_1() {
    let modulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let text = json!({"kty": "RSA", "n": modulus, "e": "AQAB"}).to_string();
    let (set, _) = KeySet::parse(&text, None).unwrap();
    assert_eq!(set.kids(), ["NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"]);
}

#[test]
fn a_token_without_kid_needs_a_set_of_one_key() {
    let (one, _) = parse(&[good("a"), with(good("b"), "use", json!("enc"))]).unwrap();
    assert!(one.find(None).is_ok());
    let (two, _) = parse(&[good("a"), good("b")]).unwrap();
    assert_eq!(two.find(None).err(), Some(Reason::KidMissing));
    for kid in ["", "c", "A", "a ", "../a", "a\0", "' OR 1=1 --"] {
        assert_eq!(
            two.find(Some(kid)).err(),
            Some(Reason::KidUnknown),
            "{kid:?}"
        );
    }
}

#[test]
fn errors_quote_nothing_but_names() {
    let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
    for text in [
        json!({"keys": [{"kty": "oct", "k": secret}]}).to_string(),
        json!({"kty": "RSA", "d": secret}).to_string(),
        format!(r#"{{"d":"{secret}","d":"{secret}"}}"#),
        format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----"),
    ] {
        let error = KeySet::parse(&text, None).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(secret));
    }
}
