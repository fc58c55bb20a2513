//! `longshore worker`: runs every job of some queues by a program.

mod exec;
mod guard;
mod metrics;
mod signal;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::QueueName;
use longshore_queue::{Attempt, RawArgs, WorkerReport};

use super::queues::absent;
use crate::args;
use crate::exit::{Exit, Usage};
use crate::session::Session;
use exec::Program;
use guard::{Guard, GuardProcess};
use metrics::Endpoint;

pub(crate) use guard::watch;

pub(crate) async fn run(session: &Session<'_>, args: args::Worker) -> anyhow::Result<Exit> {
    let endpoint = start_metrics(session, &args).await?;
    session.start_logs()?;
    if let Some(endpoint) = &endpoint {
        session
            .output
            .talk(&format!("Metrics at {}.", endpoint.url()));
    }
    let (guard, mut process) = start_guard(session, &args).await?.unzip();
    let worker = build(session, &args, guard.clone())?;
    let shutdown = signal::asked_to_stop()?;
    let ran = guarded(session, worker.run(shutdown), process.as_mut()).await;
    // Programs that were asked to stop are gone or killed within this time.
    let gone = exec::all_gone();
    let _in_time = tokio::time::timeout(exec::GRACE + Duration::from_millis(200), gone).await;
    if let Some((guard, process)) = guard.zip(process) {
        process.dismiss(&guard).await;
    }
    let report = ran?;
    tell(session, &report, args.json)?;
    if args.drain && report == WorkerReport::default() {
        warn_of_absent(session, &args.queues).await?;
    }
    if args.drain && report.discarded > 0 {
        return Ok(Exit::Discarded);
    }
    Ok(Exit::Done)
}

/// Says which queues a worker that found nothing to do has never had a job in, since one of them
/// may be mistyped.
async fn warn_of_absent(session: &Session<'_>, queues: &[QueueName]) -> anyhow::Result<()> {
    let known = session.store()?.queue_stats().await?;
    let is_known = |queue: &&QueueName| known.iter().any(|known| known.queue == **queue);
    for queue in queues.iter().filter(|queue| !is_known(queue)) {
        session.output.talk(&absent(queue));
    }
    Ok(())
}

/// Serves metrics, if they are asked for.
async fn start_metrics(
    session: &Session<'_>,
    args: &args::Worker,
) -> anyhow::Result<Option<Endpoint>> {
    let configured = session.config()?.text("worker.metrics");
    let address = args.metrics.as_deref().unwrap_or(configured);
    if address.is_empty() {
        return Ok(None);
    }
    Endpoint::start(address, session.metrics()?).await.map(Some)
}

/// Starts the guard of the programs; a worker goes on without it.
async fn start_guard(
    session: &Session<'_>,
    args: &args::Worker,
) -> anyhow::Result<Option<(Arc<Guard>, GuardProcess)>> {
    let lease = args.lease.or(session.config()?.duration("worker.lease"));
    // The lease of a killed worker has two thirds left or more; its programs have to be gone by
    // then.
    let grace = lease.map_or(exec::GRACE, |lease| exec::GRACE.min(lease / 3));
    Ok(match Guard::start(grace).await {
        Ok(started) => Some(started),
        Err(error) => {
            warn_of_guard(session, &format!("could not be started ({error})"));
            None
        }
    })
}

/// Runs the worker, and says so if its guard ends before it.
async fn guarded<T>(
    session: &Session<'_>,
    run: impl Future<Output = T>,
    process: Option<&mut GuardProcess>,
) -> T {
    tokio::pin!(run);
    let Some(process) = process else {
        return run.await;
    };
    tokio::select! {
        biased;
        () = process.ended() => warn_of_guard(session, "has ended"),
        ran = &mut run => return ran,
    }
    run.await
}

fn warn_of_guard(session: &Session<'_>, what: &str) {
    session.output.warn(&format!(
        "the guard of the programs {what}: if this worker is killed with SIGKILL, its \
         programs go on"
    ));
}

/// The worker as flags and settings describe it; a flag wins.
fn build(
    session: &Session<'_>,
    args: &args::Worker,
    guard: Option<Arc<Guard>>,
) -> anyhow::Result<longshore_queue::Worker> {
    let program = Program::new(&args.exec, guard)?;
    let config = session.config()?;
    let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let concurrency = args
        .concurrency
        .and_then(|number| usize::try_from(number).ok());
    let concurrency = concurrency.or_else(|| config.count("worker.concurrency"));
    let mut builder = longshore_queue::Worker::builder(session.store()?)
        .concurrency(concurrency.unwrap_or_else(processors))
        .drain(args.drain)
        .prune(session.prune_policy()?)
        .fallback(move |body: RawArgs, attempt: Attempt| {
            let program = program.clone();
            async move { program.handle(body.0, &attempt).await }
        });
    builder = args
        .queues
        .iter()
        .fold(builder, |builder, queue| builder.queue(queue.as_str()));
    if let Some(lease) = args.lease.or_else(|| config.duration("worker.lease")) {
        builder = builder.lease(lease);
    }
    if let Some(timeout) = args.timeout.or_else(|| config.duration("worker.timeout")) {
        builder = builder.timeout(timeout);
    }
    if let Some(grace) = config.duration("worker.shutdown_grace") {
        builder = builder.shutdown_grace(grace);
    }
    if let Some(recorder) = session.recorder()? {
        builder = builder.recorder(recorder);
    }
    if let Some(meters) = session.meters()? {
        builder = builder.meters(meters);
    }
    Ok(builder.build().map_err(|error| Usage(error.to_string()))?)
}

fn tell(session: &Session<'_>, report: &WorkerReport, json: bool) -> anyhow::Result<()> {
    let counts = [
        ("completed", report.completed),
        ("retried", report.retried),
        ("not_yet", report.not_yet),
        ("snoozed", report.snoozed),
        ("cancelled", report.cancelled),
        ("discarded", report.discarded),
        ("handed_back", report.handed_back),
        ("leases_lost", report.leases_lost),
        ("rescued", report.rescued),
        ("unsettled", report.unsettled),
        ("over_limit", report.over_limit),
    ];
    if json {
        let record: std::collections::BTreeMap<&str, u64> = counts.into_iter().collect();
        return session.output.json(&record);
    }
    let told: Vec<String> = counts
        .into_iter()
        .filter(|(name, count)| *count > 0 || *name == "completed")
        .map(|(name, count)| format!("{count} {}", name.replace('_', " ")))
        .collect();
    session
        .output
        .talk(&format!("Worker done: {}.", told.join(", ")));
    Ok(())
}
