//! Limits across workers: how many jobs run at once, and what a full queue says.
//!
//! `cargo run --example 11_limits` runs three workers that share a limit.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use longshore::{
    Attempt, JobError, JobRequest, Limit, LimitControl, LimitRefused, Producer, Worker, connect,
};

/// How many handlers are at work, and the most there were.
#[derive(Clone, Default)]
struct AtWork(Arc<(AtomicUsize, AtomicUsize)>);

async fn call_bank(at_work: AtWork, _order: u32, _attempt: Attempt) -> Result<(), JobError> {
    let (now, most) = &*at_work.0;
    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(20)).await;
    now.fetch_sub(1, Ordering::SeqCst);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = connect("memory:")?;
    let limits = LimitControl::new(store.clone());
    let limit = Limit {
        concurrency: Some(3),
        length: Some(50),
        ..Limit::default()
    };
    limits.set("queue:bank".parse()?, limit).await?;

    let producer = Producer::new(store.clone());
    let orders = (0..60u32).map(|order| JobRequest::new("bank", "call_bank").args(&order));
    let answers = producer.enqueue_many(orders.collect()).await?;
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    println!("{} of 60 jobs are refused", refused.clone().count());
    if let Some(why) = refused.filter_map(LimitRefused::of).next() {
        println!("{why}");
    }

    let at_work = AtWork::default();
    let worker = || {
        Worker::builder(store.clone())
            .queue("bank")
            .handler_with("call_bank", at_work.clone(), call_bank)
            .drain(true)
            .build()
    };
    let forever = std::future::pending;
    let (first, second, third) = (worker()?, worker()?, worker()?);
    tokio::try_join!(
        first.run(forever()),
        second.run(forever()),
        third.run(forever())
    )?;
    let most = at_work.0.1.load(Ordering::SeqCst);
    println!("at most {most} ran at once, with 10 slots in each of three workers");
    Ok(())
}
