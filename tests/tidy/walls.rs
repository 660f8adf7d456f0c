//! Who may import whom. A room that is not in the table may import nothing.

use crate::source::{Source, find};

/// A room and the paths that it may name besides its own. `*` is everything.
struct Room {
    name: &'static str,
    may: &'static [&'static str],
}

const fn room(name: &'static str, may: &'static [&'static str]) -> Room {
    Room { name, may }
}

/// The walls. Nothing but the program itself names `roles` and `cli`; only they name `pipeline` and `config`.
const ROOMS: &[Room] = &[
    room("model", &[]),
    room("ledger", &["model"]),
    room("runtime", &["model"]),
    room("accept", &["model", "runtime"]),
    room("identify", &["model", "runtime"]),
    room("decide", &["model", "ledger"]),
    room(
        "transform",
        &[
            "model",
            "decide::Permit",
            "decide::Preflight",
            "decide::policy",
            "decide::outbound",
        ],
    ),
    room(
        "forward",
        &[
            "model",
            "runtime",
            "decide::Permitted",
            "transform::Outbound",
        ],
    ),
    room("record", &["model", "runtime"]),
    room("secrets", &["model"]),
    room(
        "config",
        &["model", "decide", "ledger", "secrets", "transform::signers"],
    ),
    room(
        "pipeline",
        &[
            "model",
            "runtime",
            "ledger",
            "accept",
            "identify",
            "decide",
            "transform",
            "forward",
            "record",
        ],
    ),
    room("roles", &["*"]),
    room("cli", &["*"]),
];

/// What a file names that its room must not.
pub(crate) fn breaches(file: &Source) -> Vec<String> {
    let Some(own) = room_of(&file.path) else {
        return Vec::new();
    };
    let Some(room) = ROOMS.iter().find(|room| room.name == own) else {
        return vec![file.fault(1, &format!("`{own}` has no row in the table of walls"))];
    };
    let mut faults = Vec::new();
    for used in file.own_paths() {
        let inside = used.segments.first().is_some_and(|first| first == own);
        if !inside && !room.allows(&used.segments) {
            let message = format!(
                "`{own}` must not name `crate::{}`",
                used.segments.join("::")
            );
            faults.push(file.fault(used.line, &message));
        }
    }
    // A second name for the crate would hide its paths from this scan.
    for hidden in [["crate", "as"], ["extern", "crate"]] {
        for at in find(&file.product, &hidden) {
            faults.push(file.fault(file.product[at].line, "the crate has one name: `crate`"));
        }
    }
    faults
}

/// Modules of the library that the table does not know.
pub(crate) fn rooms_without_row(lib: &Source) -> Vec<String> {
    let declared = find(&lib.product, &["mod"]).filter_map(|at| lib.product.get(at + 1));
    declared
        .filter(|word| !ROOMS.iter().any(|room| room.name == word.text))
        .map(|word| {
            lib.fault(
                word.line,
                &format!("`{}` has no row in the table of walls", word.text),
            )
        })
        .collect()
}

impl Room {
    fn allows(&self, segments: &[String]) -> bool {
        self.may.iter().any(|allowed| {
            let mut allowed = allowed.split("::");
            let mut actual = segments.iter();
            allowed
                .all(|wanted| wanted == "*" || actual.next().is_some_and(|found| found == wanted))
        })
    }
}

/// The room a file stands in; none for the two files that only hold the house together.
fn room_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    if matches!(inside, "lib.rs" | "main.rs") {
        return None;
    }
    inside
        .split('/')
        .next()
        .map(|first| first.trim_end_matches(".rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        breaches(&Source::new(path, text)).len()
    }

    #[test]
    fn fires_on_every_kind_of_breach() {
        let table = [
            ("src/model/ip.rs", "use crate::ledger::Ledger;", 1),
            (
                "src/decide/guards/ip.rs",
                "use crate::{model::ip, accept::body, cli};",
                2,
            ),
            (
                "src/decide/guards/ip.rs",
                "use super::super::super::forward::send;",
                1,
            ),
            ("src/accept/mod.rs", "use crate::identify;", 1),
            ("src/identify/mod.rs", "use crate::decide::Permit;", 1),
            ("src/transform/mod.rs", "use crate::decide::guards::ip;", 1),
            ("src/transform/mod.rs", "use crate::decide;", 1),
            (
                "src/transform/mod.rs",
                "use crate::decide::{self, Permit};",
                1,
            ),
            (
                "src/forward/mod.rs",
                "fn f() { crate::transform::prepare() }",
                1,
            ),
            ("src/record/mod.rs", "use crate::*;", 1),
            ("src/runtime/drain.rs", "use crate::record::Recorder;", 1),
            ("src/pipeline.rs", "use crate::config::Config;", 1),
            ("src/pipeline.rs", "use crate::roles::proxy;", 1),
            ("src/model/ip.rs", "use crate as outrider;", 1),
            ("src/model/ip.rs", "extern crate self as outrider;", 1),
            ("src/attic/mod.rs", "", 1),
        ];
        for (path, text, faults) in table {
            assert_eq!(count(path, text), faults, "{path}: {text}");
        }
        let lib = Source::new("src/lib.rs", "pub mod decide;\npub mod attic;");
        assert_eq!(rooms_without_row(&lib).len(), 1);
    }

    #[test]
    fn lets_pass_what_the_table_allows() {
        let table = [
            (
                "src/decide/guards/ip.rs",
                "use crate::ledger::Ledger; use super::policy::Rule;",
            ),
            (
                "src/transform/mod.rs",
                "use crate::decide::{Permit, policy::Route};",
            ),
            (
                "src/forward/pool.rs",
                "use crate::transform::Outbound; use crate::runtime::drain;",
            ),
            ("src/roles/proxy.rs", "use crate::{config, pipeline};"),
            ("src/main.rs", "use crate::anything;"),
            (
                "src/model/ip.rs",
                "// use crate::cli;\n#[cfg(test)]\nmod tests { use crate::cli; }",
            ),
        ];
        for (path, text) in table {
            assert_eq!(count(path, text), 0, "{path}: {text}");
        }
    }

    #[test]
    fn the_table_names_only_rooms() {
        let known = |name: &str| name == "*" || ROOMS.iter().any(|room| room.name == name);
        for room in ROOMS {
            for allowed in room.may {
                let first = allowed.split("::").next().unwrap_or_default();
                assert!(known(first), "{}: {allowed}", room.name);
            }
        }
    }
}
