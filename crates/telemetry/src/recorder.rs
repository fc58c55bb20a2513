//! The engine's side of telemetry.

use std::collections::HashMap;
use std::sync::Arc;

use longshore_core::{SpanContext, Timestamp};
use longshore_instrument::table::{key, name};
use longshore_instrument::{
    HandlerScope, HandlerStart, PropagationFailure, Recorder, RootDecision, RootRequest, Span,
};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::BaggagePropagator;
use opentelemetry_sdk::trace::SdkTracer;

use crate::convert;
use crate::sampler::Threshold;
use crate::span_queue::SpanQueue;
use crate::user_spans::with_span_id;

/// A [`Recorder`] that samples by ratio and hands spans to the exporter. Made by
/// [`Telemetry::recorder`](crate::Telemetry::recorder).
#[derive(Debug)]
pub struct TelemetryRecorder {
    pub(crate) queue: Arc<SpanQueue>,
    pub(crate) threshold: Threshold,
    pub(crate) tracer: SdkTracer,
    pub(crate) service_name: String,
    pub(crate) baggage_keys: Vec<String>,
}

impl Recorder for TelemetryRecorder {
    fn decide_root(&self, request: &RootRequest<'_>) -> RootDecision {
        self.threshold.decide(request.trace_id)
    }

    fn current(&self) -> Option<SpanContext> {
        Context::map_current(|context| {
            context
                .has_active_span()
                .then(|| convert::from_otel(context.span().span_context()))
                .flatten()
        })
    }

    fn current_baggage(&self) -> String {
        if self.baggage_keys.is_empty() {
            return String::new();
        }
        let mut carrier = HashMap::new();
        BaggagePropagator::new().inject_context(&Context::current(), &mut carrier);
        carrier.remove("baggage").unwrap_or_default()
    }

    fn baggage_keys(&self) -> &[String] {
        &self.baggage_keys
    }

    fn service_name(&self) -> &str {
        &self.service_name
    }

    fn record(&self, mut spans: Vec<Span>) {
        spans.retain(|span| span.flags.is_sampled());
        if !spans.is_empty() {
            self.queue.push(spans);
        }
    }

    fn open_handler(&self, start: HandlerStart) -> Option<Box<dyn HandlerScope>> {
        if !start.context.flags.is_sampled() {
            // Nothing will be exported: only the ids are needed, so that user spans follow the
            // decision. This is the common case under head sampling, and it should cost little.
            let context = convert::to_otel(&start.context, false);
            let context = Context::current().with_remote_span_context(context);
            return Some(Box::new(LiveHandler(context)));
        }
        let parent =
            Context::current().with_remote_span_context(convert::to_otel(&start.parent, false));
        let builder = self
            .tracer
            .span_builder(name::HANDLER)
            .with_start_time(convert::system_time(start.at))
            .with_attributes([
                KeyValue::new(key::HANDLER, start.kind.to_string()),
                KeyValue::new(key::KIND, start.kind.to_string()),
                KeyValue::new(key::JOB_ID, start.job_id.to_string()),
                KeyValue::new(key::QUEUE, start.queue.to_string()),
                KeyValue::new(key::ATTEMPT, i64::from(start.attempt)),
            ]);
        let span = with_span_id(start.context.span_id, || {
            self.tracer.build_with_context(builder, &parent)
        });
        Some(Box::new(LiveHandler(parent.with_span(span))))
    }

    fn propagation_failed(&self, failure: PropagationFailure) {
        self.queue.tally.propagation_failed(failure);
    }
}

/// The context of a running handler, with its span.
#[derive(Debug)]
struct LiveHandler(Context);

impl HandlerScope for LiveHandler {
    fn within(&self, run: &mut dyn FnMut()) {
        let _attached = self.0.clone().attach();
        run();
    }

    fn end(&self, at: Timestamp, error_class: Option<&str>) {
        let span = self.0.span();
        if !span.is_recording() {
            return;
        }
        if let Some(class) = error_class {
            span.set_attribute(KeyValue::new(key::ERROR_TYPE, class.to_owned()));
            span.set_status(Status::error(""));
        }
        span.end_with_timestamp(convert::system_time(at));
    }
}
