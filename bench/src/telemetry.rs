//! The telemetry of one no-op job's attempt, with no store and no worker around it.

use std::time::{Duration, Instant};

use longshore_core::{
    AttemptOutcome, Clock, Job, JobId, JobState, NewJob, SystemClock, SystemRandom, Timestamp,
    TraceId, WorkerId, id::SpanPart,
};
use longshore_instrument::build::attempt_spans;
use longshore_instrument::facts::AttemptFacts;
use longshore_instrument::relation::{self, AttemptContext};
use longshore_instrument::{Recorder, RootRequest};

use crate::allocator::allocations;
use crate::measure::Table;
use crate::recorder::Discarding;
use crate::store::{KIND, QUEUE};

pub fn rows() {
    let mut table = Table::new(
        "Telemetry of one no-op job's attempt, no store and no worker around it",
        &["sampled", "ns", "allocations"],
    );
    for sampled in [false, true] {
        let cost = telemetry_of_one_attempt(sampled);
        table.row(vec![
            if sampled { "yes: spans built" } else { "no" }.to_owned(),
            format!("{:.0}", cost.nanoseconds),
            format!("{:.1}", cost.allocations),
        ]);
    }
    table.print();
}

/// What the telemetry of one attempt costs.
pub struct Cost {
    pub nanoseconds: f64,
    pub allocations: f64,
}

/// Where an attempt stands among traces and, if it is sampled, its spans.
pub fn telemetry_of_one_attempt(sampled: bool) -> Cost {
    const ROUNDS: u32 = 200_000;
    let recorder = Discarding::new(if sampled { 1.0 } else { 0.0 });
    let worker = WorkerId::new("longshore-bench");
    let job = running_job(&recorder, &worker);
    let at = job.enqueued_at;
    let before = allocations();
    let started = Instant::now();
    for _round in 0..ROUNDS {
        let context = attempt_context(std::hint::black_box(&job), at, &recorder);
        if context.is_sampled() {
            let spans = attempt_spans(&facts(&job, &context, &worker, at));
            recorder.record(std::hint::black_box(spans));
        }
    }
    Cost {
        nanoseconds: started.elapsed().as_nanos() as f64 / f64::from(ROUNDS),
        allocations: (allocations() - before) as f64 / f64::from(ROUNDS),
    }
}

fn attempt_context(job: &Job, at: Timestamp, recorder: &Discarding) -> AttemptContext {
    let decide = |trace_id| recorder.decide_root(&root_request(job, trace_id));
    let failed = |failure| recorder.propagation_failed(failure);
    relation::attempt_context(job, at, decide, failed)
}

fn root_request(job: &Job, trace_id: TraceId) -> RootRequest<'_> {
    RootRequest {
        trace_id,
        queue: &job.queue,
        kind: Some(&job.kind),
        priority: job.priority,
        tenant_id: None,
        namespace: None,
    }
}

fn facts<'a>(
    job: &'a Job,
    context: &'a AttemptContext,
    worker: &'a WorkerId,
    at: Timestamp,
) -> AttemptFacts<'a> {
    AttemptFacts {
        job,
        context,
        worker,
        claimed_at: at,
        handler: Some((at, at)),
        handler_is_live: false,
        settle: Some((at, at)),
        ended_at: at,
        outcome: AttemptOutcome::Completed,
        to_state: JobState::Completed,
        error_class: None,
        retry_delay: None,
        settle_error: None,
        previous: None,
        rebuilt: false,
    }
}

fn running_job(recorder: &Discarding, worker: &WorkerId) -> Job {
    let now = SystemClock::new().now();
    let id = JobId::generate(now, &SystemRandom);
    let queue = QUEUE.parse().expect("a good name");
    let kind = KIND.parse().expect("a good name");
    let mut job = Job::from_new(NewJob::new(id, queue, kind, "null"), now);
    let trace_id = job.id.derive_trace_id(0, None);
    let span_id = job.id.derive_span_id(0, SpanPart::Enqueue);
    let decision = recorder.decide_root(&root_request(&job, trace_id));
    let root = relation::root(trace_id, span_id, &decision);
    job.trace.traceparent = Some(root.traceparent());
    job.apply_claim(worker, now.after(Duration::from_secs(30)), now);
    job
}
