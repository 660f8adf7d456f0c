//! The commands: one file each, one line each in `Command`. Words for a person; never decides about a request.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use self::exit::complain;
use crate::runtime::memory;

pub mod audit;
pub mod check;
pub mod exit;
pub mod explain;
mod outbound;
pub mod pin;
mod question;
pub mod schema;
mod sign;
pub mod test;

/// A security sidecar for automated trading: it knows who is calling, decides whether they may, and keeps evidence.
#[derive(Parser, Debug)]
#[command(name = "outrider", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Stand in front of a service: check, limit, clean, forward and record its requests
    Proxy(crate::roles::proxy::ProxyArgs),
    /// Read a sidecar.yaml and list every fault with its line
    Check(check::CheckArgs),
    /// Print the JSON Schema of sidecar.yaml, for editors
    Schema(schema::SchemaArgs),
    /// Say for one request what each guard would answer, and why
    Explain(explain::ExplainArgs),
    /// Run a table of requests and expected decisions
    Test(test::TestArgs),
    /// Say for one request to an exchange what would be signed, and how
    Sign(sign::SignArgs),
    /// Read the audit spool
    Audit(audit::AuditArgs),
    /// Print the chain of an exchange, or of files, with the pins of its keys and which to choose
    Pin(pin::PinArgs),
    /// Everything on this machine: a stand-in service, a token issuer, a stand-in exchange, and a real sidecar between
    /// them
    Demo(crate::roles::demo::DemoArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Prints the whole answer of a command and exits with `code`, also for a reader who has enough, such as `head`.
fn answer(out: &mut dyn Write, text: impl AsRef<[u8]>, code: u8) -> u8 {
    match out.write_all(text.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => exit::IO,
        Ok(()) | Err(_) => code,
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = memory::keep_private() {
        complain(&format!(
            "the memory of this process cannot be kept private: {error}"
        ));
        return ExitCode::from(exit::FAILURE);
    }
    let out = &mut io::stdout();
    let code = match cli.command {
        Command::Proxy(args) => crate::roles::proxy::run(&args),
        Command::Check(args) => check::run(&args, out),
        Command::Schema(args) => schema::run(&args, out),
        Command::Explain(args) => explain::run(&args, out),
        Command::Test(args) => test::run(&args, out),
        Command::Sign(args) => sign::run(&args, out),
        Command::Audit(args) => audit::run(&args, out, &mut io::stderr().lock()),
        Command::Pin(args) => pin::run(&args, out),
        Command::Demo(args) => crate::roles::demo::run(&args),
        Command::Completions { shell } => {
            // Into memory first: the generator panics where it cannot write.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "outrider", &mut script);
            answer(out, &script, exit::OK)
        }
    };
    ExitCode::from(code)
}
