//! The live span of a handler whose trace is sampled: what runs beneath it sees it as the current
//! span of OpenTelemetry.
//!
//! It is a value of ours behind OpenTelemetry's interface. A span of the SDK would have to be made
//! of the facts of the engine, sampled once more and then be taken apart again, for every job.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use longshore_core::Timestamp;
use longshore_instrument::table::{key, name};
use longshore_instrument::{
    Attribute, Dropped, HandlerScope, HandlerStart, Span, SpanKind, SpanStatus,
};
use opentelemetry::trace::{self as otel, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use crate::convert;
use crate::open_spans::SharedSpan;
use crate::way_out::WayOut;

/// The context of a running handler whose trace is sampled, with its span.
#[derive(Debug)]
pub(super) struct LiveHandler(Context);

impl LiveHandler {
    pub(super) fn begin(start: HandlerStart, way: Arc<WayOut>) -> Self {
        let span = HandlerSpan {
            context: convert::to_otel(&start.context, false),
            running: Some(Running::Alone(span(start))),
            way,
        };
        Self(Context::current().with_span(span))
    }
}

/// The span as it stands when its handler begins.
fn span(start: HandlerStart) -> Span {
    let kind = start.kind.as_str();
    // There is room for the class of an error.
    let mut attributes = Vec::with_capacity(6);
    attributes.extend([
        Attribute::new(key::HANDLER, kind.to_owned()),
        Attribute::new(key::KIND, kind.to_owned()),
        Attribute::new(key::JOB_ID, start.job_id.as_str().to_owned()),
        Attribute::new(key::QUEUE, start.queue.as_str().to_owned()),
        Attribute::new(key::ATTEMPT, start.attempt),
    ]);
    Span {
        trace_id: start.context.trace_id,
        span_id: start.context.span_id,
        parent_span_id: Some(start.parent.span_id),
        parent_is_remote: false,
        flags: start.context.flags,
        trace_state: start.context.trace_state,
        name: Cow::Borrowed(name::HANDLER),
        kind: SpanKind::Internal,
        start: start.at,
        end: start.at,
        attributes,
        events: Vec::new(),
        links: Vec::new(),
        status: SpanStatus::Unset,
        scope: Cow::Borrowed(Span::ENGINE_SCOPE),
        dropped: Dropped::default(),
        resource: None,
    }
}

impl HandlerScope for LiveHandler {
    fn within(&self, run: &mut dyn FnMut()) {
        let _attached = self.0.clone().attach();
        run();
    }

    fn end(&self, at: Timestamp, error_class: Option<&str>) {
        let span = self.0.span();
        if let Some(class) = error_class {
            span.set_attribute(KeyValue::new(key::ERROR_TYPE, class.to_owned()));
            span.set_status(Status::error(""));
        }
        span.end_with_timestamp(convert::system_time(at));
    }

    fn is_live(&self) -> bool {
        true
    }

    fn decided(&self, _kept: bool) -> Vec<Span> {
        Vec::new()
    }
}

/// What the application can add to while the handler runs. It leaves when it ends, or when nobody
/// has it any more.
#[derive(Debug)]
struct HandlerSpan {
    context: otel::SpanContext,
    /// Nothing once it has ended.
    running: Option<Running>,
    way: Arc<WayOut>,
}

/// A span that has not ended.
#[expect(
    clippy::large_enum_variant,
    reason = "most jobs never share it, and none should pay for another allocation"
)]
#[derive(Debug)]
enum Running {
    /// As the engine made it, unless nobody looks at what is open.
    Alone(Span),
    /// With what the application has said so far, so that it can be looked at.
    Shared(SharedSpan),
}

impl HandlerSpan {
    fn leave(&mut self, at: Timestamp) {
        let mut span = match self.running.take() {
            Some(Running::Alone(span)) => span,
            Some(Running::Shared(shared)) => self.way.open.unshare(shared),
            None => return,
        };
        span.end = at.max(span.start);
        self.way.leave(span);
    }

    fn change(&mut self, change: impl FnOnce(&mut Span)) {
        let open = &self.way.open;
        let running = self.running.take().map(|running| match running {
            Running::Alone(mut span) => {
                change(&mut span);
                if open.is_watched() {
                    Running::Shared(open.share(span))
                } else {
                    Running::Alone(span)
                }
            }
            Running::Shared(shared) => {
                change(&mut shared.lock().unwrap_or_else(PoisonError::into_inner));
                Running::Shared(shared)
            }
        });
        self.running = running;
    }
}

impl otel::Span for HandlerSpan {
    fn add_event_with_timestamp<T: Into<Cow<'static, str>>>(
        &mut self,
        name: T,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    ) {
        let most = self.way.gate.limits().events;
        self.change(|span| {
            let event = || convert::event(name.into(), timestamp, attributes);
            push(&mut span.events, most, &mut span.dropped.events, event);
        });
    }

    fn span_context(&self) -> &otel::SpanContext {
        &self.context
    }

    fn is_recording(&self) -> bool {
        self.running.is_some()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        let most = self.way.gate.limits().attributes;
        self.change(|span| {
            let (attributes, dropped) = (&mut span.attributes, &mut span.dropped.attributes);
            push(attributes, most, dropped, || convert::attribute(attribute));
        });
    }

    /// Success overrides an error, and either that nobody said.
    fn set_status(&mut self, status: Status) {
        self.change(|span| match (&span.status, status) {
            (_, Status::Ok) => span.status = SpanStatus::Ok,
            (SpanStatus::Unset, Status::Error { description }) => {
                span.status = SpanStatus::Error(description);
            }
            _ => {}
        });
    }

    fn update_name<T: Into<Cow<'static, str>>>(&mut self, name: T) {
        self.change(|span| span.name = name.into());
    }

    fn add_link(&mut self, context: otel::SpanContext, attributes: Vec<KeyValue>) {
        let most = self.way.gate.limits().links;
        if let Some(link) = convert::link(&context, attributes) {
            self.change(|span| push(&mut span.links, most, &mut span.dropped.links, || link));
        }
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        self.leave(convert::timestamp(timestamp));
    }
}

impl Drop for HandlerSpan {
    fn drop(&mut self) {
        if self.running.is_some() {
            let now = self.way.clock.now();
            self.leave(now);
        }
    }
}

/// Adds to a list that may have so many; what does not fit is counted, so that a span takes no
/// memory beyond the limits while it runs.
fn push<T>(list: &mut Vec<T>, most: u32, dropped: &mut u32, item: impl FnOnce() -> T) {
    if list.len() < usize::try_from(most).unwrap_or(usize::MAX) {
        list.push(item());
    } else {
        *dropped = dropped.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::{JobId, SpanContext, SpanId, TraceFlags, TraceId, TraceState};
    use longshore_instrument::AttributeValue;
    use longshore_testkit::ManualClock;
    use opentelemetry::trace::TraceState as OtelState;

    use super::*;
    use crate::limits::SpanLimits;
    use crate::processor::Gate;
    use crate::queue::{Queue, Work};

    fn handler(limits: SpanLimits) -> (LiveHandler, Arc<Queue<Span>>) {
        let queue = Arc::new(Queue::new(10, 1, Arc::default()));
        let gate = Gate::new(Vec::new(), Arc::default()).with_limits(limits);
        let context = |span_id| SpanContext {
            trace_id: TraceId::from_u128(7),
            span_id: SpanId::from_u64(span_id),
            flags: TraceFlags::SAMPLED,
            trace_state: TraceState::parse("ot=th:8").0,
        };
        let start = HandlerStart {
            parent: context(1),
            context: context(2),
            job_id: JobId::lossy("job-7"),
            kind: "send_mail".parse().unwrap(),
            queue: "mail".parse().unwrap(),
            attempt: 3,
            at: Timestamp::UNIX_EPOCH,
        };
        let way = Arc::new(WayOut {
            open: Arc::default(),
            gate: Arc::new(gate),
            queue: Arc::clone(&queue),
            clock: Arc::new(ManualClock::at(Timestamp::from_unix_nanos(9))),
        });
        let handler = LiveHandler::begin(start, way);
        (handler, queue)
    }

    fn only_span(queue: &Queue<Span>) -> Span {
        let Work::Items(spans) = queue.next() else {
            panic!("there is no span");
        };
        let [span] = <[Span; 1]>::try_from(spans).unwrap();
        span
    }

    fn other_context() -> otel::SpanContext {
        let flags = otel::TraceFlags::SAMPLED;
        otel::SpanContext::new(9.into(), 9.into(), flags, true, OtelState::default())
    }

    #[test]
    fn the_application_adds_to_it_until_it_ends_and_all_of_it_is_redacted() {
        let (handler, queue) = handler(SpanLimits::default());
        handler.within(&mut || {
            let current = Context::current();
            let span = current.span();
            assert!(span.is_recording());
            assert_eq!(span.span_context().span_id(), 2.into());
            assert_eq!(span.span_context().trace_state().header(), "ot=th:8");
            span.set_attribute(KeyValue::new("customer", "ada@example.com"));
            span.add_event("charged ada@example.com", vec![KeyValue::new("eur", 7)]);
            span.add_link(other_context(), Vec::new());
            span.set_status(Status::error("no"));
            span.update_name("charge");
        });
        handler.end(Timestamp::from_unix_nanos(50), Some("smtp_timeout"));
        let context = handler.0.clone();
        assert!(!context.span().is_recording());
        context.span().set_attribute(KeyValue::new("late", true));
        drop((context, handler));
        let span = only_span(&queue);
        assert_eq!(span.name, "charge");
        assert_eq!(span.end, Timestamp::from_unix_nanos(50));
        assert_eq!(span.parent_span_id, Some(SpanId::from_u64(1)));
        assert_eq!(span.status, SpanStatus::Error("no".into()));
        let text = |key| span.attribute(key).cloned();
        assert_eq!(text(key::JOB_ID), Some("job-7".into()));
        assert_eq!(text(key::ERROR_TYPE), Some("smtp_timeout".into()));
        assert_eq!(text("customer"), Some("[REDACTED:email]".into()));
        assert_eq!(text("late"), None);
        assert_eq!(span.events[0].name, "charged [REDACTED:email]");
        assert_eq!(span.events[0].attributes[0].value, AttributeValue::Int(7));
        assert_eq!(span.links[0].context.span_id, SpanId::from_u64(9));
        assert_eq!(queue.tally.snapshot().created, 1);
    }

    #[test]
    fn success_that_the_application_states_outweighs_an_error() {
        let (handler, queue) = handler(SpanLimits::default());
        handler.0.span().set_status(Status::Ok);
        handler.0.span().set_status(Status::error("late"));
        drop(handler);
        let span = only_span(&queue);
        assert_eq!(span.status, SpanStatus::Ok);
        assert_eq!(span.end.unix_nanos(), 9, "when it was dropped");
    }

    #[test]
    fn it_grows_no_further_than_its_limits() {
        let limits = SpanLimits {
            attributes: 6,
            events: 1,
            links: 1,
            ..SpanLimits::default()
        };
        let (handler, queue) = handler(limits);
        for _ in 0..3 {
            let span = handler.0.span();
            span.set_attribute(KeyValue::new("a", "b"));
            span.add_event("e", Vec::new());
            span.add_link(other_context(), Vec::new());
        }
        drop(handler);
        let span = only_span(&queue);
        let dropped = (
            span.dropped.attributes,
            span.dropped.events,
            span.dropped.links,
        );
        assert_eq!(dropped, (2, 2, 2));
        let left = (span.attributes.len(), span.events.len(), span.links.len());
        assert_eq!(left, (6, 1, 1));
    }
}
