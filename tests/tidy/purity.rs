//! What a pure room must not touch, and where permits may be made.

use crate::source::{Source, find};

/// Rooms that are functions of their arguments.
const PURE: &[&str] = &["src/decide/", "src/ledger/", "src/model/"];

/// The one file that reads the machine's clocks.
const CLOCK: &str = "src/model/clock.rs";

/// Words that mean waiting, sockets, or the outside.
const NEVER: &[&[&str]] = &[
    &["async"],
    &["await"],
    &["tokio"],
    &["hyper"],
    &["hyper_util"],
    &["socket2"],
];

/// Ways to ask what time it is.
const CLOCKS: &[&[&str]] = &[
    &["Instant", "::", "now"],
    &["SystemTime", "::", "now"],
    &["UNIX_EPOCH", ".", "elapsed"],
    &["Timestamp", "::", "now"],
    &["Zoned", "::", "now"],
    &["SystemClock", "::", "new"],
    &[".", "elapsed", "("],
];

/// Parts of `std` that reach out of the process.
const OUTSIDE: &[&str] = &["env", "fs", "process", "thread"];

/// What a pure room touches that it must not.
pub fn breaches(file: &Source) -> Vec<String> {
    if !PURE.iter().any(|room| file.path.starts_with(room)) {
        return Vec::new();
    }
    let clocks = if file.path == CLOCK { &[] } else { CLOCKS };
    let mut faults = Vec::new();
    for sequence in NEVER.iter().chain(clocks) {
        for at in find(&file.product, sequence) {
            let message = format!("a pure room must not use `{}`", sequence.concat());
            faults.push(file.fault(file.product[at].line, &message));
        }
    }
    for used in file.foreign_paths("std") {
        if reaches_out(&used.segments) {
            let message = format!(
                "a pure room must not use `std::{}`",
                used.segments.join("::")
            );
            faults.push(file.fault(used.line, &message));
        }
    }
    faults
}

fn reaches_out(segments: &[String]) -> bool {
    let mut segments = segments.iter().map(String::as_str);
    match (segments.next(), segments.next()) {
        (Some("*"), _) | (Some("net"), None | Some("self" | "*")) => true,
        (Some("net"), Some(name)) => ["Tcp", "Udp", "ToSocketAddrs"]
            .iter()
            .any(|kind| name.starts_with(kind)),
        (Some(first), _) => OUTSIDE.contains(&first),
        (None, _) => false,
    }
}

/// Whether this file of `decide` makes permits.
pub fn makes_permit(file: &Source) -> bool {
    file.path.starts_with("src/decide/")
        && find(&file.product, &["Permit", "::", "new"])
            .next()
            .is_some()
}

/// Permits that are made anywhere else, in tests too.
pub fn permits_made_outside(file: &Source) -> Vec<String> {
    if file.path.starts_with("src/decide/") {
        return Vec::new();
    }
    let made = find(&file.words, &["Permit", "::", "new"]);
    made.map(|at| file.fault(file.words[at].line, "only `decide` makes a permit"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_on_everything_impure() {
        let table = [
            "async fn f() {}",
            "fn f() { g().await; }",
            "use tokio::time;",
            "use hyper::Request;",
            "fn f() { std::time::Instant::now(); }",
            "use std::time::SystemTime; fn f() { SystemTime::now(); }",
            "fn f(start: Instant) { start.elapsed(); }",
            "use std::{collections::BTreeMap, env};",
            "use std::fs::File;",
            "fn f() { std::process::exit(1) }",
            "use std::net::{IpAddr, TcpStream};",
            "use std::net;",
            "use std::*;",
        ];
        for room in PURE {
            for text in table {
                let file = Source::new(&format!("{room}x.rs"), text);
                assert_eq!(breaches(&file).len(), 1, "{room}: {text}");
            }
        }
        let clock = Source::new(CLOCK, "fn f() { Instant::now(); }\nasync fn g() {}");
        assert_eq!(breaches(&clock).len(), 1);
    }

    #[test]
    fn lets_pass_what_is_pure() {
        let text = "//! async, tokio\nuse std::net::{IpAddr, SocketAddr};\nuse std::time::Duration;\n\
                    fn f() -> &'static str { \"tokio\" }\n#[cfg(test)]\nmod tests { use std::fs; }";
        assert!(breaches(&Source::new("src/decide/x.rs", text)).is_empty());
        assert!(breaches(&Source::new("src/accept/x.rs", "async fn f() {}")).is_empty());
    }

    #[test]
    fn fires_on_a_permit_from_elsewhere() {
        let text = "fn f() { Permit::new(route, None, Vec::new()) }";
        assert_eq!(
            permits_made_outside(&Source::new("src/forward/mod.rs", text)).len(),
            1
        );
        assert_eq!(
            permits_made_outside(&Source::new("tests/journey.rs", text)).len(),
            1
        );
        assert!(permits_made_outside(&Source::new("src/decide/body.rs", text)).is_empty());
        assert!(makes_permit(&Source::new("src/decide/body.rs", text)));
        assert!(!makes_permit(&Source::new("src/forward/mod.rs", text)));
    }
}
