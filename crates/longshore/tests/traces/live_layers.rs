//! Layers under real telemetry: the handler's live span is around them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use longshore::otel::{Config, Environment, Telemetry};
use longshore::{
    Attempt, HandlerCall, HandlerService, JobError, JobRequest, MemoryStore, Producer, RawArgs,
    RawResult, Store, Worker,
};
use longshore_core::SystemClock;
use longshore_testkit::collector::Collector;
use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::{TraceContextExt as _, Tracer as _};
use tower_layer::layer_fn;
use tower_service::Service;

use crate::world::assert_tree_of;

/// Makes a span of its own around the handler.
#[derive(Clone)]
struct Traced {
    inner: HandlerService,
    telemetry: Arc<Telemetry>,
    name: &'static str,
}

impl Service<HandlerCall> for Traced {
    type Response = RawResult;
    type Error = JobError;
    type Future = Pin<Box<dyn Future<Output = Result<RawResult, JobError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), JobError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: HandlerCall) -> Self::Future {
        let span = self.telemetry.tracer("shop").start(self.name);
        let context = opentelemetry::Context::current_with_span(span);
        // The layers within are called under it, too.
        let _current = context.clone().attach();
        Box::pin(self.inner.call(call).with_context(context))
    }
}

async fn work(_args: RawArgs, attempt: Attempt) -> Result<RawResult, JobError> {
    tokio::task::yield_now().await;
    attempt.enqueue(JobRequest::new("later", "child")).await?;
    Ok(RawResult(None))
}

#[tokio::test]
async fn a_layers_span_is_under_the_handlers_and_around_what_the_handler_does() {
    let collector = Collector::start().unwrap();
    let endpoint = collector.grpc_endpoint();
    let environment = Environment::from_pairs([("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint)]);
    let config = Config::load(&[], &environment, &[]).unwrap();
    let (telemetry, warnings) = Telemetry::init(&config.telemetry(), Arc::new(SystemClock::new()));
    assert_eq!(*warnings, []);
    let telemetry = Arc::new(telemetry);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let producer = Producer::new(Arc::clone(&store)).with_recorder(telemetry.recorder());
    producer
        .enqueue(JobRequest::new("orders", "place_order"))
        .await
        .unwrap();
    let traced = |name: &'static str| {
        let telemetry = Arc::clone(&telemetry);
        layer_fn(move |inner| Traced {
            inner,
            telemetry: Arc::clone(&telemetry),
            name,
        })
    };
    let worker = Worker::builder(store)
        .queue("orders")
        .recorder(telemetry.recorder())
        .fallback(work)
        .layer(traced("outer"))
        .layer(traced("inner"))
        .drain(true);
    let worker = worker.build().unwrap();
    worker.run(std::future::pending()).await.unwrap();
    assert!(telemetry.shutdown(Duration::from_secs(10)).await);
    let mut spans = collector.spans();
    // Whether the claim or the wait began first is for the clock to say.
    spans.retain(|span| span.name != "queue.claim");
    assert_tree_of(&spans, "layer_live");
}
