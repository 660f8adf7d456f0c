//! Private keys in files: none, not even for tests, which make theirs when they run.

/// Characters of base64 in a row that are a key and not a word.
const RUN_MIN: usize = 40;

/// PEM private keys with a body, and the private member of a JWK.
pub fn private_keys(path: &str, text: &str) -> Vec<String> {
    let (begin, end) = (
        ["-----", "BEGIN"].concat(),
        ["PRIVATE", " KEY-----"].concat(),
    );
    let pem = text.match_indices(&end).filter(|(at, found)| {
        let line = text[..*at].rsplit('\n').next().unwrap_or_default();
        line.contains(&begin) && longest_run(&text[at + found.len()..]) >= RUN_MIN
    });
    let jwk = text.match_indices("\"d").filter(|(at, found)| {
        let behind = text[at + found.len()..].trim_start_matches(['\\', '"', ' ', '\n', '\t']);
        let value = behind.strip_prefix(':').unwrap_or_default();
        let value = value.trim_start_matches(['\\', '"', ' ', '\n', '\t']);
        value
            .chars()
            .take_while(|character| is_base64(*character))
            .count()
            >= RUN_MIN
    });
    let all = pem.chain(jwk);
    all.map(|(at, _)| {
        let line = text[..at].matches('\n').count() + 1;
        format!("{path}:{line}: a private key; make one when the test runs")
    })
    .collect()
}

/// The longest run of base64 in the next few hundred characters.
fn longest_run(text: &str) -> usize {
    let near: String = text.chars().take(400).collect();
    let runs = near.split(|character| !is_base64(character));
    runs.map(str::len).max().unwrap_or_default()
}

fn is_base64(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '+' | '/' | '-' | '_' | '=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(kind: &str, body: &str) -> String {
        ["-----BEGIN ", kind, "PRIVATE KEY-----", body, "-----END "].concat()
    }

    #[test]
    fn fires_on_private_keys_in_any_dress() {
        let body = "QUJD".repeat(16);
        for kind in ["", "RSA ", "EC ", "ENCRYPTED ", "OPENSSH "] {
            for text in [
                pem(kind, &format!("\n{body}\n")),
                pem(kind, &format!("\\n{body}\\n")),
                pem(kind, &format!("\nProc-Type: 4,ENCRYPTED\n\n{body}\n")),
            ] {
                assert_eq!(private_keys("x", &text).len(), 1, "{kind}");
            }
        }
        for text in [
            format!("{{\"kty\":\"RSA\",\"d\":\"{body}\"}}"),
            format!("{{\"kty\":\"RSA\", \"d\" : \"{body}\"}}"),
            format!("\"{{\\\"d\\\":\\\"{body}\\\"}}\""),
        ] {
            assert_eq!(private_keys("x", &text).len(), 1);
        }
    }

    #[test]
    fn lets_pass_words_and_public_keys() {
        let body = "QUJD".repeat(16);
        assert!(private_keys("x", &pem("", "\nMII\n")).is_empty());
        assert!(private_keys("x", "refuses -----BEGIN PRIVATE KEY----- and says so").is_empty());
        assert!(private_keys("x", &format!("-----BEGIN PUBLIC KEY-----\n{body}")).is_empty());
        assert!(private_keys("x", &format!("{{\"n\":\"{body}\",\"d\":\"short\"}}")).is_empty());
    }
}
