//! What every span passes on its way out: the application's processors, then redaction.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use longshore_instrument::Span;

use crate::limits::SpanLimits;
use crate::redact::Redactor;

/// A processor of the application: sees every span that may leave, and may change it.
///
/// Processors are asked in the order in which they were added, and all of them before redaction:
/// what they put on a span is redacted like anything else, so none can let a secret out. The spans
/// of the engine come as the outcome of an attempt is known, before and once more after it is
/// stored if the job's trace is kept, the application's own as they end; spans that were never
/// recorded do not come at all. Where there is a span log, those of attempts that run for longer than
/// a second also come while they are open, with an end of [`Timestamp::UNIX_EPOCH`], since what is
/// open is written down too (`telemetry.open_spans`).
///
/// [`Timestamp::UNIX_EPOCH`]: longshore_core::Timestamp::UNIX_EPOCH
///
/// It runs in the way of jobs, so it should be quick and must not wait. If it panics, the span goes
/// on as the processor left it. A span's ids, times, flags and scope stay what they were: children,
/// links and other processes name it by them. To keep attributes in, use
/// [`RedactionPolicy`](crate::RedactionPolicy); to keep whole traces or leave them out, the rules of
/// sampling and keeping.
///
/// ```
/// use std::sync::Arc;
/// use longshore_core::SystemClock;
/// use longshore_instrument::{Attribute, Span};
/// use longshore_telemetry::{SpanProcessor, Telemetry, TelemetrySettings};
///
/// #[derive(Debug)]
/// struct Region(&'static str);
///
/// impl SpanProcessor for Region {
///     fn process(&self, span: &mut Span) {
///         span.attributes.push(Attribute::new("cloud.region", self.0));
///     }
/// }
///
/// let settings = TelemetrySettings::default().with_processor(Region("europe-west1"));
/// let (telemetry, _warnings) = Telemetry::init(&settings, Arc::new(SystemClock::new()));
/// # drop(telemetry);
/// ```
pub trait SpanProcessor: fmt::Debug + Send + Sync {
    /// Looks at a span that has ended, and changes it as it likes.
    fn process(&self, span: &mut Span);
}

/// The way out.
#[derive(Debug)]
pub(crate) struct Gate {
    processors: Vec<Arc<dyn SpanProcessor>>,
    limits: SpanLimits,
    pub(crate) redactor: Arc<Redactor>,
}

impl Gate {
    pub(crate) fn new(processors: Vec<Arc<dyn SpanProcessor>>, redactor: Arc<Redactor>) -> Self {
        Self {
            processors,
            limits: SpanLimits::default(),
            redactor,
        }
    }

    /// The same gate with other limits.
    pub(crate) fn with_limits(self, limits: SpanLimits) -> Self {
        Self { limits, ..self }
    }

    pub(crate) const fn limits(&self) -> SpanLimits {
        self.limits
    }

    /// Makes a span fit to leave.
    pub(crate) fn pass(&self, span: &mut Span) {
        if !self.processors.is_empty() {
            self.pass_from_outside(span);
            return;
        }
        self.limits.limit(span);
        self.redactor.span(span);
        self.limits.shorten(span);
    }

    /// Makes a span fit to leave of which others may have written anything.
    pub(crate) fn pass_from_outside(&self, span: &mut Span) {
        for processor in &self.processors {
            let before = Identity::of(span);
            let _panicked = catch_unwind(AssertUnwindSafe(|| processor.process(span)));
            before.restore(span);
        }
        self.limits.limit(span);
        // What the engine says is safe may be somebody else's word.
        self.redactor.changed_span(span);
        self.limits.shorten(span);
    }

    /// Makes the engine's spans among these fit to leave. The application's passed when they ended;
    /// they are searched once more, since whoever has a recorder can hand in others.
    pub(crate) fn pass_engine_spans(&self, spans: &mut [Span]) {
        for span in spans {
            if span.scope == Span::ENGINE_SCOPE && span.resource.is_none() {
                self.pass(span);
            } else {
                self.redactor.span(span);
            }
        }
    }
}

/// What others name a span by.
struct Identity(Span);

impl Identity {
    fn of(span: &Span) -> Self {
        Self(Span {
            name: "".into(),
            scope: span.scope.clone(),
            trace_state: span.trace_state.clone(),
            status: longshore_instrument::SpanStatus::Unset,
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            resource: span.resource.clone(),
            ..*span
        })
    }

    fn restore(self, span: &mut Span) {
        let Self(before) = self;
        span.trace_id = before.trace_id;
        span.span_id = before.span_id;
        span.parent_span_id = before.parent_span_id;
        span.parent_is_remote = before.parent_is_remote;
        span.flags = before.flags;
        span.trace_state = before.trace_state;
        span.start = before.start;
        span.end = before.end;
        span.scope = before.scope;
        span.resource = before.resource;
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use longshore_core::{TraceFlags, TraceId};
    use longshore_instrument::table::key;
    use longshore_instrument::{Attribute, AttributeValue};

    use super::*;
    use crate::keep::job_spans::tests::span;

    #[derive(Debug)]
    struct Appends(&'static str, &'static str);

    impl SpanProcessor for Appends {
        fn process(&self, span: &mut Span) {
            let count = span.attributes.len();
            let text = format!("{} {count}", self.1);
            span.attributes.push(Attribute::new(self.0, text));
        }
    }

    #[derive(Debug)]
    struct Meddles;

    impl SpanProcessor for Meddles {
        fn process(&self, span: &mut Span) {
            span.trace_id = TraceId::from_u128(99);
            span.flags = TraceFlags::SAMPLED;
            span.scope = Cow::Borrowed(Span::ENGINE_SCOPE);
            span.name = Cow::Borrowed("renamed");
            panic!("a bug of the application");
        }
    }

    fn gate(processors: Vec<Arc<dyn SpanProcessor>>) -> Gate {
        Gate::new(processors, Arc::default())
    }

    fn text(span: &Span, key: &str) -> String {
        match span.attribute(key) {
            Some(AttributeValue::String(text)) => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn processors_run_in_order_and_before_redaction() {
        let card = "4111 1111 1111 1111";
        let processors: Vec<Arc<dyn SpanProcessor>> = vec![
            Arc::new(Appends("first", "saw")),
            Arc::new(Appends("second", "saw")),
            Arc::new(Appends("third", card)),
        ];
        let mut one = span(1, "fine");
        gate(processors).pass(&mut one);
        assert_eq!(text(&one, "first"), "saw 1");
        assert_eq!(text(&one, "second"), "saw 2");
        assert!(!text(&one, "third").contains("4111"), "{one:?}");
    }

    #[test]
    fn what_the_engine_calls_safe_is_searched_once_others_may_have_written_it() {
        let processors: Vec<Arc<dyn SpanProcessor>> =
            vec![Arc::new(Appends(key::OUTCOME, "4111 1111 1111 1111"))];
        let mut one = span(1, "fine");
        one.scope = Cow::Borrowed(Span::ENGINE_SCOPE);
        let others = span(2, "fine");
        let mut spans = [one, others.clone()];
        gate(processors).pass_engine_spans(&mut spans);
        assert!(!text(&spans[0], key::OUTCOME).contains("4111"), "{spans:?}");
        assert_eq!(spans[1], others);
    }

    #[test]
    fn a_processor_can_neither_break_a_trace_nor_a_job() {
        let mut one = span(1, "fine");
        let before = one.clone();
        gate(vec![Arc::new(Meddles)]).pass(&mut one);
        assert_eq!(one.name, "renamed");
        assert_eq!(
            Span {
                name: before.name.clone(),
                ..one
            },
            before
        );
    }
}
