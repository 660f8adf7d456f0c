//! Tables of one file plus one line: every file is declared and listed, once.

use crate::source::{Source, find};

/// Files of a folder that its `mod.rs` does not declare, or that `table` does not list as `&name::Kind`.
pub fn faults(names: &[String], module: &Source, table: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let members = names.iter().filter_map(|name| name.strip_suffix(".rs"));
    for name in members.filter(|name| !matches!(*name, "mod" | "tests")) {
        if find(&module.product, &["mod", name, ";"]).count() != 1 {
            faults.push(module.fault(1, &format!("`mod {name};` must stand here once")));
        }
        let listed = ["&", name, "::", "Kind"];
        let inside = find(&module.product, &listed).filter(|at| in_table(module, table, *at));
        if inside.count() != 1 {
            faults.push(module.fault(1, &format!("{table} must list `&{name}::Kind` once")));
        }
    }
    faults
}

/// Whether the word at `at` stands between `const TABLE` and the `;` that ends it.
fn in_table(module: &Source, table: &str, at: usize) -> bool {
    let Some(begin) = find(&module.product, &["const", table]).next() else {
        return false;
    };
    let end = find(&module.product, &[";"])
        .find(|end| *end > begin)
        .unwrap_or_default();
    (begin..end).contains(&at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_on_a_file_outside_the_table() {
        let names = ["ip.rs", "ip", "mod.rs", "mfa.rs"].map(str::to_owned);
        let check = |text: &str| faults(&names, &Source::new("src/g/mod.rs", text), "GUARDS").len();
        let table = [
            (
                "mod ip; mod mfa; const GUARDS: &[K] = &[&ip::Kind, &mfa::Kind];",
                0,
            ),
            ("mod ip; mod mfa; const GUARDS: &[K] = &[&ip::Kind];", 1),
            (
                "mod ip; mod mfa; const GUARDS: &[K] = &[&ip::Kind]; fn f() { &mfa::Kind }",
                1,
            ),
            ("mod ip; const GUARDS: &[K] = &[&ip::Kind, &mfa::Kind];", 1),
            (
                "mod ip; mod mfa; const GUARDS: &[K] = &[&ip::Kind, &mfa::Kind, &mfa::Kind];",
                1,
            ),
            (
                "mod ip; // mod mfa; &mfa::Kind\nconst GUARDS: &[K] = &[&ip::Kind];",
                2,
            ),
            ("", 4),
        ];
        for (text, expected) in table {
            assert_eq!(check(text), expected, "{text}");
        }
    }
}
