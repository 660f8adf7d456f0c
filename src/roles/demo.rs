//! `outrider demo`: a stand-in trading service, a token issuer, a stand-in exchange and a real sidecar between them, on this
//! machine and free ports. With `--check` it walks its own story and says whether each answer is the right one.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::exit;
use crate::runtime::drain::Drain;
use crate::runtime::signals::StopSignals;

mod authority;
mod client;
pub mod exchange;
mod files;
mod invitation;
mod issuer;
mod listener;
mod service;
mod sidecar;
mod story;
mod trading_key;
mod wait;

use authority::{Authority, Pair};
use exchange::{Exchange, Limits, Options};
use files::Folder;
use issuer::{Closed, Issuer};
use sidecar::Sidecar;
use trading_key::TradingKey;

/// The order that the story and the lines to paste place.
const ORDER: &str = r#"{"symbol":"BTCUSDT","side":"BUY","quantity":"0.015"}"#;

/// The order that is placed at the exchange. Its price is far from the market's, so it stays open.
const EXCHANGE_ORDER: &str =
    "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=50000";

/// What the exchange is called. Only its certificates know the name; it is reached by its address.
const EXCHANGE_NAME: &str = "exchange.demo";

/// How long after a ban began a request may still be one that was sent before anybody could know of it. Machines that test
/// are slow.
const BAN_GRACE: Duration = Duration::from_secs(1);

/// Who the trading bot is, in its certificate.
const BOT_ID: &str = "spiffe://desk.demo/bot";

/// The arguments of `demo`.
#[derive(clap::Args, Debug)]
pub struct DemoArgs {
    /// Walk the story, check each answer, print a line each, and end
    #[arg(long)]
    check: bool,
    /// Where the demo's files go; without it, a new folder among the temporary files
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Everything that the demo has started.
struct Stage {
    folder: Folder,
    service: SocketAddr,
    issuer: Issuer,
    issuer_address: SocketAddr,
    trust: Trust,
    exchange: Exchange,
    key: TradingKey,
    sidecar: Sidecar,
}

/// Who vouches for whom.
struct Trust {
    /// Issued the sidecar's certificate.
    sidecars: Authority,
    /// Issued the token issuer's certificate.
    issuers: Authority,
    /// Issued the bot's certificate.
    clients: Authority,
    bot: Pair,
}

/// Runs until it is told to stop, or until the story is told.
#[must_use]
pub fn run(args: &DemoArgs) -> u8 {
    let out = &mut io::stdout();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = runtime.and_then(|runtime| runtime.block_on(play(args, out)));
    match ended {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to hear of an error on the error stream.
            let _unheard = writeln!(io::stderr().lock(), "the demo failed: {error}");
            exit::FAILURE
        }
    }
}

async fn play(args: &DemoArgs, out: &mut dyn Write) -> io::Result<u8> {
    let drain = Drain::new();
    let folder = folder(args)?;
    let shown = folder.path().display();
    writeln!(out, "Outrider demo. Its files are in {shown}\n")?;
    let (stage, closed) = set_up(folder, &drain, out).await?;
    if args.check {
        return story::check(stage, closed, &drain, out).await;
    }
    let mut signals = StopSignals::install()?;
    closed.open(&stage.issuer, &drain)?;
    stage.sidecar.ready().await?;
    invitation::invite(&stage, out)?;
    signals.next().await;
    writeln!(out, "\nstopping")?;
    stage.sidecar.stop().await.map(|_| exit::OK)
}

fn folder(args: &DemoArgs) -> io::Result<Folder> {
    let path = match &args.folder {
        Some(folder) => std::path::absolute(folder)?,
        None => std::env::temp_dir().join(format!("outrider-demo-{}", std::process::id())),
    };
    Folder::create(path)
}

/// Starts all but the token issuer, whose port is closed until the story opens it.
async fn set_up(folder: Folder, drain: &Drain, out: &mut dyn Write) -> io::Result<(Stage, Closed)> {
    let (trust, key) = (Trust::new()?, TradingKey::new()?);
    let service = service::start(drain).await?;
    let issuer = Issuer::new(&trust.issuers.server("token issuer")?)?;
    let closed = Closed::reserve()?;
    let exchange = open_exchange(&key).await?;
    write_files(&folder, &trust, &issuer)?;
    folder.put(files::EXCHANGE_CA, exchange.root_pem())?;
    key.mount(&folder)?;
    let configuration = configuration(service, &closed, &exchange);
    folder.put(files::CONFIGURATION, &configuration)?;
    let sidecar = Sidecar::start(&folder).await?;
    let stage = Stage {
        folder,
        service,
        issuer,
        issuer_address: closed.address,
        trust,
        exchange,
        key,
        sidecar,
    };
    stage.introduce(out)?;
    Ok((stage, closed))
}

/// An exchange that knows the key, with the limits of the real one.
async fn open_exchange(key: &TradingKey) -> io::Result<Exchange> {
    let options = Options {
        names: [EXCHANGE_NAME, "127.0.0.1"].map(str::to_owned).to_vec(),
        keys: vec![key.known()],
        limits: Limits {
            grace: BAN_GRACE,
            ..Limits::default()
        },
        ..Options::default()
    };
    Exchange::start(options).await
}

impl Stage {
    fn introduce(&self, out: &mut dyn Write) -> io::Result<()> {
        let Sidecar {
            inbound,
            outbound,
            health,
            ..
        } = &self.sidecar;
        let (service, issuer) = (self.service, self.issuer_address);
        let exchange = self.exchange.address();
        write!(
            out,
            "  trading service  http://{service}    a stand-in; it trusts whoever reaches it
  token issuer     https://{issuer}   a stand-in; its keys were made just now
  exchange         https://{exchange}   a stand-in that verifies as Binance does
  outrider, in     https://{inbound}   in front of the service
  outrider, out    http://{outbound}    the service's way to the exchange; the key is here, not in the service
  its health       http://{health}    /livez /readyz /metrics

"
        )
    }
}

impl Trust {
    fn new() -> io::Result<Self> {
        let clients = Authority::new("demo CA of clients")?;
        Ok(Self {
            sidecars: Authority::new("demo CA of sidecars")?,
            issuers: Authority::new("demo CA of token issuers")?,
            bot: clients.client("trading bot", BOT_ID)?,
            clients,
        })
    }
}

fn write_files(folder: &Folder, trust: &Trust, issuer: &Issuer) -> io::Result<()> {
    folder.put_pair(files::SIDECAR, &trust.sidecars.server("order gateway")?)?;
    folder.put(files::CLIENTS_CA, trust.clients.pem())?;
    folder.put(files::ISSUER_CA, trust.issuers.pem())?;
    folder.put(files::SIDECAR_CA, trust.sidecars.pem())?;
    folder.put_pair(files::BOT, &trust.bot)?;
    folder.put(files::KEYS, &issuer.jwks())?;
    for user in issuer::USERS {
        let token = issuer.token(&user)?;
        folder.put_secret(&format!("{}.jwt", user.name), token.expose_secret())?;
    }
    Ok(())
}

/// The configuration of the demo: what a platform team would write.
fn configuration(service: SocketAddr, issuer: &Closed, exchange: &Exchange) -> String {
    let keys = format!("https://{}{}", issuer.address, issuer::KEYS_PATH);
    format!(
        include_str!("demo/sidecar.yaml.in"),
        service = service,
        issuer = issuer::NAME,
        keys = keys,
        exchange = exchange.address(),
        exchange_name = EXCHANGE_NAME,
        pin = exchange.pins().root,
        backup = exchange.pins().backup_root,
    )
}
