//! The end: what the exchange found fault with, and a hunt for every key, token and signature through all that was written
//! and printed.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::super::trading_key::{SECRETS, TradingKey};
use super::super::{Stage, issuer};
use super::outbound::{DUMMY_KEY, DUMMY_SIGNATURE};
use super::teller::Teller;

/// Files that are there to hold a secret.
const MEANT_FOR_IT: [&str; 2] = ["jwt", "key"];

/// Base64 characters of an Ed25519 signature before its padding; nothing else here has so many and then `==`.
const SIGNATURE_LENGTH: usize = 86;

/// Something written or printed, by its name.
type Place = (String, String);

/// Something that must not be found, by its name.
type Hunted = (&'static str, String);

pub(super) async fn tell(
    stage: &Stage,
    keys: &[&TradingKey],
    teller: &mut Teller<'_>,
) -> io::Result<()> {
    let exchange = &stage.exchange;
    let (violations, sent) = (exchange.violations(), exchange.requests());
    let sent: u64 = sent.values().sum();
    let what = format!("the exchange has had {sent} requests, and has nothing to complain of");
    teller.expect(&what, violations.is_empty(), || violations.join("; "))?;
    let mut places = Vec::new();
    collect(stage.folder.path(), &mut places)?;
    places.push(("`audit tail`".to_owned(), stage.events()?));
    places.push(("`check --effective`".to_owned(), settings(stage)?));
    for page in ["/metrics", "/readyz?verbose"] {
        let text = stage.sidecar.page(page).await?.into_body();
        places.push((page.to_owned(), text));
    }
    places.push(("this story".to_owned(), teller.told().to_owned()));
    let found = hunt(&places, &hunted(stage, keys)?);
    let what = format!(
        "no key, token or signature stands in {} files and pages",
        places.len()
    );
    teller.expect(&what, found.is_empty(), || found.join(", "))
}

/// Every setting, as it is shown to people.
fn settings(stage: &Stage) -> io::Result<String> {
    let shown = Command::new(std::env::current_exe()?)
        .args(["check", "--effective"])
        .arg(stage.configuration())
        .output()?;
    let text = String::from_utf8_lossy(&[shown.stdout, shown.stderr].concat()).into_owned();
    match shown.status.success() {
        true => Ok(text),
        false => Err(io::Error::other(text)),
    }
}

/// Every file below a folder, but for those that are there to hold a secret.
fn collect(folder: &Path, places: &mut Vec<Place>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_meant = path.file_name().is_some_and(|name| name == SECRETS)
            || (path.extension()).is_some_and(|end| MEANT_FOR_IT.iter().any(|meant| end == *meant));
        if is_meant {
            continue;
        }
        if path.is_dir() {
            collect(&path, places)?;
        } else {
            let bytes = fs::read(&path)?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            places.push((path.display().to_string(), text));
        }
    }
    Ok(())
}

fn hunted(stage: &Stage, keys: &[&TradingKey]) -> io::Result<Vec<Hunted>> {
    let mut hunted = vec![
        ("a made-up key", DUMMY_KEY.to_owned()),
        ("a made-up signature", DUMMY_SIGNATURE.to_owned()),
        ("a signature", "signature=".to_owned()),
    ];
    for key in keys {
        hunted.push(("a key's name", key.expose_secret_id().to_owned()));
        hunted.push(("a private key", key.expose_secret_line().to_owned()));
    }
    for user in issuer::USERS {
        let token = fs::read_to_string(stage.folder.at(&format!("{}.jwt", user.name)))?;
        let claims = token.split('.').nth(1).unwrap_or(&token);
        hunted.push(("a token", claims.to_owned()));
    }
    Ok(hunted)
}

fn hunt(places: &[Place], hunted: &[Hunted]) -> Vec<String> {
    let mut found = Vec::new();
    for (place, text) in places {
        for (what, secret) in hunted {
            if text.contains(secret) {
                found.push(format!("{what} in {place}"));
            }
        }
        let mut ends = text.match_indices("==");
        if ends.any(|(at, _)| text.get(..at).is_some_and(ends_like_a_signature)) {
            found.push(format!("a signature in {place}"));
        }
    }
    found
}

fn ends_like_a_signature(text: &str) -> bool {
    let last = text.bytes().rev();
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    last.take_while(is_base64).take(SIGNATURE_LENGTH).count() == SIGNATURE_LENGTH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_found() {
        let signature = "Ab+/".repeat(22);
        let (signature, _) = signature.split_at(SIGNATURE_LENGTH);
        let place = |text: String| vec![("log".to_owned(), text)];
        let hunted = [("a key's name", "k3y".to_owned())];
        for text in [
            "x k3y x".to_owned(),
            format!("{{\"s\":\"{signature}==\"}}"),
            format!("a==b {signature}== c"),
        ] {
            assert_eq!(hunt(&place(text.clone()), &hunted).len(), 1, "{text}");
        }
        for text in [
            String::new(),
            "k3 y ==".to_owned(),
            signature.to_owned(),
            format!("{}==", signature.get(1..).unwrap()),
        ] {
            assert!(hunt(&place(text.clone()), &hunted).is_empty(), "{text}");
        }
    }
}
