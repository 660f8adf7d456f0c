//! Everything that one exchange keeps while it runs, shared by REST and WebSocket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio::sync::broadcast;

use super::Options;
use super::book::Book;
use super::dialect::Dialect;
use super::evidence::{Evidence, count, lock};
use super::faults::Faults;
use super::keys::ApiKey;
use super::limits::{Meter, Moment};
use super::listening::ListenKeys;
use super::refusal::Refusal;
use super::time::ServerClock;

/// Events that a slow listener may be behind.
const EVENTS_MAX: usize = 4096;

/// Something that happened to an account.
#[derive(Debug)]
pub(super) struct UserEvent {
    pub(super) account: String,
    pub(super) event: Value,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) options: Options,
    pub(super) dialect: &'static Dialect,
    pub(super) clock: ServerClock,
    pub(super) evidence: Evidence,
    pub(super) faults: Faults,
    pub(super) events: broadcast::Sender<Arc<UserEvent>>,
    keys: Mutex<HashMap<String, Arc<ApiKey>>>,
    meter: Mutex<Meter>,
    book: Mutex<Book>,
    listen_keys: Mutex<ListenKeys>,
}

impl State {
    pub(super) fn new(options: Options) -> Self {
        let dialect = options.market.dialect();
        let keys = options.keys.iter();
        let keys = keys
            .map(|key| (key.id.clone(), Arc::new(key.clone())))
            .collect();
        Self {
            keys: Mutex::new(keys),
            meter: Mutex::new(Meter::new(options.limits, dialect)),
            options,
            dialect,
            clock: ServerClock::new(),
            evidence: Evidence::default(),
            faults: Faults::default(),
            events: broadcast::Sender::new(EVENTS_MAX),
            book: Mutex::new(Book::new(dialect)),
            listen_keys: Mutex::default(),
        }
    }

    pub(super) fn key(&self, id: &str) -> Option<Arc<ApiKey>> {
        lock(&self.keys).get(id).cloned()
    }

    pub(super) fn add_key(&self, key: ApiKey) {
        lock(&self.keys).insert(key.id.clone(), Arc::new(key));
    }

    pub(super) fn remove_key(&self, id: &str) {
        lock(&self.keys).remove(id);
    }

    /// Counts a request that has arrived.
    ///
    /// # Errors
    ///
    /// 429 or 418 when a limit is reached.
    pub(super) fn admit(&self, name: &str, moment: Moment, weight: u64) -> Result<(), Refusal> {
        let arrived = self.meter().arrive(moment, weight);
        arrived.map_err(|limited| {
            if limited.in_spite {
                count(&self.evidence.counts.sent_while_banned);
                let text = format!("`{name}` was sent while banned");
                self.evidence.violation(text);
            }
            limited.refusal
        })
    }

    pub(super) fn moment(&self) -> Moment {
        Moment {
            unix_us: self.clock.now_us(),
            mono_ns: self.clock.mono_ns(),
        }
    }

    pub(super) fn meter(&self) -> MutexGuard<'_, Meter> {
        lock(&self.meter)
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    pub(super) fn listen_keys(&self) -> MutexGuard<'_, ListenKeys> {
        lock(&self.listen_keys)
    }

    /// Tells whoever listens to an account.
    pub(super) fn tell(&self, account: &str, event: Value) {
        let account = account.to_owned();
        // Nobody may be listening.
        let _heard = self.events.send(Arc::new(UserEvent { account, event }));
    }
}
