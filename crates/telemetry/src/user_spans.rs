//! The SDK's part: user spans, through the OpenTelemetry API and through `tracing`, end up in the
//! same queue as the engine's.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::SpanId;
use longshore_instrument::relation;
use opentelemetry::Context;
use opentelemetry::trace::{Span as _, TraceContextExt};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};

use crate::convert;
use crate::counters::DropReason;
use crate::keep::job_spans::JobSpans;
use crate::sampler::{HeadSampler, ParentOrThreshold};
use crate::way_out::WayOut;

/// The attribute by which a web framework says which of its routes a request came to.
const ROUTE: &str = "http.route";

pub(crate) fn provider(
    way: Arc<WayOut>,
    job_spans: Arc<JobSpans>,
    head: Arc<HeadSampler>,
) -> SdkTracerProvider {
    let limits = way.gate.limits();
    let sampler = ParentOrThreshold {
        head: Arc::clone(&head),
        job_spans: Arc::clone(&job_spans),
    };
    SdkTracerProvider::builder()
        .with_sampler(sampler)
        // The same as all spans meet on their way out; so that a span that grows takes no memory
        // beyond them meanwhile.
        .with_max_attributes_per_span(limits.attributes)
        .with_max_events_per_span(limits.events)
        .with_max_links_per_span(limits.links)
        .with_max_attributes_per_event(limits.event_attributes)
        .with_max_attributes_per_link(limits.link_attributes)
        .with_span_processor(Sorter {
            way,
            job_spans,
            head,
        })
        .build()
}

impl Sorter {
    /// Notes which web request a span belongs to, if any rule asks for that.
    fn route_of(&self, span: &Span, parent: &Context) {
        let Some(routes) = self.head.routes() else {
            return;
        };
        let id = |id: opentelemetry::SpanId| SpanId::from_bytes(id.to_bytes());
        let Some(own) = id(span.span_context().span_id()) else {
            return;
        };
        let data = span.exported_data();
        let attributes = data.as_ref().map_or(&[][..], |data| &data.attributes);
        let stated = attributes.iter().find(|one| one.key.as_str() == ROUTE);
        let stated = stated.map(|one| one.value.as_str());
        let above = id(parent.span().span_context().span_id());
        routes.started(own, above, stated.as_deref());
    }

    /// Whether there is no room now for this span of the application. One whose trace leaves for
    /// certain has room as long as there is any.
    fn gives_way(&self, span: &longshore_instrument::Span) -> bool {
        let is_detail = || relation::threshold(&span.trace_state) != Some(0);
        self.way.queue.tally.pressure.drops_detail() && is_detail()
    }
}

/// Puts sampled spans into the exporter's queue, and others to the job they are beneath.
#[derive(Debug)]
struct Sorter {
    way: Arc<WayOut>,
    job_spans: Arc<JobSpans>,
    head: Arc<HeadSampler>,
}

impl SpanProcessor for Sorter {
    fn on_start(&self, span: &mut Span, parent: &Context) {
        let context = span.span_context();
        let sampled = context.is_sampled();
        if sampled {
            self.route_of(span, parent);
        }
        let own = SpanId::from_bytes(context.span_id().to_bytes());
        let above = SpanId::from_bytes(parent.span().span_context().span_id().to_bytes());
        let Some((own, above)) = own.zip(above) else {
            return;
        };
        self.way.open.begin(span, above);
        if !sampled {
            // One that is beyond the bounds was counted and is not asked for again.
            let _accepted = self.job_spans.started(own, above);
        }
    }

    fn on_end(&self, data: SpanData) {
        let sampled = data.span_context.is_sampled();
        self.way.open.end(data.span_context.span_id());
        if let Some(routes) = self.head.routes() {
            let own = SpanId::from_bytes(data.span_context.span_id().to_bytes());
            own.inspect(|own| routes.ended(*own));
        }
        let Some(mut span) = convert::span(data) else {
            return;
        };
        if sampled && self.gives_way(&span) {
            self.way.queue.tally.created_by_application(1);
            self.way.queue.tally.dropped(DropReason::Pressure, 1);
            return;
        }
        // Before anything keeps it, be it for a moment.
        self.way.gate.pass(&mut span);
        let leaves = match sampled {
            true => Some(span),
            false => self.job_spans.ended(span),
        };
        if let Some(span) = leaves {
            self.way.queue.push([span]);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::SystemClock;
    use opentelemetry::trace::{SpanContext, TraceFlags, Tracer, TracerProvider};

    use super::*;
    use crate::keep::job_spans::Bounds;
    use crate::processor::Gate;
    use crate::queue::Queue;

    fn way_out() -> Arc<WayOut> {
        Arc::new(WayOut {
            open: Arc::default(),
            gate: Arc::new(Gate::new(Vec::new(), Arc::default())),
            queue: Arc::new(Queue::new(100, 10, Arc::default())),
            clock: Arc::new(SystemClock::new()),
        })
    }

    /// Ends a span of the application beneath a sampled parent whose `tracestate` is this.
    fn end(provider: &SdkTracerProvider, state: &str) {
        let parent = SpanContext::new(
            u128::MAX.into(),
            7.into(),
            TraceFlags::SAMPLED,
            false,
            state.parse().unwrap(),
        );
        let parent = Context::new().with_remote_span_context(parent);
        let tracer = provider.tracer("app");
        tracer.start_with_context("query", &parent).end();
    }

    #[test]
    fn under_pressure_details_give_way_but_not_those_of_kept_traces() {
        let way = way_out();
        let tally = Arc::clone(&way.queue.tally);
        let bounds = Bounds { spans: 9, bytes: 9 };
        let job_spans = Arc::new(JobSpans::new(bounds, Arc::clone(&tally)));
        let head = Arc::new(HeadSampler::of_nothing(Arc::clone(&tally)));
        let provider = provider(way, job_spans, head);
        tally.pressure.in_backlog(11, 16);
        end(&provider, "ot=th:8");
        assert_eq!(tally.snapshot().dropped_total(), 0, "there is room yet");
        tally.pressure.in_backlog(12, 16);
        end(&provider, "ot=th:8");
        end(&provider, "");
        end(&provider, "ot=th:0");
        let counters = tally.snapshot();
        assert_eq!(counters.created, 4);
        assert_eq!(counters.dropped[&DropReason::Pressure], 2);
        assert_eq!(counters.waiting(), 2);
        tally.pressure.in_backlog(0, 16);
        end(&provider, "ot=th:8");
        assert_eq!(tally.snapshot().waiting(), 3);
    }
}
