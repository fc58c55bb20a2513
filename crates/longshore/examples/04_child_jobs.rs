//! A handler enqueues more work; it stays in the same trace.
//!
//! `cargo run --example 04_child_jobs` draws the trace as a waterfall.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;
use std::time::Duration;

use longshore::trace::{Colour, DrawOptions, Story, Waterfall};
use longshore::{Attempt, JobError, JobRequest, Producer, SpanBuffer, Worker, connect};

async fn place_order(order: u32, attempt: Attempt) -> Result<(), JobError> {
    tokio::time::sleep(Duration::from_millis(3)).await;
    // Enqueued now, whatever becomes of this attempt; the id makes a second attempt harmless.
    let charge = JobRequest::new("shop", "charge").args(&order);
    attempt
        .enqueue(charge.id(format!("charge-{order}")))
        .await?;
    // Enqueued with the success of this attempt, exactly once.
    attempt.enqueue_on_success(JobRequest::new("shop", "receipt").args(&order))?;
    Ok(())
}

async fn work(_order: u32, _attempt: Attempt) -> Result<(), JobError> {
    tokio::time::sleep(Duration::from_millis(5)).await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = connect("memory:")?;
    let spans = Arc::new(SpanBuffer::default());
    let producer = Producer::new(store.clone()).with_recorder(spans.clone());
    let order = JobRequest::new("shop", "place_order").args(&7);
    let enqueued = producer.enqueue(order).await?;

    Worker::builder(store)
        .queue("shop")
        .handler("place_order", place_order)
        .handler("charge", work)
        .handler("receipt", work)
        .recorder(spans.clone())
        .drain(true)
        .build()?
        .run(std::future::pending())
        .await?;

    let spans = spans.spans();
    let story = Story::of_job(&spans, enqueued.id()).ok_or("the job left no span")?;
    let options = DrawOptions {
        width: 100,
        colour: Colour::None,
        unicode: true,
    };
    println!("{}", Waterfall::new(&story).draw(&options));
    Ok(())
}
