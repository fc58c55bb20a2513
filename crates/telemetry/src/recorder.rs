//! The engine's side of telemetry.

mod handler;

use std::collections::HashMap;
use std::sync::Arc;

use longshore_core::{Clock, SpanContext, SpanId, StoreInfo, Timestamp, WorkerId};
use longshore_instrument::{
    HandlerScope, HandlerStart, Keeper, Measured, PropagationFailure, Recorder, RootDecision,
    RootRequest, Span,
};
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::BaggagePropagator;

use self::handler::LiveHandler;
use crate::convert;
use crate::keep::JobKeeper;
use crate::keep::job_spans::JobSpans;
use crate::metrics::meters::Meters;
use crate::sampler::{HeadSampler, Threshold};
use crate::served::ServedStore;
use crate::way_out::WayOut;

/// A [`Recorder`] that samples by rule and rate and hands spans to the exporter. Made by
/// [`Telemetry::recorder`](crate::Telemetry::recorder).
#[derive(Debug)]
pub struct TelemetryRecorder {
    pub(crate) way: Arc<WayOut>,
    pub(crate) head: Arc<HeadSampler>,
    pub(crate) service_name: String,
    pub(crate) baggage_keys: Vec<String>,
    /// Absent if nothing is exported, or keeping is switched off.
    pub(crate) keeper: Option<JobKeeper>,
    pub(crate) job_spans: Arc<JobSpans>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) takes_storage_spans: bool,
    pub(crate) served: Arc<ServedStore>,
}

impl Recorder for TelemetryRecorder {
    fn decide_root(&self, request: &RootRequest<'_>) -> RootDecision {
        self.head.decide(request)
    }

    fn recall_root(&self, request: &RootRequest<'_>) -> RootDecision {
        self.head.recall(request)
    }

    fn limit(&self, request: &RootRequest<'_>) -> Option<u64> {
        self.head.rule(request).map(Threshold::rejected)
    }

    fn current_route(&self) -> Option<Arc<str>> {
        let routes = self.head.routes()?;
        let current = Context::map_current(|context| context.span().span_context().span_id());
        routes.of(SpanId::from_bytes(current.to_bytes())?)
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

    fn serves(&self, store: &StoreInfo) {
        self.served.hear(store);
    }

    fn record(&self, mut spans: Vec<Span>) {
        spans.retain(|span| span.flags.is_sampled());
        if spans.is_empty() || self.way.queue.is_to_nowhere() {
            return;
        }
        self.way.gate.pass_engine_spans(&mut spans);
        self.way.queue.push(spans);
    }

    fn open_handler(&self, start: HandlerStart) -> Option<Box<dyn HandlerScope>> {
        if start.context.flags.is_sampled() {
            return Some(Box::new(LiveHandler::begin(start, Arc::clone(&self.way))));
        }
        // Only the ids are needed, so that user spans follow the decision. This is the common case
        // under head sampling, and it should cost little.
        let context = convert::to_otel(&start.context, false);
        let context = Context::current().with_remote_span_context(context);
        if self.keeper.is_some() {
            self.job_spans.begin(start.context.span_id);
        }
        Some(Box::new(HeldHandler {
            context,
            span_id: start.context.span_id,
            job_spans: Arc::clone(&self.job_spans),
            clock: Arc::clone(&self.way.clock),
        }))
    }

    fn propagation_failed(&self, failure: PropagationFailure) {
        self.way.queue.tally.propagation_failed(failure);
    }

    fn watches(&self) -> bool {
        self.way.open.is_on()
    }

    fn running(&self, worker: &WorkerId, spans: Vec<Span>) {
        self.way.open.running(worker, spans);
    }

    fn keeper(&self) -> Option<&dyn Keeper> {
        self.keeper.as_ref().map(|keeper| keeper as &dyn Keeper)
    }

    fn takes_storage_spans(&self) -> bool {
        self.takes_storage_spans
    }

    fn measures(&self) -> bool {
        self.meters.is_on()
    }

    fn measure(&self, measured: &Measured<'_>) {
        self.meters.measure(measured);
    }
}

/// The context of a running handler whose trace leaves only if its job is kept.
#[derive(Debug)]
struct HeldHandler {
    context: Context,
    span_id: SpanId,
    job_spans: Arc<JobSpans>,
    clock: Arc<dyn Clock>,
}

impl HandlerScope for HeldHandler {
    fn within(&self, run: &mut dyn FnMut()) {
        let _attached = self.context.clone().attach();
        run();
    }

    fn end(&self, _at: Timestamp, _error_class: Option<&str>) {}

    fn is_live(&self) -> bool {
        false
    }

    fn decided(&self, kept: bool) -> Vec<Span> {
        let now = self.clock.monotonic();
        self.job_spans.decide(self.span_id, kept, now)
    }
}

impl Drop for HeldHandler {
    fn drop(&mut self) {
        // Finds nothing to do if it was decided before, but for spans that still run.
        self.job_spans.give_up(self.span_id, self.clock.monotonic());
    }
}
