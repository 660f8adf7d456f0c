//! The segments on disk: appending, syncing, rolling, and giving up a segment that failed. Keeps every event in memory
//! until it is synced, so that a failed segment costs nothing. Never retries a sync that failed: the kernel may have
//! forgotten what it could not write.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::segment::{self, FRAME_BYTES, HEADER_BYTES, Header};

/// Zeros are laid out this far ahead: a sync of overwritten bytes has no new file size to write down as well, which
/// makes it a third faster (measured: 0.13 instead of 0.20 ms).
const LAID_OUT_BYTES: u64 = 256 * 1024;
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// A segment that nothing is appended to any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    /// The file.
    pub(super) path: PathBuf,
    /// Its size.
    pub(super) bytes: u64,
    /// How many events it holds.
    pub(super) events: u64,
}

/// One epoch's segments, and the events on their way there.
pub(super) struct Disk {
    folder: PathBuf,
    epoch: Uuid,
    segment_bytes_max: u64,
    spool_bytes_max: u64,
    live: Option<Live>,
    sealed: VecDeque<Sealed>,
    /// Sealed frames that are not synced yet.
    pending: Vec<u8>,
    /// The sequence number of the first of them.
    pending_first: u64,
    /// How many bytes and events of them are written to the live segment.
    written: (usize, u64),
}

struct Live {
    file: File,
    path: PathBuf,
    end: u64,
    laid_out: u64,
    synced_end: u64,
    synced_events: u64,
}

impl Disk {
    /// Takes over a recovered folder for a new epoch and begins its first segment, so that a folder that cannot be
    /// written is known at the start.
    pub(super) fn begin(
        folder: &Path,
        epoch: Uuid,
        segment_bytes_max: u64,
        spool_bytes_max: u64,
        sealed: Vec<Sealed>,
    ) -> io::Result<Self> {
        let mut disk = Self {
            folder: folder.to_owned(),
            epoch,
            segment_bytes_max,
            spool_bytes_max,
            live: None,
            sealed: sealed.into(),
            pending: Vec::new(),
            pending_first: 0,
            written: (0, 0),
        };
        disk.live = Some(disk.create()?);
        Ok(disk)
    }

    /// Takes over unsealed frames, leaving `frames` empty.
    pub(super) fn accept(&mut self, frames: &mut Vec<u8>) {
        segment::seal(frames);
        if self.pending.is_empty() {
            std::mem::swap(&mut self.pending, frames);
        } else {
            self.pending.extend_from_slice(frames);
        }
        frames.clear();
    }

    /// Bytes held in memory because they are not synced.
    pub(super) const fn held(&self) -> usize {
        self.pending.len()
    }

    /// Whether something is written but not synced.
    pub(super) const fn unsynced(&self) -> usize {
        self.written.0
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        let sealed: u64 = self.sealed.iter().map(|sealed| sealed.bytes).sum();
        let live = self.live.as_ref().map_or(0, |live| live.laid_out);
        sealed.saturating_add(live)
    }

    /// Writes everything held, into new segments where one is full.
    pub(super) fn write(&mut self) -> io::Result<()> {
        while self.written.0 < self.pending.len() {
            if self.live.is_none() {
                self.live = Some(self.create()?);
            }
            if !self.write_what_fits()? {
                self.roll()?;
            }
        }
        Ok(())
    }

    /// Makes everything written durable and forgets it.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let Some(live) = &mut self.live else {
            return Ok(());
        };
        live.file.sync_data()?;
        if live.file.metadata()?.nlink() == 0 {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the segment was removed while it was written",
            ));
        }
        live.synced_end = live.end;
        live.synced_events += self.written.1;
        self.pending.drain(..self.written.0);
        self.pending_first += self.written.1;
        self.written = (0, 0);
        if self.pending.is_empty() && self.pending.capacity() > 1024 * 1024 {
            self.pending = Vec::new();
        }
        Ok(())
    }

    /// Stops using the live segment after a failure. What was not synced is written again, into a new segment that
    /// begins with it; readers take the later segment's word.
    pub(super) fn give_up(&mut self) {
        self.written = (0, 0);
        let Some(live) = self.live.take() else {
            return;
        };
        // The failure is already known and told; tidying up after it may fail as well.
        if live.synced_events == 0 {
            fs::remove_file(&live.path).ok();
        } else {
            live.file.set_len(live.synced_end).ok();
            self.sealed.push_back(live.into_sealed());
        }
    }

    /// Ends the live segment: no zeros behind the last event.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.sync()?;
        if let Some(live) = self.live.take() {
            live.file.set_len(live.end)?;
            live.file.sync_all()?;
            self.sealed.push_back(live.into_sealed());
        }
        Ok(())
    }

    /// Removes the oldest segments beyond the cap; says how many events went with them.
    pub(super) fn enforce_cap(&mut self) -> u64 {
        let mut lost = 0;
        while self.bytes() > self.spool_bytes_max {
            let Some(oldest) = self.sealed.pop_front() else {
                break;
            };
            match fs::remove_file(&oldest.path) {
                Ok(()) => lost += oldest.events,
                Err(error) if error.kind() == io::ErrorKind::NotFound => lost += oldest.events,
                Err(_) => {
                    self.sealed.push_front(oldest);
                    break;
                }
            }
        }
        lost
    }

    /// Writes whole frames as far as the live segment has room; false if it has none.
    fn write_what_fits(&mut self) -> io::Result<bool> {
        let Some(live) = &mut self.live else {
            return Ok(false);
        };
        let unwritten = self.pending.get(self.written.0..).unwrap_or_default();
        let room = self.segment_bytes_max.saturating_sub(live.end);
        let mut fits = segment::fitting(unwritten, usize::try_from(room).unwrap_or(usize::MAX));
        if fits.1 == 0 && live.end == HEADER_BYTES as u64 {
            // An event longer than a whole segment gets one for itself.
            fits = first_of(unwritten);
        }
        if fits.1 == 0 {
            return Ok(false);
        }
        live.append(
            unwritten.get(..fits.0).unwrap_or_default(),
            self.segment_bytes_max,
        )?;
        self.written.0 += fits.0;
        self.written.1 += fits.1;
        Ok(true)
    }

    fn roll(&mut self) -> io::Result<()> {
        self.finish()?;
        self.live = Some(self.create()?);
        Ok(())
    }

    fn create(&self) -> io::Result<Live> {
        let header = Header {
            epoch: self.epoch,
            first_seq: self.pending_first,
        };
        let path = self.folder.join(header.file_name());
        // Only a segment that was given up before anything in it was durable can have this name.
        if path.exists() {
            fs::remove_file(&path)?;
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let begun = file
            .write_all_at(&header.encode(), 0)
            .and_then(|()| file.sync_all())
            .and_then(|()| sync_folder(&self.folder));
        if let Err(error) = begun {
            // The name is needed for the next try; the error that matters is the first.
            fs::remove_file(&path).ok();
            return Err(error);
        }
        Ok(Live {
            file,
            path,
            end: HEADER_BYTES as u64,
            laid_out: HEADER_BYTES as u64,
            synced_end: HEADER_BYTES as u64,
            synced_events: 0,
        })
    }
}

impl Live {
    fn append(&mut self, frames: &[u8], segment_bytes_max: u64) -> io::Result<()> {
        let end = self.end.saturating_add(frames.len() as u64);
        if end > self.laid_out {
            self.lay_out(end, segment_bytes_max)?;
        }
        self.file.write_all_at(frames, self.end)?;
        self.end = end;
        self.laid_out = self.laid_out.max(end);
        Ok(())
    }

    /// Fills zeros in behind the bytes about to be written. A full disk is no failure yet: the events may still fit.
    fn lay_out(&mut self, end: u64, segment_bytes_max: u64) -> io::Result<()> {
        let target = end
            .saturating_add(LAID_OUT_BYTES)
            .min(segment_bytes_max.max(end));
        let mut at = end;
        while at < target {
            let size = usize::try_from(target - at).unwrap_or(usize::MAX);
            let zeros = ZEROS.get(..size).unwrap_or(&ZEROS);
            match self.file.write_all_at(zeros, at) {
                Ok(()) => at += zeros.len() as u64,
                Err(error) if is_full(&error) => break,
                Err(error) => return Err(error),
            }
        }
        self.laid_out = self.file.metadata()?.len();
        Ok(())
    }

    fn into_sealed(self) -> Sealed {
        Sealed {
            path: self.path,
            bytes: self.synced_end,
            events: self.synced_events,
        }
    }
}

/// Makes a change of names in the folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn first_of(frames: &[u8]) -> (usize, u64) {
    let length = frames.first_chunk::<4>().copied().unwrap_or_default();
    let size = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    segment::fitting(frames, size.saturating_add(FRAME_BYTES))
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::recovery::recover;
    use crate::record::segment::{Next, push_frame};

    const EVENT: &[u8] = b"{\"a\":1}";

    fn disk(folder: &Path) -> Disk {
        Disk::begin(folder, Uuid::from_u128(7), 1 << 20, 1 << 30, Vec::new()).unwrap()
    }

    fn put(disk: &mut Disk, events: usize) {
        let mut frames = Vec::new();
        for _ in 0..events {
            push_frame(&mut frames, [EVENT, b"", b""]);
        }
        disk.accept(&mut frames);
        assert!(frames.is_empty());
        disk.write().unwrap();
    }

    fn events(path: &Path) -> usize {
        let bytes = fs::read(path).unwrap();
        let mut rest = Header::decode(&bytes).unwrap().1;
        let mut count = 0;
        while let Next::Event(_, behind) = segment::next(rest) {
            rest = behind;
            count += 1;
        }
        count
    }

    #[test]
    fn a_segment_given_up_loses_nothing_and_its_rest_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = disk(folder.path());
        put(&mut disk, 3);
        disk.sync().unwrap();
        put(&mut disk, 2);
        // As if the sync of the last two had failed, and cutting them off as well.
        let failed = disk.live.as_ref().unwrap().path.clone();
        let bytes = fs::read(&failed).unwrap();
        disk.give_up();
        fs::write(&failed, &bytes).unwrap();
        assert_eq!(disk.held(), 2 * (EVENT.len() + FRAME_BYTES));
        put(&mut disk, 1);
        disk.finish().unwrap();
        assert_eq!(events(&failed), 5);
        let recovery = recover(folder.path()).unwrap();
        assert_eq!(recovery.missing_events, 0);
        assert!(recovery.quarantined.is_empty());
        assert_eq!(recovery.previous.unwrap().last_seq, Some(5));
        let counts: Vec<u64> = recovery.sealed.iter().map(|sealed| sealed.events).collect();
        assert_eq!(counts, [3, 3]);
        assert_eq!(events(&failed), 3);
    }

    #[test]
    fn a_segment_given_up_before_its_first_sync_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = disk(folder.path());
        put(&mut disk, 2);
        disk.give_up();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        put(&mut disk, 0);
        disk.finish().unwrap();
        assert_eq!(
            recover(folder.path()).unwrap().previous.unwrap().last_seq,
            Some(1)
        );
    }

    #[test]
    fn a_segment_that_was_removed_is_a_failure_not_a_success() {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = disk(folder.path());
        put(&mut disk, 1);
        fs::remove_file(&disk.live.as_ref().unwrap().path).unwrap();
        assert_eq!(disk.sync().unwrap_err().kind(), io::ErrorKind::NotFound);
        disk.give_up();
        disk.write().unwrap();
        disk.sync().unwrap();
        disk.finish().unwrap();
        assert_eq!(
            recover(folder.path()).unwrap().previous.unwrap().last_seq,
            Some(0)
        );
    }

    #[test]
    fn an_event_longer_than_a_segment_gets_one_for_itself() {
        let folder = tempfile::tempdir().unwrap();
        let mut disk =
            Disk::begin(folder.path(), Uuid::from_u128(7), 44, 1 << 30, Vec::new()).unwrap();
        put(&mut disk, 3);
        disk.finish().unwrap();
        let recovery = recover(folder.path()).unwrap();
        let counts: Vec<u64> = recovery.sealed.iter().map(|sealed| sealed.events).collect();
        assert_eq!(counts, [1, 1, 1]);
    }
}
