//! Keys as exchanges and OpenSSL write them, and what is refused as a key.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};

use super::*;

/// One Ed25519 key as OpenSSL 3.0 encrypts it, all with the password `correct-horse`; DER in hexadecimal.
const AES_256: &str = "30819b305706092a864886f70d01050d304a302906092a864886f70d01050c301c04086460494785927ca402020800300c06082a864886f70d02090500301d060960864801650304012a0410286305517de7bedb5c62e101362f6330044043ce93395352f7a44c17c5654056463cecbaf18d684d24c8d0f44ddffb31e4c2f14a33427aaea45f6086b983bbf291b4cbe5cd322216abf6fa292cf0a72b5ca3";
const AES_128_SHA_512: &str = "30819b305706092a864886f70d01050d304a302906092a864886f70d01050c301c0408b9e5469175efbcd202020800300c06082a864886f70d020b0500301d0609608648016503040102041079b0503345baeb19cda7654a2eef703904401bac56e8b42c7f4853c854465b827139076011f0a0708c1cb3761bd729d338e35c06a5e1f70f2b34ea2a032b02dabd93b06dcd41663256191f06774ee6ece16c";
const SCRYPT: &str = "308193304f06092a864886f70d01050d3042302106092b06010401da47040b301404085ecaf7fc0c51103102024000020108020101301d060960864801650304012a04101145eff355b0932304c5a15c484d04c604402c25ed64183c5b341c7ff6d7eb5343bf1109b82ccd222f0874c7a5f5ad5576c9f8bbbd1bdaa6d72ac45c6e718a653cc48e61c2cd14882bfdefc4a0e2c702367c";
const TRIPLE_DES: &str = "30818a304e06092a864886f70d01050d3041302906092a864886f70d01050c301c0408e9f69c456be7e77702020800300c06082a864886f70d02090500301406082a864886f70d030704089a23d8e6597c05b6043856be3856c977a43a5ba1bb24801e9e6d412e55e493b81c7d6acb031f5e4c7cb0b7531d2e63c65621b08d27a674e56f106468f2a0cb9e3735";
/// Its public key.
const PUBLIC: &str = "e044af684b8ac9f944ff1e90749d7796b02e98c886cf2a652fab106be7d4bcb0";

fn secret(text: &str) -> Secret<Vec<u8>> {
    Secret::new(text.as_bytes().to_vec())
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = String::from_utf8(Encoding::Base64.encode(der)).unwrap();
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn encrypted(der_hex: &str) -> String {
    pem("ENCRYPTED PRIVATE KEY", &from_hex(der_hex).unwrap())
}

fn load(algorithm: Algorithm, text: &str, password: Option<&str>) -> Result<SigningKey, KeyFault> {
    let password = password.map(secret);
    SigningKey::load(
        algorithm,
        KeyEncoding::Pem,
        &secret(text),
        password.as_ref(),
    )
}

#[test]
fn opens_what_openssl_encrypts() {
    for der in [AES_256, AES_128_SHA_512] {
        for password in ["correct-horse", "correct-horse\n"] {
            let key = load(Algorithm::Ed25519, &encrypted(der), Some(password)).unwrap();
            assert_eq!(key.public_key(), from_hex(PUBLIC));
        }
    }
}

#[test]
fn says_why_an_encrypted_key_does_not_open() {
    let table = [
        (
            AES_256,
            None,
            "the PEM is encrypted, and no password is given",
        ),
        (AES_256, Some("wrong"), "the password does not open the PEM"),
        (AES_256, Some(""), "the password does not open the PEM"),
        (
            SCRYPT,
            Some("correct-horse"),
            "the PEM is encrypted in a way that is not supported",
        ),
        (
            TRIPLE_DES,
            Some("correct-horse"),
            "the PEM is encrypted in a way that is not supported",
        ),
    ];
    for (der, password, expected) in table {
        let KeyFault(message) = load(Algorithm::Ed25519, &encrypted(der), password).unwrap_err();
        assert!(message.starts_with(expected), "{message}");
    }
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let KeyFault(message) = load(Algorithm::RsaSha256, old, Some("x")).unwrap_err();
    assert!(message.contains("openssl pkcs8 -topk8"), "{message}");
}

#[test]
fn reads_every_form_of_a_key() {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8 = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&rsa).unwrap();
    let rsa_public = rsa.public_key().as_ref().to_vec();
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let ec_pkcs8 = ec.to_pkcs8v1().unwrap();
    let sec1 = AsDer::<aws_lc_rs::encoding::EcPrivateKeyRfc5915Der<'_>>::as_der(&ec.private_key())
        .unwrap();
    let ec_public = ec.public_key().as_ref().to_vec();
    // A PKCS#8 structure ends with the PKCS#1 structure.
    let pkcs1 = pkcs8.as_ref().get(26..).unwrap();
    let table = [
        (
            Algorithm::RsaSha256,
            pem("PRIVATE KEY", pkcs8.as_ref()),
            &rsa_public,
        ),
        (
            Algorithm::RsaSha256,
            pem("RSA PRIVATE KEY", pkcs1),
            &rsa_public,
        ),
        (
            Algorithm::EcdsaP256,
            pem("PRIVATE KEY", ec_pkcs8.as_ref()),
            &ec_public,
        ),
        (
            Algorithm::EcdsaP256,
            pem("EC PRIVATE KEY", sec1.as_ref()),
            &ec_public,
        ),
        // As it stands in a variable of an environment.
        (
            Algorithm::EcdsaP256,
            pem("EC PRIVATE KEY", sec1.as_ref()).replace('\n', "\\n"),
            &ec_public,
        ),
    ];
    for (algorithm, text, public) in table {
        let key = load(algorithm, &text, None).unwrap();
        let signature = key.sign(b"message").unwrap();
        let verified = if algorithm == Algorithm::RsaSha256 {
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
                .verify(b"message", &signature)
        } else {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).verify(b"message", &signature)
        };
        assert!(verified.is_ok(), "{algorithm:?}");
        assert_eq!(
            load(algorithm, &text, Some("x")).unwrap_err().0,
            "a password is given, and the PEM is not encrypted"
        );
        let other = load(Algorithm::Ed25519, &text, None).unwrap_err();
        assert!(other.0.starts_with("the PEM holds"), "{other}");
    }
}

#[test]
fn refuses_rsa_keys_of_other_sizes() {
    let table = [
        (128, false),
        (255, false),
        (256, true),
        (384, true),
        (512, true),
        (513, false),
        (1024, false),
    ];
    for (bytes, usual) in table {
        assert_eq!(is_usual_rsa(bytes), usual, "{bytes}");
    }
}

#[test]
fn refuses_what_is_no_key() {
    let hmac = |encoding, text: &str| {
        SigningKey::load(Algorithm::HmacSha256, encoding, &secret(text), None)
            .unwrap_err()
            .0
    };
    assert_eq!(hmac(KeyEncoding::Utf8, " \n"), "the key is empty");
    assert_eq!(
        hmac(KeyEncoding::Base64, "a b"),
        "the key is not base64, as this exchange's keys are"
    );
    assert_eq!(
        hmac(KeyEncoding::Hex, "0g"),
        "the key is not hexadecimal digits, as this exchange's keys are"
    );
    assert!(hmac(KeyEncoding::Pem, "x").starts_with("HMAC takes a key in"));
    assert!(hmac(KeyEncoding::Utf8, &encrypted(AES_256)).starts_with("this is a PEM"));
    let table = [
        ("plain text", "the key is not one PEM block"),
        (
            "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n",
            "the PEM holds the public key",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
            "the PEM holds no private key",
        ),
        (
            "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
            "the PEM holds no Ed25519 key",
        ),
    ];
    for (text, expected) in table {
        let KeyFault(message) = load(Algorithm::Ed25519, text, None).unwrap_err();
        assert!(message.starts_with(expected), "{text}: {message}");
    }
    let raw = SigningKey::load(Algorithm::Ed25519, KeyEncoding::Utf8, &secret("x"), None);
    assert_eq!(raw.unwrap_err().0, "this algorithm takes a key in PEM");
}

#[test]
fn seeds_must_agree_with_their_public_key() {
    let load = |text: &str| {
        SigningKey::load(
            Algorithm::Ed25519,
            KeyEncoding::Base64Seed32,
            &secret(text),
            None,
        )
    };
    let seed = [7; 32];
    let public = load(&String::from_utf8(Encoding::Base64.encode(&seed)).unwrap())
        .unwrap()
        .public_key()
        .unwrap();
    let both = [seed.as_slice(), &public].concat();
    assert!(load(&String::from_utf8(Encoding::Base64.encode(&both)).unwrap()).is_ok());
    let wrong = [seed, seed].concat();
    for bytes in [&wrong[..], &seed[..31], &both[..63]] {
        assert!(load(&String::from_utf8(Encoding::Base64.encode(bytes)).unwrap()).is_err());
    }
}

#[test]
fn shows_nothing_of_itself() {
    let key = SigningKey::load(
        Algorithm::HmacSha256,
        KeyEncoding::Utf8,
        &secret("hunter2hunter2"),
        None,
    );
    assert_eq!(format!("{:?}", key.unwrap()), "SigningKey(HMAC)");
    let key = load(
        Algorithm::Ed25519,
        &encrypted(AES_256),
        Some("correct-horse"),
    );
    assert_eq!(format!("{:?}", key.unwrap()), "SigningKey(Ed25519)");
}
