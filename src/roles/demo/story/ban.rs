//! The exchange bans the address: whoever asks is answered here, and nothing is sent until the ban has ended.

use std::io;
use std::time::Duration;

use http::StatusCode;

use super::super::Stage;
use super::super::wait::until;
use super::program::{OPEN_ORDERS, Program};
use super::teller::Teller;

/// How long the exchange wants to be left alone.
const BAN: Duration = Duration::from_secs(5);

/// How many ask meanwhile.
const CALLERS: usize = 10;

pub(super) async fn tell(stage: &Stage, teller: &mut Teller<'_>) -> io::Result<()> {
    let (program, exchange) = (Program::of(stage), &stage.exchange);
    exchange.ban(BAN);
    let first = program.ask("GET", OPEN_ORDERS).await?;
    // Who asks first hears it from the exchange; that may be the sidecar itself, which asks for the time.
    let (status, word) = match first.status() {
        StatusCode::TOO_MANY_REQUESTS => (429, "exchange.halted"),
        _ => (418, "retry-after"),
    };
    let what = "the exchange bans this address for five seconds";
    teller.answer(what, &first, status, word)?;
    let before = exchange.requests();
    for caller in 0..CALLERS {
        let answer = match caller % 2 {
            0 => program.order().await?,
            _ => program.ask("GET", OPEN_ORDERS).await?,
        };
        if answer.status().as_u16() != 429 || !answer.body().contains("exchange.halted") {
            let what = "whoever asks now is refused here";
            return teller.answer(what, &answer, 429, "exchange.halted");
        }
    }
    let after = exchange.requests();
    let what = format!("{CALLERS} callers with orders and questions are refused here: 429");
    teller.say(&what, Ok(()))?;
    let (same, despite) = (before == after, exchange.sent_while_banned());
    teller.expect(
        "not a request was sent meanwhile",
        same && despite == 0,
        || format!("{despite} despite the ban; {before:?}, then {after:?}"),
    )?;
    let again = until("the end of the ban", async || {
        let answer = program.ask("GET", OPEN_ORDERS).await?;
        Ok(Some(answer).filter(|answer| answer.status().is_success()))
    });
    teller.answer(
        "the ban ends, and the sidecar asks again",
        &again.await?,
        200,
        "",
    )
}
