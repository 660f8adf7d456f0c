//! Many threads at once, and texts that want out of their field (case 53).

use std::collections::BTreeMap;

use outrider::model::denial::{Cause, Denial};

use crate::bench;

#[test]
fn eight_threads_leave_no_gap() {
    const EACH: usize = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let mut settings = bench::settings(folder.path());
    settings.buffer_bytes_max.0 = 256 << 20;
    let (recorder, _) = bench::start(&settings).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let recorder = recorder.clone();
            scope.spawn(move || {
                for _ in 0..EACH {
                    let mut record = bench::open(&recorder);
                    record.received(thread);
                }
            });
        }
    });
    drop(recorder);
    let events = bench::parsed(folder.path());
    assert_eq!(events.len(), 8 * EACH + 1);
    bench::assert_gap_free(&events);
    let mut by_thread = BTreeMap::new();
    for event in events.iter().skip(1) {
        *by_thread
            .entry(event["request"]["bytes"].as_u64())
            .or_insert(0) += 1;
    }
    assert!(
        by_thread.values().all(|count| *count == EACH),
        "{by_thread:?}"
    );
}

#[test]
fn a_hostile_text_is_one_event_on_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, _) = bench::start(&bench::settings(folder.path())).unwrap();
    let hostile = [
        "\x1b[31m".to_owned(),
        "\u{2028}\u{2029}\u{85}".to_owned(),
        "\"}\n{\"level\":\"ERROR\"}\r\n".to_owned(),
        "x".repeat(8192),
        "\0".repeat(8192),
    ];
    for text in &hostile {
        let mut record = bench::open(&recorder);
        record.unjudged(None, format!("/{text}?token=canary-51").as_bytes());
        record.denied(&Denial::new(Cause::Head, text.as_str()));
    }
    drop(recorder);
    let texts = bench::events(folder.path());
    assert_eq!(texts.len(), hostile.len() + 1);
    for text in texts {
        assert_eq!(text.lines().count(), 1);
        assert!(
            text.chars()
                .all(|c| !c.is_control() && !"\u{2028}\u{2029}".contains(c))
        );
        assert!(text.len() < 16 * 1024 && !text.contains("canary"));
    }
}
