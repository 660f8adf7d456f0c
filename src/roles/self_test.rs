//! `outrider sign --self-test`: whether exchanges accept the configured keys, found out as the running program would ask
//! them: the same pins, clock, signer, limits and evidence. Never asks what changes something, never tells a secret.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::StatusCode;

use crate::accept::outbound::Bound;
use crate::cli::exit::{self, Failure};
use crate::config::{self, Outbound, Report};
use crate::decide::outbound::OwnQuestion;
use crate::model::clock::{Clock, SystemClock};
use crate::model::denial::{Cause, Denial};
use crate::model::exchange::Role;
use crate::model::settings::SpoolSettings;
use crate::pipeline::outbound::{OutboundPipeline, OwnAnswer, WayOut, error_code, short};
use crate::record::{Metrics, Recorder, SpoolError};
use crate::runtime::drain::Drain;

use super::exchange_polling::note_time;
use super::generation::{Generation, Parts};

/// Bytes of an answer: an account with every asset that there is has some hundred KiB.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// How long the last records may take to reach the disk.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// Below the spool, for the evidence of a test beside a running sidecar.
const OWN_SPOOL: &str = "self-test";

/// What was tried of one way out, and what came of it.
#[derive(Debug)]
pub struct Trial {
    /// Its name.
    pub outbound: Arc<str>,
    /// The exchange's preset.
    pub preset: &'static str,
    /// What was asked, in order.
    pub asked: Vec<Asked>,
    /// What came of it.
    pub verdict: Verdict,
}

/// One question to an exchange.
#[derive(Debug)]
pub struct Asked {
    /// The method and the URL, without a query.
    pub question: String,
    /// What was answered: a status and the exchange's code, or why nothing was.
    pub answer: String,
}

/// Whether a key is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The exchange accepts it.
    Accepted,
    /// There is nothing to try, and why.
    Untested(&'static str),
    /// The exchange does not accept it; what to look at.
    Refused(&'static str),
    /// The exchange could not be asked, or does not answer now; what to look at.
    Unreached(&'static str),
    /// It is not known whether it is good; what to look at.
    Failed(&'static str),
}

impl Verdict {
    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Accepted | Self::Untested(_) => exit::OK,
            Self::Refused(_) => exit::PERMISSION,
            Self::Unreached(_) => exit::UNAVAILABLE,
            Self::Failed(_) => exit::FAILURE,
        }
    }
}

/// Tries the key of every way out, or of the one that is named.
///
/// # Errors
/// The configuration is refused, there is no such way out, or there is no place for evidence.
pub fn run(
    file: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    only: Option<&str>,
) -> Result<Vec<Trial>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::new(exit::FAILURE, error.to_string()))?;
    let environment: Vec<_> = environment.into_iter().collect();
    runtime.block_on(try_all(file, environment, only))
}

async fn try_all(
    file: &Path,
    environment: Vec<(OsString, OsString)>,
    only: Option<&str>,
) -> Result<Vec<Trial>, Failure> {
    let refused = |report: Box<Report>| Failure::new(exit::CONFIGURATION, report.refusal(false));
    let mut loaded = config::load(file, environment).map_err(refused)?;
    let ways = &mut loaded.config.outbound;
    if let Some(only) = only {
        let names: Vec<&str> = ways.iter().map(|way| &*way.name).collect();
        if !names.contains(&only) {
            return Err(Failure::new(exit::USAGE, no_such(only, &names)));
        }
        ways.retain(|way| &*way.name == only);
    }
    let mut trials: Vec<Trial> = ways.iter().map(untried).collect();
    ways.retain(|way| why_untested(way).is_none());
    if ways.is_empty() {
        return Ok(trials);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    let metrics =
        metrics.map_err(|error| Failure::new(exit::FAILURE, format!("metrics: {error}")))?;
    let (connections, orders) = (Drain::new(), Drain::new());
    let drivers = connections.clone();
    let parts = Parts {
        metrics: metrics.clone(),
        clock: Arc::clone(&clock),
        spawner: Arc::new(move |driver| drivers.spawn(driver)),
        // Nobody is served: there is only the way for what is asked by itself.
        workers: 0,
        folder: file.parent().map(Path::to_owned).unwrap_or_default(),
        kept: Arc::default(),
    };
    let (service, audit) = (loaded.config.service.clone(), loaded.config.audit.clone());
    let first = Generation::first(loaded, &parts).map_err(refused)?;
    let recorder = records(&audit, &service, &clock, &metrics);
    let recorder = recorder.map_err(|error| Failure::new(exit::IO, error.to_string()))?;
    parts.kept.tell(recorder.clone());
    let live = Arc::new(ArcSwap::new(Arc::clone(&first.live)));
    let (_newest, newest) = tokio::sync::watch::channel(first.live.generation);
    for (index, way) in first.live.ways_out.iter().enumerate() {
        let pipeline = OutboundPipeline {
            live: Arc::clone(&live),
            index,
            bound: Bound::Unix,
            recorder: recorder.clone(),
            clock: Arc::clone(&clock),
            worker: parts.workers,
            orders: orders.clone(),
            newest: newest.clone(),
        };
        let tried = try_one(&pipeline, way).await;
        if let Some(trial) = trials
            .iter_mut()
            .find(|trial| trial.outbound == tried.outbound)
        {
            *trial = tried;
        }
    }
    orders.drain(Duration::ZERO).await;
    connections.drain(Duration::ZERO).await;
    let flushed = recorder.stop(FLUSH_MAX).await;
    flushed.map_err(|error| Failure::new(exit::IO, error.to_string()))?;
    Ok(trials)
}

fn no_such(name: &str, names: &[&str]) -> String {
    match names {
        [] => "the configuration has no section `outbound`".to_owned(),
        names => format!(
            "no outbound is called `{name}`; known here: {}",
            names.join(", ")
        ),
    }
}

fn untried(way: &Outbound) -> Trial {
    let why = why_untested(way).unwrap_or("it was not asked");
    Trial {
        outbound: Arc::clone(&way.name),
        preset: way.policy.preset.name,
        asked: Vec::new(),
        verdict: Verdict::Untested(why),
    }
}

fn why_untested(way: &Outbound) -> Option<&'static str> {
    let preset = way.policy.preset;
    match (&way.sign, preset.account) {
        (None, _) => Some("it has no key: only public calls are made"),
        (Some(_), None) => {
            Some("no harmless signed call of this exchange is known here, so its key is not tried")
        }
        (Some(_), Some(_)) => None,
    }
}

/// Evidence goes where the sidecar's goes; beside one that runs, into a folder of its own.
fn records(
    audit: &SpoolSettings,
    service: &str,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
) -> Result<Recorder, SpoolError> {
    let start = |settings: &SpoolSettings| {
        let version = env!("CARGO_PKG_VERSION");
        Recorder::start(
            settings,
            service,
            version,
            Arc::clone(clock),
            metrics.clone(),
        )
    };
    let started = match start(audit) {
        Err(SpoolError::Locked(folder)) => start(&SpoolSettings {
            folder: folder.join(OWN_SPOOL),
            ..audit.clone()
        }),
        started => started,
    };
    started.map(|(recorder, _)| recorder)
}

async fn try_one(pipeline: &OutboundPipeline, way: &Arc<WayOut>) -> Trial {
    let mut asked = Vec::new();
    let verdict = try_key(pipeline, way, &mut asked).await;
    Trial {
        outbound: Arc::clone(&way.policy.name),
        preset: way.policy.preset.name,
        asked,
        verdict,
    }
}

/// First the time, so that no guess is signed, then the call that shows whether the key is good.
async fn try_key(
    pipeline: &OutboundPipeline,
    way: &Arc<WayOut>,
    asked: &mut Vec<Asked>,
) -> Verdict {
    if way.policy.preset.time.is_some() {
        let answer = pipeline.own(way, OwnQuestion::Time).await;
        let question = question(way, OwnQuestion::Time);
        if let Some(denial) = &answer.refused {
            let answer = refusal(denial);
            asked.push(Asked { question, answer });
            return of_refusal(denial.cause);
        }
        let status = answer.response.status();
        let noted = note_time(way, answer).await;
        let shown = way.freshness.clock.shown(pipeline.clock.now());
        let apart = shown.offset_us.filter(|_| noted);
        let answer = match apart {
            Some(us) => format!("{}, its clock is {} ms ahead", status.as_u16(), us / 1_000),
            None => status.as_u16().to_string(),
        };
        asked.push(Asked { question, answer });
        if !noted {
            return of_answer(status, None)
                .unwrap_or(Verdict::Failed("what it answered tells no time"));
        }
    }
    let answer = pipeline.own(way, OwnQuestion::Account).await;
    let question = question(way, OwnQuestion::Account);
    let (answer, verdict) = judge(answer).await;
    asked.push(Asked { question, answer });
    verdict
}

async fn judge(answer: OwnAnswer) -> (String, Verdict) {
    if let Some(denial) = &answer.refused {
        return (refusal(denial), of_refusal(denial.cause));
    }
    let status = answer.response.status();
    // Also what nobody looks at is read to its end, or its record would say that it broke off.
    let body = short(answer.response, ANSWER_BYTES_MAX).await;
    if status == StatusCode::OK {
        return (status.as_u16().to_string(), Verdict::Accepted);
    }
    let code = body.and_then(|body| error_code(&body));
    let told = match code {
        Some(code) => format!("{}, code {code}", status.as_u16()),
        None => status.as_u16().to_string(),
    };
    let unknown = "the answer is none that is expected";
    let verdict = of_answer(status, code).unwrap_or(Verdict::Failed(unknown));
    (told, verdict)
}

fn question(way: &WayOut, question: OwnQuestion) -> String {
    let rest = way.sites.iter().find(|site| site.role == Role::Rest);
    let host = rest.and_then(|site| site.target.host.to_str().ok());
    let path = question.path(way.policy.preset).unwrap_or_default();
    format!("GET https://{}{path}", host.unwrap_or_default())
}

/// The operator's words: none of them is of a client or of a server.
fn refusal(denial: &Denial) -> String {
    format!("{}: {}", denial.cause.code(), denial.detail)
}

/// What to look at where nothing came back.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is not of the way to the exchange does not say more here"
)]
const fn of_refusal(cause: Cause) -> Verdict {
    match cause {
        Cause::PinMismatch => Verdict::Unreached(
            "no key of its chain is pinned: compare `outrider pin HOST` with `pins`; somebody may stand between",
        ),
        Cause::UpstreamUntrusted => Verdict::Unreached(
            "it did not prove who it is: look at `ca_file` and at what stands between",
        ),
        Cause::UpstreamUnreachable | Cause::UpstreamBroken | Cause::UpstreamTimeout => {
            Verdict::Unreached("look at the network, its name and the firewall")
        }
        Cause::ExchangeHalted | Cause::ExchangeLimit => {
            Verdict::Unreached("its limits are spent: wait, and try again")
        }
        Cause::ExchangeClock => Verdict::Failed(
            "its clock and this machine's are too far apart to sign: set this machine's clock, or look at `clock`",
        ),
        Cause::ExchangeSigning => Verdict::Failed("the key cannot sign this: look at `sign`"),
        _ => Verdict::Failed("nothing was sent"),
    }
}

/// What to look at, by the exchange's own code (Binance: errors.md). `None` if it says nothing of the key.
const fn of_answer(status: StatusCode, code: Option<i64>) -> Option<Verdict> {
    Some(match (code, status.as_u16()) {
        (Some(-2014), _) => {
            Verdict::Refused("the name of the key is none: look at the secret of `key_id`")
        }
        (Some(-2015), _) => Verdict::Refused(
            "the key is unknown or revoked, or may not read the account, or not from this address: look at its \
             permissions and its list of addresses (IP) at the exchange",
        ),
        (Some(-1022), _) => Verdict::Refused(
            "the signature is wrong: the secret of `key` does not belong to `key_id`, or `algorithm` is another one",
        ),
        (Some(-1021), _) => Verdict::Failed(
            "the clock: the request came outside of its receive window; look at this machine's clock and `recv_window`",
        ),
        (Some(-1002), _) | (None, 401) => Verdict::Refused("the key may not do this"),
        (Some(-1003), _) | (_, 418 | 429) => {
            Verdict::Unreached("this address (IP) has asked too much: wait, and try again")
        }
        (_, 403 | 451) => Verdict::Unreached(
            "its firewall refuses this address (IP), or the exchange may not be used from here",
        ),
        (_, 500..=599) => Verdict::Unreached("the exchange does not answer now: try again"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_hint_and_exit_code() {
        for (status, code, exit, word) in [
            (400, Some(-2014), 77, "key_id"),
            (401, Some(-2015), 77, "IP"),
            (400, Some(-1022), 77, "signature"),
            (400, Some(-1021), 1, "clock"),
            (401, None, 77, "key"),
            (429, Some(-1003), 69, "IP"),
            (418, None, 69, "IP"),
            (403, None, 69, "firewall"),
            (451, Some(0), 69, "from here"),
            (503, None, 69, "now"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let verdict = of_answer(status, code).unwrap();
            assert_eq!(verdict.code(), exit, "{status} {code:?}");
            let (Verdict::Refused(hint) | Verdict::Unreached(hint) | Verdict::Failed(hint)) =
                verdict
            else {
                panic!("{verdict:?}")
            };
            assert!(hint.contains(word), "{hint}");
        }
        assert_eq!(of_answer(StatusCode::BAD_REQUEST, Some(-1100)), None);
        assert_eq!(of_answer(StatusCode::FOUND, None), None);
    }

    #[test]
    fn where_nothing_comes_back_the_key_is_never_good() {
        for cause in Cause::ALL {
            assert_ne!(of_refusal(*cause).code(), exit::OK, "{cause:?}");
        }
        assert_eq!(of_refusal(Cause::PinMismatch).code(), exit::UNAVAILABLE);
        assert_eq!(of_refusal(Cause::ExchangeClock).code(), exit::FAILURE);
    }
}
