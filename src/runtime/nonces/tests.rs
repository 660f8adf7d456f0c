//! Nonces over restarts, crashes, clocks that go back, damaged files and many threads.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::thread;

use tempfile::TempDir;

use super::*;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kraken.nonces");
    (folder, path)
}

fn open(path: &Path) -> Nonces {
    Nonces::open(path, 100).unwrap()
}

#[test]
fn follows_the_clock_but_never_back() {
    let (_folder, path) = folder();
    let nonces = open(&path);
    let given: Vec<u64> = [1000, 1000, 1005, 3, 0, 1006, 2000]
        .map(|at_least| nonces.next(at_least).unwrap())
        .to_vec();
    assert_eq!(given, [1000, 1001, 1005, 1006, 1007, 1008, 2000]);
}

#[test]
fn grows_over_restarts_whatever_the_clock_says() {
    let (_folder, path) = folder();
    let mut last = 0;
    for clock in [5_000, 5_001, 10, 0, 4_000] {
        // Dropped without a word, as a crash would.
        let nonces = open(&path);
        for _ in 0..3 {
            let next = nonces.next(clock).unwrap();
            assert!(next > last, "{next} after {last}");
            last = next;
        }
    }
    assert!(
        last < 5_000 + 5 * 101 + 15,
        "a restart skips at most the reserve"
    );
}

#[test]
fn hands_out_only_what_is_on_disk() {
    let (_folder, path) = folder();
    let nonces = open(&path);
    for _ in 0..1000 {
        let given = nonces.next(0).unwrap();
        let file = File::open(&path).unwrap();
        assert!(newest(&file).unwrap().0 >= given);
    }
}

#[test]
fn one_process_holds_the_file() {
    let (_folder, path) = folder();
    let first = open(&path);
    assert!(matches!(
        Nonces::open(&path, 100),
        Err(NonceFileFault::Held)
    ));
    drop(first);
    open(&path);
}

#[test]
fn a_torn_write_leaves_the_range_before() {
    let (_folder, path) = folder();
    let nonces = open(&path);
    let given = nonces.next(7_000).unwrap();
    drop(nonces);
    let sound = fs::read(&path).unwrap();
    let (ceiling, next) = newest(&File::open(&path).unwrap()).unwrap();
    let torn_at = usize::try_from(SLOTS[next]).unwrap();
    for length in 0..SLOT_BYTES {
        let mut torn = sound.clone();
        torn.resize(torn.len().max(torn_at + SLOT_BYTES), 0);
        let write = encode(ceiling + 100);
        torn[torn_at..torn_at + length].copy_from_slice(&write[..length]);
        fs::write(&path, &torn).unwrap();
        assert!(open(&path).next(0).unwrap() > given, "cut at {length}");
    }
}

#[test]
fn refuses_what_is_no_file_of_nonces() {
    let (_folder, path) = folder();
    for text in ["1714000000123\n", "OUTNONCE", &"\0".repeat(8192)] {
        fs::write(&path, text).unwrap();
        let refused = Nonces::open(&path, 100);
        assert!(matches!(refused, Err(NonceFileFault::Damaged)), "{text:?}");
    }
}

#[test]
fn says_when_there_is_no_greater_number() {
    let (_folder, path) = folder();
    let nonces = open(&path);
    assert_eq!(nonces.next(u64::MAX), Ok(u64::MAX));
    assert_eq!(nonces.next(0), Err(NonceFault::Exhausted));
    drop(nonces);
    assert_eq!(open(&path).next(0), Err(NonceFault::Exhausted));
}

#[test]
fn keeping_ahead_spares_requests_the_disk() {
    let (_folder, path) = folder();
    let nonces = open(&path);
    nonces.keep_ahead(1_000).unwrap();
    let before = fs::read(&path).unwrap();
    for at in 1_000..1_050 {
        nonces.next(at).unwrap();
        nonces.keep_ahead(at).unwrap();
    }
    assert_eq!(
        fs::read(&path).unwrap(),
        before,
        "half of the range is still there"
    );
    nonces.keep_ahead(1_060).unwrap();
    assert_ne!(fs::read(&path).unwrap(), before);
}

#[test]
fn after_a_failed_write_nothing_is_handed_out() {
    let (_folder, path) = folder();
    let nonces = open(&path);
    nonces.next(10).unwrap();
    nonces.disk.lock().unwrap().file = File::open(&path).unwrap();
    assert_eq!(nonces.next(1_000), Err(NonceFault::NotDurable));
    assert_eq!(nonces.next(1_000), Err(NonceFault::NotDurable));
    assert_eq!(nonces.keep_ahead(1_000), Err(NonceFault::NotDurable));
}

#[test]
fn threads_never_get_one_number_twice() {
    let (_folder, path) = folder();
    let nonces = open(&path);
    let given: Vec<Vec<u64>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..500).map(|_| nonces.next(0).unwrap()).collect()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for list in &given {
        assert!(list.is_sorted_by(|one, other| one < other));
    }
    let all: HashSet<u64> = given.into_iter().flatten().collect();
    assert_eq!(all.len(), 4_000);
}
