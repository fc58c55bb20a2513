//! Schedules as JSON.

use longshore_core::Timestamp;
use longshore_core::schedule::Scheduled;
use longshore_core::{JobId, SpanContext, TraceId};
use serde::Serialize;

use super::Body;

/// Next times that are shown.
pub(crate) const UPCOMING: usize = 5;

/// A schedule and how it stands.
#[derive(Debug, Serialize)]
pub(crate) struct ScheduleJson<'a> {
    name: &'a str,
    cron: String,
    zone: &'a str,
    jitter_seconds: f64,
    offset_seconds: f64,
    catch_up: String,
    alone: bool,
    queue: &'a str,
    kind: &'a str,
    args: Option<Body>,
    priority: u8,
    max_attempts: Option<u32>,
    timeout_seconds: Option<f64>,
    tags: &'a [String],
    tenant_id: Option<&'a str>,
    namespace: Option<&'a str>,
    paused: bool,
    upcoming: Vec<Timestamp>,
    due_at: Option<Timestamp>,
    last_tick: Option<Timestamp>,
    last_job_id: Option<JobId>,
    last_trace_id: Option<TraceId>,
    fired: u64,
    missed: u64,
    held: u64,
}

impl<'a> ScheduleJson<'a> {
    /// The record of a schedule.
    pub(crate) fn of(scheduled: &'a Scheduled) -> Self {
        let (schedule, standing) = (&scheduled.schedule, &scheduled.standing);
        let last_trace = standing.last_trace.as_deref();
        let last_trace = last_trace.and_then(|text| SpanContext::from_traceparent(text).ok());
        Self {
            name: schedule.name.as_str(),
            cron: schedule.timetable.to_string(),
            zone: schedule.zone.as_str(),
            jitter_seconds: schedule.jitter.as_secs_f64(),
            offset_seconds: schedule.offset().as_secs_f64(),
            catch_up: schedule.catch_up.to_string(),
            alone: schedule.alone,
            queue: schedule.queue.as_str(),
            kind: schedule.kind.as_str(),
            args: Body::split(schedule.args.as_bytes()).0,
            priority: schedule.priority.get(),
            max_attempts: schedule.max_attempts,
            timeout_seconds: schedule.timeout.map(|timeout| timeout.as_secs_f64()),
            tags: &schedule.tags,
            tenant_id: schedule.tenant_id.as_deref(),
            namespace: schedule.namespace.as_deref(),
            paused: standing.paused,
            upcoming: scheduled.upcoming(UPCOMING),
            due_at: scheduled.due_at(),
            last_tick: standing.last,
            last_job_id: standing.last.map(|tick| scheduled.job_id(tick)),
            last_trace_id: last_trace.map(|context| context.trace_id),
            fired: standing.fired,
            missed: standing.missed,
            held: standing.held,
        }
    }
}

/// All schedules.
#[derive(Debug, Serialize)]
pub(crate) struct SchedulesJson<'a> {
    pub(crate) schedules: Vec<ScheduleJson<'a>>,
}

/// What became of a schedule that was named.
#[derive(Debug, Serialize)]
pub(crate) struct NamedScheduleJson<'a> {
    pub(crate) name: &'a str,
    pub(crate) error: Option<String>,
}
