//! Paths and templates by table and by property: what is judged is what is sent.

use proptest::prelude::*;

use super::*;

fn judge(target: &str) -> Result<JudgedPath, &'static str> {
    let target = PathAndQuery::from_maybe_shared(bytes::Bytes::copy_from_slice(target.as_bytes()));
    JudgedPath::judge(&target.map_err(|_| "not a target")?)
}

#[test]
fn plain_paths_pass_byte_for_byte() {
    for target in [
        "/",
        "/?",
        "/?a=1&b=%2f..//;x",
        "/api/v1/orders",
        "/api/v1/orders/",
        "/ADMIN",
        "/admin.",
        "/...",
        "/a..b/.c",
        "/a%20b",
        "/a%3Ab",
        "/%C3%A4",
        "/100%25",
        "/a:b@c!$&'()*+,=-._~",
    ] {
        let judged = judge(target).unwrap_or_else(|why| panic!("{target}: {why}"));
        assert_eq!(judged.target().as_str(), target);
        assert!(!judged.respelt(), "{target}");
    }
}

#[test]
fn paths_with_two_readings_are_refused() {
    for target in [
        // Dots that walk.
        "/public/../admin",
        "/public/./../admin",
        "/public/..",
        "/..",
        "/.",
        "/./",
        "/orders/../positions",
        "/api/../admin",
        // Empty segments.
        "//admin",
        "/public//admin",
        "///admin/secret",
        "/api//admin",
        "/a//",
        // Dots and slashes in disguise.
        "/%2e%2e/admin",
        "/%2E./admin",
        "/.%2e/admin",
        "/public/%2e%2e%2fadmin",
        "/api%2f..%2fadmin",
        "/orders/%2f",
        "/orders/%2F",
        "/a%5cb",
        // Decoded twice by somebody.
        "/%252e%252e/admin",
        "/%2561dmin",
        "/%25%32%65",
        // Characters with a meaning to somebody.
        "/admin%00",
        "/admin%0a",
        "/admin%7f",
        "/a;b",
        "/a%3bb",
        "/a\\b",
        "/a|b",
        "/a\"b",
        "/a{b}",
        "/a^b",
        "/a`b",
        "/\u{e4}",
        // Broken escapes.
        "/a%",
        "/a%4",
        "/a%zz",
        // No path.
        "?x=1",
        "*",
        // A query beyond visible ASCII.
        "/a?\u{e4}",
    ] {
        assert!(judge(target).is_err(), "{target}: {:?}", judge(target));
    }
}

#[test]
fn escaped_plain_characters_are_respelt() {
    for (target, canonical) in [
        ("/%61dmin", "/admin"),
        ("/adm%69n?%61", "/admin?%61"),
        ("/a%2Db%2db%2eb%7Eb", "/a-b-b.b~b"),
        ("/%61%20b", "/a%20b"),
        ("/%41/%7a", "/A/z"),
    ] {
        let judged = judge(target).unwrap();
        assert!(judged.respelt(), "{target}");
        assert_eq!(judged.target().as_str(), canonical);
    }
}

#[test]
fn templates_match_whole_segments() {
    for (template, path, expected) in [
        ("/", "/", true),
        ("/", "/a", false),
        ("/orders", "/orders", true),
        ("/orders", "/orders/", false),
        ("/orders", "/ORDERS", false),
        ("/orders", "/orders-admin", false),
        ("/orders", "/ordersx", false),
        ("/orders/", "/orders/", true),
        ("/orders/", "/orders", false),
        ("/orders/{id}", "/orders/7", true),
        ("/orders/{id}", "/orders/*", true),
        ("/orders/{id}", "/orders/a/b", false),
        ("/orders/{id}", "/orders/", false),
        ("/orders/{id}", "/orders", false),
        ("/orders/{id}/fills", "/orders/7/fills", true),
        ("/orders/{id}/fills", "/orders//fills", false),
        ("/orders/**", "/orders", true),
        ("/orders/**", "/orders/", true),
        ("/orders/**", "/orders/7/fills", true),
        ("/orders/**", "/orders-admin", false),
        ("/orders/**", "/ordersx/7", false),
        ("/**", "/", true),
        ("/**", "/anything/at/all", true),
        ("/a:b", "/a%3Ab", true),
        ("/a:b", "/a%3ab", true),
        ("/a%3Ab", "/a:b", true),
        ("/%C3%A4", "/%c3%a4", true),
        ("/100%25", "/100%25", true),
        ("/admin", "/admin%20", false),
        ("/admin", "/admin.", false),
    ] {
        let template = PathTemplate::parse(template).unwrap();
        assert_eq!(
            template.matches(path),
            expected,
            "{} {path}",
            template.as_str()
        );
    }
}

#[test]
fn a_template_resembles_what_a_lenient_service_takes_for_it() {
    for (template, path, expected) in [
        ("/", "/", true),
        ("/", "/a", false),
        ("/orders", "/orders", true),
        ("/orders", "/ORDERS", true),
        ("/orders", "/orders/", true),
        ("/orders", "/Orders/", true),
        ("/orders", "/orders/7", false),
        ("/orders", "/order", false),
        ("/orders/", "/orders", true),
        ("/ORDERS/", "/orders/", true),
        ("/orders/{id}", "/Orders/7/", true),
        ("/orders/{id}", "/orders/", false),
        ("/orders/{id}/fills", "/orders/7/FILLS", true),
        ("/market/**", "/Market/a/b", true),
        ("/market/**", "/MARKET", true),
        ("/market/**", "/markets", false),
        ("/a:b", "/A%3aB", true),
        ("/a%3Ab", "/A:b/", true),
        // Only letters of ASCII: no service we know folds more.
        ("/%C3%A4", "/%C3%84", false),
    ] {
        let template = PathTemplate::parse(template).unwrap();
        let name = template.as_str();
        assert_eq!(template.resembles(path), expected, "{name} {path}");
    }
}

#[test]
fn templates_meet_where_some_path_resembles_both() {
    for (one, other, meet, respell) in [
        ("/a", "/A/", true, true),
        ("/a", "/b", false, false),
        ("/{x}", "/a", true, false),
        ("/{x}/b", "/a/{y}", true, false),
        ("/{x}/b", "/{y}/B", true, true),
        ("/{x}/b", "/a/c", false, false),
        ("/a/**", "/a", true, false),
        ("/a/**", "/A/{x}/b", true, false),
        ("/a/b/**", "/a", false, false),
        ("/a/**", "/A/**", true, true),
        ("/**", "/", true, false),
        ("/", "/a", false, false),
    ] {
        let [one, other] = [one, other].map(|text| PathTemplate::parse(text).unwrap());
        for (one, other) in [(&one, &other), (&other, &one)] {
            let names = (one.as_str(), other.as_str());
            assert_eq!(one.meets(other), meet, "{names:?}");
            assert_eq!(one.respells(other), respell, "{names:?}");
        }
    }
}

#[test]
fn templates_that_could_never_match_are_refused() {
    for text in [
        "", "orders", "//", "/a//b", "/a/../b", "/.", "/a%61", "/a%2fb", "/a;b", "/a?b", "/a#b",
        "/a b", "/a*", "/*", "/a**", "/**/a", "/a/***", "/{}", "/{a", "/a}", "/x{a}", "/{a}x",
        "/{a-b}", "/{a}{b}", "/a//**", "//**",
    ] {
        assert!(PathTemplate::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_template_covers_what_it_leaves_nothing_of() {
    for (own, other, expected) in [
        ("/a", "/a", true),
        ("/a", "/b", false),
        ("/{x}", "/a", true),
        ("/a", "/{x}", false),
        ("/{x}", "/{y}", true),
        ("/{x}", "/", false),
        ("/{x}", "/a/b", false),
        ("/**", "/a/b", true),
        ("/**", "/a/**", true),
        ("/a/**", "/**", false),
        ("/a/**", "/a", true),
        ("/a/**", "/a/{x}/b", true),
        ("/a/{x}/**", "/a/**", false),
        ("/a/b", "/a/**", false),
        ("/a", "/a/**", false),
        ("/{x}/b", "/a/{y}", false),
        ("/a:b", "/a%3Ab", true),
    ] {
        let (own, other) = (
            PathTemplate::parse(own).unwrap(),
            PathTemplate::parse(other).unwrap(),
        );
        assert_eq!(
            own.covers(&other),
            expected,
            "{} {}",
            own.as_str(),
            other.as_str()
        );
    }
}

/// Text made of what paths are attacked with.
fn targets() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "/", "/", "a", "b", ".", "..", "%", "%2e", "%2F", "%61", "%25", "%20", "%3A", ":", ";",
        "\\", "?", "=", "#", "~", "%7e", "%C3%A4", "%00", "Z",
    ]);
    prop::collection::vec(pieces, 0..10).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #[test]
    fn what_is_judged_is_what_is_sent(target in targets()) {
        let Ok(judged) = judge(&target) else { return Ok(()) };
        let sent = judged.target().as_str();
        let read = match judged.query() {
            Some(query) => format!("{}?{query}", judged.path()),
            None => judged.path().to_owned(),
        };
        prop_assert_eq!(&read, sent);
        if !judged.respelt() {
            // http cuts a fragment off before anything is judged; the raw head is refused for it.
            prop_assert_eq!(sent, target.split('#').next().unwrap_or_default());
        }
    }

    #[test]
    fn judging_the_judged_changes_nothing(target in targets()) {
        let Ok(judged) = judge(&target) else { return Ok(()) };
        let again = judge(judged.target().as_str());
        prop_assert!(again.is_ok(), "{:?}", again);
        let again = again.unwrap();
        prop_assert_eq!(again.target(), judged.target());
        prop_assert!(!again.respelt());
    }

    #[test]
    fn no_judged_path_walks(target in targets()) {
        let Ok(judged) = judge(&target) else { return Ok(()) };
        let fully: Vec<u8> = decoded(judged.path().as_bytes()).collect();
        let fully = String::from_utf8_lossy(&fully);
        prop_assert!(!fully.contains("//") && !fully.contains('\\') && !fully.contains(';'));
        prop_assert!(fully.split('/').all(|segment| segment != "." && segment != ".."));
        prop_assert_eq!(fully.split('/').count(), judged.path().split('/').count());
    }

    #[test]
    fn a_covering_template_matches_what_the_covered_one_does(
        own in templates(), other in templates(), target in targets(),
    ) {
        let (Ok(own), Ok(other)) = (PathTemplate::parse(&own), PathTemplate::parse(&other)) else {
            return Ok(());
        };
        let Ok(judged) = judge(&target) else { return Ok(()) };
        if own.covers(&other) && other.matches(judged.path()) {
            prop_assert!(own.matches(judged.path()));
        }
    }
}

proptest! {
    #[test]
    fn templates_that_share_a_path_meet(
        own in templates(), other in templates(), target in targets(),
    ) {
        let (Ok(own), Ok(other)) = (PathTemplate::parse(&own), PathTemplate::parse(&other)) else {
            return Ok(());
        };
        let Ok(judged) = judge(&target) else { return Ok(()) };
        let path = judged.path();
        prop_assert!(own.resembles(path) || !own.matches(path));
        if own.resembles(path) && other.resembles(path) {
            prop_assert!(own.meets(&other));
        }
    }
}

fn templates() -> impl Strategy<Value = String> {
    let segments = prop::sample::select(vec!["/a", "/b", "/{x}", "/a:", "/a%3A"]);
    let ends = prop::sample::select(vec!["", "", "/", "/**"]);
    (prop::collection::vec(segments, 0..3), ends)
        .prop_map(|(segments, end)| format!("{}{end}", segments.concat()))
}
