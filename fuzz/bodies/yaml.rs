//! What must hold of every configuration text: a configuration or faults, and each fault inside the text. Shared by the
//! fuzz target and the replay.

use std::path::Path;

use outrider::config::{Report, load_bytes};
use outrider::model::node::Place;

/// Reads the bytes as a configuration.
pub(crate) fn yaml(bytes: &[u8]) {
    // A configuration may name its key file, and these never end.
    if ["/dev", "/proc"]
        .iter()
        .any(|folder| holds(bytes, folder.as_bytes()))
    {
        return;
    }
    let text = String::from_utf8_lossy(bytes);
    match load_bytes("fuzz.yaml", bytes, Path::new("no-such-folder"), []) {
        Ok(loaded) => {
            assert_eq!(
                loaded.warnings.errors(),
                0,
                "an error, and read all the same"
            );
            assert!(!loaded.effective().is_empty());
            stands_inside(&loaded.warnings, &text);
        }
        Err(report) => {
            assert!(report.errors() > 0, "refused without a reason");
            stands_inside(&report, &text);
        }
    }
}

fn stands_inside(report: &Report, text: &str) {
    for fault in report.faults() {
        assert!(!fault.message.is_empty());
        match fault.place {
            Place::File {
                line,
                column,
                offset,
                length,
            } => {
                let said = format!("{line}:{column} at {offset}+{length}: {}", fault.message);
                // A single position may be the end of the text, or one character of several bytes.
                let length = if length == 1 { 0 } else { length };
                let inside = text.get(offset..offset + length).is_some();
                assert!(inside, "not in the text: {said}");
                assert!(line >= 1 && column >= 1, "{said}");
            }
            Place::Env(_) => panic!("there is no environment here"),
            Place::Default => {}
        }
    }
    assert_eq!(report.render(false).is_empty(), report.faults().is_empty());
    let listed = report.to_json();
    assert_eq!(listed.as_array().map(Vec::len), Some(report.faults().len()));
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
