//! A job from enqueue to result.
//!
//! `cargo run --example 01_first_job` prints the job's result and its trace as a tree.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use longshore::trace::{Forest, outline::outline};
use longshore::{Attempt, JobError, JobRequest, Producer, SpanBuffer, Worker, connect};

#[derive(serde::Serialize, serde::Deserialize)]
struct Greeting {
    name: String,
}

async fn greet(args: Greeting, _attempt: Attempt) -> Result<String, JobError> {
    Ok(format!("hello, {}", args.name))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // In an application: `connect("sqlite:jobs.db")`.
    let store = connect("memory:")?;
    let spans = Arc::new(SpanBuffer::default());

    let producer = Producer::new(store.clone()).with_recorder(spans.clone());
    let args = Greeting {
        name: "Ann".to_owned(),
    };
    let request = JobRequest::new("greetings", "greet").args(&args);
    let enqueued = producer.enqueue(request).await?;

    let worker = Worker::builder(store.clone())
        .queue("greetings")
        .handler("greet", greet)
        .recorder(spans.clone())
        .drain(true) // stop when there is nothing left to do
        .build()?;
    worker.run(std::future::pending()).await?;

    let job = store.get(enqueued.id()).await?.ok_or("the job is gone")?;
    let result = job.result.unwrap_or_default();
    println!("{}: {}", job.state, String::from_utf8_lossy(&result));
    println!("{}", outline(&Forest::new(&spans.spans())));
    Ok(())
}
