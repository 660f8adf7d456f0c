//! The files of the repository, read. Never what is built or written by a run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::source::Source;

/// Folders that `.gitignore` names, and git's own.
const NOT_OURS: &[&str] = &[
    ".git",
    ".venv",
    ".venv-sdk",
    "artifacts",
    "coverage",
    "target",
    "var",
];

/// Every Rust file under the folders; at least one in the first.
pub(crate) fn rust(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in folders {
        let mut files = Vec::new();
        walk(&root().join(folder), &mut files);
        files.retain(|file| file.extension().is_some_and(|end| end == "rs"));
        assert!(
            !files.is_empty(),
            "no Rust file in {folder}: the scan sees nothing"
        );
        found.extend(
            files
                .iter()
                .map(|file| Source::new(&name(file), &read(file))),
        );
    }
    found
}

/// One Rust file.
pub(crate) fn rust_file(path: &str) -> Source {
    Source::new(path, &text(path))
}

/// One file's text.
pub(crate) fn text(path: &str) -> String {
    read(&root().join(path))
}

/// Every file, with its path.
pub(crate) fn everything() -> Vec<(String, String)> {
    let mut files = Vec::new();
    walk(&root(), &mut files);
    files.iter().map(|file| (name(file), read(file))).collect()
}

/// The names of what stands in a folder.
pub(crate) fn names_in(folder: &str) -> Vec<String> {
    let mut names: Vec<String> = entries(&root().join(folder))
        .iter()
        .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for path in entries(folder) {
        let ours = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_none_or(|name| !NOT_OURS.contains(&name));
        if !ours || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let mut paths: Vec<PathBuf> = listed.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn read(file: &Path) -> String {
    let bytes = fs::read(file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn name(file: &Path) -> String {
    let inside = file.strip_prefix(root()).unwrap();
    inside.to_str().unwrap().replace('\\', "/")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
