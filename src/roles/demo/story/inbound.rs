//! Who may do what: tokens, permissions, certificates, cleaning and limits, seen from outside.

use std::io;

use crate::model::secret::Secret;

use super::super::Stage;
use super::super::client::Client;
use super::super::issuer::{TIRED_TRADER, TRADER, VIEWER};
use super::requests::{cancel_all, finish, get, head, order, order_of};
use super::teller::Teller;

/// Orders until one is too many; the demo's limit grants five at once.
const ORDERS_MAX: usize = 50;

const POSITIONS: &str = "/api/v1/positions";

pub(super) async fn tell(stage: &Stage, teller: &mut Teller<'_>) -> io::Result<()> {
    let proxy = stage.client()?;
    identity(stage, &proxy, teller).await?;
    permission(stage, &proxy, teller).await?;
    certificate(stage, &proxy, teller).await?;
    cleaning(stage, &proxy, teller).await?;
    limit(stage, &proxy, teller).await
}

async fn identity(stage: &Stage, proxy: &Client, teller: &mut Teller<'_>) -> io::Result<()> {
    let trader = stage.issuer.token(&TRADER)?;
    let placed = proxy.send(order(Some(&trader))?).await?;
    let told = "\"outrider-subject\":\"trader\"";
    teller.answer("a trader places an order", &placed, 201, told)?;
    let nobody = proxy.send(order(None)?).await?;
    teller.answer("no token", &nobody, 401, "authn.required")?;
    let forged = proxy.send(order(Some(&forge(&trader)))?).await?;
    let code = "authn.invalid_token";
    teller.answer("a token with another signature", &forged, 401, code)
}

async fn permission(stage: &Stage, proxy: &Client, teller: &mut Teller<'_>) -> io::Result<()> {
    let viewer = stage.issuer.token(&VIEWER)?;
    let seen = proxy.send(get(POSITIONS, Some(&viewer))?).await?;
    let told = "\"outrider-permissions\":\"positions:view\"";
    teller.answer("a viewer looks at positions", &seen, 200, told)?;
    let placed = proxy.send(order(Some(&viewer))?).await?;
    let code = "insufficient_scope";
    teller.answer("a viewer places an order", &placed, 403, code)?;
    let tired = stage.issuer.token(&TIRED_TRADER)?;
    let placed = proxy.send(order(Some(&tired))?).await?;
    let code = "insufficient_user_authentication";
    teller.answer("a second factor of an hour ago", &placed, 401, code)
}

async fn certificate(stage: &Stage, proxy: &Client, teller: &mut Teller<'_>) -> io::Result<()> {
    let trader = stage.issuer.token(&TRADER)?;
    let without = proxy.send(cancel_all(Some(&trader))?).await?;
    let code = "authn.certificate_required";
    teller.answer(
        "a trader without a certificate cancels all",
        &without,
        403,
        code,
    )?;
    let with = stage.bot()?.send(cancel_all(Some(&trader))?).await?;
    let told = "uri=spiffe://desk.demo/bot";
    teller.answer("the same with the desk's certificate", &with, 200, told)
}

async fn cleaning(stage: &Stage, proxy: &Client, teller: &mut Teller<'_>) -> io::Result<()> {
    let viewer = stage.issuer.token(&VIEWER)?;
    let spoofed = head("GET", POSITIONS, Some(&viewer))
        .header("outrider-subject", "admin")
        .header("outrider_roles", "admin");
    let spoofed = proxy.send(finish(spoofed, "")?).await?;
    let clean = spoofed.status().as_u16() == 400 || !spoofed.body().contains("admin");
    teller.expect(
        "a client cannot say that it is somebody else",
        clean,
        || spoofed.body().clone(),
    )?;
    let answered = proxy.send(get(POSITIONS, Some(&viewer))?).await?;
    let bare = answered.headers().get("server").is_none()
        && answered.headers().contains_key("strict-transport-security");
    teller.expect(
        "answers carry security headers and no `server`",
        bare,
        || format!("{:?}", answered.headers()),
    )?;
    let twisted = get("/api/v1/%2e%2e/positions", Some(&viewer))?;
    let twisted = proxy.send(twisted).await?;
    teller.answer("a path with two readings", &twisted, 400, "request.path")?;
    let unknown = proxy.send(get("/admin", Some(&viewer))?).await?;
    teller.answer("a path that no route has", &unknown, 404, "route.none")?;
    let trader = stage.issuer.token(&TRADER)?;
    let doubled = order_of(Some(&trader), r#"{"quantity":"1","quantity":"100"}"#)?;
    let doubled = proxy.send(doubled).await?;
    teller.answer("an order with two quantities", &doubled, 400, "body.json")
}

async fn limit(stage: &Stage, proxy: &Client, teller: &mut Teller<'_>) -> io::Result<()> {
    let trader = stage.issuer.token(&TRADER)?;
    let mut refused = None;
    // Two were spent above, and some come back with time: one in two seconds, in which many are asked for.
    for _ in 0..ORDERS_MAX {
        let answer = proxy.send(order(Some(&trader))?).await?;
        if answer.status().as_u16() == 429 {
            refused = Some(answer);
            break;
        }
    }
    match refused {
        Some(answer) => {
            teller.answer("too many orders at once", &answer, 429, "retry-after")?;
            teller.answer("and the limit is told", &answer, 429, "\\\"place\\\";r=0")
        }
        None => teller.say(
            "too many orders at once: 429",
            Err(format!("{ORDERS_MAX} orders passed")),
        ),
    }
}

/// The same token with its signature turned round.
fn forge(token: &Secret<String>) -> Secret<String> {
    let (message, signature) = token.expose_secret().rsplit_once('.').unwrap_or_default();
    Secret::new(format!(
        "{message}.{}",
        signature.chars().rev().collect::<String>()
    ))
}
