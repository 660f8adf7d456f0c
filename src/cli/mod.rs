//! The commands, one file each. Never decides anything about a request.

pub mod check;
pub mod schema;

/// Exit codes (`sysexits.h` where it has one).
pub mod exit {
    /// It worked.
    pub const OK: u8 = 0;
    /// It did not.
    pub const FAILURE: u8 = 1;
    /// The configuration is refused.
    pub const CONFIGURATION: u8 = 78;
}
