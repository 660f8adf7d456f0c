//! The audit spool under surgery: torn ends, flipped bytes, full disks, two processes, many threads, hostile texts.

mod bench;
mod full_disk;
mod surgery;
mod threads;
