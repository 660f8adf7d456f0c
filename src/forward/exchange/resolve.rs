//! The addresses of a host: looked up beside the requests, one look-up at a time, and the last good answer kept for a
//! while. Never believes that an address is the exchange: the handshake does.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::forward::Spawner;

/// For so long an answer is used as it is. The system does not tell how long it is good; exchanges say 60 s.
const FRESH: Duration = Duration::from_secs(30);

/// For so long it is used if no better one can be had: a name server that is down for a while stops no order.
const STALE_MAX: Duration = Duration::from_secs(30 * 60);

/// Addresses of a host that are tried.
const ADDRESSES_MAX: usize = 8;

/// The addresses of one host. One for each endpoint, shared by all workers.
pub(super) struct Resolver {
    host: Host,
    port: u16,
    known: Mutex<Known>,
    /// The number of look-ups that have ended; those who wait are woken by it.
    ended: watch::Sender<u64>,
    /// The address that worked last.
    first: AtomicUsize,
}

enum Host {
    Address(IpAddr),
    Name(String),
}

#[derive(Default)]
struct Known {
    good: Option<Good>,
    /// Why the last look-up failed, if it did.
    failed: Option<Arc<str>>,
    looking: bool,
}

impl Known {
    fn is_younger_than(&self, age: Duration) -> bool {
        let good = self.good.as_ref();
        good.is_some_and(|good| good.since.elapsed() < age)
    }
}

struct Good {
    addresses: Arc<[SocketAddr]>,
    since: Instant,
}

/// What is known at the moment.
enum Look {
    Use(Arc<[SocketAddr]>),
    /// Until so many look-ups have ended.
    Wait(watch::Receiver<u64>),
}

impl Resolver {
    pub(super) fn new(host: &str, port: u16) -> Self {
        let host = host
            .parse()
            .map_or_else(|_| Host::Name(host.to_owned()), Host::Address);
        Self {
            host,
            port,
            known: Mutex::default(),
            ended: watch::Sender::new(0),
            first: AtomicUsize::new(0),
        }
    }

    /// The addresses, the one that worked last first. Waits only if none are known that are young enough.
    pub(super) async fn addresses(
        self: &Arc<Self>,
        spawn: &Spawner,
    ) -> io::Result<Vec<SocketAddr>> {
        let name = match &self.host {
            Host::Address(address) => return Ok(vec![SocketAddr::new(*address, self.port)]),
            Host::Name(name) => name,
        };
        let found = match self.look(name, spawn) {
            Look::Use(found) => found,
            Look::Wait(mut ended) => {
                // The sender is ours, so it is there.
                ended.changed().await.ok();
                self.answer()?
            }
        };
        let mut found = found.to_vec();
        let first = self.first.load(Ordering::Relaxed);
        if first < found.len() {
            found.rotate_left(first);
        }
        Ok(found)
    }

    /// Notes that this address of [`Resolver::addresses`] worked, so that it is tried first.
    pub(super) fn worked(&self, address: SocketAddr) {
        let known = self.known();
        let at = known
            .good
            .as_ref()
            .and_then(|good| good.addresses.iter().position(|one| *one == address));
        self.first.store(at.unwrap_or(0), Ordering::Relaxed);
    }

    /// What can be used at once; begins to look, if it is time and nobody does.
    fn look(self: &Arc<Self>, name: &str, spawn: &Spawner) -> Look {
        // Before the look-up can end.
        let ended = self.ended.subscribe();
        let mut known = self.known();
        let fresh = known.is_younger_than(FRESH);
        let begin = !fresh && !known.looking;
        known.looking |= begin;
        let usable = known.is_younger_than(STALE_MAX);
        let good = known.good.as_ref().filter(|_| usable);
        let look = good.map_or(Look::Wait(ended), |good| {
            Look::Use(Arc::clone(&good.addresses))
        });
        drop(known);
        if begin {
            let looking = Looking(Arc::clone(self));
            let place = (name.to_owned(), self.port);
            spawn(Box::pin(async move {
                let found = lookup_host(place).await;
                looking
                    .0
                    .note(found.map(|all| all.take(ADDRESSES_MAX).collect()));
            }));
        }
        look
    }

    fn note(&self, found: io::Result<Vec<SocketAddr>>) {
        let mut known = self.known();
        match found {
            Ok(addresses) if !addresses.is_empty() => {
                let same = known
                    .good
                    .as_ref()
                    .is_some_and(|good| *good.addresses == *addresses);
                if !same {
                    self.first.store(0, Ordering::Relaxed);
                }
                known.failed = None;
                known.good = Some(Good {
                    addresses: addresses.into(),
                    since: Instant::now(),
                });
            }
            Ok(_) => known.failed = Some("the name has no address".into()),
            Err(error) => known.failed = Some(error.to_string().into()),
        }
    }

    /// What the look-up that was waited for has brought.
    fn answer(&self) -> io::Result<Arc<[SocketAddr]>> {
        let known = self.known();
        let usable = known.is_younger_than(STALE_MAX);
        if let Some(good) = known.good.as_ref().filter(|_| usable) {
            return Ok(Arc::clone(&good.addresses));
        }
        let why = known.failed.as_deref();
        Err(io::Error::other(
            why.unwrap_or("the look-up was given up").to_owned(),
        ))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Each field is written whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A look-up under way; when it is dropped, done or not, those who wait are woken.
struct Looking(Arc<Resolver>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.known().looking = false;
        self.0
            .ended
            .send_modify(|ended| *ended = ended.wrapping_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test has no drain")]
    fn spawner() -> Spawner {
        Arc::new(|task| drop(tokio::spawn(task)))
    }

    /// Nothing is ever looked up.
    fn nobody() -> Spawner {
        Arc::new(drop)
    }

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 443))
    }

    #[tokio::test]
    async fn an_address_is_not_looked_up() {
        let resolver = Arc::new(Resolver::new("::1", 443));
        let found = resolver.addresses(&nobody()).await.unwrap();
        assert_eq!(found, ["[::1]:443".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_name_is_looked_up_and_what_has_none_is_refused() {
        let resolver = Arc::new(Resolver::new("localhost", 9443));
        let found = resolver.addresses(&spawner()).await.unwrap();
        assert!(
            found
                .iter()
                .all(|one| one.ip().is_loopback() && one.port() == 9443)
        );
        let resolver = Arc::new(Resolver::new("exchange.invalid", 9443));
        assert!(resolver.addresses(&spawner()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_answer_is_used_while_a_new_one_is_looked_for_but_not_for_ever() {
        let resolver = Arc::new(Resolver::new("exchange.invalid", 443));
        resolver.note(Ok(vec![address(1), address(2)]));
        tokio::time::advance(FRESH * 2).await;
        let found = resolver.addresses(&nobody()).await.unwrap();
        assert_eq!(found, [address(1), address(2)]);
        tokio::time::advance(STALE_MAX).await;
        assert!(resolver.addresses(&nobody()).await.is_err());
    }

    #[tokio::test]
    async fn the_address_that_worked_comes_first_until_there_are_others() {
        let resolver = Arc::new(Resolver::new("exchange.invalid", 443));
        resolver.note(Ok(vec![address(1), address(2), address(3)]));
        resolver.worked(address(2));
        let found = resolver.addresses(&nobody()).await.unwrap();
        assert_eq!(found, [address(2), address(3), address(1)]);
        resolver.note(Ok(vec![address(4), address(5)]));
        let found = resolver.addresses(&nobody()).await.unwrap();
        assert_eq!(found, [address(4), address(5)]);
    }

    #[tokio::test]
    async fn everybody_waits_for_one_look_up_and_hears_of_its_failure() {
        let resolver = Arc::new(Resolver::new("exchange.invalid", 443));
        let looks = Arc::new(AtomicUsize::new(0));
        let (counted, spawn) = (Arc::clone(&looks), spawner());
        let counting: Spawner = Arc::new(move |task| {
            counted.fetch_add(1, Ordering::Relaxed);
            spawn(task);
        });
        let (one, other) =
            tokio::join!(resolver.addresses(&counting), resolver.addresses(&counting));
        assert!(one.is_err() && other.is_err());
        assert_eq!(looks.load(Ordering::Relaxed), 1);
    }
}
