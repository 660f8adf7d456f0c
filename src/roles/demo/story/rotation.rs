//! Everything that the sidecar reads is replaced while it is asked without a pause: its configuration, its certificate
//! and key, whom it trusts, the keys that tokens and orders are signed with. No request may fail.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use crate::config;

use super::super::authority::Authority;
use super::super::client::Client;
use super::super::files::{CLIENTS_CA, CONFIGURATION, Folder, ISSUER_CA, SIDECAR};
use super::super::issuer::TRADER;
use super::super::trading_key::TradingKey;
use super::super::wait::until;
use super::super::{BOT_ID, Stage};
use super::load::{Load, Seen};
use super::requests::{cancel_all, order};
use super::teller::Teller;

mod exchange;

/// How the sidecar counts reloads that it took, and those that it refused.
const TAKEN: &str = "outrider_config_reloads_total{outcome=\"success\"}";
const REFUSED: &str = "outrider_config_reloads_total{outcome=\"rejected\"}";

/// How many keys it verifies tokens with.
const KEYS: &str = "outrider_jwks_keys";

/// How it counts documents of the issuer that it took.
const CHANGED: &str = "outrider_jwks_refresh_total{outcome=\"changed\"}";
const UNCHANGED: &str = "outrider_jwks_refresh_total{outcome=\"unchanged\"}";

/// Gives the key that orders are signed with from now on.
pub(super) async fn tell(stage: &Stage, teller: &mut Teller<'_>) -> io::Result<TradingKey> {
    let (before, load) = (stage.contents()?, Load::start(stage)?);
    load.round().await?;
    let mut change = Change {
        stage,
        load: &load,
        teller,
    };
    let told = change.everything().await;
    load.finish().await?;
    let key = told?;
    let after = stage.contents()?;
    let same = |(path, content): &(&PathBuf, &Content)| after.get(*path) == Some(*content);
    let same: Vec<_> = before.iter().filter(same).map(|(path, _)| path).collect();
    let what = format!(
        "all {} files that the sidecar reads were replaced",
        before.len()
    );
    teller.expect(&what, same.is_empty(), || format!("as before: {same:?}"))?;
    for path in before.keys() {
        let name = path.strip_prefix(stage.folder.path()).unwrap_or(path);
        teller.show(&name.display().to_string())?;
    }
    let Seen { asked, failed } = load.seen();
    let what = format!("{asked} requests while all of it changed, {failed} failed");
    teller.expect(&what, failed == 0, || load.failures())?;
    exchange::old_pins_are_gone(stage, teller).await?;
    Ok(key)
}

/// The digest of a file.
type Content = Option<[u8; 32]>;

impl Stage {
    /// Every file that the sidecar's configuration leads to, as the sidecar itself finds them.
    fn contents(&self) -> io::Result<BTreeMap<PathBuf, Content>> {
        let loaded = config::load(&self.configuration(), std::env::vars_os());
        let loaded = loaded.map_err(|report| io::Error::other(report.render(false)))?;
        let files = loaded.warnings.files().iter();
        Ok(files.map(|file| (file.path.clone(), file.digest)).collect())
    }
}

/// Changes one thing after the other under load.
struct Change<'s, 'o> {
    stage: &'s Stage,
    load: &'s Load,
    teller: &'s mut Teller<'o>,
}

impl Change<'_, '_> {
    async fn everything(&mut self) -> io::Result<TradingKey> {
        self.configuration().await?;
        self.certificate().await?;
        self.clients_ca().await?;
        self.issuer_ca().await?;
        self.signing_key().await?;
        self.exchange_ca().await?;
        self.pins().await?;
        self.trading_key().await
    }

    async fn configuration(&mut self) -> io::Result<()> {
        let before = self.load.seen();
        let text = fs::read_to_string(self.stage.configuration())?;
        let text = text.replace("mfa_within: 15m", "mfa_within: 20m");
        self.reload(|folder| folder.put(CONFIGURATION, &text))
            .await?;
        self.told("another configuration", before).await?;

        let before = self.load.seen();
        let refused = self.stage.sidecar.metric(REFUSED).await?;
        let misspelt = text.replace("mfa_within", "mfa_witin");
        self.stage.folder.put(CONFIGURATION, &misspelt)?;
        self.more_than(REFUSED, refused).await?;
        self.told("a misspelt key, which is refused", before)
            .await?;
        self.reload(|folder| folder.put(CONFIGURATION, &text)).await
    }

    async fn certificate(&mut self) -> io::Result<()> {
        let before = self.load.seen();
        let next = self.stage.trust.sidecars.server("order gateway")?;
        self.reload(|folder| folder.put_pair(SIDECAR, &next))
            .await?;
        self.told("another certificate and key", before).await?;
        let shown = self.stage.client()?.connect().await?.shown;
        let same = shown == Some(next.shown()?);
        let what = "new connections are shown the new certificate";
        self.teller.expect(what, same, || "another one".to_owned())
    }

    /// Both are trusted while clients get certificates of the new one.
    async fn clients_ca(&mut self) -> io::Result<()> {
        let (before, trust) = (self.load.seen(), &self.stage.trust);
        let next = Authority::new("next demo CA of clients")?;
        let own = next.client("trading bot", BOT_ID)?;
        let both = format!("{}{}", trust.clients.pem(), next.pem());
        self.reload(|folder| folder.put(CLIENTS_CA, &both)).await?;
        let (to, ca) = (self.stage.sidecar.inbound, trust.sidecars.pem());
        self.load.replace_bot(Client::trusting(to, ca, Some(&own))?);
        self.load.round().await?;
        self.reload(|folder| folder.put(CLIENTS_CA, next.pem()))
            .await?;
        self.told("another CA of client certificates", before)
            .await?;
        let token = self.stage.issuer.token(&TRADER)?;
        let old = self.stage.bot()?.send(cancel_all(Some(&token))?).await;
        let what = "a certificate of the old CA opens no connection";
        let passed = old.ok().map(|answer| answer.status().to_string());
        self.teller
            .expect(what, passed.is_none(), || passed.unwrap_or_default())
    }

    /// Both are trusted while the issuer gets a certificate of the new one.
    async fn issuer_ca(&mut self) -> io::Result<()> {
        let (before, trust) = (self.load.seen(), &self.stage.trust);
        let next = Authority::new("next demo CA of token issuers")?;
        let own = next.server("token issuer")?;
        let both = format!("{}{}", trust.issuers.pem(), next.pem());
        self.reload(|folder| folder.put(ISSUER_CA, &both)).await?;
        self.fetched().await?;
        self.stage.issuer.show(&own)?;
        self.fetched().await?;
        self.reload(|folder| folder.put(ISSUER_CA, next.pem()))
            .await?;
        self.fetched().await?;
        self.told("another CA of the token issuer", before).await
    }

    /// The new key is published before anything is signed with it, and the old one as long as anything was.
    async fn signing_key(&mut self) -> io::Result<()> {
        let (before, issuer) = (self.load.seen(), &self.stage.issuer);
        let old = issuer.token(&TRADER)?;
        issuer.publish_next()?;
        self.more_than(KEYS, 1.0).await?;
        issuer.sign_with_newest();
        self.load.round().await?;
        issuer.retire_others();
        let sidecar = &self.stage.sidecar;
        let one = until("the end of the old key", async || {
            let keys = sidecar.metric(KEYS).await?;
            Ok((keys < 2.0).then_some(()))
        });
        one.await?;
        self.told("another key that tokens are signed with", before)
            .await?;
        let old = self.stage.client()?.send(order(Some(&old))?).await?;
        let what = "a token of the old key";
        self.teller.answer(what, &old, 401, "authn.invalid_token")
    }

    /// Changes files and waits until the sidecar has taken them.
    async fn reload(&self, change: impl FnOnce(&Folder) -> io::Result<()>) -> io::Result<()> {
        let before = self.stage.sidecar.metric(TAKEN).await?;
        change(&self.stage.folder)?;
        self.more_than(TAKEN, before).await
    }

    /// Waits until the sidecar has fetched the issuer's keys again.
    async fn fetched(&self) -> io::Result<()> {
        let sidecar = &self.stage.sidecar;
        let count = async || -> io::Result<f64> {
            Ok(sidecar.metric(CHANGED).await? + sidecar.metric(UNCHANGED).await?)
        };
        let before = count().await?;
        until("another fetch of the keys", async || {
            Ok((count().await? > before).then_some(()))
        })
        .await
    }

    async fn more_than(&self, metric: &str, before: f64) -> io::Result<()> {
        until(metric, async || {
            let now = self.stage.sidecar.metric(metric).await?;
            Ok((now > before).then_some(()))
        })
        .await
    }

    /// Says how many requests there were meanwhile, once every client has asked after the change, too.
    async fn told(&mut self, what: &str, before: Seen) -> io::Result<()> {
        self.load.round().await?;
        let (now, load) = (self.load.seen(), self.load);
        let (asked, failed) = (now.asked - before.asked, now.failed - before.failed);
        let what = format!("{what}: {asked} requests, {failed} failed");
        self.teller.expect(&what, failed == 0, || load.failures())
    }
}
