//! Somebody else in the place of the exchange, with every kind of certificate: not a byte of HTTP is for him. Then the exchange
//! itself, with the pin that was kept for it.

use std::io;

use super::super::Stage;
use super::super::exchange::Shown;
use super::program::{OPEN_ORDERS, Program, hang_up};
use super::teller::Teller;

/// How the sidecar counts chains that are good but for their keys.
const MISSED: &str =
    "outrider_pin_mismatch_total{host=\"127.0.0.1\",mode=\"enforce\",upstream=\"binance\"}";

/// What TLS alone refuses.
const BAD: [(Shown, &str); 6] = [
    (Shown::UnknownCa, "an authority that nobody trusts"),
    (Shown::SelfSigned, "a certificate that vouches for itself"),
    (
        Shown::StolenCertificate,
        "the exchange's own certificate with another private key",
    ),
    (Shown::Expired, "an expired certificate"),
    (Shown::WrongHost, "a certificate for another host"),
    (Shown::Tls12Only, "nothing newer than TLS 1.2"),
];

pub(super) async fn tell(stage: &Stage, teller: &mut Teller<'_>) -> io::Result<()> {
    let (program, exchange) = (Program::of(stage), &stage.exchange);
    exchange.show(Shown::WrongKey)?;
    hang_up(exchange).await?;
    let (requests, handshakes) = (exchange.requests(), exchange.failed_handshakes());
    let asked = program.ask("GET", OPEN_ORDERS).await?;
    let what = "the right names, a trusted authority, and a key that is not pinned";
    teller.answer(what, &asked, 502, "upstream.pin_mismatch")?;
    let placed = program.order().await?;
    let what = "an order is told that nothing was sent";
    teller.answer(what, &placed, 503, "\"execution\":\"not_sent\"")?;
    for (shown, what) in BAD {
        exchange.show(shown)?;
        let asked = program.ask("GET", OPEN_ORDERS).await?;
        teller.answer(what, &asked, 502, "upstream.")?;
    }
    let shaken = exchange.failed_handshakes() - handshakes;
    let after = exchange.requests();
    let what = format!("{shaken} handshakes were broken off, and no request was ever sent");
    teller.expect(&what, shaken > 0 && requests == after, || {
        format!("{requests:?}, then {after:?}")
    })?;
    exchange.show(Shown::Right)?;
    let asked = program.ask("GET", OPEN_ORDERS).await?;
    teller.answer("the exchange itself again", &asked, 200, "")?;
    let missed = stage.sidecar.metric(MISSED).await?;
    let seen = &exchange.pins().other_root;
    let recorded = stage.recorded(|events| events.contains(seen)).await?;
    teller.expect(
        "metrics count the mismatch, and the evidence names the keys that were seen",
        missed >= 2.0 && recorded.contains(seen),
        || format!("{missed} counted; {seen} not on record"),
    )
}
