//! Layers around handlers, one of our own that measures and two of `tower`'s; and a hook that posts
//! every change of state to a channel.
//!
//! `cargo run --example 12_layers` runs four jobs, two at a time, one of which takes too long, and
//! prints how long each took, and how each ended.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use longshore::{
    Attempt, HandlerCall, HandlerService, JobError, JobRequest, Producer, RawResult, StateChange,
    Worker, connect,
};
use tower::limit::ConcurrencyLimitLayer;
use tower::timeout::TimeoutLayer;
use tower_layer::layer_fn;
use tower_service::Service;

/// Measures what is within.
#[derive(Clone)]
struct Timed(HandlerService);

impl Service<HandlerCall> for Timed {
    type Response = RawResult;
    type Error = JobError;
    type Future = Pin<Box<dyn Future<Output = Result<RawResult, JobError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), JobError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, call: HandlerCall) -> Self::Future {
        let args = String::from_utf8_lossy(call.args()).into_owned();
        let answer = self.0.call(call);
        Box::pin(async move {
            let began = tokio::time::Instant::now();
            let answer = answer.await;
            let took = began.elapsed().as_millis() / 100 * 100;
            match &answer {
                Ok(_) => println!("{args} was done after about {took} ms"),
                Err(error) => println!("{args} failed after about {took} ms: {error}"),
            }
            answer
        })
    }
}

async fn print(pages: u64, _attempt: Attempt) -> Result<(), JobError> {
    tokio::time::sleep(Duration::from_millis(100 * pages)).await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = connect("memory:")?;
    let producer = Producer::new(store.clone());
    for pages in [1, 2, 3, 30] {
        let request = JobRequest::new("printing", "print").max_attempts(1);
        producer.enqueue(request.args(&pages)).await?;
    }
    let (sender, mut changes) = tokio::sync::mpsc::channel::<StateChange>(100);
    Worker::builder(store)
        .queue("printing")
        .handler("print", print)
        // The first is the outermost: it measures the wait for one of the two places, too.
        .layer(layer_fn(Timed))
        .layer(ConcurrencyLimitLayer::new(2))
        .layer(TimeoutLayer::new(Duration::from_secs(1)))
        .on_state_change(move |change| {
            let sender = sender.clone();
            async move {
                let _nobody_listens = sender.send(change).await;
            }
        })
        .drain(true)
        .build()?
        .run(std::future::pending())
        .await?;
    while let Some(change) = changes.recv().await {
        if change.to.is_final() {
            println!("job {} is {}", change.job.id, change.to);
        }
    }
    Ok(())
}
