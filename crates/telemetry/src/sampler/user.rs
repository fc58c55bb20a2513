//! The sampler of the application's own spans.

use std::sync::Arc;

use longshore_core::{SpanId, TraceId};
use longshore_instrument::relation;
use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use super::HeadSampler;
use crate::convert;
use crate::keep::job_spans::{Beneath, JobSpans};

/// A parent decides for its children, the base rate for new traces. What is not sampled but
/// beneath a job is recorded all the same, since the job may yet be kept.
#[derive(Clone, Debug)]
pub(crate) struct ParentOrThreshold {
    pub(crate) head: Arc<HeadSampler>,
    pub(crate) job_spans: Arc<JobSpans>,
}

impl ShouldSample for ParentOrThreshold {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: opentelemetry::TraceId,
        _name: &str,
        _kind: &SpanKind,
        _attributes: &[KeyValue],
        _links: &[Link],
    ) -> SamplingResult {
        let parent = parent_context
            .filter(|context| context.has_active_span())
            .map(|context| context.span().span_context().clone())
            .filter(SpanContext::is_valid);
        let Some(parent) = parent else {
            return self.root(trace_id);
        };
        let beneath = || {
            let id = SpanId::from_bytes(parent.span_id().to_bytes());
            id.map_or(Beneath::Nothing, |id| self.job_spans.above(id))
        };
        SamplingResult {
            decision: match parent.is_sampled() {
                true => SamplingDecision::RecordAndSample,
                false if beneath() == Beneath::Job => SamplingDecision::RecordOnly,
                false => SamplingDecision::Drop,
            },
            attributes: Vec::new(),
            trace_state: believed(&parent),
        }
    }
}

/// What the parent's `tracestate` says, but for a threshold of another process that cannot be
/// true.
fn believed(parent: &SpanContext) -> TraceState {
    let stated = parent.trace_state();
    if !parent.is_remote() || stated.get("ot").is_none() {
        return stated.clone();
    }
    let ours = convert::from_otel(parent).map(relation::consistent);
    ours.map_or_else(TraceState::default, |ours| {
        convert::to_otel(&ours, true).trace_state().clone()
    })
}

impl ParentOrThreshold {
    fn root(&self, trace_id: opentelemetry::TraceId) -> SamplingResult {
        let decision = TraceId::from_bytes(trace_id.to_bytes());
        let decision = decision.map(|trace_id| self.head.decide_other(trace_id));
        let sampled = decision.filter(|decision| decision.sampled);
        let stated = sampled.and_then(|decision| decision.threshold);
        let ot = stated.map(relation::threshold_member);
        let state = ot.and_then(|ot| TraceState::from_key_value([("ot", ot)]).ok());
        SamplingResult {
            decision: match sampled {
                Some(_) => SamplingDecision::RecordAndSample,
                None => SamplingDecision::Drop,
            },
            attributes: Vec::new(),
            trace_state: state.unwrap_or_default(),
        }
    }
}
