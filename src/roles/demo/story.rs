//! The demo's story: each step sends a request as a person would and checks the answer. A check that fails says what it
//! found. Each part has a file.

use std::fs;
use std::io::{self, Write};

use crate::cli::exit;
use crate::runtime::drain::Drain;

use super::Stage;
use super::issuer::Closed;

mod ban;
mod evidence;
mod inbound;
mod leaks;
mod load;
mod outbound;
mod pins;
mod program;
mod requests;
mod rotation;
mod socket;
mod start;
mod streams;
mod teller;

use teller::Teller;

/// Walks the story. 0 if every answer is the right one.
pub(super) async fn check(
    stage: Stage,
    closed: Closed,
    drain: &Drain,
    out: &mut dyn Write,
) -> io::Result<u8> {
    let mut teller = Teller::new(out);
    let told = tell(&stage, closed, drain, &mut teller).await;
    if let Err(error) = &told {
        teller.say("the story can be told to its end", Err(error.to_string()))?;
    }
    let folder = stage.folder.clone();
    let stopped = stage.sidecar.stop().await?;
    teller.expect(
        "it stops when asked, with exit code 0",
        stopped.success(),
        || format!("{stopped}"),
    )?;
    let failed = teller.failed();
    if failed == 0 {
        fs::remove_dir_all(folder.path())?;
        writeln!(out, "\nall good")?;
        return Ok(exit::OK);
    }
    let folder = folder.path().display();
    writeln!(out, "\n{failed} not as expected; see {folder}")?;
    Ok(exit::FAILURE)
}

async fn tell(
    stage: &Stage,
    closed: Closed,
    drain: &Drain,
    teller: &mut Teller<'_>,
) -> io::Result<()> {
    teller.part("The start")?;
    start::tell(stage, closed, drain, teller).await?;
    teller.part("\nWho may do what")?;
    inbound::tell(stage, teller).await?;
    teller.part("\nWhy, and what is on record")?;
    evidence::tell(stage, teller).await?;
    teller.part("\nThe way out: a program without a key trades at the exchange")?;
    outbound::tell(stage, teller).await?;
    teller.part("\nThe same over WebSockets")?;
    streams::tell(stage, teller).await?;
    teller.part("\nOnly the right exchange gets anything")?;
    pins::tell(stage, teller).await?;
    teller.part("\nWhen the exchange says stop")?;
    ban::tell(stage, teller).await?;
    teller.part("\nEverything is replaced under load")?;
    let key = rotation::tell(stage, teller).await?;
    teller.part("\nWhat was seen, and what was not")?;
    leaks::tell(stage, &[&stage.key, &key], teller).await?;
    teller.part("\nThe end")
}
