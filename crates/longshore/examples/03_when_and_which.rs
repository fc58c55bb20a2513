//! Delays, priorities and unique keys.
//!
//! `cargo run --example 03_when_and_which` prints the order in which the jobs ran.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore::{Attempt, Enqueued, JobError, JobRequest, Producer, Worker, connect};

type Log = Arc<Mutex<Vec<String>>>;

async fn note(log: Log, name: String, _attempt: Attempt) -> Result<(), JobError> {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    log.push(name);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = connect("memory:")?;
    let producer = Producer::new(store.clone());
    let job = |name: &str| JobRequest::new("notes", "note").args(name);

    producer
        .enqueue(job("later").delay(Duration::from_millis(200)))
        .await?;
    producer.enqueue(job("unimportant").priority(4)).await?;
    producer.enqueue(job("urgent").priority(1)).await?;

    // The second call finds the job that the first one made.
    let first = producer.enqueue(job("once").unique_key("daily")).await?;
    let again = producer.enqueue(job("once").unique_key("daily")).await?;
    assert!(matches!(&again, Enqueued::Hit { id, .. } if id == first.id()));

    // The same key for other args is an error, not a silent hit.
    let other = producer.enqueue(job("other").unique_key("daily")).await;
    if let Err(error) = other {
        println!("refused: {error}");
    }

    let log = Log::default();
    Worker::builder(store)
        .queue("notes")
        .concurrency(1)
        .handler_with("note", log.clone(), note)
        .drain(true)
        .build()?
        .run(std::future::pending())
        .await?;
    let log = log.lock().unwrap_or_else(PoisonError::into_inner);
    println!("ran: {}", log.join(", "));
    Ok(())
}
