//! What has not the shape of a token, or stands where no token belongs.

use serde_json::json;

use super::{INVALID, Sent, bad};
use crate::support::oracle::Case;
use crate::support::tokens::Issuer;
use crate::world::{bearer, claims, get, get_as, post, request, token, token_of, token_with};

/// 70: what has not the shape of a token.
pub(super) fn structures(issuer: &Issuer) -> Vec<Sent> {
    let token = token(issuer);
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else {
        unreachable!("a token has three parts");
    };
    let shape = |id: &str, token: String| bad(format!("70 {id}"), token, "structure");
    let mut last = (*signature).to_owned();
    // 256 bytes are 342 characters, the last of which carries four bits that mean nothing.
    let tail = last.pop().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(tail).unwrap();
    last.push(alphabet.as_bytes()[at ^ 1] as char);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(3000), "]".repeat(3000));
    let roles: Vec<String> = (0..1000).map(|number| format!("r{number}")).collect();
    let loose = |id: &str, token: String| {
        let case = Case::denied(
            format!("70 {id}"),
            get_as(&token, "/orders/1"),
            401,
            INVALID,
        );
        (case, token)
    };
    let mut cases = vec![
        shape("one part", (*header).to_owned()),
        shape("two parts", format!("{header}.{payload}")),
        shape("four parts", format!("{token}.AA")),
        shape(
            "five parts",
            format!("{header}.AA.{payload}.AA.{signature}"),
        ),
        shape("no header", format!(".{payload}.{signature}")),
        shape("no signature", format!("{header}.{payload}.")),
        shape("only dots", "..".into()),
        shape("a.b.c", "a.b.c".into()),
        shape("padded header", format!("{header}==.{payload}.{signature}")),
        loose("padded signature", format!("{token}==")),
        loose(
            "the other alphabet",
            format!(
                "{header}.{payload}.{}",
                signature.replacen(['-', '_'], "+", 1).replacen('A', "/", 1)
            ),
        ),
        loose(
            "trailing bits that are not zero",
            format!("{header}.{payload}.{last}"),
        ),
        shape(
            "a header that is no object",
            issuer.sign_text("[]", &claims().to_string()),
        ),
        shape(
            "a header with a byte-order mark",
            issuer.sign_text("\u{feff}{\"alg\":\"RS256\"}", &claims().to_string()),
        ),
        shape(
            "a header with a name twice",
            issuer.sign_text(
                "{\"alg\":\"none\",\"alg\":\"RS256\"}",
                &claims().to_string(),
            ),
        ),
        bad(
            "70 no payload".into(),
            issuer.sign_parts(header, ""),
            "claims",
        ),
        bad(
            "70 a payload that is no object".into(),
            token_of(issuer, "[]"),
            "claims",
        ),
        bad(
            "70 a payload with a byte-order mark".into(),
            token_of(issuer, &format!("\u{feff}{}", claims())),
            "claims",
        ),
        bad(
            "70 a payload with a name twice".into(),
            token_of(
                issuer,
                &claims().to_string().replacen('{', "{\"sub\":\"root\",", 1),
            ),
            "claims",
        ),
        bad(
            "70 a deep payload".into(),
            token_of(issuer, &deep),
            "claims",
        ),
        bad(
            "70 a thousand roles".into(),
            token_with(issuer, &json!({"roles": roles})),
            "claims",
        ),
        bad(
            "70 a role that is a number".into(),
            token_with(issuer, &json!({"roles": [1]})),
            "claims",
        ),
        bad(
            "70 20 KiB".into(),
            token_with(issuer, &json!({"x": "y".repeat(15_000)})),
            "too_large",
        ),
    ];
    // Longer than any head: refused before it is looked at.
    let long = format!("a.b.{}", "c".repeat(1 << 20));
    let case = Case::refused(
        "70 1 MiB",
        get_as(&long, "/orders/1"),
        431,
        "request.head_too_large",
    );
    cases.push((case, String::new()));
    let json = json!({"payload": payload, "protected": header, "signature": signature}).to_string();
    // A comma separates credentials, and these would be several.
    let case = Case::refused(
        "70 JSON serialisation",
        request(
            "GET",
            "/orders/1",
            &format!("Authorization: Bearer {json}\r\n"),
        ),
        400,
        "authn.invalid_request",
    );
    cases.push((case, json));
    cases
}

/// 76: a good token where no token belongs.
pub(super) fn places(issuer: &Issuer) -> Vec<Sent> {
    let token = token(issuer);
    let none = |id: &str, bytes: Vec<u8>, code| {
        (
            Case::denied(format!("76 {id}"), bytes, 401, code),
            token.clone(),
        )
    };
    let missing = "authn.required";
    let form = format!("access_token={token}");
    let typed = "Content-Type: application/x-www-form-urlencoded\r\n";
    vec![
        none(
            "access_token in the query",
            get(&format!("/orders/1?access_token={token}")).into(),
            INVALID,
        ),
        none(
            "respelt in the query",
            get(&format!("/orders/1?x=1&acce%73s_token={token}")).into(),
            INVALID,
        ),
        none(
            "jwt in the query",
            get(&format!("/orders/1?jwt={token}")).into(),
            missing,
        ),
        none(
            "a cookie",
            request("GET", "/orders/1", &format!("Cookie: token={token}\r\n")).into(),
            missing,
        ),
        none(
            "X-Auth-Token",
            request("GET", "/orders/1", &format!("X-Auth-Token: {token}\r\n")).into(),
            missing,
        ),
        none(
            "Proxy-Authorization",
            request(
                "GET",
                "/orders/1",
                &format!("Proxy-Authorization: Bearer {token}\r\n"),
            )
            .into(),
            missing,
        ),
        none("a form field", post("/orders", typed, form), missing),
        none("the path", get(&format!("/orders/{token}")).into(), missing),
        none(
            "a trailer",
            format!(
                "{}0\r\n{}\r\n",
                request("POST", "/orders", "Transfer-Encoding: chunked\r\n"),
                bearer(&token)
            )
            .into(),
            missing,
        ),
    ]
}
