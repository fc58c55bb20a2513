//! Sealing what is over in the span log, beside what a process is there for.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use longshore_archive::{Archive, Copier, SoFar};
use longshore_core::{Clock as _, SystemClock, Timestamp};
use longshore_telemetry::config::Config;
use longshore_telemetry::metrics::{ArchiveCounters, ArchiveTally};
use longshore_tracestore::{Kept, Sealer, TraceStore, TraceStoreError, Upkeep};

use crate::exit::Usage;
use crate::session::Session;

/// How long after the start it is looked for the first time: a worker may not live long.
const FIRST: Duration = Duration::from_secs(10);
/// How often after that.
const EVERY: Duration = Duration::from_secs(60);
/// Most turns before the next pause.
const MAX_TURNS: usize = 64;
/// Most bytes of log files that a worker seals in one turn, which takes some 60 MB of memory.
const WORKER_BYTES: u64 = 8 << 20;

/// The bounds that the settings say.
pub(crate) fn bounds(config: &Config) -> Upkeep {
    let mut upkeep = Upkeep::default();
    if let Some(mebibytes) = config.count("trace_store.mebibytes") {
        let mebibytes = u64::try_from(mebibytes).unwrap_or(u64::MAX);
        upkeep.max_bytes = mebibytes.saturating_mul(1 << 20);
    }
    upkeep.max_age.base = config.duration("trace_store.base_age");
    upkeep.max_age.kept = config.duration("trace_store.kept_age");
    upkeep.max_age.pinned = config.duration("trace_store.pinned_age");
    upkeep
}

/// Keeps a trace store, as long as anybody has it. Gives back what says how far the copies are.
///
/// # Errors
/// The settings cannot be used, or there is no thread.
pub(crate) fn of_store(
    session: &Session<'_>,
    store: &Arc<TraceStore>,
) -> anyhow::Result<Vec<ArchiveTally>> {
    let config = session.config()?;
    if !config.flag("trace_store.seal") {
        return Ok(Vec::new());
    }
    let mut copies = Vec::new();
    for folder in store.folders() {
        copies.extend(copy(session, folder)?);
    }
    let (store, bounds) = (Arc::downgrade(store), bounds(config));
    start(move |now| {
        let store = Weak::upgrade(&store)?;
        Some(store.upkeep(&bounds, now))
    })?;
    Ok(copies)
}

/// Keeps the span log of a process that reads no traces, if it has one. Gives back what says how far
/// the copies are.
///
/// # Errors
/// The settings cannot be used, or there is no thread.
pub(crate) fn of_log(session: &Session<'_>) -> anyhow::Result<Vec<ArchiveTally>> {
    let config = session.config()?;
    let Some(log) = session
        .span_log()?
        .filter(|_| config.flag("trace_store.seal"))
    else {
        return Ok(Vec::new());
    };
    let bounds = Upkeep {
        max_bytes_per_turn: WORKER_BYTES,
        ..bounds(config)
    };
    let copies = copy(session, &log.folder)?;
    let mut sealer = Sealer::new([log.folder]);
    start(move |now| Some(sealer.turn(&bounds, now)))?;
    Ok(copies.into_iter().collect())
}

/// Takes turns until there is none, on a thread of its own: nobody waits for it when the process
/// ends, and what it was at is done by the next one.
fn start(
    mut turn: impl FnMut(Timestamp) -> Option<Result<Kept, TraceStoreError>> + Send + 'static,
) -> anyhow::Result<()> {
    let clock = SystemClock::new();
    let (end, ended) = channel::<()>();
    let run = move || {
        let _never_said = end;
        let mut pause = FIRST;
        while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            pause = EVERY;
            for _ in 0..MAX_TURNS {
                match turn(clock.now()) {
                    None => return,
                    Some(Ok(Kept { more: true, .. })) => {}
                    Some(Ok(_)) => break,
                    Some(Err(error)) => {
                        let why = why(&error);
                        tracing::warn!(target: "longshore", "traces cannot be sealed: {why}");
                        break;
                    }
                }
            }
        }
    };
    thread::Builder::new()
        .name("longshore-seal".to_owned())
        .spawn(run)?;
    Ok(())
}

/// An error with what caused it.
fn why(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |why, cause| format!("{why}: {cause}"))
}

/// The archive of the settings, if they name one.
///
/// # Errors
/// The settings cannot be used.
pub(crate) fn archive(session: &Session<'_>) -> anyhow::Result<Option<Archive>> {
    let url = session.config()?.text("trace_store.archive");
    if url.is_empty() {
        return Ok(None);
    }
    let variables = session.environment().beginning_with("AWS_");
    let archive = Archive::open(url, variables);
    let archive = archive.map_err(|error| Usage(format!("trace_store.archive: {error}")))?;
    Ok(Some(archive))
}

/// Where the archive of the settings is, if they name one that can be used.
pub(crate) fn archive_url(session: &Session<'_>) -> Option<String> {
    let archive = archive(session).ok().flatten()?;
    Some(archive.url().to_owned())
}

/// Copies what is sealed to the archive of the settings, if they name one, on a thread of its own:
/// what an archive does not take stands in the way of nothing here.
fn copy(session: &Session<'_>, log: &Path) -> anyhow::Result<Option<ArchiveTally>> {
    let Some(archive) = archive(session)? else {
        return Ok(None);
    };
    let tally = ArchiveTally::default();
    let said = tally.clone();
    let url = archive.url().to_owned();
    let mut copier = Copier::new(archive, log);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let run = async move {
        let mut pause = FIRST;
        loop {
            tokio::time::sleep(pause).await;
            pause = EVERY;
            if let Err(error) = copier.turn().await {
                let (why, waiting) = (why(&error), copier.waiting());
                let failures = copier.failures();
                tracing::warn!(
                    target: "longshore",
                    "sealed traces cannot be copied to {url}: {why} ({waiting} files wait, \
                     {failures} turns failed one after the other)"
                );
            }
            said.say(counters(copier.so_far()));
        }
    };
    thread::Builder::new()
        .name("longshore-archive".to_owned())
        .spawn(move || runtime.block_on(run))?;
    Ok(Some(tally))
}

const fn counters(so_far: SoFar) -> ArchiveCounters {
    ArchiveCounters {
        files: so_far.files,
        bytes: so_far.bytes,
        deleted: so_far.deleted,
        failures: so_far.failures,
        waiting: so_far.waiting,
    }
}
