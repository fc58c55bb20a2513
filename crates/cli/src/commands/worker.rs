//! `longshore worker`: runs every job of some queues by a program.

mod at_work;
mod crew;
mod exec;
mod guard;
mod metrics;
mod programs;
mod signal;

use std::sync::Arc;

use longshore_core::QueueName;
use longshore_queue::{Attempt, RawArgs, WorkerReport};

use super::queues::absent;
use crate::args;
use crate::exit::{Exit, Usage};
use crate::session::Session;
use crate::upkeep;
use exec::Program;
use guard::Guard;
use metrics::Endpoint;
use programs::Programs;

pub(crate) use at_work::AtWork;
pub(crate) use crew::Crew;
pub(crate) use guard::watch;
pub(crate) use signal::asked_to_stop;

pub(crate) async fn run(session: &Session<'_>, args: args::Worker) -> anyhow::Result<Exit> {
    let endpoint = start_metrics(session, &args).await?;
    session.start_logs()?;
    if let Some(endpoint) = &endpoint {
        session
            .output
            .talk(&format!("Metrics at {}.", endpoint.url()));
    }
    let copies = upkeep::of_log(session)?;
    if let Some(endpoint) = &endpoint {
        endpoint.tell_of_copies(copies);
    }
    let crew = Crew::new(session, std::slice::from_ref(&args)).await?;
    if let Some((endpoint, receiver)) = endpoint.as_ref().zip(crew.receiver()) {
        endpoint.tell_of(receiver);
    }
    let stopping = crew.stopping();
    let asked = asked_to_stop(crew.at_work())?;
    let asked = async {
        asked.await;
        if let Some(waited_for) = stopping() {
            session.output.talk(&waited_for);
        }
    };
    let reports = crew.run(session, asked).await?;
    let report = reports.into_iter().next().unwrap_or_default();
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

/// The worker as flags and settings describe it; a flag wins.
fn build(
    session: &Session<'_>,
    args: &args::Worker,
    guard: Option<Arc<Guard>>,
    programs: Option<Programs>,
    at_work: AtWork,
) -> anyhow::Result<longshore_queue::Worker> {
    let program = Program::new(&args.exec, guard, programs)?;
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
            let running = at_work.begin(attempt.job().id.clone());
            async move {
                let _running = running;
                program.handle(body.0, &attempt).await
            }
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
