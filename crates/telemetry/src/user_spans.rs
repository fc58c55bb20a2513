//! The SDK's part: user spans, through the OpenTelemetry API and through `tracing`, end up in the
//! same queue as the engine's.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::SpanId;
use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, SdkTracerProvider, Span, SpanData, SpanProcessor,
};

use crate::convert;
use crate::sampler::{ParentOrThreshold, Threshold};
use crate::span_queue::SpanQueue;

thread_local! {
    /// The id of the next span that starts on this thread. The SDK's builder takes no id.
    static NEXT_SPAN_ID: Cell<Option<SpanId>> = const { Cell::new(None) };
}

pub(crate) fn provider(queue: Arc<SpanQueue>, threshold: Threshold) -> SdkTracerProvider {
    SdkTracerProvider::builder()
        .with_sampler(ParentOrThreshold(threshold))
        .with_id_generator(Ids::default())
        .with_span_processor(IntoQueue(queue))
        .build()
}

/// Runs `start`, giving the span that it starts this id.
pub(crate) fn with_span_id<T>(id: SpanId, start: impl FnOnce() -> T) -> T {
    NEXT_SPAN_ID.set(Some(id));
    let started = start();
    // Taken by the generator, unless the SDK started no span at all.
    NEXT_SPAN_ID.set(None);
    started
}

/// Random ids, but for a span whose id is given by [`with_span_id`].
#[derive(Debug, Default)]
struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> opentelemetry::TraceId {
        self.0.new_trace_id()
    }

    fn new_span_id(&self) -> opentelemetry::SpanId {
        match NEXT_SPAN_ID.take() {
            Some(id) => opentelemetry::SpanId::from_bytes(id.to_bytes()),
            None => self.0.new_span_id(),
        }
    }
}

/// Puts ended spans into the exporter's queue.
#[derive(Debug)]
struct IntoQueue(Arc<SpanQueue>);

impl SpanProcessor for IntoQueue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, data: SpanData) {
        // The SDK hands over spans that are recorded but not sampled, too.
        if !data.span_context.is_sampled() {
            return;
        }
        if let Some(span) = convert::span(data) {
            self.0.push(vec![span]);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
