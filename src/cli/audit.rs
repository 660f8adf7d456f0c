//! `outrider audit tail`: shows the events of a spool, also of one that is being written. Only reads; what it cannot
//! read it says.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::exit;
use crate::model::json::shown;
use crate::record::list_segments;
use crate::record::segment::{self, HEADER_BYTES, Header, Next};

/// What a line says beside the outcome, where an event has it.
const LABELS: &[(&str, &str)] = &[
    ("route", "/request/route"),
    ("exchange", "/exchange/name"),
    ("interface", "/exchange/interface"),
    ("execution", "/exchange/execution"),
    ("attempts", "/exchange/attempts"),
    ("signed", "/exchange/signed"),
    ("exchange_code", "/exchange/code"),
    ("request", "/request/id"),
    ("socket", "/request/socket"),
    ("socket", "/socket/id"),
    ("closed_by", "/socket/closed_by"),
    ("close_code", "/socket/code"),
    ("close_why", "/socket/why"),
    ("sent", "/socket/sent/messages"),
    ("received", "/socket/received/messages"),
    ("unanswered", "/socket/unanswered"),
    ("who", "/actor/id"),
    ("ip", "/actor/ip"),
    ("code", "/reason/code"),
    ("rule", "/reason/rule"),
    ("why", "/reason/detail"),
    ("dropped", "/audit/dropped"),
    ("count", "/folded/count"),
    ("origin", "/config/origin"),
    ("order", "/admin/argument"),
    ("by", "/admin/peer"),
    ("secret", "/secret/name"),
    ("source", "/secret/source"),
];

/// How often a followed spool is looked at.
const FOLLOW_PAUSE: Duration = Duration::from_millis(200);
/// A segment is never read beyond this many bytes at once.
const READ_BYTES_MAX: u64 = 256 * 1024 * 1024;

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
pub fn run(args: &AuditArgs, out: &mut dyn Write, errors: &mut dyn Write) -> u8 {
    let AuditCommand::Tail(tail) = &args.command;
    match show(tail, out, errors) {
        Ok(()) => exit::OK,
        // Whoever read has enough, such as `head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::OK,
        Err(error) => {
            let folder = tail.spool.display();
            match writeln!(
                errors,
                "outrider: cannot read the audit spool {folder}: {error}"
            ) {
                Ok(()) | Err(_) => exit::IO,
            }
        }
    }
}

fn show(tail: &TailArgs, out: &mut dyn Write, errors: &mut dyn Write) -> io::Result<()> {
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
fn tell_damaged(folder: &Path, errors: &mut dyn Write) -> io::Result<()> {
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
        errors: &mut dyn Write,
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

fn print(out: &mut dyn Write, event: &[u8], format: Format) -> io::Result<()> {
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
        Some(Value::Bool(said)) => said.to_string(),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => String::new(),
    };
    let kind = text("/action/type");
    let mut words = vec![text("/ts"), text("/outcome")];
    match kind.as_str() {
        "http.request" => words.push(text("/response/status")),
        _ => words.extend([kind.clone(), text("/response/status")]),
    }
    match kind.as_str() {
        // The method of a frame stands in the name: `WS order.place`.
        "ws.request" | "ws.intent" | "ws.late_answer" => words.push(text("/action/name")),
        _ => words.extend([text("/request/method"), text("/request/path")]),
    }
    for (label, pointer) in LABELS {
        let value = text(pointer);
        if !value.is_empty() {
            words.push(format!("{label}={value}"));
        }
    }
    let lasted = ["/response/duration_us", "/socket/duration_us"];
    let lasted = lasted.iter().find_map(|pointer| event.pointer(pointer));
    if let Some(micros) = lasted.and_then(Value::as_u64) {
        words.push(format!("{}.{:03}ms", micros / 1000, micros % 1000));
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

#[cfg(test)]
mod tests;
