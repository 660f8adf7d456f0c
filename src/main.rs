//! The binary: arguments in, exit code out. No logic.

use std::process::ExitCode;

fn main() -> ExitCode {
    outrider::cli::main()
}
