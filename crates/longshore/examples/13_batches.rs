//! Jobs that belong together, and what follows them.
//!
//! `cargo run --example 13_batches` imports three pages, one of which has an index of two more, and
//! publishes once all five are there.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use longshore::{Attempt, Batch, Batches, JobError, JobRequest, Producer, Worker, connect};

async fn import(page: u32, attempt: Attempt) -> Result<(), JobError> {
    println!("imported page {page}");
    // The batch waits for these too.
    if let (3, Some(batch)) = (page, attempt.batch()) {
        batch.add(vec![page_request(31), page_request(32)]).await?;
    }
    Ok(())
}

async fn publish(_args: (), attempt: Attempt) -> Result<(), JobError> {
    if let Some(batch) = attempt.ended_batch() {
        println!("published {batch}");
    }
    Ok(())
}

fn page_request(page: u32) -> JobRequest {
    JobRequest::new("import", "import_page").args(&page)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = connect("memory:")?;
    let producer = Producer::new(store.clone());
    let batch = || {
        Batch::new((1..=3).map(page_request))
            .id("import-2026-05")
            .on_success(JobRequest::new("import", "publish"))
    };
    let enqueued = producer.enqueue_batch(batch()).await?;
    println!("batch {} has {} jobs", enqueued.id, enqueued.members);
    // A call that failed on the way may be repeated; one that did not, too.
    let again = producer.enqueue_batch(batch()).await?;
    println!("the second time: created {}", again.created);

    Worker::builder(store)
        .queue("import")
        .handler("import_page", import)
        .handler("publish", publish)
        .drain(true)
        .build()?
        .run(std::future::pending())
        .await?;

    if let Some(status) = Batches::new(producer).get(&enqueued.id).await? {
        let (ended, members) = (status.counts.ended(), status.members);
        println!("{ended} of {members} are over: {}", status.state.as_str());
    }
    Ok(())
}
