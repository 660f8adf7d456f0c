//! `check`, `schema`, `completions`, and the command line itself.

use std::path::Path;

use serde_json::Value;

use crate::folder::Folder;

#[test]
fn check_says_ok_or_every_fault() {
    let folder = Folder::new();
    let ran = folder.run("check sidecar.yaml", &[]);
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (0, "sidecar.yaml: ok, 3 routes, 0 warnings\n", "")
    );
    let five = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/broken/five-faults.yaml");
    let five = five.to_str().unwrap();
    let ran = folder.run("check", &[five]);
    assert_eq!(ran.code, 78);
    assert_eq!(ran.out.matches("error: ").count(), 5, "{}", ran.out);
    assert!(ran.out.ends_with("refused, 5 errors\n"), "{}", ran.out);
    let ran = folder.run("check --format json", &[five]);
    assert_eq!(ran.code, 78);
    let faults: Value = serde_json::from_str(&ran.out).unwrap();
    let lines: Vec<u64> = faults
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|fault| fault["line"].as_u64())
        .collect();
    assert_eq!(lines.len(), 5);
    assert!(lines.is_sorted(), "{lines:?}");
    assert_eq!(folder.run("check none.yaml", &[]).code, 78);
    assert_eq!(folder.run("check", &[]).code, 2);
}

#[test]
fn check_shows_what_applies_and_where_it_comes_from() {
    let folder = Folder::new();
    let ran = folder.run("check sidecar.yaml --effective", &[]);
    assert_eq!(ran.code, 0);
    let line = |key: &str| {
        let found = ran
            .out
            .lines()
            .find(|line| line.split_whitespace().next() == Some(key));
        found.unwrap_or_else(|| panic!("{key} is not in\n{}", ran.out))
    };
    assert!(line("inbound.listen").contains("127.0.0.1:0"));
    assert!(line("inbound.listen").ends_with("sidecar.yaml:3"));
    assert!(line("inbound.headers").ends_with("default"));
}

#[test]
fn the_schema_is_a_schema() {
    let ran = Folder::new().run("schema", &[]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let schema: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(schema["additionalProperties"], false);
    assert!(schema["properties"]["inbound"]["properties"]["routes"].is_object());
}

#[test]
fn completions_know_every_command() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = folder.run("completions", &[shell]);
        assert_eq!(ran.code, 0, "{shell}");
        for command in [
            "proxy", "check", "schema", "explain", "test", "audit", "demo",
        ] {
            assert!(ran.out.contains(command), "{shell} does not know {command}");
        }
    }
    assert_eq!(folder.run("completions tcsh", &[]).code, 2);
}

#[test]
fn the_command_line_itself() {
    let folder = Folder::new();
    let ran = folder.run("--version", &[]);
    let version = format!("outrider {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((ran.code, ran.out), (0, version));
    let help = folder.run("--help", &[]);
    assert_eq!(help.code, 0);
    assert!(help.out.contains("explain"));
    assert_eq!(folder.run("", &[]).code, 2);
    assert_eq!(folder.run("fly", &[]).code, 2);
    assert_eq!(folder.run("proxy", &[]).code, 2);
    assert_eq!(folder.run("proxy -c", &[]).code, 2);
    assert_eq!(folder.run("proxy -c none.yaml", &[]).code, 78);
}

#[test]
fn check_warns_of_a_count_that_strangers_share() {
    let folder = Folder::new();
    let counted = |per: &str| {
        let yaml = crate::folder::SIDECAR.replace("per: client_ip", &format!("per: {per}"));
        folder.write("sidecar.yaml", &yaml);
        folder.run("check sidecar.yaml", &[]).out
    };
    for per in ["user", "claim:desk"] {
        let told = counted(per);
        assert!(told.contains("they share one count"), "{told}");
        assert!(told.contains("--> sidecar.yaml:12:"), "{told}");
        assert!(told.ends_with("ok, 3 routes, 1 warning\n"), "{told}");
    }
    for per in ["client_ip", "all", "route"] {
        assert!(counted(per).ends_with("0 warnings\n"));
    }
}
