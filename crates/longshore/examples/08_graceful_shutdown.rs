//! Stopping a worker: it claims no more, gives handlers their grace, and hands back the rest.
//!
//! `cargo run --example 08_graceful_shutdown` prints the worker's report and the jobs' states.
//! In an application the shutdown future is `tokio::signal::ctrl_c()`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;
use std::time::Duration;

use longshore::{Attempt, JobError, JobRequest, Producer, Worker, connect};
use tokio::sync::Notify;

async fn export(started: Arc<Notify>, pages: u32, attempt: Attempt) -> Result<u32, JobError> {
    started.notify_one();
    for page in 0..pages {
        tokio::select! {
            () = attempt.cancelled() => {
                // What is left here the next attempt finds in `attempt.job().checkpoint`.
                attempt.checkpoint(page.to_string())?;
                return Err(JobError::retry("interrupted", "the worker is shutting down"));
            }
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
    Ok(pages)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = connect("memory:")?;
    let producer = Producer::new(store.clone());
    let short = JobRequest::new("exports", "export").args(&1);
    let long = JobRequest::new("exports", "export").args(&1_000_000);
    let short = producer.enqueue(short).await?;
    let long = producer.enqueue(long).await?;

    let started = Arc::new(Notify::new());
    let worker = Worker::builder(store.clone())
        .queue("exports")
        .concurrency(2)
        .shutdown_grace(Duration::from_millis(100))
        .handler_with("export", started.clone(), export)
        .build()?;
    let report = worker.run(started.notified()).await?;
    println!(
        "{} completed, {} handed back",
        report.completed, report.handed_back
    );
    for id in [short.id(), long.id()] {
        let job = store.get(id).await?.ok_or("the job is gone")?;
        println!("{}: attempt {}", job.state, job.attempt);
    }
    Ok(())
}
