//! Everything that handshakes go by, built from files at once and never changed. A pair that does not fit, a broken CA
//! or a certificate out of date refuses the whole: then the state before stays.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::hosts::Hosts;
use super::pair::{self, Pair};
use crate::model::certificate::Chain;
use crate::model::clock::Now;
use crate::model::fault::Faults;
use crate::model::settings::{ClientAuth, FileSetting, TlsSettings, TlsVersion};
use crate::runtime::crypto;

/// What handshakes go by.
#[derive(Debug)]
pub struct TlsState {
    pub(super) config: Arc<ServerConfig>,
    pub(super) hosts: Arc<Hosts>,
    shown: Vec<Shown>,
    verifier: Arc<dyn ClientCertVerifier>,
    /// Stands for the client CA: the same for the same certificates.
    trust: u64,
}

/// A certificate file in use: what it is for, and when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The file, as the configuration names it.
    pub name: String,
    /// The hosts for which it is shown; none for the client CA, and for one that is for whoever names no host.
    pub hosts: Vec<String>,
    /// The file of its private key; none for the client CA.
    pub key: Option<String>,
    /// The last second at which all of it is valid, since 1970.
    pub not_after: i64,
}

impl TlsState {
    /// Builds the state; `None` if anything is wrong with a file. Warnings are noted too.
    pub fn load(settings: &TlsSettings, now: Now, faults: &mut Faults) -> Option<Self> {
        let provider = crypto::provider();
        let pairs: Vec<Option<Pair>> = settings
            .certificates
            .iter()
            .map(|one| pair::load(one, &provider, now, faults))
            .collect();
        let issuers = match &settings.client_ca {
            Some(file) => Some(issuers(file, now, faults)?),
            None => None,
        };
        let pairs: Vec<Pair> = pairs.into_iter().collect::<Option<_>>()?;
        let mut shown: Vec<Shown> = settings
            .certificates
            .iter()
            .zip(&pairs)
            .map(|(one, pair)| Shown {
                name: one.certificate.name.clone(),
                hosts: match one.hosts.is_empty() {
                    true => pair.hosts.clone(),
                    false => one.hosts.iter().map(|host| host.name.clone()).collect(),
                },
                key: Some(one.key.name.clone()),
                not_after: pair.not_after,
            })
            .collect();
        let hosts = Arc::new(hosts(settings, &pairs, faults)?);
        let (verifier, trust) = match issuers {
            Some(issuers) => {
                shown.push(issuers.shown);
                let trust = trust(&issuers.roots);
                (verifier(settings, issuers.roots, &provider, faults)?, trust)
            }
            None => (WebPkiClientVerifier::no_client_auth(), 0),
        };
        let config = config(
            settings,
            provider,
            Arc::clone(&verifier),
            Arc::clone(&hosts),
        );
        match config {
            Ok(config) => Some(Self {
                config: Arc::new(config),
                hosts,
                shown,
                verifier,
                trust,
            }),
            Err(error) => {
                let place = &settings.certificates.first()?.certificate.place;
                faults.error(place, format!("TLS cannot be set up: {error}"));
                None
            }
        }
    }

    /// The certificates and the client CA, with their ends.
    #[must_use]
    pub fn shown(&self) -> &[Shown] {
        &self.shown
    }

    /// A chain that a handshake has just found good.
    pub(super) fn chain(&self, shown: &[CertificateDer<'_>]) -> Chain {
        let shown = shown.iter().map(|one| one.to_vec());
        Chain::new(shown.collect(), self.trust)
    }

    /// Whether a handshake would find the chain good now. Asked again only where other certificates are trusted than
    /// when it was asked last.
    pub(super) fn trusts(&self, chain: &Chain, now: Now) -> bool {
        if chain.is_good_for(self.trust) {
            return true;
        }
        let mut shown = chain
            .certificates
            .iter()
            .map(|one| CertificateDer::from(one.as_slice()));
        // A verifier that asks for none cannot judge any.
        let (true, Some(own)) = (self.verifier.offer_client_auth(), shown.next()) else {
            return false;
        };
        let between: Vec<_> = shown.collect();
        let seconds = u64::try_from(now.unix_seconds()).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let good = self
            .verifier
            .verify_client_cert(&own, &between, now)
            .is_ok();
        if good {
            chain.set_good_for(self.trust);
        }
        good
    }
}

/// A number for these roots. Whoever could find two sets with one number chooses the roots anyway.
fn trust(roots: &RootCertStore) -> u64 {
    let mut context = Context::new(&SHA256);
    for root in &roots.roots {
        for part in [&root.subject, &root.subject_public_key_info] {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let names = root.name_constraints.as_deref().unwrap_or_default();
        context.update(&names.len().to_be_bytes());
        context.update(names);
    }
    let digest = context.finish();
    let first = digest.as_ref().first_chunk();
    first.map_or(0, |first| u64::from_be_bytes(*first))
}

struct Issuers {
    roots: RootCertStore,
    shown: Shown,
}

fn issuers(file: &FileSetting, now: Now, faults: &mut Faults) -> Option<Issuers> {
    let mut roots = RootCertStore::empty();
    let mut not_after = i64::MAX;
    for certificate in pair::chain(file, faults)? {
        let parsed = pair::parsed(&certificate);
        let (Some(own), Ok(())) = (&parsed, roots.add(certificate.clone())) else {
            let message = format!("a certificate in `{}` cannot be read", file.name);
            faults.error(&file.place, message);
            return None;
        };
        if !own.is_ca() {
            let message = format!("a certificate in `{}` is not one of a CA", file.name);
            let help = "name the file of the CA that issues client certificates";
            faults.error_with_help(&file.place, message, help);
            return None;
        }
        if let Some(message) = pair::out_of_date(&file.name, own, now) {
            let help =
                "clients with certificates of it are still let in; replace it, or leave it out";
            faults.warning(&file.place, message, help);
        }
        not_after = not_after.min(own.validity().not_after.timestamp());
    }
    let name = file.name.clone();
    Some(Issuers {
        roots,
        shown: Shown {
            name,
            hosts: Vec::new(),
            key: None,
            not_after,
        },
    })
}

/// Hosts to certificates; a host that stands twice is refused, because nobody could say which one is shown.
fn hosts(settings: &TlsSettings, pairs: &[Pair], faults: &mut Faults) -> Option<Hosts> {
    let mut hosts = Hosts::new(Arc::clone(&pairs.first()?.key));
    let mut sound = Some(());
    for (at, (one, pair)) in settings.certificates.iter().zip(pairs).enumerate() {
        let file = &one.certificate;
        let said = one.hosts.iter().map(|host| (&host.name, &host.place));
        let own = pair.hosts.iter().map(|host| (host, &file.place));
        let all: Vec<_> = if one.hosts.is_empty() {
            own.collect()
        } else {
            said.collect()
        };
        if all.is_empty() && at == 0 {
            let message = format!("`{}` names no host", file.name);
            let help = "clients that name a host are closed; only those that connect to an address are served";
            faults.warning(&file.place, message, help);
        } else if all.is_empty() {
            let message = format!("`{}` names no host, so it would never be shown", file.name);
            faults.error(&file.place, message);
            sound = None;
        }
        for (host, place) in all {
            if !hosts.add(host, &pair.key) {
                let message = format!("`{host}` has two certificates");
                let help = "write `hosts` to say which certificate is for which host";
                faults.error_with_help(place, message, help);
                sound = None;
            }
        }
    }
    sound.map(|()| hosts)
}

fn verifier(
    settings: &TlsSettings,
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
    faults: &mut Faults,
) -> Option<Arc<dyn ClientCertVerifier>> {
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = match settings.client_certificate {
        ClientAuth::None => return Some(WebPkiClientVerifier::no_client_auth()),
        ClientAuth::Optional => builder.allow_unauthenticated(),
        ClientAuth::Required => builder,
    };
    let place = &settings.client_ca.as_ref()?.place;
    builder
        .build()
        .map_err(|error| faults.error(place, format!("`client_ca` cannot be used: {error}")))
        .ok()
}

/// Every knob of the library that matters here, so that no default of a later version changes what is spoken.
fn config(
    settings: &TlsSettings,
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ClientCertVerifier>,
    hosts: Arc<Hosts>,
) -> Result<ServerConfig, rustls::Error> {
    let versions: &[&SupportedProtocolVersion] = match settings.min_version {
        TlsVersion::V1_3 => &[&version::TLS13],
        TlsVersion::V1_2 => &[&version::TLS13, &version::TLS12],
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(hosts);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    // Tickets need no table that a stranger could fill.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    config.send_half_rtt_data = false;
    config.send_tls13_tickets = TICKETS;
    // The order in which the library likes suites; all of them are good.
    config.ignore_client_order = true;
    // RFC 7627: without it a session of TLS 1.2 can be made to look like another.
    config.require_ems = true;
    Ok(config)
}

/// Tickets after a handshake: one connection begins the next one, and a second may be opened at the same time.
const TICKETS: usize = 2;
