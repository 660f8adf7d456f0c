//! Waiting for something that is about to happen, with an end. Never used outside the demo.

use std::io;
use std::time::Duration;

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How often it is looked before the demo gives up: a minute and more, for machines that are busy.
const LOOKS_MAX: u32 = 3_000;

/// Looks again and again until there is something to see.
pub(super) async fn until<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> io::Result<Option<T>>,
) -> io::Result<T> {
    for _ in 0..LOOKS_MAX {
        if let Some(seen) = look().await? {
            return Ok(seen);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(io::Error::other(format!("{what} did not come")))
}
