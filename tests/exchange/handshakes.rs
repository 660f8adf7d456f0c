//! What the exchange shows of itself in a handshake, and what a client that trusts its roots makes of it.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outrider::roles::demo::exchange::Shown;
use rustls::version::{TLS12, TLS13};

use crate::world::World;

/// The pins of what was shown, the leaf first; none if the handshake failed.
async fn shown(world: &World, shown: Shown) -> Option<Vec<String>> {
    world.exchange.show(shown).unwrap();
    let stream = world.tls(&[&TLS13]).await.ok()?;
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    let pin = |der: &[u8]| {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).unwrap();
        STANDARD.encode(digest(&SHA256, certificate.tbs_certificate.subject_pki.raw))
    };
    Some(chain.iter().map(|certificate| pin(certificate)).collect())
}

#[tokio::test]
async fn good_chains_are_trusted_and_carry_their_pins() {
    let world = World::new().await;
    let pins = world.exchange.pins().clone();
    let right = shown(&world, Shown::Right).await.unwrap();
    assert_eq!(right, [pins.leaf, pins.intermediate]);
    let backup = shown(&world, Shown::Backup).await.unwrap();
    assert_eq!(backup, [pins.backup_leaf, pins.backup_intermediate]);
    let wrong = shown(&world, Shown::WrongKey).await.unwrap();
    assert!(
        wrong
            .iter()
            .all(|pin| !right.contains(pin) && !backup.contains(pin))
    );
    assert_ne!(pins.root, pins.backup_root);
    assert_ne!(pins.root, pins.other_root);
    assert_eq!(
        world.exchange.server_names(),
        vec![Some("localhost".to_owned()); 3]
    );
}

#[tokio::test]
async fn bad_certificates_are_refused_by_any_careful_client() {
    let world = World::new().await;
    for kind in [
        Shown::StolenCertificate,
        Shown::Expired,
        Shown::WrongHost,
        Shown::UnknownCa,
        Shown::SelfSigned,
        Shown::Tls12Only,
    ] {
        assert_eq!(shown(&world, kind).await, None, "{kind:?}");
    }
    assert!(shown(&world, Shown::Right).await.is_some());
    assert!(world.exchange.requests().is_empty());
}

#[tokio::test]
async fn only_the_one_that_says_so_speaks_tls_1_2() {
    let world = World::new().await;
    assert!(world.tls(&[&TLS12]).await.is_err());
    world.exchange.show(Shown::Tls12Only).unwrap();
    assert!(world.tls(&[&TLS12]).await.is_ok());
}
