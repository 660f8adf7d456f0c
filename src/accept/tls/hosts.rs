//! Which certificate is shown for which host. Never decides whether a host is served: whoever is known here is.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Certificates by host. An exact name goes before a wildcard, which stands for one label (RFC 9525 section 6.3).
#[derive(Debug)]
pub(super) struct Hosts {
    first: Arc<CertifiedKey>,
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what stands behind `*.`.
    wildcards: HashMap<String, Arc<CertifiedKey>>,
}

impl Hosts {
    /// Only a certificate for clients that name no host.
    pub(super) fn new(first: Arc<CertifiedKey>) -> Self {
        Self {
            first,
            exact: HashMap::new(),
            wildcards: HashMap::new(),
        }
    }

    /// Adds a host in lower case; false if it has a certificate already.
    pub(super) fn add(&mut self, host: &str, certificate: &Arc<CertifiedKey>) -> bool {
        let (table, host) = match host.strip_prefix("*.") {
            Some(parent) => (&mut self.wildcards, parent),
            None => (&mut self.exact, host),
        };
        if table.contains_key(host) {
            return false;
        }
        table.insert(host.to_owned(), Arc::clone(certificate));
        true
    }

    /// Whether there is a certificate for what the client named.
    pub(super) fn knows(&self, named: Option<&str>) -> bool {
        self.find(named).is_some()
    }

    fn find(&self, named: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let Some(named) = named else {
            return Some(&self.first);
        };
        let host = named.to_ascii_lowercase();
        let parent = || host.split_once('.').map(|(_, parent)| parent);
        self.exact
            .get(&host)
            .or_else(|| self.wildcards.get(parent()?))
    }
}

impl ResolvesServerCert for Hosts {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name()).cloned()
    }
}
