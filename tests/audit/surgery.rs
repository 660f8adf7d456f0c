//! Cutting and flipping bytes of a spool that a process left behind (faults F12, F13), and two processes (F14).

use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use outrider::record::{SpoolError, list_segments};

use crate::bench;

const REQUESTS: usize = 6;

/// A folder with one finished epoch: a start and some requests, no stop.
fn left_behind() -> (tempfile::TempDir, PathBuf, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, _) = bench::start(&bench::settings(folder.path())).unwrap();
    for _ in 0..REQUESTS {
        drop(bench::open(&recorder));
    }
    drop(recorder);
    let segment = list_segments(folder.path()).unwrap().remove(0).0;
    let events = bench::events(folder.path());
    assert_eq!(events.len(), REQUESTS + 1);
    (folder, segment, events)
}

/// A copy of the folder that can be operated on.
fn copy(segment: &Path, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(segment.file_name().unwrap());
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[test]
fn cut_at_every_byte_of_the_last_records_the_rest_is_the_prefix() {
    let (_folder, segment, events) = left_behind();
    let whole = fs::read(&segment).unwrap();
    let sizes: Vec<usize> = events.iter().map(|event| event.len() + 8).collect();
    let last_three: usize = sizes.iter().rev().take(3).sum();
    for zeros in [0, 300] {
        for cut in whole.len() - last_three..=whole.len() {
            let mut bytes = whole[..cut].to_vec();
            bytes.resize(cut + zeros, 0);
            let (folder, path) = copy(&segment, &bytes);
            let (recorder, recovery) = bench::start(&bench::settings(folder.path())).unwrap();
            let kept = kept_events(&sizes, cut);
            let end = 40 + sizes[..kept].iter().sum::<usize>();
            assert!(recovery.quarantined.is_empty(), "cut at {cut}");
            // A checksum of zeros cannot be told from zeros laid out in advance; everything else is reported.
            assert!(
                recovery.truncated_bytes as usize <= cut - end,
                "cut at {cut}"
            );
            assert_eq!(recovery.truncated_bytes > 0, cut > end, "cut at {cut}");
            let previous = recovery.previous.unwrap();
            assert_eq!(previous.last_seq, Some(kept as u64 - 1), "cut at {cut}");
            assert_eq!(fs::metadata(&path).unwrap().len() as usize, end);
            drop(recorder);
            let recovered = bench::events(folder.path());
            assert_eq!(recovered[..kept], events[..kept], "cut at {cut}");
            let start: serde_json::Value = serde_json::from_str(&recovered[kept]).unwrap();
            assert_eq!(start["audit"]["previous"]["last"], kept - 1);
            assert_eq!(start["seq"], 0);
        }
    }
}

fn kept_events(sizes: &[usize], cut: usize) -> usize {
    let mut end = 40;
    sizes
        .iter()
        .take_while(|size| {
            end += **size;
            end <= cut
        })
        .count()
}

#[test]
fn a_flipped_byte_in_an_old_record_is_reported_and_the_segment_kept() {
    let (_folder, segment, events) = left_behind();
    let whole = fs::read(&segment).unwrap();
    let last = events.last().unwrap().len() + 8;
    for at in 0..whole.len() - last {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        let (folder, path) = copy(&segment, &bytes);
        let (recorder, recovery) = bench::start(&bench::settings(folder.path())).unwrap();
        let aside = path.with_extension("seg.damaged");
        assert_eq!(
            recovery.quarantined,
            std::slice::from_ref(&aside),
            "byte {at}"
        );
        assert_eq!(fs::read(&aside).unwrap(), bytes, "byte {at}");
        drop(recorder);
        let start = &bench::parsed(folder.path())[0];
        assert_eq!(start["audit"]["quarantined"], 1);
        assert!(start["audit"]["previous"]["epoch"].is_string());
        assert!(start["audit"]["previous"]["last"].is_null());
    }
}

#[test]
fn a_segment_that_was_created_but_never_written_goes() {
    for bytes in [&b""[..], &[0; 4096], b"OUTRIDER"] {
        let (_folder, segment, _) = left_behind();
        let (folder, path) = copy(&segment, bytes);
        let (_recorder, recovery) = bench::start(&bench::settings(folder.path())).unwrap();
        assert!(!path.exists());
        assert!(recovery.quarantined.is_empty());
    }
}

#[test]
fn a_missing_segment_in_the_middle_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = bench::settings(folder.path());
    settings.segment_bytes_max.0 = 2048;
    let (recorder, _) = bench::start(&settings).unwrap();
    for _ in 0..30 {
        drop(bench::open(&recorder));
    }
    drop(recorder);
    bench::assert_gap_free(&bench::parsed(folder.path()));
    let segments = list_segments(folder.path()).unwrap();
    assert!(segments.len() > 5);
    fs::remove_file(&segments[2].0).unwrap();
    let (_recorder, recovery) = bench::start(&settings).unwrap();
    let lost = segments[3].1.first_seq - segments[2].1.first_seq;
    assert_eq!(recovery.missing_events, lost);
}

#[test]
fn two_recorders_on_one_folder_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let settings = bench::settings(folder.path());
    let (first, _) = bench::start(&settings).unwrap();
    let Err(error) = bench::start(&settings) else {
        panic!("a second recorder took the folder");
    };
    assert!(matches!(error, SpoolError::Locked(_)));
    assert!(error.to_string().ends_with("is in use by another process"));
    drop(first);
    let (_second, recovery) = bench::start(&settings).unwrap();
    assert_eq!(recovery.previous.unwrap().last_seq, Some(0));
}

#[test]
fn the_oldest_segments_go_when_the_spool_is_full_and_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = bench::settings(folder.path());
    settings.segment_bytes_max.0 = 4096;
    settings.spool_bytes_max.0 = 16 * 1024;
    for _ in 0..3 {
        let (recorder, _) = bench::start(&settings).unwrap();
        for _ in 0..200 {
            drop(bench::open(&recorder));
        }
        let runtime = runtime();
        let deadline = bench::PATIENCE;
        runtime.block_on(recorder.flush(deadline)).unwrap();
        // The loss is told of in a turn of the writer after the one that caused it.
        runtime.block_on(recorder.flush(deadline)).unwrap();
        runtime.block_on(recorder.stop(deadline)).unwrap();
    }
    let segments = list_segments(folder.path()).unwrap();
    let bytes: u64 = segments
        .iter()
        .map(|(path, _)| fs::metadata(path).unwrap().len())
        .sum();
    assert!(bytes <= 20 * 1024, "{bytes}");
    let events = bench::parsed(folder.path());
    let told = |event: &&serde_json::Value| {
        bench::kind(event) == "audit.dropped" && event["audit"]["why"] == "spool_bytes_max"
    };
    assert!(events.iter().any(|event| told(&event)));
    assert_eq!(bench::kind(events.last().unwrap()), "audit.stop");
}

#[test]
fn only_this_user_may_read() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("var/audit");
    let (_recorder, _) = bench::start(&bench::settings(&folder)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&list_segments(&folder).unwrap()[0].0), 0o600);
    assert_eq!(mode(&folder.join("lock")), 0o600);
}

#[test]
fn a_folder_that_cannot_be_used_is_known_at_the_start() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&file)
        .unwrap();
    assert!(matches!(
        bench::start(&bench::settings(&file)),
        Err(SpoolError::Io(..))
    ));
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
