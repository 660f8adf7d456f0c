//! The demo's story: each step sends a request as a person would and checks the answer. A check that fails says what it
//! found.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::Command;

use http::{Request, Response};

use crate::cli::exit;
use crate::model::secret::Secret;

use super::{ORDER, Stage, client, issuer};

/// Orders at once that the demo's limit grants.
const BURST: usize = 5;

/// Walks the story. 0 if every answer is the right one.
pub(super) async fn check(stage: Stage, out: &mut dyn Write) -> io::Result<u8> {
    let mut teller = Teller { out, failed: 0 };
    let told = tell(&stage, &mut teller).await;
    if let Err(error) = &told {
        teller.say("the story can be told to its end", Err(error.to_string()))?;
    }
    let folder = stage.folder.clone();
    let stopped = stage.sidecar.stop()?;
    teller.expect(
        "it stops when asked, with exit code 0",
        stopped.success(),
        || format!("{stopped}"),
    )?;
    let failed = teller.failed;
    if failed == 0 {
        fs::remove_dir_all(&folder)?;
        writeln!(out, "\nall good")?;
        return Ok(exit::OK);
    }
    writeln!(out, "\n{failed} not as expected; see {}", folder.display())?;
    Ok(exit::FAILURE)
}

/// Prints a line for each check.
struct Teller<'o> {
    out: &'o mut dyn Write,
    failed: u32,
}

impl Teller<'_> {
    fn say(&mut self, what: &str, found: Result<(), String>) -> io::Result<()> {
        match found {
            Ok(()) => writeln!(self.out, "  ok    {what}"),
            Err(found) => {
                self.failed = self.failed.saturating_add(1);
                writeln!(self.out, "  FAIL  {what}\n        found: {found}")
            }
        }
    }

    fn expect(
        &mut self,
        what: &str,
        holds: bool,
        found: impl FnOnce() -> String,
    ) -> io::Result<()> {
        self.say(what, if holds { Ok(()) } else { Err(found()) })
    }

    /// A status, and a text that must stand in the head or the body.
    fn answer(
        &mut self,
        what: &str,
        answer: &Response<String>,
        status: u16,
        holds: &str,
    ) -> io::Result<()> {
        let text = format!("{:?}\n{}", answer.headers(), answer.body());
        let right = answer.status().as_u16() == status && text.contains(holds);
        self.expect(&format!("{what}: {status}"), right, || {
            format!("{} {text}", answer.status())
        })
    }
}

async fn tell(stage: &Stage, teller: &mut Teller<'_>) -> io::Result<()> {
    let proxy = stage.sidecar.inbound;
    ready(stage, teller).await?;
    identity(stage, proxy, teller).await?;
    permission(stage, proxy, teller).await?;
    cleaning(stage, proxy, teller).await?;
    limit(stage, proxy, teller).await?;
    explain(stage, teller)?;
    evidence(stage, teller).await
}

async fn ready(stage: &Stage, teller: &mut Teller<'_>) -> io::Result<()> {
    let direct = client::send(
        stage.service,
        Request::get("/health")
            .body(String::new())
            .map_err(io::Error::other)?,
    )
    .await?;
    teller.answer(
        "the service answers whoever reaches it",
        &direct,
        200,
        "healthy",
    )?;
    let ready = client::send(
        stage.sidecar.health,
        Request::get("/readyz?verbose")
            .body(String::new())
            .map_err(io::Error::other)?,
    )
    .await?;
    teller.answer("the sidecar is ready", &ready, 200, "[+]audit ok")?;
    let health = get(stage.sidecar.inbound, "/health", None).await?;
    teller.answer("the health path needs no token", &health, 200, "healthy")
}

async fn identity(stage: &Stage, proxy: SocketAddr, teller: &mut Teller<'_>) -> io::Result<()> {
    let trader = token(stage, "trader").await?;
    let placed = order(proxy, Some(&trader), ORDER).await?;
    teller.answer(
        "a trader places an order",
        &placed,
        201,
        "\"outrider-subject\":\"trader\"",
    )?;
    let nobody = order(proxy, None, ORDER).await?;
    teller.answer("no token", &nobody, 401, "authn.required")?;
    let forged = forge(&trader);
    let forged = order(proxy, Some(&forged), ORDER).await?;
    teller.answer(
        "a token with another signature",
        &forged,
        401,
        "authn.invalid_token",
    )
}

async fn permission(stage: &Stage, proxy: SocketAddr, teller: &mut Teller<'_>) -> io::Result<()> {
    let viewer = token(stage, "viewer").await?;
    let seen = get(proxy, "/api/v1/positions", Some(&viewer)).await?;
    teller.answer(
        "a viewer looks at positions",
        &seen,
        200,
        "\"outrider-permissions\":\"positions:view\"",
    )?;
    let placed = order(proxy, Some(&viewer), ORDER).await?;
    teller.answer(
        "a viewer places an order",
        &placed,
        403,
        "insufficient_scope",
    )?;
    let tired = token(stage, "tired-trader").await?;
    let placed = order(proxy, Some(&tired), ORDER).await?;
    teller.answer(
        "a second factor of an hour ago",
        &placed,
        401,
        "insufficient_user_authentication",
    )
}

async fn cleaning(stage: &Stage, proxy: SocketAddr, teller: &mut Teller<'_>) -> io::Result<()> {
    let viewer = token(stage, "viewer").await?;
    let spoofed = request("GET", "/api/v1/positions", Some(&viewer))
        .header("outrider-subject", "admin")
        .header("outrider_roles", "admin")
        .body(String::new())
        .map_err(io::Error::other)?;
    let spoofed = client::send(proxy, spoofed).await?;
    let clean = spoofed.status().as_u16() == 400 || !spoofed.body().contains("admin");
    teller.expect(
        "a client cannot say that it is somebody else",
        clean,
        || spoofed.body().clone(),
    )?;
    let answered = get(proxy, "/api/v1/positions", Some(&viewer)).await?;
    let bare = answered.headers().get("server").is_none()
        && answered.headers().contains_key("strict-transport-security");
    teller.expect(
        "answers carry security headers and no `server`",
        bare,
        || format!("{:?}", answered.headers()),
    )?;
    let twisted = get(proxy, "/api/v1/%2e%2e/positions", Some(&viewer)).await?;
    teller.answer("a path with two readings", &twisted, 400, "request.path")?;
    let unknown = get(proxy, "/admin", Some(&viewer)).await?;
    teller.answer("a path that no route has", &unknown, 404, "route.none")?;
    let trader = token(stage, "trader").await?;
    let doubled = order(proxy, Some(&trader), r#"{"quantity":"1","quantity":"100"}"#).await?;
    teller.answer("an order with two quantities", &doubled, 400, "body.json")
}

async fn limit(stage: &Stage, proxy: SocketAddr, teller: &mut Teller<'_>) -> io::Result<()> {
    let trader = token(stage, "trader").await?;
    let mut refused = None;
    // Two were spent above, and some come back with time; twice the burst is more than enough.
    for _ in 0..BURST * 2 {
        let answer = order(proxy, Some(&trader), ORDER).await?;
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
            Err(format!("{} orders passed", BURST * 2)),
        ),
    }
}

fn explain(stage: &Stage, teller: &mut Teller<'_>) -> io::Result<()> {
    let explained = Command::new(std::env::current_exe()?)
        .args([
            "explain",
            "--method",
            "POST",
            "--path",
            "/api/v1/orders",
            "-c",
        ])
        .arg(stage.folder.join("sidecar.yaml"))
        .arg("--token")
        .arg(stage.folder.join("viewer.jwt"))
        .output()?;
    let text = String::from_utf8_lossy(&explained.stdout);
    let named = explained.status.success()
        && text.contains("denied: 403")
        && text.contains("place-order/require.permissions");
    teller.expect(
        "`explain` names the rule that refuses the viewer",
        named,
        || format!("{text}{}", String::from_utf8_lossy(&explained.stderr)),
    )
}

async fn evidence(stage: &Stage, teller: &mut Teller<'_>) -> io::Result<()> {
    let tail = Command::new(std::env::current_exe()?)
        .args(["audit", "tail", "--format", "json", "--lines", "1000"])
        .arg(stage.folder.join("audit"))
        .output()?;
    let events = String::from_utf8_lossy(&tail.stdout);
    let denied = events.matches("\"authz.insufficient_scope\"").count();
    teller.expect(
        "the refusal of the viewer is on record, once",
        denied == 1,
        || events.clone().into_owned(),
    )?;
    let intents = events.matches("\"type\":\"http.intent\"").count();
    let placed = events.matches("\"status\":201").count();
    teller.expect(
        "every order was on record before it left",
        intents >= 1 && intents == placed,
        || format!("{intents} intents, {placed} orders placed"),
    )?;
    let metrics = client::send(
        stage.sidecar.health,
        Request::get("/metrics")
            .body(String::new())
            .map_err(io::Error::other)?,
    )
    .await?;
    teller.answer(
        "metrics are there",
        &metrics,
        200,
        "outrider_requests_total{",
    )?;
    let log = fs::read_to_string(&stage.sidecar.log)?;
    let everything = format!("{events}{log}{}", metrics.body());
    let mut leaked = Vec::new();
    for user in issuer::USERS {
        let token = fs::read_to_string(stage.folder.join(format!("{}.jwt", user.name)))?;
        let signature = token.rsplit('.').next().unwrap_or(&token);
        if everything.contains(signature) {
            leaked.push(user.name);
        }
    }
    teller.expect(
        "no token stands in the evidence, the log or the metrics",
        leaked.is_empty(),
        || leaked.join(", "),
    )
}

// ---- requests ----

async fn token(stage: &Stage, user: &str) -> io::Result<Secret<String>> {
    let request = Request::get(format!("/token/{user}"))
        .header("host", "issuer.demo")
        .body(String::new());
    let answer = client::send(stage.issuer_address, request.map_err(io::Error::other)?).await?;
    Ok(Secret::new(answer.into_body()))
}

/// The same token with its signature turned round.
fn forge(token: &Secret<String>) -> Secret<String> {
    let (message, signature) = token.expose_secret().rsplit_once('.').unwrap_or_default();
    Secret::new(format!(
        "{message}.{}",
        signature.chars().rev().collect::<String>()
    ))
}

fn request(method: &str, path: &str, token: Option<&Secret<String>>) -> http::request::Builder {
    let builder = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "orders.demo");
    match token {
        Some(token) => builder.header("authorization", format!("Bearer {}", token.expose_secret())),
        None => builder,
    }
}

async fn get(
    to: SocketAddr,
    path: &str,
    token: Option<&Secret<String>>,
) -> io::Result<Response<String>> {
    let request = request("GET", path, token).body(String::new());
    client::send(to, request.map_err(io::Error::other)?).await
}

async fn order(
    to: SocketAddr,
    token: Option<&Secret<String>>,
    body: &str,
) -> io::Result<Response<String>> {
    let request =
        request("POST", "/api/v1/orders", token).header("content-type", "application/json");
    client::send(to, request.body(body.to_owned()).map_err(io::Error::other)?).await
}
