//! The SDK's part: user spans, through the OpenTelemetry API and through `tracing`, end up in the
//! same queue as the engine's.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::SpanId;
use opentelemetry::Context;
use opentelemetry::trace::{Span as _, TraceContextExt};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, SdkTracerProvider, Span, SpanData, SpanProcessor,
};

use crate::convert;
use crate::keep::job_spans::JobSpans;
use crate::redact::Redactor;
use crate::sampler::{ParentOrThreshold, Threshold};
use crate::span_queue::SpanQueue;

thread_local! {
    /// The id of the next span that starts on this thread. The SDK's builder takes no id.
    static NEXT_SPAN_ID: Cell<Option<SpanId>> = const { Cell::new(None) };
}

pub(crate) fn provider(
    queue: Arc<SpanQueue>,
    job_spans: Arc<JobSpans>,
    redactor: Arc<Redactor>,
    threshold: Threshold,
) -> SdkTracerProvider {
    let sampler = ParentOrThreshold {
        threshold,
        job_spans: Arc::clone(&job_spans),
    };
    SdkTracerProvider::builder()
        .with_sampler(sampler)
        .with_id_generator(Ids::default())
        .with_span_processor(Sorter {
            queue,
            job_spans,
            redactor,
        })
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

/// Puts sampled spans into the exporter's queue, and others to the job they are beneath.
#[derive(Debug)]
struct Sorter {
    queue: Arc<SpanQueue>,
    job_spans: Arc<JobSpans>,
    redactor: Arc<Redactor>,
}

impl SpanProcessor for Sorter {
    fn on_start(&self, span: &mut Span, parent: &Context) {
        let context = span.span_context();
        if context.is_sampled() {
            return;
        }
        let own = SpanId::from_bytes(context.span_id().to_bytes());
        let above = SpanId::from_bytes(parent.span().span_context().span_id().to_bytes());
        if let (Some(own), Some(above)) = (own, above) {
            // One that is beyond the bounds was counted and is not asked for again.
            let _accepted = self.job_spans.started(own, above);
        }
    }

    fn on_end(&self, data: SpanData) {
        let sampled = data.span_context.is_sampled();
        let Some(mut span) = convert::span(data) else {
            return;
        };
        // Before anything keeps it, be it for a moment.
        self.redactor.span(&mut span);
        let leaves = match sampled {
            true => Some(span),
            false => self.job_spans.ended(span),
        };
        if let Some(span) = leaves {
            self.queue.push(vec![span]);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
