//! What is asked of exchanges in the background: their time, so that signatures are believed, and their limits, so that
//! nobody is punished. Never on a request's path; what was heard last stays good for as long as it says.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use crate::decide::outbound::OwnQuestion;
use crate::ledger::exchange::{RateLimitsScan, Scanned, read_server_time};
use crate::ledger::exchange_clock::Noted;
use crate::pipeline::outbound::{OutboundPipeline, OwnAnswer, WayOut, short};
use crate::runtime::drain::Drain;

/// Between two looks at an exchange's limits. They change some times a year, and are told before.
const LIMITS_EVERY: Duration = Duration::from_secs(3600);

/// After a failure; doubles with each further one.
const LIMITS_RETRY: Duration = Duration::from_secs(15);

/// However often it failed.
const LIMITS_RETRY_MAX: Duration = Duration::from_secs(600);

/// Between two looks at a way out that asks nothing, which a reload may change.
const IDLE: Duration = Duration::from_secs(30);

/// How far ahead of need nonces are made durable.
const NONCES_EVERY: Duration = Duration::from_secs(5);

/// Between two comparisons of clocks because the exchange called a time wrong; the first is made at once. A client that
/// allows for no delay at all (`recvWindow`) is told that each time.
const DOUBT_MIN: Duration = Duration::from_millis(250);

/// Bytes of an answer that tells the time.
const TIME_BYTES_MAX: usize = 1024;

/// Starts what one way out asks.
pub(super) fn start(pipeline: OutboundPipeline, background: &Drain) {
    let pipeline = Arc::new(pipeline);
    background.spawn(follow_time(Arc::clone(&pipeline), background.clone()));
    background.spawn(follow_limits(Arc::clone(&pipeline), background.clone()));
    background.spawn(keep_nonces(pipeline, background.clone()));
}

/// Compares clocks again and again, until the drain begins.
async fn follow_time(pipeline: Arc<OutboundPipeline>, drain: Drain) {
    let mut failures = 0_u32;
    let mut believed_until = Instant::now();
    loop {
        let way = pipeline.way_out();
        let asks = |way: &Arc<WayOut>| way.signer.is_some() && !way.freshness.machine_time;
        let Some(way) = way.filter(asks) else {
            if waited(IDLE, &drain).await {
                return;
            }
            continue;
        };
        failures = match compare(&pipeline, &way).await {
            true => 0,
            false => failures.saturating_add(1),
        };
        let now = pipeline.clock.now();
        let chance = u32::try_from(now.mono_ns % 1_000).unwrap_or_default();
        let pause = way.freshness.clock.next_sample(now, failures, chance);
        let doubted = async {
            tokio::time::sleep_until(believed_until).await;
            way.freshness.doubts.since(now).await;
        };
        tokio::select! {
            over = waited(pause, &drain) => if over { return },
            () = doubted => believed_until = Instant::now() + DOUBT_MIN,
        }
    }
}

/// One comparison; false if it says nothing.
async fn compare(pipeline: &OutboundPipeline, way: &Arc<WayOut>) -> bool {
    let answer = pipeline.own(way, OwnQuestion::Time).await;
    note_time(way, answer).await
}

/// Notes what the exchange's clock shows; false if the answer does not say it.
pub(super) async fn note_time(way: &WayOut, answer: OwnAnswer) -> bool {
    let OwnAnswer {
        response,
        sent,
        received,
        refused: _,
    } = answer;
    let found = response.status() == StatusCode::OK;
    let body = short(response, TIME_BYTES_MAX).await;
    let (Some(sent), Some(body), true) = (sent, body, found) else {
        return false;
    };
    let Some(time) = read_server_time(&body) else {
        return false;
    };
    let noted = way.freshness.clock.note(sent, received, time);
    let outbound = &*way.policy.name;
    match noted {
        Noted::Agrees => {}
        Noted::Suspect => tracing::warn!(outbound, "the exchange's clock contradicts itself"),
        Noted::Stepped => tracing::warn!(outbound, "the exchange's clock was set"),
        Noted::LocalStepped => tracing::warn!(outbound, "this machine's clock was set"),
        Noted::Useless => tracing::warn!(
            outbound,
            "the exchange's time came too late to say anything"
        ),
    }
    noted != Noted::Useless
}

/// Learns the limits again and again, until the drain begins.
async fn follow_limits(pipeline: Arc<OutboundPipeline>, drain: Drain) {
    let mut failures = 0_u32;
    loop {
        let pause = match pipeline.way_out() {
            Some(way) if way.policy.preset.info.is_some() => match learn(&pipeline, &way).await {
                true => {
                    failures = 0;
                    LIMITS_EVERY
                }
                false => {
                    failures = failures.saturating_add(1);
                    let doubled = 1_u32.checked_shl(failures.saturating_sub(1));
                    let pause = LIMITS_RETRY.saturating_mul(doubled.unwrap_or(u32::MAX));
                    pause.min(LIMITS_RETRY_MAX)
                }
            },
            Some(_) | None => IDLE,
        };
        if waited(pause, &drain).await {
            return;
        }
    }
}

/// Reads the page only as far as the limits stand in it; true if they were found.
async fn learn(pipeline: &OutboundPipeline, way: &Arc<WayOut>) -> bool {
    let answer = pipeline.own(way, OwnQuestion::Limits).await;
    if answer.response.status() != StatusCode::OK {
        return false;
    }
    let mut body = answer.response.into_body();
    let mut scan = RateLimitsScan::default();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        match scan.feed(&piece) {
            Ok(Scanned::More) => {}
            Ok(Scanned::Found(limits)) => {
                way.budget.learn(&limits);
                return true;
            }
            Err(_) => return false,
        }
    }
    false
}

/// Keeps a range of nonces durable ahead of need, so that no request waits for the disk.
async fn keep_nonces(pipeline: Arc<OutboundPipeline>, drain: Drain) {
    loop {
        if let Some(way) = pipeline.way_out()
            && let Some((nonces, unit)) = &way.freshness.nonces
        {
            let now = unit.of(pipeline.clock.now().unix_us).unwrap_or_default();
            if let Err(fault) = nonces.keep_ahead(now) {
                tracing::error!(outbound = &*way.policy.name, "nonces: {fault}");
            }
        }
        if waited(NONCES_EVERY, &drain).await {
            return;
        }
    }
}

/// True if the drain has begun.
async fn waited(pause: Duration, drain: &Drain) -> bool {
    tokio::select! {
        biased;
        () = drain.draining() => true,
        () = tokio::time::sleep(pause) => false,
    }
}
