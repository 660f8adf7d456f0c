//! The main job as its users see it: who gets through, what the service is told, what clients are told, what is kept.

mod access;
mod answers;
mod capacity;
mod limits;
mod records;
