//! The format of a segment file: a header, then frames, then zeros that were laid out in advance. Pure reading and
//! writing of bytes; never opens a file.

use uuid::Uuid;

/// `magic 8 | version u32 | epoch 16 | first seq u64 | crc32 u32`, numbers little-endian.
pub const HEADER_BYTES: usize = 40;
/// `length u32 | crc32 u32` before each event; the checksum covers the length and the event.
pub const FRAME_BYTES: usize = 8;
/// No event is longer; a length beyond it is not a frame.
pub const EVENT_BYTES_MAX: usize = 32 * 1024;

const MAGIC: &[u8; 8] = b"OUTRIDER";
const VERSION: u32 = 1;
const EXTENSION: &str = ".seg";

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The process start that the events belong to.
    pub epoch: Uuid,
    /// The sequence number of the first event; the others follow without a gap.
    pub first_seq: u64,
}

impl Header {
    /// The header's bytes.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(self.epoch.as_bytes());
        out.extend_from_slice(&self.first_seq.to_le_bytes());
        let sum = crc32fast::hash(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads a header; `None` if it is not one, or of another version. The rest is the frames.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (header, frames) = bytes.split_at_checked(HEADER_BYTES)?;
        let (told, sum) = header.split_last_chunk::<4>()?;
        if crc32fast::hash(told) != u32::from_le_bytes(*sum) {
            return None;
        }
        let rest = told.strip_prefix(MAGIC)?;
        let (version, rest) = rest.split_first_chunk::<4>()?;
        let (epoch, rest) = rest.split_first_chunk::<16>()?;
        let (first_seq, _) = rest.split_first_chunk::<8>()?;
        let decoded = Self {
            epoch: Uuid::from_bytes(*epoch),
            first_seq: u64::from_le_bytes(*first_seq),
        };
        (u32::from_le_bytes(*version) == VERSION).then_some((decoded, frames))
    }

    /// The file's name. Names sort in the order in which segments were begun.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("{}-{:020}{EXTENSION}", self.epoch.simple(), self.first_seq)
    }

    /// Reads a file's name; `None` if it is not a segment's.
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<Self> {
        let (epoch, seq) = name.strip_suffix(EXTENSION)?.split_once('-')?;
        let header = Self {
            epoch: Uuid::try_parse(epoch).ok()?,
            first_seq: seq.parse().ok()?,
        };
        (header.file_name() == name).then_some(header)
    }
}

/// What stands at the beginning of some bytes behind a header.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// An event, and what follows it.
    Event(&'a [u8], &'a [u8]),
    /// Nothing more: the end, or zeros up to it.
    End,
    /// Something that is neither a whole event nor zeros.
    Broken,
}

/// Reads what comes next.
#[must_use]
pub fn next(bytes: &[u8]) -> Next<'_> {
    if let Some((event, rest)) = frame(bytes) {
        return Next::Event(event, rest);
    }
    if bytes.iter().all(|byte| *byte == 0) {
        Next::End
    } else {
        Next::Broken
    }
}

fn frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let size = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if size == 0 || size > EVENT_BYTES_MAX {
        return None;
    }
    let (event, rest) = rest.split_at_checked(size)?;
    (checksum(*length, event) == u32::from_le_bytes(*sum)).then_some((event, rest))
}

/// Whether a whole event stands anywhere in `bytes`: then what came before it was damaged, not torn off.
#[must_use]
pub fn holds_event(bytes: &[u8]) -> bool {
    // An event is an object; looking for its brace first keeps the search linear in practice.
    let starts = bytes.iter().enumerate().skip(FRAME_BYTES);
    starts
        .filter(|(_, byte)| **byte == b'{')
        .filter_map(|(at, _)| bytes.get(at - FRAME_BYTES..))
        .any(|candidate| frame(candidate).is_some())
}

/// Appends the frame of an event given in three pieces, its checksum left open; [`seal`] fills it in.
pub fn push_frame(out: &mut Vec<u8>, pieces: [&[u8]; 3]) {
    let size: usize = pieces.iter().map(|piece| piece.len()).sum();
    let length = u32::try_from(size).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

/// Fills in the checksums of unsealed frames; says how many there are.
pub fn seal(mut frames: &mut [u8]) -> u64 {
    let mut count = 0;
    while let Some((length, rest)) = frames.split_first_chunk_mut::<4>() {
        let Some((sum, rest)) = rest.split_first_chunk_mut::<4>() else {
            break;
        };
        let size = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let Some((event, rest)) = rest.split_at_mut_checked(size) else {
            break;
        };
        *sum = checksum(*length, event).to_le_bytes();
        count += 1;
        frames = rest;
    }
    count
}

/// The bytes of whole frames at the beginning of `frames` that fit into `room`, and how many they are.
#[must_use]
pub fn fitting(frames: &[u8], room: usize) -> (usize, u64) {
    let (mut bytes, mut count) = (0, 0);
    while let Some(length) = frames.get(bytes..).and_then(|rest| rest.first_chunk::<4>()) {
        let size = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let end = size.saturating_add(FRAME_BYTES).saturating_add(bytes);
        if end > room || end > frames.len() {
            break;
        }
        bytes = end;
        count += 1;
    }
    (bytes, count)
}

fn checksum(length: [u8; 4], event: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&length);
    sum.update(event);
    sum.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(events: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        for event in events {
            push_frame(&mut out, [event.as_bytes(), b"", b""]);
        }
        assert_eq!(seal(&mut out), events.len() as u64);
        out
    }

    #[test]
    fn header_and_name_read_back() {
        let header = Header {
            epoch: Uuid::from_u128(0x0193_aaaa_bbbb_7ccc_8ddd_eeee_ffff_0001),
            first_seq: 77,
        };
        let bytes = header.encode();
        assert_eq!(bytes.len(), HEADER_BYTES);
        assert_eq!(Header::decode(&bytes), Some((header, &[][..])));
        assert_eq!(Header::from_file_name(&header.file_name()), Some(header));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_eq!(Header::decode(&flipped), None, "byte {at}");
        }
        for name in [
            "lock",
            "x.seg",
            "a-1.seg",
            "0193aaaabbbb7ccc8dddeeeeffff0001-1.seg",
        ] {
            assert_eq!(Header::from_file_name(name), None, "{name}");
        }
    }

    #[test]
    fn frames_read_back_up_to_the_zeros() {
        let mut bytes = framed(&["{\"a\":1}", "{}"]);
        bytes.resize(bytes.len() + 100, 0);
        let Next::Event(event, rest) = next(&bytes) else {
            panic!("no event");
        };
        assert_eq!(event, b"{\"a\":1}");
        let Next::Event(event, rest) = next(rest) else {
            panic!("no event");
        };
        assert_eq!(event, b"{}");
        assert_eq!(next(rest), Next::End);
        assert_eq!(next(b""), Next::End);
    }

    #[test]
    fn any_flipped_bit_breaks_the_frame_and_the_next_event_is_found() {
        let bytes = framed(&["{\"a\":1}", "{\"b\":2}"]);
        let first = FRAME_BYTES + 7;
        for at in 0..first {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert_eq!(next(&flipped), Next::Broken, "byte {at} bit {bit}");
                assert!(holds_event(&flipped), "byte {at} bit {bit}");
            }
        }
        assert!(!holds_event(&bytes[first + 1..]));
    }

    #[test]
    fn only_whole_frames_fit() {
        let bytes = framed(&["{}", "{}", "{}"]);
        assert_eq!(fitting(&bytes, 9), (0, 0));
        assert_eq!(fitting(&bytes, 10), (10, 1));
        assert_eq!(fitting(&bytes, 29), (20, 2));
        assert_eq!(fitting(&bytes, usize::MAX), (30, 3));
    }
}
