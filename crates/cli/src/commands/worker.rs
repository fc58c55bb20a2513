//! `longshore worker`: runs every job of some queues by a program.

mod exec;
mod signal;

use std::time::Duration;

use longshore_queue::{Attempt, RawArgs, WorkerReport};

use crate::args;
use crate::exit::{Exit, Usage};
use crate::session::Session;
use exec::Program;

pub(crate) async fn run(session: &Session<'_>, args: args::Worker) -> anyhow::Result<Exit> {
    session.start_logs()?;
    let worker = build(session, &args)?;
    let shutdown = signal::asked_to_stop()?;
    let ran = worker.run(shutdown).await;
    // Programs that were asked to stop are gone or killed within this time.
    let gone = exec::all_gone();
    let _in_time = tokio::time::timeout(exec::GRACE + Duration::from_millis(200), gone).await;
    let report = ran?;
    tell(session, &report, args.json)?;
    if args.drain && report.discarded > 0 {
        return Ok(Exit::Discarded);
    }
    Ok(Exit::Done)
}

/// The worker as flags and settings describe it; a flag wins.
fn build(session: &Session<'_>, args: &args::Worker) -> anyhow::Result<longshore_queue::Worker> {
    let program = Program::new(&args.exec)?;
    let config = session.config()?;
    let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let concurrency = args
        .concurrency
        .and_then(|number| usize::try_from(number).ok());
    let concurrency = concurrency.or_else(|| config.count("worker.concurrency"));
    let mut builder = longshore_queue::Worker::builder(session.store()?)
        .concurrency(concurrency.unwrap_or_else(processors))
        .drain(args.drain)
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
    Ok(builder.build().map_err(|error| Usage(error.to_string()))?)
}

fn tell(session: &Session<'_>, report: &WorkerReport, json: bool) -> anyhow::Result<()> {
    let counts = [
        ("completed", report.completed),
        ("retried", report.retried),
        ("snoozed", report.snoozed),
        ("cancelled", report.cancelled),
        ("discarded", report.discarded),
        ("handed_back", report.handed_back),
        ("leases_lost", report.leases_lost),
        ("rescued", report.rescued),
        ("unsettled", report.unsettled),
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
