//! The drain: every spawned task belongs to one, so that a stop can wait for them, and end them when time is up.
//! Never decides when to stop.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

/// How long ended tasks are given to be dropped.
const ABORT_WAIT: Duration = Duration::from_secs(1);

/// Tasks that a stop waits for. Clones are the same drain.
#[derive(Clone)]
pub struct Drain(Arc<Inner>);

struct Inner {
    draining: watch::Sender<bool>,
    tasks: Mutex<Tasks>,
    /// Notified when the last task ends.
    empty: Notify,
}

#[derive(Default)]
struct Tasks {
    /// By number; without a handle while the task is being started.
    running: HashMap<u64, Option<AbortHandle>>,
    next: u64,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every task ended by itself.
    Finished,
    /// The deadline came first, and so many tasks were ended.
    Aborted(usize),
}

impl Drain {
    /// A drain without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            draining: watch::Sender::new(false),
            tasks: Mutex::default(),
            empty: Notify::new(),
        }))
    }

    /// Starts a task on the current runtime. It should end soon after [`Drain::draining`] says so.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let place = TaskPlace::enter(&self.0);
        let id = place.id;
        #[expect(clippy::disallowed_methods, reason = "this is what stands for it")]
        let handle = tokio::spawn(async move {
            let _place = place;
            task.await;
        });
        // The task may have left already: it may be short, or the runtime may be going down.
        if let Some(entry) = self.0.tasks().running.get_mut(&id) {
            *entry = Some(handle.abort_handle());
        }
    }

    /// How many tasks run.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.0.tasks().running.len()
    }

    /// Whether a stop was asked for.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.0.draining.borrow()
    }

    /// Waits until a stop is asked for.
    pub async fn draining(&self) {
        let mut signal = self.0.draining.subscribe();
        // The sender lives as long as `self`; were it gone, a stop would be due as well.
        let _stop = signal.wait_for(|draining| *draining).await;
    }

    /// Asks every task to stop and returns at once.
    pub fn begin(&self) {
        self.0.draining.send_replace(true);
    }

    /// Asks every task to stop, waits for them until the deadline, then ends those that still run.
    pub async fn drain(&self, deadline: Duration) -> Drained {
        self.begin();
        if tokio::time::timeout(deadline, self.emptied()).await.is_ok() {
            return Drained::Finished;
        }
        let aborted = self.abort_all();
        // A task that never yields cannot be ended; the process does not wait for it for ever.
        let _gone = tokio::time::timeout(ABORT_WAIT, self.emptied()).await;
        Drained::Aborted(aborted)
    }

    async fn emptied(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.0.empty.notified());
            // Listens before it looks, so that a task leaving in between is not missed.
            emptied.as_mut().enable();
            if self.tasks() == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn abort_all(&self) -> usize {
        let running: Vec<AbortHandle> =
            (self.0.tasks().running.values().flatten().cloned()).collect();
        running.iter().for_each(AbortHandle::abort);
        running.len()
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "Drain({} tasks, draining: {})",
            self.tasks(),
            self.is_draining()
        )
    }
}

impl Inner {
    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        // The map is whole at every step, so a panic elsewhere does not spoil it.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task's entry; leaves the drain when the task ends, is ended or panics.
struct TaskPlace {
    drain: Arc<Inner>,
    id: u64,
}

impl TaskPlace {
    fn enter(drain: &Arc<Inner>) -> Self {
        let mut tasks = drain.tasks();
        let id = tasks.next;
        tasks.next += 1;
        tasks.running.insert(id, None);
        Self {
            drain: Arc::clone(drain),
            id,
        }
    }
}

impl Drop for TaskPlace {
    fn drop(&mut self) {
        let mut tasks = self.drain.tasks();
        let left = tasks.running.remove(&self.id);
        let empty = tasks.running.is_empty();
        drop(tasks);
        drop(left);
        if empty {
            self.drain.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_for_tasks_that_heed_the_signal() {
        let drain = Drain::new();
        for _ in 0..3 {
            let own = drain.clone();
            drain.spawn(async move { own.draining().await });
        }
        assert_eq!(drain.tasks(), 3);
        assert!(!drain.is_draining());
        assert_eq!(drain.drain(LONG).await, Drained::Finished);
        assert_eq!(drain.tasks(), 0);
        drain.draining().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_stop_is_ended_at_the_deadline() {
        let drain = Drain::new();
        drain.spawn(std::future::pending());
        drain.spawn(async {});
        let ended = drain.drain(Duration::from_secs(5)).await;
        assert_eq!(ended, Drained::Aborted(1));
        assert_eq!(drain.tasks(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_leaves_the_drain() {
        let drain = Drain::new();
        drain.spawn(async { panic!("on purpose") });
        assert_eq!(drain.drain(LONG).await, Drained::Finished);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_started_by_a_task_is_waited_for_too() {
        let drain = Drain::new();
        let own = drain.clone();
        drain.spawn(async move {
            own.draining().await;
            let inner = own.clone();
            own.spawn(async move { inner.draining().await });
        });
        assert_eq!(drain.drain(LONG).await, Drained::Finished);
    }

    #[tokio::test]
    async fn an_empty_drain_ends_at_once() {
        assert_eq!(Drain::new().drain(Duration::ZERO).await, Drained::Finished);
    }
}
