//! What a handler may say when it does not succeed, and what the job remembers of it.
//!
//! `cargo run --example 02_retries` prints one line per attempt and the trace, failures marked.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;
use std::time::Duration;

use longshore::trace::{Forest, outline::outline};
use longshore::{
    Attempt, JobError, JobRequest, Producer, RetryPolicy, SpanBuffer, Worker, connect,
};

async fn charge(_order: u32, attempt: Attempt) -> Result<&'static str, JobError> {
    match attempt.job().claim {
        // Not a failure: the attempt does not count.
        1 => Err(JobError::snooze(Duration::from_millis(20))),
        // The policy decides when.
        2 => Err(JobError::retry("timeout", "the bank did not answer")),
        // The handler knows better.
        3 => Err(JobError::retry_after(
            Duration::from_millis(30),
            "rate_limited",
            "the bank asks for a pause",
        )),
        // Any error will do.
        4 => Ok("x".parse::<u32>().map(|_| "never")?),
        _ => Ok("charged"),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = connect("memory:")?;
    let spans = Arc::new(SpanBuffer::default());
    let producer = Producer::new(store.clone()).with_recorder(spans.clone());
    let request = JobRequest::new("payments", "charge")
        .args(&7)
        .max_attempts(5);
    let enqueued = producer.enqueue(request).await?;

    let quick = RetryPolicy::exponential(Duration::from_millis(10), Duration::from_secs(1));
    Worker::builder(store.clone())
        .queue("payments")
        .handler("charge", charge)
        .retry_kind("charge", quick)
        .recorder(spans.clone())
        .drain(true)
        .build()?
        .run(std::future::pending())
        .await?;

    let job = store.get(enqueued.id()).await?.ok_or("the job is gone")?;
    for record in &job.history {
        let error = record.error.as_ref().map_or("", |error| &error.message);
        let outcome = record.outcome.as_str();
        println!("attempt {}: {outcome} {error}", record.attempt);
    }
    println!("{}", outline(&Forest::new(&spans.spans())));
    Ok(())
}
