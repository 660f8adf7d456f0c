//! Numbers that only grow, for each key: never one twice, never a smaller one, also over restarts, crashes and clocks that
//! are set back. Numbers are handed out only from a range that is on disk. Never knows what they are for.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// `magic 8 | ceiling u64 | crc32 u32`, numbers little-endian. Two slots are written in turn, each in a sector of its own:
/// a write that is cut short leaves the other, from whose range alone numbers were handed out.
const SLOT_BYTES: usize = 20;
const SLOTS: [u64; 2] = [0, 4096];
const MAGIC: &[u8; 8] = b"OUTNONCE";

/// The numbers of one key. One process at a time holds its file.
pub struct Nonces {
    last: AtomicU64,
    /// The last number that may be handed out: it is on disk.
    ceiling: AtomicU64,
    reserve: u64,
    disk: Mutex<Disk>,
}

struct Disk {
    file: File,
    /// The slot that is written next.
    next: usize,
    /// A sync failed: what is on disk is not known any more, and asking again would not tell.
    broken: bool,
}

/// Why there is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceFault {
    /// The next range could not be made durable. Nothing more is handed out until a restart.
    NotDurable,
    /// There is no greater number.
    Exhausted,
}

/// Why a file of numbers cannot be used.
#[derive(Debug)]
pub enum NonceFileFault {
    /// Another process holds it: the two would hand out each other's numbers.
    Held,
    /// It is not such a file, or it was damaged.
    Damaged,
    /// It cannot be read or written.
    Io(io::Error),
}

impl Nonces {
    /// Opens the file, or begins it. `reserve` is how far ahead of the numbers in use a range is taken: a restart skips at
    /// most so many.
    pub fn open(path: &Path, reserve: u64) -> Result<Self, NonceFileFault> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(NonceFileFault::Held),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let (used, next) = if file.metadata()?.len() == 0 {
            (0, 0)
        } else {
            newest(&file)?
        };
        let mut disk = Disk {
            file,
            next,
            broken: false,
        };
        // Written once at the start, so that a folder that cannot be written is known before the first order.
        disk.write(used)?;
        sync_folder(path)?;
        Ok(Self {
            last: AtomicU64::new(used),
            ceiling: AtomicU64::new(used),
            reserve: reserve.max(1),
            disk: Mutex::new(disk),
        })
    }

    /// A number greater than every one before it, and at least `at_least`. Waits for the disk only where
    /// [`Nonces::keep_ahead`] was not asked in time.
    pub fn next(&self, at_least: u64) -> Result<u64, NonceFault> {
        loop {
            let last = self.last.load(Ordering::Acquire);
            let candidate = last
                .checked_add(1)
                .ok_or(NonceFault::Exhausted)?
                .max(at_least);
            if candidate > self.ceiling.load(Ordering::Acquire) {
                self.reserve_from(candidate)?;
            }
            let taken =
                self.last
                    .compare_exchange(last, candidate, Ordering::AcqRel, Ordering::Acquire);
            if taken.is_ok() {
                return Ok(candidate);
            }
        }
    }

    /// Takes a range well ahead of `now`, the number that would be handed out at this moment, so that no request waits
    /// for the disk. To be asked a few times in each `reserve`.
    pub fn keep_ahead(&self, now: u64) -> Result<(), NonceFault> {
        let from = now.max(self.last.load(Ordering::Acquire));
        if from.saturating_add(self.reserve / 2) > self.ceiling.load(Ordering::Acquire) {
            self.reserve_from(from)?;
        }
        Ok(())
    }

    /// Makes a range durable that reaches beyond `number`.
    fn reserve_from(&self, number: u64) -> Result<(), NonceFault> {
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let ceiling = number.saturating_add(self.reserve);
        if disk.broken {
            return Err(NonceFault::NotDurable);
        }
        // Another thread may have done it meanwhile.
        if ceiling > self.ceiling.load(Ordering::Acquire) {
            disk.write(ceiling).map_err(|_| NonceFault::NotDurable)?;
            self.ceiling.store(ceiling, Ordering::Release);
        }
        Ok(())
    }
}

impl Disk {
    fn write(&mut self, ceiling: u64) -> io::Result<()> {
        let offset = SLOTS.get(self.next).copied().unwrap_or_default();
        let written = self
            .file
            .write_all_at(&encode(ceiling), offset)
            .and_then(|()| self.file.sync_data());
        self.broken = written.is_err();
        self.next = (self.next + 1) % SLOTS.len();
        written
    }
}

/// The greatest ceiling on disk, and the slot that may be overwritten.
fn newest(file: &File) -> Result<(u64, usize), NonceFileFault> {
    let mut found = None;
    for (at, offset) in SLOTS.into_iter().enumerate() {
        let mut slot = [0; SLOT_BYTES];
        match file.read_exact_at(&mut slot, offset) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
            Err(error) => return Err(error.into()),
        }
        let ceiling = decode(&slot);
        found = found.max(ceiling.map(|ceiling| (ceiling, (at + 1) % SLOTS.len())));
    }
    found.ok_or(NonceFileFault::Damaged)
}

fn encode(ceiling: u64) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    let (told, sum) = slot.split_at_mut(SLOT_BYTES - 4);
    let (magic, number) = told.split_at_mut(MAGIC.len());
    magic.copy_from_slice(MAGIC);
    number.copy_from_slice(&ceiling.to_le_bytes());
    sum.copy_from_slice(&crc32fast::hash(told).to_le_bytes());
    slot
}

fn decode(slot: &[u8; SLOT_BYTES]) -> Option<u64> {
    let (told, sum) = slot.split_last_chunk::<4>()?;
    let number = told.strip_prefix(MAGIC)?;
    let sound = crc32fast::hash(told) == u32::from_le_bytes(*sum);
    let number = <[u8; 8]>::try_from(number).ok().filter(|_| sound)?;
    Some(u64::from_le_bytes(number))
}

/// A file that was just made is found again after a crash only if its folder was synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

impl fmt::Debug for Nonces {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Nonces")
    }
}

impl fmt::Display for NonceFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NotDurable => "the next nonces could not be made durable",
            Self::Exhausted => "there is no greater nonce",
        })
    }
}

impl std::error::Error for NonceFault {}

impl From<io::Error> for NonceFileFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for NonceFileFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held => out.write_str("another process uses it"),
            Self::Damaged => out.write_str(
                "it is no file of nonces, or it was damaged; delete it only if its key is replaced too",
            ),
            Self::Io(error) => write!(out, "it cannot be used: {}", error.kind()),
        }
    }
}

impl std::error::Error for NonceFileFault {}

#[cfg(test)]
mod tests;
