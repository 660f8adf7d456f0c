//! What leads to the exchange is replaced, too: whom the sidecar trusts for it, the pins, the exchange's own certificate, and
//! the key that signs.

use std::fs;
use std::io;

use super::super::super::authority::Authority;
use super::super::super::exchange::Shown;
use super::super::super::files::{CONFIGURATION, EXCHANGE_CA};
use super::super::super::trading_key::TradingKey;
use super::super::program::{OPEN_ORDERS, Program, hang_up};
use super::super::teller::Teller;
use super::{Change, Stage};

impl Change<'_, '_> {
    /// The authorities that the exchange uses stay.
    pub(super) async fn exchange_ca(&mut self) -> io::Result<()> {
        let before = self.load.seen();
        let more = Authority::new("another CA of exchanges")?;
        let both = format!("{}{}", self.stage.exchange.root_pem(), more.pem());
        self.reload(|folder| folder.put(EXCHANGE_CA, &both)).await?;
        self.told(
            "other authorities that are trusted for the exchange",
            before,
        )
        .await
    }

    /// The exchange changes to the authority of the backup pin; then the old pin makes room for the next one.
    pub(super) async fn pins(&mut self) -> io::Result<()> {
        let (before, exchange) = (self.load.seen(), &self.stage.exchange);
        exchange.show(Shown::Backup)?;
        exchange.close_idle();
        self.told(
            "the exchange changes to the authority of the backup pin",
            before,
        )
        .await?;
        let before = self.load.seen();
        let (old, next) = (&exchange.pins().root, spare_pin()?);
        let text = fs::read_to_string(self.stage.configuration())?;
        let text = text.replace(old.as_str(), &next);
        self.reload(|folder| folder.put(CONFIGURATION, &text))
            .await?;
        self.told("another pin in the place of the old one", before)
            .await
    }

    /// The exchange knows both keys until nobody signs with the old one.
    pub(super) async fn trading_key(&mut self) -> io::Result<TradingKey> {
        let (before, stage) = (self.load.seen(), self.stage);
        let next = TradingKey::new()?;
        stage.exchange.add_key(next.known());
        self.reload(|folder| next.mount(folder)).await?;
        self.load.round().await?;
        stage.exchange.revoke_key(stage.key.expose_secret_id());
        self.told("another key that orders are signed with", before)
            .await?;
        Ok(next)
    }
}

/// The chain of before is not taken any more.
pub(super) async fn old_pins_are_gone(stage: &Stage, teller: &mut Teller<'_>) -> io::Result<()> {
    let (program, exchange) = (Program::of(stage), &stage.exchange);
    exchange.show(Shown::Right)?;
    hang_up(exchange).await?;
    let asked = program.ask("GET", OPEN_ORDERS).await?;
    let what = "the exchange's old certificate meets no pin any more";
    teller.answer(what, &asked, 502, "upstream.pin_mismatch")?;
    exchange.show(Shown::Backup)?;
    let asked = program.ask("GET", OPEN_ORDERS).await?;
    teller.answer("the new one does", &asked, 200, "")
}

/// Of a key that is made already and that nobody shows yet.
fn spare_pin() -> io::Result<String> {
    Authority::new("the exchange's next CA").map(|next| next.pin())
}
