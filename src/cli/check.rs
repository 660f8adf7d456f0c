//! `outrider check`: reads a configuration and tells every fault at once. Never binds, starts or changes anything.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::exit;
use crate::config::{self, Loaded, Report, Setting, plural};
use crate::model::clock::{Clock, SystemClock};
use crate::model::fault::{Fault, Severity};
use crate::model::node::Place;
use crate::roles::{certificates, exchanges, load};

/// What `check` is asked.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The configuration file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How faults are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Also print every setting that applies, with its origin: a line of the file, a variable, or a default
    #[arg(long, conflicts_with = "format")]
    pub effective: bool,
}

/// How faults are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person: the line, a caret under it, what to write instead
    Text,
    /// For a machine: a list of objects
    Json,
}

/// Checks with the environment of this process; colours only for a terminal.
pub fn run(args: &CheckArgs, out: &mut dyn Write) -> u8 {
    let coloured = io::stdout().is_terminal();
    run_with(args, std::env::vars_os(), coloured, out)
}

/// Checks with the environment given: 0 if the configuration would be taken, 78 if not.
pub fn run_with(
    args: &CheckArgs,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    coloured: bool,
    out: &mut dyn Write,
) -> u8 {
    let judged = config::load(&args.file, environment).and_then(judge);
    let (text, code) = match judged {
        Ok(checked) => (accepted(args, &checked, coloured), exit::OK),
        Err(report) => (refused(args, &report, coloured), exit::CONFIGURATION),
    };
    super::answer(out, text, code)
}

/// A configuration that the proxy would take, and what can be told of it.
struct Checked {
    warnings: Report,
    settings: Vec<Setting>,
    /// Routes, or ways out where there is no way in, counted in words.
    ways: String,
}

/// Builds what the proxy would build, so that `check` never takes what the proxy refuses: keys and certificates are
/// judged too, and the TLS of the ways out. Only files of nonces are left alone: a running sidecar holds them.
fn judge(loaded: Loaded) -> Result<Checked, Box<Report>> {
    let settings = loaded.effective();
    let Loaded {
        config, warnings, ..
    } = loaded;
    let ways = match config.inbound.listen {
        Some(_) => plural(config.inbound.policy.routes.len(), "route"),
        None => plural(config.outbound.len(), "outbound"),
    };
    let keys = config.inbound.tokens.as_ref();
    let keys = keys.map_or(Place::Default, |tokens| tokens.keys.place.clone());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (tls, handshake) = (
        config.inbound.tls.as_ref(),
        config.inbound.timeouts.handshake,
    );
    let door = certificates::door(tls, handshake, &clock, warnings);
    let (report, mut sound) = match door {
        Ok((_, report)) => (report, true),
        Err(report) => (*report, false),
    };
    let unfit = exchanges::judge(&config.outbound, &clock);
    sound &= unfit.iter().all(|fault| fault.severity != Severity::Error);
    let report = unfit.into_iter().fold(report, Report::with);
    let (made, warnings) = match load::snapshot(config.inbound) {
        Ok(made) if sound => (made, report),
        Ok(_) => return Err(Box::new(report)),
        Err(fault) => return Err(Box::new(report.with(*fault))),
    };
    let dropped = made.dropped_keys.into_iter().map(|sentence| Fault {
        severity: Severity::Warning,
        place: keys.clone(),
        message: format!("a key is not used: {sentence}"),
        help: None,
    });
    Ok(Checked {
        warnings: dropped.fold(warnings, Report::with),
        settings,
        ways,
    })
}

fn accepted(args: &CheckArgs, checked: &Checked, coloured: bool) -> String {
    if args.format == Format::Json {
        return format!("{:#}\n", checked.warnings.to_json());
    }
    let mut text = checked.warnings.render(coloured);
    if args.effective {
        text.push_str(&effective(&checked.settings));
    }
    let ways = &checked.ways;
    let warnings = plural(checked.warnings.warnings(), "warning");
    text.push_str(&format!(
        "{}: ok, {ways}, {warnings}\n",
        args.file.display()
    ));
    text
}

fn refused(args: &CheckArgs, report: &Report, coloured: bool) -> String {
    if args.format == Format::Json {
        return format!("{:#}\n", report.to_json());
    }
    report.refusal(coloured)
}

/// One line for each setting, values and origins in columns.
fn effective(settings: &[Setting]) -> String {
    let width = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0).min(48);
    let keys = width(&mut settings.iter().map(|setting| setting.key.len()));
    let values = width(&mut settings.iter().map(|setting| setting.value.len()));
    let mut text = String::new();
    for setting in settings {
        text.push_str(&format!(
            "{:keys$}  {:values$}  {}\n",
            setting.key, setting.value, setting.origin
        ));
    }
    text.push('\n');
    text
}
