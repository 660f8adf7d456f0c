//! What must hold of every request target: what was judged is what is sent. Shared by the fuzz target and the replay.

use http::uri::PathAndQuery;
use outrider::model::path::{JudgedPath, PathTemplate};

/// Judges the bytes as a request target, and as a template.
pub(crate) fn path(bytes: &[u8]) {
    if let Ok(target) = PathAndQuery::try_from(bytes)
        && let Ok(judged) = JudgedPath::judge(&target)
    {
        has_one_reading(&target, &judged);
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(template) = PathTemplate::parse(text)
    {
        matches_itself(text, &template);
    }
}

fn has_one_reading(target: &PathAndQuery, judged: &JudgedPath) {
    let sent = judged.target();
    assert_eq!((judged.path(), judged.query()), (sent.path(), sent.query()));
    assert_eq!(sent.query(), target.query(), "the query was touched");
    if judged.respelt() {
        assert_eq!(
            decoded(sent.path()),
            decoded(target.path()),
            "the meaning changed"
        );
        assert!(
            sent.as_str().len() < target.as_str().len(),
            "nothing was respelt"
        );
    } else {
        assert_eq!(sent.as_str(), target.as_str(), "not what was judged");
    }
    match JudgedPath::judge(sent) {
        Ok(again) => assert!(
            !again.respelt() && again.target() == sent,
            "not the canonical form"
        ),
        Err(why) => panic!("what was sent would be refused: {why}"),
    }
    let lower = sent.path().to_ascii_lowercase();
    for two_readings in ["//", "\\", ";", "%2f", "%5c", "%3b", "%2e", "%00", "#"] {
        assert!(!lower.contains(two_readings), "holds `{two_readings}`");
    }
    assert!(
        lower
            .split('/')
            .all(|segment| segment != "." && segment != "..")
    );
}

fn matches_itself(text: &str, template: &PathTemplate) {
    assert_eq!(template.as_str(), text);
    assert!(template.covers(template));
    if !text.contains(['{', '*']) {
        assert!(
            template.matches(text),
            "a template without parameters is a path"
        );
    }
}

/// Every escape decoded, by the plainest code there is.
fn decoded(path: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next(), bytes.next()].map(|digit| char::from(digit.unwrap()));
            let digits: String = digits.into_iter().collect();
            out.push(u8::from_str_radix(&digits, 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    out
}
