//! The way out: a program that holds no key and speaks plain HTTP trades at an exchange that verifies every byte. What
//! moves money stays here.

use std::io;

use http::Response;
use serde_json::Value;

use super::super::wait::until;
use super::super::{EXCHANGE_ORDER, Stage};
use super::program::{OPEN_ORDERS, Program, arrived};
use super::teller::Teller;

/// What programs send that insist on a key; no exchange knows it.
pub(super) const DUMMY_KEY: &str =
    "dummyDUMMYdummyDUMMYdummyDUMMYdummyDUMMYdummyDUMMYdummyDUMMY1234";

/// What they make of it.
pub(super) const DUMMY_SIGNATURE: &str =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

pub(super) async fn tell(stage: &Stage, teller: &mut Teller<'_>) -> io::Result<()> {
    let program = Program::of(stage);
    time(stage, &program, teller).await?;
    order(stage, &program, teller).await?;
    dummies(stage, &program, teller).await?;
    withdrawal(stage, &program, teller).await?;
    page(&program, teller).await?;
    records(stage, teller).await
}

async fn time(stage: &Stage, program: &Program, teller: &mut Teller<'_>) -> io::Result<()> {
    let sidecar = &stage.sidecar;
    let known = until("the exchange's time", async || {
        let page = sidecar.page("/readyz?verbose").await?;
        Ok(Some(page).filter(|page| !page.body().contains("nothing can be signed")))
    });
    let what = "the sidecar knows the exchange's clock, so it can sign";
    teller.answer(what, &known.await?, 200, "")?;
    let time = program.ask("GET", "/api/v3/time").await?;
    teller.answer("the exchange's time", &time, 200, "serverTime")
}

async fn order(stage: &Stage, program: &Program, teller: &mut Teller<'_>) -> io::Result<()> {
    let direct = Program::direct(&stage.exchange)?.order().await?;
    let what = "an order without a key, straight to the exchange";
    teller.answer(what, &direct, 401, "-2014")?;
    let placed = program.order().await?;
    let what = "the same order by plain HTTP through the sidecar, which signs it";
    teller.answer(what, &placed, 200, "\"status\":\"NEW\"")?;
    let id = order_id(&placed)?;
    let open = program.ask("GET", OPEN_ORDERS).await?;
    teller.answer("it is open", &open, 200, &format!("\"orderId\":{id}"))?;
    let target = format!("/api/v3/order?symbol=BTCUSDT&orderId={id}");
    let cancelled = program.ask("DELETE", &target).await?;
    teller.answer("and cancelled", &cancelled, 200, "CANCELED")?;
    let open = program.ask("GET", OPEN_ORDERS).await?;
    teller.answer("nothing is open", &open, 200, "\n[]")
}

/// SDKs want a key before they send anything. Any will do.
async fn dummies(stage: &Stage, program: &Program, teller: &mut Teller<'_>) -> io::Result<()> {
    let form = format!("{EXCHANGE_ORDER}&timestamp=1&signature={DUMMY_SIGNATURE}");
    let with_dummies = async |program: &Program| {
        let head = program.head("POST", "/api/v3/order");
        program
            .post(head.header("x-mbx-apikey", DUMMY_KEY), &form)
            .await
    };
    let direct = with_dummies(&Program::direct(&stage.exchange)?).await?;
    let what = "an SDK with a made-up key, straight to the exchange";
    teller.answer(what, &direct, 401, "-2015")?;
    let placed = with_dummies(program).await?;
    let what = "through the sidecar its key, time and signature are replaced";
    teller.answer(what, &placed, 200, "\"status\":\"NEW\"")?;
    let target = format!(
        "/api/v3/order?symbol=BTCUSDT&orderId={}",
        order_id(&placed)?
    );
    let cancelled = program.ask("DELETE", &target).await?;
    teller.answer("it is cancelled, too", &cancelled, 200, "CANCELED")
}

async fn withdrawal(stage: &Stage, program: &Program, teller: &mut Teller<'_>) -> io::Result<()> {
    let before = arrived(&stage.exchange);
    let head = program.head("POST", "/sapi/v1/capital/withdraw/apply");
    let form = "coin=BTC&address=bc1qexample&amount=1";
    let refused = program.post(head, form).await?;
    teller.answer("a withdrawal", &refused, 403, "exchange.reserved")?;
    let other = program.ask("GET", "/sapi/v1/account/status").await?;
    teller.answer(
        "a call that no line allows",
        &other,
        403,
        "exchange.not_allowed",
    )?;
    let (after, withdrawals) = (arrived(&stage.exchange), stage.exchange.withdrawals());
    teller.expect(
        "neither has reached the exchange, says the exchange",
        before == after && withdrawals == 0,
        || format!("{withdrawals} withdrawals; {before:?}, then {after:?}"),
    )
}

/// Whatever runs in a browser on this machine can reach the port, too.
async fn page(program: &Program, teller: &mut Teller<'_>) -> io::Result<()> {
    let head = program.head("GET", OPEN_ORDERS);
    let asked = program.send(head.header("origin", "https://evil.example"), "");
    teller.answer("a page in a browser", &asked.await?, 403, "local.browser")
}

async fn records(stage: &Stage, teller: &mut Teller<'_>) -> io::Result<()> {
    let whole = |events: &str| {
        let (signed, reserved) = counted(events);
        signed >= 6 && reserved == 1
    };
    let events = stage.recorded(whole).await?;
    teller.expect(
        "what was signed, what was answered and what was refused is on record",
        whole(&events),
        || format!("signed, refused: {:?} of {events}", counted(&events)),
    )?;
    let text = stage.tail("text")?;
    let orders = text
        .lines()
        .filter(|line| line.contains(" POST /api/v3/order "));
    let withdrawals = text.lines().filter(|line| line.contains("/withdraw/"));
    let shown: Vec<&str> = orders.take(2).chain(withdrawals).collect();
    teller.show(&shown.join("\n"))
}

/// Requests of programs that were signed, and those that were refused because they move money.
fn counted(events: &str) -> (usize, usize) {
    let events = events.lines().filter_map(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        let is = |pointer: &str, wanted: &str| is(&event, pointer, wanted);
        let of_programs = is("/action/type", "http.request") && is("/actor/auth", "loopback");
        (of_programs && event.get("exchange").is_some()).then_some(event)
    });
    events.fold((0, 0), |(signed, reserved), event| {
        let is_signed = event.pointer("/exchange/signed") == Some(&Value::Bool(true));
        let is_reserved = is(&event, "/reason/code", "exchange.reserved");
        (
            signed + usize::from(is_signed),
            reserved + usize::from(is_reserved),
        )
    })
}

fn is(event: &Value, pointer: &str, wanted: &str) -> bool {
    event.pointer(pointer).is_some_and(|found| found == wanted)
}

fn order_id(placed: &Response<String>) -> io::Result<u64> {
    let placed: Value = serde_json::from_str(placed.body()).map_err(io::Error::other)?;
    let id = placed.get("orderId").and_then(Value::as_u64);
    id.ok_or_else(|| io::Error::other("the order has no number"))
}
