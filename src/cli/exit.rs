//! How a command ends: its exit codes (`sysexits.h` where it has one), and why it could not do what was asked. Never says
//! anything on the stream of answers.

use std::io::{self, Write as _};

/// It worked.
pub const OK: u8 = 0;
/// It did not.
pub const FAILURE: u8 = 1;
/// The command line is wrong (clap uses the same).
pub const USAGE: u8 = 2;
/// Something that is needed and belongs to others cannot be reached.
pub const UNAVAILABLE: u8 = 69;
/// A file, a spool or a socket cannot be read or written.
pub const IO: u8 = 74;
/// An address may not be bound, or a key is not accepted.
pub const PERMISSION: u8 = 77;
/// The configuration is refused.
pub const CONFIGURATION: u8 = 78;

/// Why a command could not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What went wrong, for a person.
    pub message: String,
}

impl Failure {
    /// A failure that ends with `code`.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }

    /// Says it on the error stream, and gives the exit code.
    #[must_use]
    pub fn tell(self) -> u8 {
        complain(&self.message);
        self.code
    }
}

/// Tells a person what went wrong.
pub(super) fn complain(message: &str) {
    // Nobody is left to hear of an error on the error stream.
    let _unheard = writeln!(io::stderr().lock(), "{}", message.trim_end());
}
