//! Why a request was refused, and what is on record: nothing twice, nothing missing.

use std::io;
use std::process::Command;

use super::super::wait::until;
use super::super::{Stage, files};
use super::teller::Teller;

pub(super) async fn tell(stage: &Stage, teller: &mut Teller<'_>) -> io::Result<()> {
    explain(stage, teller)?;
    records(stage, teller).await?;
    let metrics = stage.sidecar.page("/metrics").await?;
    let name = "outrider_requests_total{";
    teller.answer("metrics are there", &metrics, 200, name)
}

fn explain(stage: &Stage, teller: &mut Teller<'_>) -> io::Result<()> {
    let explained = Command::new(std::env::current_exe()?)
        .args(["explain", "--method", "POST", "--path", "/api/v1/orders"])
        .arg("-c")
        .arg(stage.configuration())
        .arg("--token")
        .arg(stage.folder.at("viewer.jwt"))
        .arg("--keys")
        .arg(stage.folder.at(files::KEYS))
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

async fn records(stage: &Stage, teller: &mut Teller<'_>) -> io::Result<()> {
    let denied = |events: &str| events.matches("\"authz.insufficient_scope\"").count();
    let intents = |events: &str| events.matches("\"type\":\"http.intent\"").count();
    let placed = |events: &str| events.matches("\"status\":201").count();
    let whole = |events: &str| denied(events) > 0 && intents(events) == placed(events);
    let events = stage.recorded(whole).await?;
    teller.expect(
        "the refusal of the viewer is on record, once",
        denied(&events) == 1,
        || events.clone(),
    )?;
    let (intents, placed) = (intents(&events), placed(&events));
    teller.expect(
        "every order was on record before it left",
        intents >= 1 && intents == placed,
        || format!("{intents} intents, {placed} orders placed"),
    )
}

impl Stage {
    /// Every event on record as soon as they hold what is looked for, or as they are when that does not come: what was
    /// answered is recorded a moment later.
    pub(super) async fn recorded(&self, holds: impl Fn(&str) -> bool) -> io::Result<String> {
        let complete = until("the records", async || {
            Ok(Some(self.events()?).filter(|events| holds(events)))
        });
        match complete.await {
            Ok(events) => Ok(events),
            Err(_late) => self.events(),
        }
    }

    /// Every event on record, as it was written.
    pub(super) fn events(&self) -> io::Result<String> {
        self.tail("json")
    }

    /// The same as `json`, or as `text` for people.
    pub(super) fn tail(&self, format: &str) -> io::Result<String> {
        let tail = Command::new(std::env::current_exe()?)
            .args(["audit", "tail", "--format", format, "--lines", "100000"])
            .arg(self.folder.at("audit"))
            .output()?;
        Ok(String::from_utf8_lossy(&tail.stdout).into_owned())
    }
}
