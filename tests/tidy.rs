//! The rules of the house, held by a plain text scan of the repository. A rule says what is wrong and where; it never
//! changes a file. Each rule has a test of its own on which it must fire.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a scan that panics is a test that fails"
)]

#[path = "tidy/example.rs"]
mod example;
#[path = "tidy/form.rs"]
mod form;
#[path = "tidy/purity.rs"]
mod purity;
#[path = "tidy/secrets.rs"]
mod secrets;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tables.rs"]
mod tables;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/walls.rs"]
mod walls;
#[path = "tidy/words.rs"]
mod words;

/// Files that are longer than they should be, and how long they may be: these numbers only go down.
const LONG_FILES: &[(&str, usize)] = &[];

#[test]
fn rooms_import_only_what_the_walls_allow() {
    hold(tree::rust(&["src"]).iter().flat_map(walls::breaches));
}

#[test]
fn every_module_of_the_library_has_a_row_in_the_table_of_walls() {
    hold(walls::rooms_without_row(&tree::rust_file("src/lib.rs")));
}

#[test]
fn decide_ledger_and_model_are_pure() {
    hold(tree::rust(&["src"]).iter().flat_map(purity::breaches));
}

#[test]
fn permits_are_made_only_in_decide() {
    let files = tree::rust(&["src", "tests", "fuzz"]);
    assert!(files.iter().any(purity::makes_permit), "nobody makes one");
    hold(files.iter().flat_map(purity::permits_made_outside));
}

#[test]
fn every_guard_is_in_the_table() {
    hold(tables::faults(
        &tree::names_in("src/decide/guards"),
        &tree::rust_file("src/decide/guards/mod.rs"),
        "GUARDS",
    ));
}

#[test]
fn every_source_of_secrets_is_in_the_table() {
    hold(tables::faults(
        &tree::names_in("src/secrets/sources"),
        &tree::rust_file("src/secrets/sources/mod.rs"),
        "SOURCES",
    ));
}

#[test]
fn every_file_begins_by_saying_what_lives_in_it() {
    let files = tree::rust(&["src", "tests", "fuzz"]);
    hold(files.iter().flat_map(form::heading));
}

#[test]
fn files_are_short() {
    hold(form::lengths(&tree::rust(&["src"]), LONG_FILES));
}

#[test]
fn exceptions_have_reasons_and_no_test_is_switched_off() {
    let files = tree::rust(&["src", "tests", "fuzz"]);
    hold(files.iter().flat_map(form::attributes));
}

#[test]
fn no_left_overs() {
    let files = tree::rust(&["src", "tests", "fuzz"]);
    hold(
        files
            .iter()
            .flat_map(|file| words::left_overs(&file.path, &file.text)),
    );
}

#[test]
fn no_private_key_is_in_the_repository() {
    let files = tree::everything();
    hold(
        files
            .iter()
            .flat_map(|(path, text)| secrets::private_keys(path, text)),
    );
}

#[test]
fn no_machine_or_mirror_is_named() {
    let files = tree::everything();
    hold(
        files
            .iter()
            .flat_map(|(path, text)| words::machines(path, text)),
    );
}

#[test]
fn the_example_names_every_key() {
    let schema = example::schema_of(env!("CARGO_BIN_EXE_outrider"));
    hold(example::keys_missing(
        &tree::text("sidecar.yaml.example"),
        &schema,
    ));
}

/// Fails with every fault, not only the first.
#[track_caller]
fn hold(faults: impl IntoIterator<Item = String>) {
    let faults: Vec<String> = faults.into_iter().collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
