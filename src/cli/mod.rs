//! The command line: one file per command. Only wiring and printing.

pub mod audit;
