//! The queue between the path and the writer thread: a bounded buffer under one lock, in which events get their
//! sequence numbers. The path appends and goes on; only a durable event wakes the writer.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::metrics::AuditMetrics;
use super::segment::{self, EVENT_BYTES_MAX, FRAME_BYTES};

/// The queue. One for the path (through the recorder), one end for the writer.
pub(super) struct Spool {
    queue: Mutex<Queue>,
    bell: Condvar,
    saturated: AtomicBool,
    failing: AtomicBool,
    bytes_max: usize,
    metrics: AuditMetrics,
}

struct Queue {
    frames: Vec<u8>,
    next_seq: u64,
    /// Bytes that the writer holds because they are not synced.
    held: usize,
    /// Events that found no room and are not told yet.
    dropped: u64,
    waiters: Vec<Waiter>,
    stopping: bool,
}

/// Somebody who waits until everything queued before is durable.
pub(super) type Waiter = oneshot::Sender<Result<(), io::ErrorKind>>;
/// The other end.
pub(super) type Wait = oneshot::Receiver<Result<(), io::ErrorKind>>;

/// Why an event was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// No room.
    Full,
    /// The disk does not take anything at the moment.
    Failing,
    /// The writer has ended.
    Stopped,
}

/// What the writer takes at once.
pub(super) struct Taken {
    pub(super) waiters: Vec<Waiter>,
    pub(super) stopping: bool,
}

impl Spool {
    pub(super) fn new(bytes_max: usize, metrics: AuditMetrics) -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::new(Queue {
                frames: Vec::new(),
                next_seq: 0,
                held: 0,
                dropped: 0,
                waiters: Vec::new(),
                stopping: false,
            }),
            bell: Condvar::new(),
            saturated: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            bytes_max: bytes_max.max(4 * EVENT_BYTES_MAX),
            metrics,
        })
    }

    /// Queues an event; one that finds no room is counted. `split` is where its sequence number belongs.
    pub(super) fn append(&self, event: &[u8], split: usize) -> Result<(), Refused> {
        let mut queue = self.lock();
        self.push(&mut queue, event, split)
    }

    /// Queues an event and wakes the writer. The answer comes when the event is durable.
    pub(super) fn append_durable(&self, event: &[u8], split: usize) -> Result<Wait, Refused> {
        if self.failing.load(Ordering::Relaxed) {
            return Err(Refused::Failing);
        }
        let (waiter, wait) = oneshot::channel();
        let mut queue = self.lock();
        self.push(&mut queue, event, split)?;
        queue.waiters.push(waiter);
        drop(queue);
        self.bell.notify_one();
        Ok(wait)
    }

    /// Waits for everything queued so far, without an event.
    pub(super) fn barrier(&self) -> Result<Wait, Refused> {
        let (waiter, wait) = oneshot::channel();
        let mut queue = self.lock();
        if queue.stopping {
            return Err(Refused::Stopped);
        }
        queue.waiters.push(waiter);
        drop(queue);
        self.bell.notify_one();
        Ok(wait)
    }

    /// Queues a last event, if there is one, and asks the writer to end.
    pub(super) fn stop(&self, last: Option<(&[u8], usize)>) -> Result<Wait, Refused> {
        let (waiter, wait) = oneshot::channel();
        let mut queue = self.lock();
        let queued = last.map_or(Ok(()), |(event, split)| self.push(&mut queue, event, split));
        queue.waiters.push(waiter);
        queue.stopping = true;
        drop(queue);
        self.bell.notify_one();
        queued.map(|()| wait)
    }

    /// Whether the buffer is nearly full: what is under way may still be recorded, new requests should be refused.
    pub(super) fn is_saturated(&self) -> bool {
        self.saturated.load(Ordering::Relaxed)
    }

    /// Whether the disk takes nothing at the moment.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    fn push(&self, queue: &mut Queue, event: &[u8], split: usize) -> Result<(), Refused> {
        if queue.stopping {
            self.metrics.dropped.inc();
            return Err(Refused::Stopped);
        }
        let filled = queue.frames.len() + queue.held;
        let needed = event.len() + FRAME_BYTES + SEQ_DIGITS_MAX;
        if filled + needed > self.bytes_max || needed > EVENT_BYTES_MAX {
            queue.dropped += 1;
            self.metrics.dropped.inc();
            self.saturated.store(true, Ordering::Relaxed);
            return Err(Refused::Full);
        }
        if filled > self.bytes_max / 8 * 7 {
            self.saturated.store(true, Ordering::Relaxed);
        }
        let mut digits = [0; SEQ_DIGITS_MAX];
        let (before, behind) = event.split_at_checked(split).unwrap_or((event, &[]));
        let seq = decimal(queue.next_seq, &mut digits);
        segment::push_frame(&mut queue.frames, [before, seq, behind]);
        queue.next_seq += 1;
        self.metrics.events.inc();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic elsewhere leaves whole frames behind, because nothing between two of them can panic.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer's side.
impl Spool {
    /// Takes everything queued, after at most `tick`; at once when somebody waits. `frames` must be empty.
    pub(super) fn take(&self, frames: &mut Vec<u8>, tick: Duration) -> Taken {
        let mut queue = self.lock();
        if queue.waiters.is_empty() && !queue.stopping {
            let rung = self.bell.wait_timeout(queue, tick);
            queue = rung.unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::swap(&mut queue.frames, frames);
        queue.held += frames.len();
        Taken {
            waiters: std::mem::take(&mut queue.waiters),
            stopping: queue.stopping,
        }
    }

    /// Waits for `pause` or a stop, whichever comes first; meanwhile the path may go on queueing.
    pub(super) fn pause(&self, pause: Duration) {
        let queue = self.lock();
        if !queue.stopping {
            drop(self.bell.wait_timeout(queue, pause));
        }
    }

    /// Says how much the writer still holds, and gives the number of events dropped meanwhile if there is room to
    /// tell of them.
    pub(super) fn settle(&self, held: usize) -> u64 {
        let mut queue = self.lock();
        queue.held = held;
        let filled = queue.frames.len() + held;
        let roomy = filled <= self.bytes_max / 2;
        if roomy {
            self.saturated.store(false, Ordering::Relaxed);
            return std::mem::take(&mut queue.dropped);
        }
        0
    }

    /// Gives back events that could not be told of.
    pub(super) fn still_dropped(&self, count: u64) {
        self.lock().dropped += count;
    }

    /// Says whether the disk takes anything; true if that has changed.
    pub(super) fn set_failing(&self, failing: bool) -> bool {
        self.failing.swap(failing, Ordering::Relaxed) != failing
    }

    pub(super) const fn metrics(&self) -> &AuditMetrics {
        &self.metrics
    }
}

const SEQ_DIGITS_MAX: usize = 20;

fn decimal(mut value: u64, digits: &mut [u8; SEQ_DIGITS_MAX]) -> &[u8] {
    let mut start = SEQ_DIGITS_MAX;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
        start -= 1;
        if value == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::metrics::Metrics;

    fn spool(bytes_max: usize) -> Arc<Spool> {
        Spool::new(bytes_max, Metrics::new("t").unwrap().audit().clone())
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        let mut digits = [0; SEQ_DIGITS_MAX];
        for value in [0, 7, 10, 1_000_123, u64::MAX] {
            assert_eq!(decimal(value, &mut digits), value.to_string().as_bytes());
        }
    }

    #[test]
    fn the_sequence_number_stands_where_it_belongs() {
        let spool = spool(1 << 20);
        spool.append(b"{\"seq\":,\"v\":1}", 7).unwrap();
        spool.append(b"{\"seq\":,\"v\":1}", 7).unwrap();
        let mut frames = Vec::new();
        spool.take(&mut frames, Duration::ZERO);
        let text = String::from_utf8_lossy(&frames);
        assert!(text.contains("{\"seq\":0,\"v\":1}"), "{text}");
        assert!(text.contains("{\"seq\":1,\"v\":1}"), "{text}");
    }

    #[test]
    fn a_full_buffer_counts_and_recovers() {
        let spool = spool(4 * EVENT_BYTES_MAX);
        let event = vec![b' '; 1000];
        let mut queued = 0;
        while spool.append(&event, 0).is_ok() {
            queued += 1;
            assert!(queued < 1000);
        }
        assert!(spool.is_saturated());
        assert_eq!(spool.append(&event, 0), Err(Refused::Full));
        assert_eq!(spool.settle(0), 0, "no room to tell yet");
        let mut frames = Vec::new();
        spool.take(&mut frames, Duration::ZERO);
        assert_eq!(
            spool.append(&event, 0),
            Err(Refused::Full),
            "the writer still holds it"
        );
        assert_eq!(spool.settle(0), 3);
        assert!(!spool.is_saturated());
        assert_eq!(spool.append(&event, 0), Ok(()));
    }

    #[test]
    fn a_failing_disk_refuses_durable_events_at_once() {
        let spool = spool(1 << 20);
        assert!(spool.set_failing(true));
        assert_eq!(
            spool.append_durable(b"{}", 1).unwrap_err(),
            Refused::Failing
        );
        assert_eq!(spool.append(b"{}", 1), Ok(()));
        assert!(!spool.set_failing(true));
    }

    #[test]
    fn nothing_is_taken_after_the_last_event() {
        let spool = spool(1 << 20);
        spool.stop(Some((b"{}", 1))).unwrap();
        assert_eq!(spool.append(b"{}", 1), Err(Refused::Stopped));
        assert_eq!(spool.barrier().unwrap_err(), Refused::Stopped);
    }
}
