//! Watching real files in real folders: what counts as a change, and what does not.

use std::os::unix::fs::symlink;

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;

/// Longer than an event takes to be told on a busy machine, shorter than the poll.
const SOON: Duration = Duration::from_secs(25);

/// Long enough for an event, the pause behind it and the look.
const QUIET: Duration = Duration::from_millis(900);

fn known(path: &Path) -> FileRead {
    FileRead {
        path: path.to_owned(),
        bytes_max: 1000,
        digest: digest_of(path, 1000),
        secret: false,
    }
}

/// A folder with one file, under watch.
async fn watched(name: &str) -> (TempDir, PathBuf, Watch) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "one").unwrap();
    let mut watch = Watch::new(&[known(&file)]);
    assert!(
        timeout(QUIET, watch.changed()).await.is_err(),
        "nothing happened"
    );
    (folder, file, watch)
}

async fn told(watch: &mut Watch) -> bool {
    timeout(SOON, watch.changed()).await.is_ok()
}

async fn quiet(watch: &mut Watch) -> bool {
    timeout(QUIET, watch.changed()).await.is_err()
}

#[tokio::test]
async fn a_file_that_is_written_or_replaced_is_told_once() {
    let (folder, file, mut watch) = watched("a.yaml").await;
    fs::write(&file, "two").unwrap();
    assert!(told(&mut watch).await);
    assert!(quiet(&mut watch).await);
    let fresh = folder.path().join("fresh");
    fs::write(&fresh, "three").unwrap();
    fs::rename(&fresh, &file).unwrap();
    assert!(told(&mut watch).await);
    assert!(quiet(&mut watch).await);
}

#[tokio::test]
async fn the_same_content_and_other_files_are_no_change() {
    let (folder, file, mut watch) = watched("a.yaml").await;
    fs::write(&file, "one").unwrap();
    fs::write(folder.path().join("other"), "two").unwrap();
    assert!(quiet(&mut watch).await);
}

#[tokio::test]
async fn a_volume_that_swaps_its_link_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (version, text) in [("..1", "one"), ("..2", "two"), ("..3", "three")] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("a.yaml"), text).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/a.yaml", at("a.yaml")).unwrap();
    let mut watch = Watch::new(&[known(&at("a.yaml"))]);
    for (from, to) in [("..1", "..2"), ("..2", "..3")] {
        symlink(to, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        fs::remove_dir_all(at(from)).unwrap();
        assert!(told(&mut watch).await, "{from} to {to}");
    }
    assert!(quiet(&mut watch).await);
}

#[tokio::test]
async fn a_link_above_the_folder_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (version, text) in [("v1", "one"), ("v2", "two")] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("a.yaml"), text).unwrap();
    }
    symlink("v1", at("current")).unwrap();
    let mut watch = Watch::new(&[known(&at("current/a.yaml"))]);
    symlink("v2", at("next")).unwrap();
    fs::rename(at("next"), at("current")).unwrap();
    assert!(told(&mut watch).await);
    fs::write(at("v2/a.yaml"), "three").unwrap();
    assert!(told(&mut watch).await);
}

#[tokio::test]
async fn a_folder_that_goes_and_comes_back_is_watched_again() {
    let (_folder, file, mut watch) = watched("deep/in/a.yaml").await;
    let above = file.parent().unwrap().parent().unwrap().to_owned();
    fs::remove_dir_all(&above).unwrap();
    assert!(told(&mut watch).await, "the file is gone");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "two").unwrap();
    assert!(told(&mut watch).await, "the file is back");
    fs::write(&file, "three").unwrap();
    assert!(told(&mut watch).await, "and it is watched");
}

/// In time that passes only while both wait, so that neither is late.
#[tokio::test(start_paused = true)]
async fn a_file_that_is_being_written_is_waited_for() {
    let (_folder, file, mut watch) = watched("a.yaml").await;
    let written = std::cell::Cell::new(false);
    let writer = async {
        for round in 0..40 {
            fs::write(&file, format!("half {round}")).unwrap();
            sleep(SETTLE / 10).await;
        }
        fs::write(&file, "whole").unwrap();
        written.set(true);
    };
    let told = async {
        watch.changed().await;
        assert!(written.get(), "told in the middle of writing");
    };
    tokio::join!(writer, told);
    assert!(quiet(&mut watch).await);
}

#[tokio::test]
async fn what_is_followed_is_known_by_what_was_read_of_it() {
    let (folder, file, mut watch) = watched("a.yaml").await;
    let other = folder.path().join("b.pem");
    let missing = known(&other);
    watch.also(&[missing]);
    assert!(quiet(&mut watch).await);
    fs::write(&other, "key").unwrap();
    assert!(told(&mut watch).await);
    watch.follow(&[known(&file)]);
    fs::write(&other, "another key").unwrap();
    assert!(quiet(&mut watch).await);
}
