//! The demo's story: each step sends a request as a person would and checks the answer. A check that fails says what it
//! found. Each part has a file.

use std::fs;
use std::io::{self, Write};

use crate::cli::exit;
use crate::runtime::drain::Drain;

use super::Stage;
use super::issuer::Closed;

mod evidence;
mod inbound;
mod load;
mod requests;
mod rotation;
mod start;
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
    let stopped = stage.sidecar.stop()?;
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
    teller.part("\nEverything is replaced under load")?;
    rotation::tell(stage, teller).await?;
    teller.part("\nThe end")
}
