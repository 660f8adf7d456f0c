//! `outrider schema`: the JSON Schema of the configuration, for editors and pipelines. Never differs from what the
//! decoder accepts, because both are one declaration.

use std::io::Write;

use clap::Args;

use super::exit;
use crate::config;

/// What `schema` is asked: nothing yet.
#[derive(Args, Debug)]
pub struct SchemaArgs {}

/// Prints the schema.
pub fn run(_: &SchemaArgs, out: &mut dyn Write) -> u8 {
    let text = format!("{:#}\n", config::schema());
    super::answer(out, text, exit::OK)
}
