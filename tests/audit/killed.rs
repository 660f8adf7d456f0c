//! A process killed at any moment (fault F13): what it was told to be durable is there afterwards.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{bench, surgery};

const INSIDE: &str = "OUTRIDER_TEST_KILLED";
const NAME: &str = "killed::an_acknowledged_intent_survives_a_kill";
const MARK: &str = "durable ";

#[test]
fn an_acknowledged_intent_survives_a_kill() {
    #[expect(
        clippy::disallowed_methods,
        reason = "how the outer run tells the inner one its folder"
    )]
    let inside = std::env::var(INSIDE);
    if let Ok(folder) = inside {
        return acknowledge_for_ever(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..8 {
        acknowledged.extend(run_and_kill(folder.path(), 10 + round * 7));
    }
    let (recorder, recovery) = bench::start(&bench::settings(folder.path())).unwrap();
    assert!(recovery.quarantined.is_empty());
    assert_eq!(recovery.missing_events, 0);
    drop(recorder);
    let events = bench::parsed(folder.path());
    for id in acknowledged {
        let found = events
            .iter()
            .any(|event| bench::kind(event) == "http.intent" && event["id"] == id.as_str());
        assert!(found, "{id} was acknowledged and is not there");
    }
}

/// Runs a process that acknowledges intents, kills it after some, and says which.
fn run_and_kill(folder: &Path, after: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(INSIDE, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    for line in lines {
        // The harness may have written on the same line before.
        if let Some((_, id)) = line.unwrap().split_once(MARK) {
            acknowledged.push(id.to_owned());
        }
        if acknowledged.len() == after {
            child.kill().unwrap();
            break;
        }
    }
    child.wait().unwrap();
    assert_eq!(acknowledged.len(), after);
    acknowledged
}

fn acknowledge_for_ever(folder: &Path) {
    let (recorder, _) = bench::start(&bench::settings(folder)).unwrap();
    surgery::runtime().block_on(async {
        loop {
            let mut record = bench::open(&recorder);
            record.intent().await.unwrap();
            let id = record.id();
            let mut out = std::io::stdout().lock();
            // The outer run reads until it kills this process, or has ended itself.
            if writeln!(out, "{MARK}{id}").is_err() {
                return;
            }
        }
    });
}
