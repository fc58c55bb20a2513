//! Spans that others have made, such as a program that a job runs, and hand to this process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{SpanContext, SpanId, TraceId};
use longshore_instrument::{Resource, Span, relation};

use crate::counters::DropReason;
use crate::encode::same_resource;
use crate::limits;
use crate::processor::Gate;
use crate::telemetry::Telemetry;

/// What did not become of spans that were handed in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Spans that were lost, by reason; only reasons that occurred. All others are on their way, are
    /// held until it is known whether their job is kept, or need not leave.
    pub dropped: BTreeMap<DropReason, usize>,
    /// What the queue had lost before.
    lost_before: u64,
}

impl Adopted {
    /// Spans lost for whatever reason.
    #[must_use]
    pub fn dropped_total(&self) -> usize {
        self.dropped.values().sum()
    }
}

impl Telemetry {
    /// The context to hand to a program that the handler of a running attempt starts: `handler` is
    /// the context of the handler's span. It is sampled if the program's spans may leave in the end,
    /// be it that the attempt's job is kept: then they have to come back by [`Telemetry::adopt`], to
    /// this process, and must not be sent elsewhere.
    ///
    /// Hand on its `tracestate` as well as its `traceparent`: it says which attempt the spans are
    /// beneath. A program that enqueues jobs with it does so in the job's trace, as sampled as that
    /// is.
    #[must_use]
    pub fn lend(&self, handler: &SpanContext) -> SpanContext {
        if !handler.flags.is_sampled() && self.recorder.job_spans.lend(handler) {
            return relation::lent(handler);
        }
        handler.clone()
    }

    /// Takes spans that others have made. They are redacted, whoever they say has made them, before
    /// anything holds them.
    ///
    /// What is beneath an attempt that runs in this process goes with its job: it is held until it
    /// is known whether the job is kept, within the bounds of the application's own spans
    /// (`telemetry.trace_spans`, `telemetry.held_mebibytes`), and spans that come up to a minute
    /// later follow the decision. What is beneath no attempt leaves if its flag says that it is
    /// sampled.
    ///
    /// This does not wait. [`Telemetry::written`] does, before their sender is told that they are
    /// safe.
    #[must_use = "what was dropped is to be said to who sent it"]
    pub fn adopt(&self, mut spans: Vec<Span>) -> Adopted {
        let recorder = &self.recorder;
        let way = &recorder.way;
        if way.queue.is_to_nowhere() {
            return Adopted::default();
        }
        let lost_before = way.queue.lost();
        let mut resources = Resources::default();
        for span in &mut spans {
            way.gate.pass_from_outside(span);
            span.resource = Some(resources.fit(&way.gate, span.resource.take()));
        }
        let sorted = recorder.job_spans.adopt(spans);
        let mut dropped = sorted.dropped;
        if let Some((reason, count)) = way.queue.push(sorted.leaving) {
            *dropped.entry(reason).or_default() += count;
        }
        Adopted {
            dropped,
            lost_before,
        }
    }

    /// Whether a span that another program made is beneath an attempt that runs in this process, or
    /// is of a program that was handed a context by [`Telemetry::lend`] here or elsewhere. Whether
    /// such a span leaves [`Telemetry::adopt`] alone can tell; that of any other is told by its flag,
    /// for those who have another way for it. `trace_state` is what the span says, as it came.
    ///
    /// This is quick while no program has a context.
    #[must_use]
    pub fn awaits(&self, trace_id: TraceId, parent: Option<SpanId>, trace_state: &str) -> bool {
        let job_spans = &self.recorder.job_spans;
        job_spans.awaits(trace_id, parent, trace_state)
    }

    /// How many spans can be adopted now; none while spans come faster than they leave. Whoever
    /// brings more should be asked to come again later.
    #[must_use]
    pub fn room(&self) -> usize {
        self.recorder.way.queue.room()
    }

    /// Waits until what was adopted is written down, if anything is: where there is a span log, it
    /// then survives this process, but for what is held in memory until it is known whether its job
    /// is kept. False if that takes longer than `timeout`, or if the log has refused anything since,
    /// as a full disk does: whoever sent the spans should send them again.
    pub async fn written(&self, adopted: &Adopted, timeout: Duration) -> bool {
        let queue = &self.recorder.way.queue;
        if queue.is_to_nowhere() {
            return true;
        }
        let flushed = tokio::time::timeout(timeout, queue.flush()).await;
        matches!(flushed, Ok(Ok(()))) && queue.lost() == adopted.lost_before
    }
}

/// The resource of the last span, as it came and as it is fit to leave: spans that share one come one
/// after the other.
#[derive(Default)]
struct Resources(Option<(Option<Arc<Resource>>, Arc<Resource>)>);

impl Resources {
    fn fit(&mut self, gate: &Gate, resource: Option<Arc<Resource>>) -> Arc<Resource> {
        if let Some((known, fit)) = &self.0
            && same_resource(known, &resource)
        {
            return Arc::clone(fit);
        }
        let mut attributes = resource
            .as_ref()
            .map_or_else(Vec::new, |resource| resource.attributes.clone());
        let limits = gate.limits();
        limits::cut(&mut attributes, limits.attributes);
        gate.redactor.attributes(&mut attributes);
        limits::shorten_values(&mut attributes, limits.value_length);
        let fit = Arc::new(Resource { attributes });
        self.0 = Some((resource, Arc::clone(&fit)));
        fit
    }
}
