//! `outrider audit tail`: shows the events of a spool, also of one that is being written. Only reads; what it cannot
//! read it says.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use crate::model::json::shown;
use crate::record::list_segments;
use crate::record::segment::{self, HEADER_BYTES, Header, Next};

/// How often a followed spool is looked at.
const FOLLOW_PAUSE: Duration = Duration::from_millis(200);
/// A segment is never read beyond this many bytes at once.
const READ_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Exit code for a spool that cannot be read (`EX_IOERR`).
const EXIT_IO: u8 = 74;

/// Read the audit trail.
#[derive(Debug, clap::Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, clap::Subcommand)]
enum AuditCommand {
    /// Show the last events of a spool folder, one a line.
    Tail(TailArgs),
}

#[derive(Debug, clap::Args)]
struct TailArgs {
    /// The folder that `audit.spool` names.
    spool: PathBuf,
    /// Go on with new events as they are written.
    #[arg(long, short)]
    follow: bool,
    /// How many of the events already there are shown.
    #[arg(long, short = 'n', default_value_t = 20)]
    lines: usize,
    /// `text` to read, `json` to process: the bytes as they were written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Json,
    Text,
}

/// Runs the command; events go to `out`, what cannot be read to `errors`.
pub fn run(args: &AuditArgs, out: &mut impl Write, errors: &mut impl Write) -> ExitCode {
    let AuditCommand::Tail(tail) = &args.command;
    match show(tail, out, errors) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read has enough, such as `head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let folder = tail.spool.display();
            match writeln!(
                errors,
                "outrider: cannot read the audit spool {folder}: {error}"
            ) {
                Ok(()) | Err(_) => ExitCode::from(EXIT_IO),
            }
        }
    }
}

fn show(tail: &TailArgs, out: &mut impl Write, errors: &mut impl Write) -> io::Result<()> {
    tell_damaged(&tail.spool, errors)?;
    let mut reader = Reader::new(&tail.spool, tail.lines)?;
    let mut last = VecDeque::new();
    reader.read(errors, |event| {
        last.push_back(event.to_vec());
        if last.len() > tail.lines {
            last.pop_front();
        }
        Ok(())
    })?;
    for event in &last {
        print(out, event, tail.format)?;
    }
    out.flush()?;
    if !tail.follow {
        return Ok(());
    }
    loop {
        std::thread::sleep(FOLLOW_PAUSE);
        reader.read(errors, |event| print(out, event, tail.format))?;
        out.flush()?;
    }
}

/// Segments that recovery has set aside are not shown, and that is said.
fn tell_damaged(folder: &Path, errors: &mut impl Write) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "damaged") {
            let name = path.display();
            writeln!(
                errors,
                "outrider: {name} was set aside as damaged, its events are not shown"
            )?;
        }
    }
    Ok(())
}

/// Reads a folder from where it stopped the last time.
struct Reader<'a> {
    folder: &'a Path,
    /// The segment being read, where its next frame begins, and which event that is.
    at: Option<(Header, u64, u64)>,
}

impl<'a> Reader<'a> {
    /// Begins at the latest segment from which on at least `lines` events follow.
    fn new(folder: &'a Path, lines: usize) -> io::Result<Self> {
        let mut later: Option<Header> = None;
        let mut known = 0;
        let mut first = None;
        for (_, header) in list_segments(folder)?.iter().rev() {
            if known >= lines as u64 && first.is_some() {
                break;
            }
            // How many events the last segment of an epoch holds, only reading it would tell.
            let successor = later.filter(|later| later.epoch == header.epoch);
            known += successor.map_or(0, |later| later.first_seq - header.first_seq);
            first = Some(*header);
            later = Some(*header);
        }
        Ok(Self {
            folder,
            at: first.map(|header| (header, HEADER_BYTES as u64, header.first_seq)),
        })
    }

    fn read(
        &mut self,
        errors: &mut impl Write,
        mut found: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let segments = list_segments(self.folder)?;
        let mut behind = segments.iter().skip(1);
        for (path, header) in &segments {
            let next = behind.next().map(|(_, next)| *next);
            let key = |header: Header| (header.epoch, header.first_seq);
            let (from, seq) = match self.at {
                Some((at, _, _)) if key(at) > key(*header) => continue,
                Some((at, from, seq)) if at == *header => (from, seq),
                Some(_) | None => (HEADER_BYTES as u64, header.first_seq),
            };
            // A later segment of the same epoch has the last word from its first event on.
            let same_epoch = next.filter(|next| next.epoch == header.epoch);
            let until = same_epoch.map_or(u64::MAX, |next| next.first_seq);
            let Some(bytes) = read_from(path, from)? else {
                continue;
            };
            let (length, events, sound) = walk(&bytes, until.saturating_sub(seq), &mut found)?;
            let reached = seq + events;
            self.at = Some((*header, from + length, reached));
            let short = until != u64::MAX && reached < until;
            // The end of the segment being written may be half of an event at this moment; others are told of, once,
            // because the next look begins behind them.
            if short || (!sound && next.is_some()) {
                let name = path.display();
                writeln!(
                    errors,
                    "outrider: {name} cannot be read behind event {reached}"
                )?;
            }
        }
        Ok(())
    }
}

/// The bytes of a file from an offset on; `None` if the file has gone, as the oldest may.
fn read_from(path: &Path, from: u64) -> io::Result<Option<Vec<u8>>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(READ_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Gives at most `count_max` events to `found`. Returns their bytes, their number, and whether they ended soundly.
fn walk(
    bytes: &[u8],
    count_max: u64,
    mut found: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<(u64, u64, bool)> {
    let mut rest = bytes;
    let mut count = 0;
    let mut sound = true;
    while count < count_max {
        match segment::next(rest) {
            Next::Event(event, behind) => {
                found(event)?;
                rest = behind;
                count += 1;
            }
            Next::End => break,
            Next::Broken => {
                sound = false;
                break;
            }
        }
    }
    Ok(((bytes.len() - rest.len()) as u64, count, sound))
}

fn print(out: &mut impl Write, event: &[u8], format: Format) -> io::Result<()> {
    match format {
        Format::Json => {
            out.write_all(event)?;
            out.write_all(b"\n")
        }
        Format::Text => match serde_json::from_slice::<Value>(event) {
            Ok(event) => writeln!(out, "{}", line(&event)),
            Err(_) => writeln!(out, "(not an event)"),
        },
    }
}

/// One event on one line.
fn line(event: &Value) -> String {
    let text = |pointer: &str| match event.pointer(pointer) {
        Some(Value::String(text)) => shown(text),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => {
            String::new()
        }
    };
    let kind = text("/action/type");
    let mut words = vec![text("/ts"), text("/outcome")];
    match kind.as_str() {
        "http.request" => words.push(text("/response/status")),
        _ => words.push(kind.clone()),
    }
    words.push(text("/request/method"));
    words.push(text("/request/path"));
    for (label, pointer) in [
        ("route", "/request/route"),
        ("who", "/actor/id"),
        ("ip", "/actor/ip"),
        ("code", "/reason/code"),
        ("rule", "/reason/rule"),
        ("why", "/reason/detail"),
        ("dropped", "/audit/dropped"),
        ("origin", "/config/origin"),
    ] {
        let value = text(pointer);
        if !value.is_empty() {
            words.push(format!("{label}={value}"));
        }
    }
    if let Some(micros) = event
        .pointer("/response/duration_us")
        .and_then(Value::as_u64)
    {
        words.push(format!("{}.{:03}ms", micros / 1000, micros % 1000));
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(events: &[&str], tail: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let header = Header {
            epoch: uuid::Uuid::from_u128(7),
            first_seq: 0,
        };
        let mut bytes = header.encode();
        let mut frames = Vec::new();
        for event in events {
            segment::push_frame(&mut frames, [event.as_bytes(), b"", b""]);
        }
        segment::seal(&mut frames);
        bytes.extend_from_slice(&frames);
        bytes.extend_from_slice(tail);
        std::fs::write(folder.path().join(header.file_name()), bytes).unwrap();
        folder
    }

    fn tail(folder: &Path, lines: usize, format: Format) -> (String, String) {
        let args = AuditArgs {
            command: AuditCommand::Tail(TailArgs {
                spool: folder.to_owned(),
                follow: false,
                lines,
                format,
            }),
        };
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        run(&args, &mut out, &mut errors);
        (
            String::from_utf8(out).unwrap(),
            String::from_utf8(errors).unwrap(),
        )
    }

    #[test]
    fn shows_the_last_events_and_stops_at_the_zeros() {
        let folder = folder(&["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"], &[0; 500]);
        let (out, errors) = tail(folder.path(), 2, Format::Json);
        assert_eq!(
            (out.as_str(), errors.as_str()),
            ("{\"a\":2}\n{\"a\":3}\n", "")
        );
    }

    #[test]
    fn half_an_event_at_the_end_is_not_shown() {
        let folder = folder(&["{\"a\":1}"], &[9, 0, 0, 0, 1, 2]);
        assert_eq!(tail(folder.path(), 9, Format::Json).0, "{\"a\":1}\n");
    }

    #[test]
    fn a_line_of_text_says_who_what_and_why() {
        let event = r#"{"action":{"type":"http.request"},"actor":{"id":"tr\u001b[31m","ip":"192.0.2.1"},
            "outcome":"denied","reason":{"code":"authz.insufficient_scope","rule":"orders/require"},
            "request":{"method":"POST","path":"/o","route":"orders"},
            "response":{"duration_us":1234,"status":403},"ts":"T"}"#;
        let folder = folder(&[event], &[]);
        assert_eq!(
            tail(folder.path(), 9, Format::Text).0,
            "T denied 403 POST /o route=orders who=tr\\u001b[31m ip=192.0.2.1 \
             code=authz.insufficient_scope rule=orders/require 1.234ms\n"
        );
    }

    #[test]
    fn a_followed_segment_is_read_on_from_where_it_ended() {
        let folder = folder(&["{\"a\":1}"], &[0; 64]);
        let mut reader = Reader::new(folder.path(), 20).unwrap();
        let mut seen = Vec::new();
        let mut read = |reader: &mut Reader<'_>| {
            let mut errors = Vec::new();
            let keep = |event: &[u8]| {
                seen.push(String::from_utf8(event.to_vec()).unwrap());
                Ok(())
            };
            reader.read(&mut errors, keep).unwrap();
            assert!(errors.is_empty());
            seen.clone()
        };
        assert_eq!(read(&mut reader), ["{\"a\":1}"]);
        let (path, header) = list_segments(folder.path()).unwrap().remove(0);
        let mut bytes = header.encode();
        let mut frames = Vec::new();
        segment::push_frame(&mut frames, [b"{\"a\":1}", b"", b""]);
        segment::push_frame(&mut frames, [b"{\"a\":2}", b"", b""]);
        segment::seal(&mut frames);
        bytes.extend_from_slice(&frames);
        std::fs::write(path, bytes).unwrap();
        assert_eq!(read(&mut reader), ["{\"a\":1}", "{\"a\":2}"]);
        assert_eq!(read(&mut reader).len(), 2);
    }

    #[test]
    fn early_segments_are_not_read_for_a_few_lines() {
        let folder = tempfile::tempdir().unwrap();
        for first_seq in [0, 2, 4] {
            let header = Header {
                epoch: uuid::Uuid::from_u128(7),
                first_seq,
            };
            let mut bytes = header.encode();
            let mut frames = Vec::new();
            for seq in first_seq..first_seq + 2 {
                segment::push_frame(&mut frames, [format!("{{{seq}}}").as_bytes(), b"", b""]);
            }
            segment::seal(&mut frames);
            bytes.extend_from_slice(&frames);
            std::fs::write(folder.path().join(header.file_name()), bytes).unwrap();
        }
        let begin = |lines| Reader::new(folder.path(), lines).unwrap().at.unwrap().2;
        assert_eq!(
            [begin(0), begin(1), begin(2), begin(3), begin(99)],
            [4, 2, 2, 0, 0]
        );
        assert_eq!(tail(folder.path(), 3, Format::Json).0, "{3}\n{4}\n{5}\n");
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let (out, errors) = tail(Path::new("/nowhere/at/all"), 9, Format::Text);
        assert_eq!(out, "");
        assert!(errors.contains("cannot read the audit spool"), "{errors}");
    }
}
