//! What is found in the folder at the start: torn ends are cut off, damaged segments set aside, and both are told.
//! Never skips an event silently, and never deletes one that can be read.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::disk::{Sealed, sync_folder};
use super::segment::{self, HEADER_BYTES, Header, Next};

/// What recovery found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The epoch before this one.
    pub previous: Option<Previous>,
    /// Bytes of torn events cut off at the ends of segments.
    pub truncated_bytes: u64,
    /// Segments set aside because they are damaged in the middle.
    pub quarantined: Vec<PathBuf>,
    /// Events that the numbering shows, but no segment holds.
    pub missing_events: u64,
    pub(super) sealed: Vec<Sealed>,
}

/// The last epoch in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Previous {
    /// Its identifier.
    pub epoch: Uuid,
    /// Its last event, if that is known.
    pub last_seq: Option<u64>,
}

/// Goes through every segment of the folder, oldest first.
pub(super) fn recover(folder: &Path) -> io::Result<Recovery> {
    let segments = list(folder)?;
    let mut recovery = Recovery::default();
    let mut behind = segments.iter().skip(1);
    for (path, named) in &segments {
        let next = behind.next().map(|(_, next)| *next);
        let until = next.filter(|next| next.epoch == named.epoch);
        let bytes = fs::read(path)?;
        let verdict = judge(&bytes, *named, until.map(|next| next.first_seq));
        recovery.apply(path, *named, bytes.len() as u64, verdict)?;
        recovery.check_gap(until);
    }
    sync_folder(folder)?;
    Ok(recovery)
}

/// The segments of a folder, oldest first.
pub fn list(folder: &Path) -> io::Result<Vec<(PathBuf, Header)>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if let Some(header) = name.to_str().and_then(Header::from_file_name) {
            segments.push((entry.path(), header));
        }
    }
    segments.sort_unstable_by_key(|(_, header)| (header.epoch, header.first_seq));
    Ok(segments)
}

/// What is to be done with one segment.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Keep so many bytes with so many events; cut off the rest, of which so many bytes are not zeros.
    Keep {
        bytes: u64,
        events: u64,
        torn_bytes: u64,
    },
    /// It was created and never written to.
    Empty,
    /// Damaged in the middle.
    Damaged,
}

/// Judges a segment. `until` is the first event of the next segment of the same epoch, whose word counts from there.
fn judge(bytes: &[u8], named: Header, until: Option<u64>) -> Verdict {
    let Some((header, mut rest)) = Header::decode(bytes) else {
        let unwritten = bytes.len() <= HEADER_BYTES || bytes.iter().all(|byte| *byte == 0);
        return if unwritten {
            Verdict::Empty
        } else {
            Verdict::Damaged
        };
    };
    if header != named {
        return Verdict::Damaged;
    }
    let expected = until.map(|until| until.saturating_sub(header.first_seq));
    let mut events = 0;
    let torn_bytes = loop {
        if expected == Some(events) {
            break 0;
        }
        match segment::next(rest) {
            Next::Event(_, behind) => {
                rest = behind;
                events += 1;
            }
            Next::End => break 0,
            // A segment with a successor was synced whole before that one was begun.
            Next::Broken if expected.is_some() || segment::holds_event(rest) => {
                return Verdict::Damaged;
            }
            Next::Broken => break without_zeros(rest),
        }
    };
    Verdict::Keep {
        bytes: (bytes.len() - rest.len()) as u64,
        events,
        torn_bytes,
    }
}

fn without_zeros(bytes: &[u8]) -> u64 {
    let last = bytes.iter().rposition(|byte| *byte != 0);
    last.map_or(0, |at| at as u64 + 1)
}

impl Recovery {
    fn apply(&mut self, path: &Path, named: Header, size: u64, verdict: Verdict) -> io::Result<()> {
        let mut last_seq = None;
        match verdict {
            Verdict::Keep {
                bytes,
                events,
                torn_bytes,
            } => {
                if bytes < size {
                    truncate(path, bytes)?;
                }
                self.truncated_bytes += torn_bytes;
                last_seq = (named.first_seq + events).checked_sub(1);
                self.sealed.push(Sealed {
                    path: path.to_owned(),
                    bytes,
                    events,
                });
            }
            Verdict::Empty => {
                fs::remove_file(path)?;
                last_seq = named.first_seq.checked_sub(1);
            }
            Verdict::Damaged => self.quarantined.push(set_aside(path)?),
        }
        self.previous = Some(Previous {
            epoch: named.epoch,
            last_seq,
        });
        Ok(())
    }

    fn check_gap(&mut self, until: Option<Header>) {
        let last = self.previous.and_then(|previous| previous.last_seq);
        if let (Some(until), Some(last)) = (until, last) {
            self.missing_events += until.first_seq.saturating_sub(last + 1);
        }
    }
}

fn truncate(path: &Path, bytes: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(bytes)?;
    file.sync_all()
}

/// Renames a damaged segment, so that it is kept for inspection and never taken for evidence.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = path.with_extension("seg.damaged");
    fs::rename(path, &aside)?;
    File::open(&aside)?.sync_all()?;
    Ok(aside)
}
