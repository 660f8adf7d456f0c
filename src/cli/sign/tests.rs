//! What `sign --explain` prints, and what it refuses.

use std::fs;

use clap::Parser;
use tempfile::TempDir;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: SignArgs,
}

const KEY_ID: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
/// Published in Binance's documents.
const KEY: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("key_id", KEY_ID),
        ("key", KEY),
        ("passphrase", "hunter2hunter2"),
    ] {
        fs::write(folder.path().join(name), format!("{text}\n")).unwrap();
    }
    folder
}

fn sign(folder: &TempDir, secrets: &[&str], line: &[&str]) -> Result<String, Failure> {
    let mut words = vec!["sign".to_owned(), "--explain".to_owned()];
    for name in secrets {
        let file = folder.path().join(name);
        words.push(format!("--secret={name}={}", file.display()));
    }
    words.extend(line.iter().map(|word| (*word).to_owned()));
    let args = Line::try_parse_from(words).unwrap().args;
    let now = args.now.unwrap_or_else(|| SystemClock::new().now());
    signer(&args).and_then(|signer| told(&args, &signer, now))
}

const ORDER: &str =
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000";

#[test]
fn prints_what_binance_documents() {
    let folder = folder();
    let target = format!("/api/v3/order?{ORDER}&timestamp=1&signature=dummy");
    let line = [
        "--signer=binance",
        "--now=2017-07-12T02:42:00Z",
        "POST",
        &target,
    ];
    let told = sign(&folder, &["key_id", "key"], &line).unwrap();
    let expected = format!(
        "replaced      timestamp, signature
payload       {ORDER}&timestamp=1499827320000
signature     <signature 6d9ab3f4…>
query         {ORDER}&timestamp=1499827320000&signature=<signature 6d9ab3f4…>
body          
x-mbx-apikey  <key_id>
"
    );
    let cut = |text: &str| -> String {
        let mut text = text.to_owned();
        while let Some(at) = text.find("<signature ") {
            text.replace_range(at..at + "<signature 6d9ab3f4…>".len(), "<>");
        }
        text
    };
    assert_eq!(cut(&told), cut(&expected));
    assert!(!told.contains(KEY) && !told.contains(KEY_ID));
}

#[test]
fn explains_the_scheme_too() {
    let folder = folder();
    let line = [
        "--signer=okx",
        "--now=2024-04-24T23:06:40Z",
        "POST",
        "/api/v5/trade/order",
        "--body={\"a\":1}",
    ];
    let told = sign(&folder, &["key_id", "key", "passphrase"], &line).unwrap();
    assert!(
        told.contains(
            "payload               2024-04-24T23:06:40.000ZPOST/api/v5/trade/order{\"a\":1}\n"
        ),
        "{told}"
    );
    assert!(
        told.contains("ok-access-passphrase  <secret.passphrase>\n"),
        "{told}"
    );
    for secret in [KEY, KEY_ID, "hunter2"] {
        assert!(!told.contains(secret), "{told}");
    }
}

#[test]
fn a_public_call_shows_no_key() {
    let folder = folder();
    let line = [
        "--signer=binance",
        "--security=none",
        "GET",
        "/api/v3/depth?symbol=A",
    ];
    let told = sign(&folder, &["key_id", "key"], &line).unwrap();
    assert_eq!(told, "query  symbol=A\nbody   \n");
}

#[test]
fn says_what_is_wrong() {
    let folder = folder();
    let rule = folder.path().join("rule.yaml");
    fs::write(&rule, "steps: [{ a: \"{secret.key}\" }]\n").unwrap();
    let rule = format!("--rule={}", rule.display());
    let table: [(&[&str], &[&str], &str, u8); 8] = [
        (
            &["key"],
            &["--signer=binance", "GET", "/"],
            "the secret `key_id` is missing",
            78,
        ),
        (
            &["key_id", "key", "passphrase"],
            &["--signer=binance", "GET", "/"],
            "binance has no secret `passphrase`",
            78,
        ),
        (
            &["key_id", "key"],
            &["--signer=binance", "--algorithm=ed25519", "GET", "/"],
            "the secret `key`: the key is not one PEM block",
            78,
        ),
        (
            &[],
            &["--signer=binanse", "GET", "/"],
            "there is no signer `binanse`; did you mean `binance`?",
            78,
        ),
        (
            &["key"],
            &[&rule, "GET", "/"],
            "error: the secret `key` would become readable here",
            78,
        ),
        (
            &["none"],
            &["--signer=okx", "GET", "/"],
            "/none: entity not found",
            78,
        ),
        (
            &["key_id", "key"],
            &["--signer=binance", "POST", "/?a=1", "--body=a=2"],
            "the request has `a` twice",
            1,
        ),
        (
            &["key_id", "key"],
            &["--signer=binance", "GET", "/?a=%"],
            "the query has a `%`",
            1,
        ),
    ];
    for (secrets, line, expected, code) in table {
        let Failure {
            code: found,
            message,
        } = sign(&folder, secrets, line).unwrap_err();
        assert!(message.contains(expected), "{line:?}: {message}");
        assert_eq!(found, code, "{line:?}");
        assert!(!message.contains(KEY), "{message}");
    }
}
