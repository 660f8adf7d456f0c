//! Starting recorders on folders, and reading back what they wrote.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use outrider::model::clock::{Clock as _, SystemClock};
use outrider::model::settings::SpoolSettings;
use outrider::model::units::ByteSize;
use outrider::record::segment::{self, Header, Next};
use outrider::record::{
    Metrics, OpenRecord, Recorder, Recovery, Scheme, SpoolError, list_segments, new_id,
};
use serde_json::Value;

/// How long a test waits for something that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn settings(folder: &Path) -> SpoolSettings {
    SpoolSettings {
        folder: folder.to_owned(),
        segment_bytes_max: ByteSize(1 << 20),
        spool_bytes_max: ByteSize(1 << 30),
        buffer_bytes_max: ByteSize(8 << 20),
        refusals_per_minute: 300,
    }
}

pub(crate) fn start(settings: &SpoolSettings) -> Result<(Recorder, Recovery), SpoolError> {
    let clock = Arc::new(SystemClock::new());
    let metrics = Metrics::new("test").expect("the metrics are sound");
    Recorder::start(settings, "gateway", "test", clock, metrics)
}

pub(crate) fn open(recorder: &Recorder) -> OpenRecord {
    let now = SystemClock::new().now();
    let peer = "192.0.2.1:1".parse().expect("an address");
    recorder.open(now, new_id(now), peer, Scheme::Http)
}

/// Every event of a folder, as text, in order; a later segment has the last word.
pub(crate) fn events(folder: &Path) -> Vec<String> {
    let segments = list_segments(folder).expect("the folder can be read");
    let mut all = Vec::new();
    for (at, (path, header)) in segments.iter().enumerate() {
        let next = segments
            .get(at + 1)
            .filter(|(_, next)| next.epoch == header.epoch);
        let until = next.map_or(u64::MAX, |(_, next)| next.first_seq);
        let bytes = fs::read(path).expect("a segment can be read");
        let mut rest = Header::decode(&bytes).expect("a header").1;
        for _ in header.first_seq..until {
            let Next::Event(event, behind) = segment::next(rest) else {
                break;
            };
            all.push(String::from_utf8(event.to_vec()).expect("UTF-8"));
            rest = behind;
        }
    }
    all
}

pub(crate) fn parsed(folder: &Path) -> Vec<Value> {
    let texts = events(folder);
    texts
        .iter()
        .map(|text| serde_json::from_str(text).expect("JSON"))
        .collect()
}

pub(crate) fn kind(event: &Value) -> &str {
    event["action"]["type"].as_str().unwrap_or_default()
}

/// The sequence numbers of an epoch's events are 0, 1, 2 and so on.
pub(crate) fn assert_gap_free(events: &[Value]) {
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], at, "{event}");
    }
}
