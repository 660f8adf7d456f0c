//! A disk that is full (fault F10, case 124). The disk is a tmpfs of 64 KiB in a mount namespace of its own, so the
//! test runs itself a second time inside `unshare`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::task::Poll;
use std::time::Duration;

use outrider::model::denial::{Advice, Cause};

use crate::bench::{self, PATIENCE};
use crate::surgery;

const INSIDE: &str = "OUTRIDER_TEST_SMALL_DISK";
const NAME: &str = "full_disk::durable_events_fail_at_once_and_recover";

#[test]
fn durable_events_fail_at_once_and_recover() {
    #[expect(
        clippy::disallowed_methods,
        reason = "how the outer run tells the inner one its folder"
    )]
    let inside = std::env::var(INSIDE);
    if let Ok(folder) = inside {
        return on_the_small_disk(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let script =
        "mount -t tmpfs -o size=64k outrider-test \"$1\" && exec \"$2\" --exact \"$3\" --nocapture";
    let ran = Command::new("unshare")
        .args(namespace())
        .args(["sh", "-c", script, "sh"])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .arg(NAME)
        .env(INSIDE, folder.path())
        .output()
        .expect("`unshare` (util-linux) is needed for this test");
    let output = String::from_utf8_lossy(&ran.stdout);
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{output}\n{errors}");
    assert!(output.contains("1 passed"), "{output}\n{errors}");
}

/// A mount namespace of its own, as root or, where that is allowed, as anybody.
fn namespace() -> &'static [&'static str] {
    let alone: &[&str] = &["--mount"];
    let probed = Command::new("unshare").args(alone).arg("true").status();
    if probed.is_ok_and(|status| status.success()) {
        alone
    } else {
        &["--user", "--map-root-user", "--mount"]
    }
}

fn on_the_small_disk(disk: &Path) {
    let folder = disk.join("spool");
    let mut settings = bench::settings(&folder);
    settings.segment_bytes_max.0 = 16 * 1024;
    let (recorder, _) = bench::start(&settings).unwrap();
    let runtime = surgery::runtime();
    runtime.block_on(async {
        bench::open(&recorder).intent().await.unwrap();
        let ballast = disk.join("ballast");
        fill(&ballast);
        let mut accepted = 1;
        let refused = loop {
            match bench::open(&recorder).intent().await {
                Ok(()) => accepted += 1,
                Err(denial) => break denial,
            }
            assert!(accepted < 1000, "the disk never filled");
        };
        assert_eq!(refused.cause, Cause::AuditUnavailable);
        assert!(matches!(refused.advice, Advice::RetryAfter(_)));
        assert!(recorder.is_failing());
        // While the disk is known to fail, nobody waits for it.
        let mut record = bench::open(&recorder);
        let mut asked = std::pin::pin!(record.intent());
        let at_once = std::future::poll_fn(|cx| Poll::Ready(asked.as_mut().poll(cx))).await;
        assert!(matches!(at_once, Poll::Ready(Err(_))), "it is waited for");
        fs::remove_file(&ballast).unwrap();
        let again = async {
            while bench::open(&recorder).intent().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let again = tokio::time::timeout(PATIENCE, again).await;
        again.expect("the disk is back, and so are the records");
        accepted += 1;
        assert!(!recorder.is_failing());
        recorder.stop(PATIENCE).await.unwrap();
        let events = bench::parsed(&folder);
        bench::assert_gap_free(&events);
        let intents = events
            .iter()
            .filter(|event| bench::kind(event) == "http.intent");
        assert!(intents.count() >= accepted);
        assert_eq!(bench::kind(events.last().unwrap()), "audit.stop");
    });
    let text = recorder.metrics().text();
    assert!(
        !text.contains("outrider_audit_writer_failures_total 0"),
        "{text}"
    );
    drop(recorder);
    let (_recorder, recovery) = bench::start(&settings).unwrap();
    assert!(recovery.quarantined.is_empty());
    assert_eq!(recovery.missing_events, 0);
}

/// Fills what is left of the disk.
fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = fs::File::create(path).unwrap();
    while file.write_all(&[1; 512]).is_ok() {}
}
