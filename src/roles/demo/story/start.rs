//! The beginning of the story: the token issuer is down when the sidecar starts, and comes up later.

use std::io;

use crate::runtime::drain::Drain;

use super::super::client::Client;
use super::super::issuer::{Closed, KEYS_PATH, TRADER};
use super::super::wait::until;
use super::super::{Stage, files};
use super::requests::{get, order};
use super::teller::Teller;

pub(super) async fn tell(
    stage: &Stage,
    closed: Closed,
    drain: &Drain,
    teller: &mut Teller<'_>,
) -> io::Result<()> {
    let sidecar = &stage.sidecar;
    let alive = sidecar.page("/livez").await?;
    teller.answer(
        "the token issuer is down, the sidecar is alive",
        &alive,
        200,
        "ok",
    )?;
    let waiting = until("the first try to fetch the keys", async || {
        let page = sidecar.page("/readyz?verbose").await?;
        Ok(Some(page).filter(|page| page.body().contains("(unreachable)")))
    });
    let waiting = waiting.await?;
    let named = format!(
        "[-]keys waiting for https://{}{KEYS_PATH}",
        stage.issuer_address
    );
    teller.answer(
        "not ready, and it names what it waits for",
        &waiting,
        503,
        &named,
    )?;
    teller.show(waiting.body())?;
    let proxy = stage.client()?;
    let token = stage.issuer.token(&TRADER)?;
    let placed = proxy.send(order(Some(&token))?).await?;
    teller.answer(
        "without keys no token passes",
        &placed,
        503,
        "authn.unavailable",
    )?;
    closed.open(&stage.issuer, drain)?;
    let ready = sidecar.ready().await?;
    teller.answer(
        "the issuer comes up, and the sidecar is ready",
        &ready,
        200,
        "[+]keys ok",
    )?;
    let health = proxy.send(get("/health", None)?).await?;
    teller.answer("the health path needs no token", &health, 200, "healthy")?;
    let direct = Client::clear(stage.service);
    let direct = direct.send(get("/health", None)?).await?;
    let what = "the service itself answers anybody";
    teller.answer(what, &direct, 200, "healthy")
}

impl Stage {
    /// Somebody without a certificate who asks the sidecar.
    pub(super) fn client(&self) -> io::Result<Client> {
        Client::trusting(self.sidecar.inbound, self.trust.sidecars.pem(), None)
    }

    /// The trading bot, as its files have it.
    pub(super) fn bot(&self) -> io::Result<Client> {
        let ca = self.trust.sidecars.pem();
        Client::trusting(self.sidecar.inbound, ca, Some(&self.trust.bot))
    }

    /// The sidecar's configuration.
    pub(super) fn configuration(&self) -> std::path::PathBuf {
        self.folder.at(files::CONFIGURATION)
    }
}
