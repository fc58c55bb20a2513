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
    let program = Program::new(&args.exec)?;
    let mut builder = longshore_queue::Worker::builder(session.store()?)
        .concurrency(usize::try_from(args.concurrency).unwrap_or(usize::MAX))
        .lease(args.lease)
        .drain(args.drain)
        .fallback(move |body: RawArgs, attempt: Attempt| {
            let program = program.clone();
            async move { program.handle(body.0, &attempt).await }
        });
    builder = args
        .queues
        .iter()
        .fold(builder, |builder, queue| builder.queue(queue.as_str()));
    if let Some(timeout) = args.timeout {
        builder = builder.timeout(timeout);
    }
    if let Some(recorder) = session.recorder() {
        builder = builder.recorder(recorder);
    }
    let worker = builder.build().map_err(|error| Usage(error.to_string()))?;
    let shutdown = signal::asked_to_stop(session.output)?;
    let report = worker.run(shutdown).await?;
    session.close().await;
    tell(session, &report, args.json)?;
    // Programs that were asked to stop are gone or killed within this time.
    tokio::time::timeout(exec::GRACE + Duration::from_millis(200), exec::all_gone())
        .await
        .ok();
    if args.drain && report.discarded > 0 {
        return Ok(Exit::Discarded);
    }
    Ok(Exit::Done)
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
