//! The token's shape and its protected header, judged before any key is looked for. Never uses a key, a URL or a
//! certificate that stands in the header (`jwk`, `jku`, `x5c`, `x5u`): they are not even read.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::json::{Json, Object};
use super::reason::Reason;

/// What of the header is used further.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// `kid`: a name to look up, nothing else.
    pub(super) kid: Option<String>,
}

impl Header {
    /// Judges shape and header of a compact JWS (RFC 7515 section 3.1).
    pub(super) fn judge(token: &[u8]) -> Result<Self, Reason> {
        let object = read(token)?;
        if object.get("alg").and_then(Json::as_text) != Some("RS256") {
            return Err(Reason::Algorithm);
        }
        if object.get("crit").is_some() || object.get("b64").is_some() {
            return Err(Reason::Crit);
        }
        if !object
            .text("typ")
            .is_ok_and(|typ| typ.is_none_or(is_access_token))
        {
            return Err(Reason::Typ);
        }
        let kid = object.text("kid").map_err(|_| Reason::Structure)?;
        Ok(Self {
            kid: kid.map(str::to_owned),
        })
    }
}

/// The most bytes of the encoded header: it is read before anybody's signature is, so it must cost little.
const HEADER_BYTES_MAX: usize = 4_096;

fn read(token: &[u8]) -> Result<Object, Reason> {
    let mut parts = token.split(|byte| *byte == b'.');
    let (Some(header), Some(_), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Reason::Structure);
    };
    // An empty payload is a JWS all the same (RFC 7515); that it holds no claims is seen once its signature is known.
    if header.is_empty() || signature.is_empty() {
        return Err(Reason::Structure);
    }
    if header.len() > HEADER_BYTES_MAX {
        return Err(Reason::TooLarge);
    }
    let text = URL_SAFE_NO_PAD
        .decode(header)
        .map_err(|_| Reason::Structure)?;
    serde_json::from_slice(&text).map_err(|_| Reason::Structure)
}

/// `JWT` or `at+jwt`; a media type, so in any case and with or without `application/` (RFC 7515 section 4.1.9).
fn is_access_token(typ: &str) -> bool {
    const PREFIX: usize = "application/".len();
    let short = match typ.split_at_checked(PREFIX) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
        Some(_) | None => typ,
    };
    short.eq_ignore_ascii_case("JWT") || short.eq_ignore_ascii_case("at+jwt")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(header: &str) -> Result<Header, Reason> {
        let token = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header));
        Header::judge(token.as_bytes())
    }

    #[test]
    fn headers_that_pass() {
        for header in [
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"RS256","typ":"JWT"}"#,
            r#"{"alg":"RS256","typ":"jwt"}"#,
            r#"{"alg":"RS256","typ":"AT+JWT"}"#,
            r#"{"alg":"RS256","typ":"Application/at+jwt"}"#,
            r#"{"alg":"RS256","typ":"application/jwt","jku":"https://evil.example/jwks"}"#,
        ] {
            assert_eq!(judge(header), Ok(Header { kid: None }), "{header}");
        }
        let named = judge(r#"{"alg":"RS256","kid":"../../etc/passwd"}"#);
        assert_eq!(named.unwrap().kid.as_deref(), Some("../../etc/passwd"));
    }

    #[test]
    fn headers_that_do_not() {
        for (header, reason) in [
            ("{}", Reason::Algorithm),
            (r#"{"alg":"none"}"#, Reason::Algorithm),
            (r#"{"alg":"rs256"}"#, Reason::Algorithm),
            (r#"{"alg":["RS256"]}"#, Reason::Algorithm),
            (r#"{"alg":"RS256","crit":["exp"]}"#, Reason::Crit),
            (r#"{"alg":"RS256","crit":[]}"#, Reason::Crit),
            (r#"{"alg":"RS256","crit":"exp"}"#, Reason::Crit),
            (r#"{"alg":"RS256","crit":null}"#, Reason::Crit),
            (
                r#"{"alg":"RS256","crit":["b64"],"b64":false}"#,
                Reason::Crit,
            ),
            (r#"{"alg":"RS256","b64":false}"#, Reason::Crit),
            (r#"{"alg":"RS256","typ":"id+jwt"}"#, Reason::Typ),
            (r#"{"alg":"RS256","typ":""}"#, Reason::Typ),
            (r#"{"alg":"RS256","typ":null}"#, Reason::Typ),
            (r#"{"alg":"RS256","typ":"application/"}"#, Reason::Typ),
            (r#"{"alg":"RS256","kid":7}"#, Reason::Structure),
            (r#"{"alg":"none","alg":"RS256"}"#, Reason::Structure),
            (r#"{"alg":"RS256","x":{"a":1,"a":2}}"#, Reason::Structure),
            ("\u{feff}{\"alg\":\"RS256\"}", Reason::Structure),
            ("[]", Reason::Structure),
        ] {
            assert_eq!(judge(header), Err(reason), "{header}");
        }
    }

    #[test]
    fn shapes_that_are_not_a_compact_jws() {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
        for token in [
            String::new(),
            ".".into(),
            "..".into(),
            format!("{header}.e30"),
            format!("{header}.e30."),
            format!(".{header}.AA"),
            format!("{header}.e30.AA.AA"),
            format!("{header}.e30.AA.AA.AA"),
            format!("{header}=.e30.AA"),
            format!(" {header}.e30.AA"),
            format!("{{\"payload\":\"e30\",\"protected\":\"{header}\"}}"),
        ] {
            assert_eq!(
                Header::judge(token.as_bytes()),
                Err(Reason::Structure),
                "{token}"
            );
        }
    }
}
