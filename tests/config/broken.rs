//! Broken files, each with the exact message that a person sees. `OUTRIDER_UPDATE_GOLDEN=1` writes the messages anew;
//! read them before you commit them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use outrider::cli::check::{CheckArgs, run_with};
use outrider::cli::exit;
use outrider::config;

use crate::here;
use crate::work::{MUCH, worked};

const FOLDER: &str = "tests/config/broken";

fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(here(FOLDER))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    files
}

/// What stands in `# env: NAME=value` lines of the file.
fn environment(bytes: &[u8]) -> Vec<(OsString, OsString)> {
    String::from_utf8_lossy(bytes)
        .lines()
        .filter_map(|line| line.strip_prefix("# env: ")?.split_once('='))
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect()
}

fn rendered(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let before = worked();
    let refused = config::load_bytes(name, &bytes, &here(FOLDER), environment(&bytes));
    assert!(worked() - before < MUCH, "{name} costs too much");
    let report = refused.expect_err(name);
    format!("{}{}\n", report.render(false), report.summary())
}

#[test]
fn every_broken_file_is_refused_in_the_words_on_record() {
    let files = files();
    assert!(files.len() >= 40, "{} files", files.len());
    let update = std::env::var_os("OUTRIDER_UPDATE_GOLDEN").is_some();
    let mut differing = Vec::new();
    for file in files {
        let golden = file.with_extension("txt");
        let actual = rendered(&file);
        if update {
            fs::write(&golden, &actual).unwrap();
        }
        if fs::read_to_string(&golden).unwrap_or_default() != actual {
            differing.push(format!("{}\n{actual}", golden.display()));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn no_message_shows_a_value_that_may_be_a_secret() {
    let mut seen = 0;
    for file in files() {
        let bytes = fs::read(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        if !name.starts_with("secret-") {
            continue;
        }
        seen += 1;
        let refused = config::load_bytes(name, &bytes, &here(FOLDER), environment(&bytes));
        let report = refused.expect_err(name);
        let told = format!("{}{}", report.render(true), report.to_json());
        assert!(!told.contains("hunter2"), "{told}");
    }
    assert!(seen >= 10, "{seen} files");
}

#[test]
fn a_file_with_five_faults_names_all_five_at_once() {
    let (code, text) = check(&here(FOLDER).join("five-faults.yaml"), &[]);
    assert_eq!(code, exit::CONFIGURATION);
    assert_eq!(text.matches("error: ").count(), 5, "{text}");
    assert!(
        text.ends_with("five-faults.yaml: refused, 5 errors\n"),
        "{text}"
    );
}

#[test]
fn machines_get_each_fault_with_its_place() {
    let (code, text) = check(
        &here(FOLDER).join("five-faults.yaml"),
        &["--format", "json"],
    );
    assert_eq!(code, exit::CONFIGURATION);
    let faults: serde_json::Value = serde_json::from_str(&text).unwrap();
    let places: Vec<(u64, u64)> = faults
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| {
            (
                fault["line"].as_u64().unwrap(),
                fault["column"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(places, [(1, 10), (5, 15), (10, 7), (13, 18), (14, 45)]);
    assert_eq!(faults[2]["severity"], "error");
    assert_eq!(faults[2]["message"], "unknown key `limit`");
    assert_eq!(faults[2]["help"], "did you mean `limits`?");
}

#[test]
fn faults_of_variables_name_the_variable() {
    let bytes = fs::read(here(FOLDER).join("environment.yaml")).unwrap();
    let report = config::load_bytes("x.yaml", &bytes, Path::new(""), environment(&bytes));
    let faults = report.unwrap_err().to_json();
    let named = |fault: &serde_json::Value| fault["variable"] == "OUTRIDER_INBOUND__LISTEN";
    let fault = faults
        .as_array()
        .unwrap()
        .iter()
        .find(|fault| named(fault))
        .unwrap();
    assert!(
        fault["line"].is_null() && fault["file"].is_null(),
        "{fault}"
    );
}

#[test]
fn a_file_that_is_not_there_is_a_fault_without_a_line() {
    let (code, text) = check(Path::new("/nowhere/sidecar.yaml"), &[]);
    assert_eq!(code, exit::CONFIGURATION);
    assert!(text.contains("the configuration does not exist"), "{text}");
}

#[test]
fn a_message_cannot_steer_the_terminal() {
    let text = "service: \"\\e[2Jx\"\n";
    let report = config::load_bytes("x.yaml", text.as_bytes(), Path::new(""), []).unwrap_err();
    assert!(!report.render(false).contains('\u{1b}'));
}

#[test]
fn check_says_ok_and_shows_where_settings_come_from() {
    let (code, text) = check(&here("sidecar.yaml.example"), &["--effective"]);
    assert_eq!(code, exit::OK);
    assert!(
        text.ends_with("sidecar.yaml.example: ok, 6 routes, 0 warnings\n"),
        "{text}"
    );
    let line = |key: &str| text.lines().find(|line| line.starts_with(key)).unwrap();
    assert!(line("service").contains("sidecar.yaml.example:"), "{text}");
    assert!(
        line("inbound.timeouts.drain").ends_with("default"),
        "{text}"
    );
    let (code, text) = check(&here("sidecar.yaml.example"), &["--format", "json"]);
    assert_eq!((code, text.as_str()), (exit::OK, "[]\n"));
}

#[test]
fn check_refuses_keys_that_the_proxy_would_refuse() {
    let (code, text) = check(&here(FOLDER).join("keys/not-a-key.yml"), &[]);
    assert_eq!(code, exit::CONFIGURATION);
    assert!(text.contains("not-a-key.yml:8:21"), "{text}");
    assert!(text.contains("the keys of inline cannot be used"), "{text}");
}

/// Runs `check` as the command line would.
fn check(file: &Path, options: &[&str]) -> (u8, String) {
    let command = CheckArgs::augment_args(clap::Command::new("check"));
    let words = ["check"].iter().chain(options).map(OsString::from);
    let matches = command.get_matches_from(words.chain([file.as_os_str().to_owned()]));
    let args = <CheckArgs as clap::FromArgMatches>::from_arg_matches(&matches).unwrap();
    let mut out = Vec::new();
    let code = run_with(&args, [], false, &mut out);
    (code, String::from_utf8(out).unwrap())
}
