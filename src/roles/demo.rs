//! `outrider demo`: a stand-in trading service, a token issuer and a real sidecar between them, on this machine and free
//! ports. With `--check` it walks its own story and says whether each answer is the right one.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::cli::exit;
use crate::model::secret::Secret;
use crate::runtime::drain::Drain;
use crate::runtime::signals::StopSignals;

mod client;
pub mod exchange;
mod issuer;
mod service;
mod sidecar;
mod story;

use issuer::Issuer;
use sidecar::Sidecar;

/// The order that the story and the lines to paste place.
const ORDER: &str = r#"{"symbol":"BTCUSDT","side":"BUY","quantity":"0.015"}"#;

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
pub(super) struct Stage {
    folder: PathBuf,
    service: SocketAddr,
    issuer_address: SocketAddr,
    sidecar: Sidecar,
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
    writeln!(
        out,
        "Outrider demo. Its files are in {}\n",
        folder.display()
    )?;
    let stage = set_up(&folder, &drain, out).await?;
    if args.check {
        return story::check(stage, out).await;
    }
    let mut signals = StopSignals::install()?;
    invite(&stage, out)?;
    signals.next().await;
    writeln!(out, "\nstopping")?;
    stage.sidecar.stop().map(|_| exit::OK)
}

fn folder(args: &DemoArgs) -> io::Result<PathBuf> {
    let folder = match &args.folder {
        Some(folder) => std::path::absolute(folder)?,
        None => std::env::temp_dir().join(format!("outrider-demo-{}", std::process::id())),
    };
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

async fn set_up(folder: &Path, drain: &Drain, out: &mut dyn Write) -> io::Result<Stage> {
    let service = service::start(drain).await?;
    writeln!(
        out,
        "  trading service  http://{service}   (a stand-in; it trusts whoever reaches it)"
    )?;
    let issuer = Issuer::new()?;
    let issuer_address = issuer::start(&issuer, drain).await?;
    writeln!(
        out,
        "  token issuer     http://{issuer_address}   (a stand-in; its key was made just now)"
    )?;
    fs::write(folder.join("keys.json"), issuer.jwks())?;
    fs::write(folder.join("sidecar.yaml"), configuration(service))?;
    for user in issuer::USERS {
        write_token(
            &folder.join(format!("{}.jwt", user.name)),
            &issuer.token(user)?,
        )?;
    }
    let sidecar = Sidecar::start(folder).await?;
    writeln!(
        out,
        "  outrider         http://{}   in front of the service",
        sidecar.inbound
    )?;
    writeln!(
        out,
        "  its health       http://{}   /livez /readyz /metrics\n",
        sidecar.health
    )?;
    Ok(Stage {
        folder: folder.to_owned(),
        service,
        issuer_address,
        sidecar,
    })
}

/// The configuration of the demo: what a platform team would write.
fn configuration(service: SocketAddr) -> String {
    format!(
        include_str!("demo/sidecar.yaml.in"),
        service = service,
        issuer = issuer::NAME
    )
}

fn write_token(path: &Path, token: &Secret<String>) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(token.expose_secret().as_bytes())
}

/// Lines to paste into a shell, and what to expect of each.
fn invite(stage: &Stage, out: &mut dyn Write) -> io::Result<()> {
    let (proxy, issuer) = (stage.sidecar.inbound, stage.issuer_address);
    let folder = stage.folder.display();
    let program = std::env::current_exe()?;
    let program = program.display();
    let json = "-H 'content-type: application/json'";
    write!(
        out,
        "Paste these into another terminal:

  # a trader places an order: 201, and the service is told who it was
  TRADER=$(curl -s http://{issuer}/token/trader)
  curl -i http://{proxy}/api/v1/orders -H \"authorization: Bearer $TRADER\" {json} -d '{ORDER}'

  # no token: 401
  curl -i http://{proxy}/api/v1/orders {json} -d '{ORDER}'

  # a viewer may look, but not place orders: 200, then 403
  VIEWER=$(curl -s http://{issuer}/token/viewer)
  curl -i http://{proxy}/api/v1/positions -H \"authorization: Bearer $VIEWER\"
  curl -i http://{proxy}/api/v1/orders -H \"authorization: Bearer $VIEWER\" {json} -d '{ORDER}'

  # five orders at once (the one above counts), one more every two seconds: 429 when they are spent
  for n in 1 2 3 4 5 6 7; do curl -s -o /dev/null -w '%{{http_code}} ' http://{proxy}/api/v1/orders \\
    -H \"authorization: Bearer $TRADER\" {json} -d '{ORDER}'; done; echo

  # why was the viewer refused?
  {program} explain -c {folder}/sidecar.yaml --method POST --path /api/v1/orders --token {folder}/viewer.jwt

  # every decision is on record
  {program} audit tail {folder}/audit

Ctrl-C ends the demo.
"
    )
}
