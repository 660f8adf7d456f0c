//! The audit spool under surgery: torn ends, flipped bytes, full disks, two processes, many threads, hostile texts.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy's exception covers unit tests only"
)]

mod bench;
mod full_disk;
mod killed;
mod surgery;
mod threads;
