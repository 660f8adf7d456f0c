//! The judgement of chains: each as a server could send it, against roots and pins. No socket; those stand beside the
//! pool's tests.

use rcgen::ExtendedKeyUsagePurpose;
use rustls::pki_types::CertificateDer;

use super::pki::{Authority, GOOD, HOST, NOW, Said, Server, other_pin};
use super::trust::Trust;
use super::*;
use crate::model::clock::FixedClock;
use crate::model::node::Place;
use crate::model::pins::SpkiPin;
use crate::model::settings::CaText;

/// Root, intermediate and server, as most exchanges have them.
struct Line {
    root: Authority,
    between: Authority,
    server: Server,
}

impl Line {
    fn new(said: &Said) -> Self {
        let (root, between) = (Authority::new("Root"), Authority::new("Between"));
        let server = between.server(said);
        Self {
            root,
            between,
            server,
        }
    }

    fn judge(&self, pins: Option<PinSet>) -> Result<Proven, TrustFault> {
        let sent = [self.root.vouch(&self.between)];
        judge(&[&self.root], pins, &self.server.certificate, &sent)
    }
}

fn trust(roots: &[&Authority], pins: Option<PinSet>) -> Trust {
    let pem: String = roots.iter().map(|root| root.pem()).collect();
    let roots = roots_of_pem(pem.as_bytes()).unwrap();
    Trust::new(roots, pins)
}

fn judge(
    roots: &[&Authority],
    pins: Option<PinSet>,
    own: &CertificateDer<'_>,
    sent: &[CertificateDer<'_>],
) -> Result<Proven, TrustFault> {
    let now = Time(Arc::new(FixedClock(NOW))).current_time().unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    let shown = verifier::Shown {
        own,
        sent,
        name: &name,
        now,
        algorithms: crypto::provider().signature_verification_algorithms,
    };
    trust(roots, pins).judge(&shown)
}

fn enforced(pin: SpkiPin) -> Option<PinSet> {
    PinSet::new([pin, other_pin()], PinMode::Enforce, None).ok()
}

fn seen(chain: &Chain) -> Vec<(Level, SpkiPin)> {
    let links = chain.links().iter();
    links.map(|link| (link.level, link.pin)).collect()
}

// === Pins ===

#[test]
fn a_pin_is_met_at_every_level_of_the_chain_that_was_built() {
    let line = Line::new(&GOOD);
    let whole = [
        (Level::Leaf, line.server.pin()),
        (Level::Intermediate, line.between.pin()),
        (Level::Root, line.root.pin()),
    ];
    for (level, pin) in whole {
        let proven = line.judge(enforced(pin)).unwrap();
        assert_eq!(proven.pinned, Some(true), "{level:?}");
        assert_eq!(seen(&proven.chain), whole);
    }
    let unpinned = line.judge(None).unwrap();
    assert_eq!(
        (unpinned.pinned, seen(&unpinned.chain)),
        (None, whole.to_vec())
    );
}

#[test]
fn a_chain_without_a_pinned_key_is_refused_or_only_told() {
    let line = Line::new(&GOOD);
    let others = [other_pin(), SpkiPin::of_digest([8; 32])];
    let refused = line.judge(Some(PinSet::new(others, PinMode::Enforce, None).unwrap()));
    let Err(TrustFault::Pins(chain)) = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!(seen(chain)[0], (Level::Leaf, line.server.pin()));
    let said = refused.unwrap_err().to_string();
    for key in [line.server.pin(), line.between.pin(), line.root.pin()] {
        assert!(said.contains(&key.to_string()), "{said}");
    }
    let told = line.judge(Some(PinSet::new(others, PinMode::Report, None).unwrap()));
    assert_eq!(told.unwrap().pinned, Some(false));
}

#[test]
fn the_same_certificate_with_another_key_is_another_key() {
    let line = Line::new(&GOOD);
    let pins = enforced(line.server.pin());
    let renewed = Line {
        server: line.between.server(&GOOD),
        ..line
    };
    assert!(matches!(renewed.judge(pins), Err(TrustFault::Pins(_))));
}

#[test]
fn a_pinned_certificate_that_is_only_sent_along_counts_for_nothing() {
    let (line, thief) = (Line::new(&GOOD), Authority::new("Thief"));
    let stolen = thief.server(&GOOD);
    let sent = [line.root.vouch(&line.between), line.root.root()];
    for pin in [line.root.pin(), line.between.pin()] {
        let judged = judge(
            &[&line.root, &thief],
            enforced(pin),
            &stolen.certificate,
            &sent,
        );
        assert!(matches!(judged, Err(TrustFault::Pins(_))), "{judged:?}");
    }
}

#[test]
fn whoever_intercepts_is_refused_though_the_ca_file_trusts_him() {
    let (line, proxy) = (Line::new(&GOOD), Authority::new("Proxy"));
    let forged = proxy.server(&GOOD);
    let roots = [&line.root, &proxy];
    assert!(judge(&roots, None, &forged.certificate, &[]).is_ok());
    let judged = judge(&roots, enforced(line.root.pin()), &forged.certificate, &[]);
    assert!(matches!(judged, Err(TrustFault::Pins(_))), "{judged:?}");
}

#[test]
fn every_path_is_tried_until_one_meets_the_pins() {
    let (one, other) = (Authority::new("One"), Authority::new("Other"));
    let between = Authority::new("Between");
    let server = between.server(&GOOD);
    let crossed = [one.vouch(&between), other.vouch(&between)];
    let turned = [crossed[1].clone(), crossed[0].clone()];
    for sent in [crossed, turned] {
        for root in [&one, &other] {
            let judged = judge(
                &[&one, &other],
                enforced(root.pin()),
                &server.certificate,
                &sent,
            );
            let chain = judged.unwrap().chain;
            assert_eq!(chain.links().last().unwrap().pin, root.pin());
        }
        let judged = judge(&[&one], enforced(other.pin()), &server.certificate, &sent);
        assert!(matches!(judged, Err(TrustFault::Pins(_))), "{judged:?}");
    }
}

#[test]
fn pins_that_have_expired_are_met_by_nothing() {
    let line = Line::new(&GOOD);
    let now = NOW.unix_seconds();
    let set = |mode, end| {
        let pins = [line.root.pin(), other_pin()];
        Some(PinSet::new(pins, mode, Some(end)).unwrap())
    };
    assert!(line.judge(set(PinMode::Enforce, now + 1)).is_ok());
    let refused = line.judge(set(PinMode::Enforce, now));
    assert_eq!(refused, Err(TrustFault::PinsExpired));
    let told = line.judge(set(PinMode::Report, now)).unwrap();
    assert_eq!(told.pinned, Some(false));
}

#[test]
fn a_key_that_everybody_has_proves_nothing() {
    let shared = "sha256/QoH2+wIocE83ZkR4/oyn5ru2JtE+/ZrYS9brNjujldU=";
    let chain = Chain::made(&[(Level::Leaf, SpkiPin::parse(shared).unwrap())]);
    assert!(trust::shared(&chain).is_some());
    assert_eq!(
        trust::shared(&Chain::made(&[(Level::Leaf, other_pin())])),
        None
    );
}

#[test]
fn a_pin_that_only_the_leaf_meets_is_known() {
    let line = Line::new(&GOOD);
    let chain = line.judge(None).unwrap().chain;
    let only = |pins: [SpkiPin; 2]| {
        chain.meets_only_at_leaf(&PinSet::new(pins, PinMode::Enforce, None).unwrap())
    };
    assert!(only([line.server.pin(), other_pin()]));
    assert!(!only([line.server.pin(), line.between.pin()]));
    assert!(!only([line.root.pin(), other_pin()]));
    assert!(!only([other_pin(), SpkiPin::of_digest([8; 32])]));
}

// === What comes before pins ===

#[test]
fn a_pin_saves_no_certificate_that_is_not_good() {
    let said = |change: fn(&mut Said)| {
        let mut said = Said { ..GOOD };
        change(&mut said);
        said
    };
    let table = [
        (said(|said| said.months = (1, 6)), TrustFault::OutOfDate),
        (said(|said| said.months = (8, 9)), TrustFault::OutOfDate),
        (
            said(|said| said.host = "exchange.example.evil.test"),
            TrustFault::Host,
        ),
        (
            said(|said| said.purpose = ExtendedKeyUsagePurpose::ClientAuth),
            TrustFault::Invalid,
        ),
    ];
    for (said, fault) in table {
        let line = Line::new(&said);
        for pins in [None, enforced(line.server.pin()), enforced(line.root.pin())] {
            assert_eq!(line.judge(pins), Err(fault.clone()));
        }
    }
    let line = Line::new(&GOOD);
    let (pins, unknown) = (enforced(line.server.pin()), Authority::new("Root"));
    let sent = [line.root.vouch(&line.between)];
    let own = &line.server.certificate;
    for roots in [&unknown, &Authority::new("Another")] {
        let judged = judge(&[roots], pins.clone(), own, &sent);
        assert_eq!(judged, Err(TrustFault::Issuer));
    }
    // The path has a gap.
    assert_eq!(
        judge(&[&line.root], pins.clone(), own, &[]),
        Err(TrustFault::Issuer)
    );
    let torn = CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]);
    assert_eq!(
        judge(&[&line.root], pins, &torn, &sent),
        Err(TrustFault::Unreadable)
    );
}

// === Making an endpoint ready ===

fn endpoint(change: impl FnOnce(&mut Endpoint)) -> Endpoint {
    let mut endpoint = Endpoint {
        upstream: "binance".to_owned(),
        host: HOST.to_owned(),
        port: 443,
        server_name: HOST.to_owned(),
        ca: None,
        pins: None,
        min_version: TlsVersion::V1_3,
        place: Place::Default,
    };
    change(&mut endpoint);
    endpoint
}

fn refused(endpoint: Endpoint) -> Vec<String> {
    let clock: Arc<dyn Clock> = Arc::new(FixedClock(NOW));
    let mut faults = Faults::default();
    let made = Exchange::new(endpoint, &clock, Arc::new(|_| {}), &mut faults);
    assert_eq!(made.is_none(), faults.any_error());
    let faults = faults.into_sorted().into_iter();
    faults.map(|fault| fault.message).collect()
}

fn ca(pem: &str) -> CaText {
    CaText {
        pem: pem.to_owned(),
        origin: "ca.pem".to_owned(),
        place: Place::Default,
    }
}

#[test]
fn an_endpoint_that_could_not_be_believed_is_not_made() {
    let pins = |end| Placed {
        value: PinSet::new(
            [other_pin(), SpkiPin::of_digest([8; 32])],
            PinMode::Enforce,
            end,
        )
        .unwrap(),
        place: Place::Default,
    };
    let now = NOW.unix_seconds();
    assert!(refused(endpoint(|_| {})).is_empty());
    assert!(refused(endpoint(|one| one.pins = Some(pins(Some(now + 1))))).is_empty());
    assert!(
        refused(endpoint(
            |one| one.ca = Some(ca(&Authority::new("Root").pem()))
        ))
        .is_empty()
    );
    let table: [(Endpoint, &str); 4] = [
        (
            endpoint(|one| one.pins = Some(pins(Some(now)))),
            "the pins of `exchange.example` have expired, and count no more",
        ),
        (
            endpoint(|one| one.ca = Some(ca("no certificate here"))),
            "the file `ca.pem` holds no certificate",
        ),
        (
            endpoint(|one| {
                let block = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n";
                one.ca = Some(ca(block));
            }),
            "the file `ca.pem` holds a certificate that cannot be read",
        ),
        (
            endpoint(|one| one.server_name = "not a name".to_owned()),
            "no certificate can be for `not a name`",
        ),
    ];
    for (endpoint, message) in table {
        assert_eq!(refused(endpoint), [message]);
    }
}

#[test]
fn endpoints_are_alike_only_if_connections_could_be_shared() {
    let like = |change: fn(&mut Endpoint)| endpoint(|_| {}).is_like(&endpoint(change));
    let pins = |mode| {
        let value = PinSet::new([other_pin(), SpkiPin::of_digest([8; 32])], mode, None).unwrap();
        let place = Place::Default;
        move |one: &mut Endpoint| one.pins = Some(Placed { value, place })
    };
    assert!(like(|one| one.place = Place::Env("X".into())));
    assert!(!like(|one| one.host = "api.exchange.example".to_owned()));
    assert!(!like(|one| one.port = 9443));
    assert!(!like(|one| one.server_name = "other.example".to_owned()));
    assert!(!like(|one| one.min_version = TlsVersion::V1_2));
    assert!(!like(|one| one.ca = Some(ca("x"))));
    let pinned = endpoint(pins(PinMode::Enforce));
    assert!(pinned.is_like(&endpoint(pins(PinMode::Enforce))));
    assert!(!pinned.is_like(&endpoint(pins(PinMode::Report))));
    assert!(!pinned.is_like(&endpoint(|_| {})));
}

#[test]
fn the_length_of_a_sequence_has_its_shortest_form() {
    for (length, head) in [
        (0, &[0x30, 0x00][..]),
        (127, &[0x30, 0x7f]),
        (128, &[0x30, 0x81, 0x80]),
        (256, &[0x30, 0x82, 0x01, 0x00]),
        (65_536, &[0x30, 0x83, 0x01, 0x00, 0x00]),
    ] {
        let der = sequence(&vec![5; length]);
        assert_eq!(der[..head.len()], *head, "{length}");
        assert_eq!(der.len(), head.len() + length);
    }
}

/// Pins of public roots, computed by other programs from the system's certificates.
#[test]
fn public_roots_have_the_pins_that_others_compute() {
    let shared = std::env::var_os("OUTRIDER_SHARED").unwrap_or_else(|| "../shared".into());
    let path = std::path::Path::new(&shared).join("exchanges/root_pins.json");
    let text = std::fs::read_to_string(path).unwrap();
    let known: Vec<(String, String, String)> = serde_json::from_str(&text).unwrap();
    let roots = public_roots();
    let ours: Vec<SpkiPin> = roots
        .iter()
        .map(|root| pin_of_anchor(&root.subject_public_key_info))
        .collect();
    let found = known.iter().filter(|(_, pin, _)| {
        let pin = SpkiPin::parse(&format!("sha256/{pin}")).unwrap();
        ours.contains(&pin)
    });
    // Not every one of them is trusted for servers any more.
    assert!(found.count() >= 12, "of {}", known.len());
}
