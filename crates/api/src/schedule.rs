//! Schedules.

use longshore_core::schedule::Scheduled;
use longshore_core::{SpanContext, Timestamp, TraceId};
use serde::{Deserialize, Serialize};

use crate::json::Json;

/// A schedule and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// When it fires.
    pub cron: String,
    /// Whose clock that is.
    pub zone: String,
    /// Over how long its times are spread.
    pub jitter_seconds: f64,
    /// What of that is added to each of its times.
    pub offset_seconds: f64,
    /// What becomes of ticks that were missed.
    pub catch_up: String,
    /// Whether a tick waits until the job of an earlier one is over.
    pub alone: bool,
    /// The queue of its jobs.
    pub queue: String,
    /// Their kind.
    pub kind: String,
    /// Their args.
    pub args: Option<Json>,
    /// 1 goes first, 4 last.
    pub priority: u8,
    /// How many attempts they may have, if not the usual number.
    pub max_attempts: Option<u32>,
    /// How long an attempt may take.
    pub timeout_seconds: Option<f64>,
    /// Their tags.
    pub tags: Vec<String>,
    /// Their tenant.
    pub tenant_id: Option<String>,
    /// Their namespace.
    pub namespace: Option<String>,
    /// Whether it rests.
    pub paused: bool,
    /// The next times, none while it rests.
    pub upcoming: Vec<Timestamp>,
    /// The next time with what is added to it.
    pub due_at: Option<Timestamp>,
    /// The tick that fired last.
    pub last_tick: Option<Timestamp>,
    /// The job of that tick.
    pub last_job_id: Option<String>,
    /// Its trace.
    pub last_trace_id: Option<TraceId>,
    /// How often it fired.
    pub fired: u64,
    /// How many ticks no worker was there for.
    pub missed: u64,
    /// How many ticks passed because an earlier job was not over.
    pub held: u64,
}

impl Schedule {
    /// How many of the next times a record has.
    pub const UPCOMING: usize = 5;

    /// The record of a schedule.
    #[must_use]
    pub fn of(scheduled: &Scheduled) -> Self {
        let (schedule, standing) = (&scheduled.schedule, &scheduled.standing);
        let last_trace = standing.last_trace.as_deref();
        let last_trace = last_trace.and_then(|text| SpanContext::from_traceparent(text).ok());
        Self {
            name: schedule.name.to_string(),
            cron: schedule.timetable.to_string(),
            zone: schedule.zone.as_str().to_owned(),
            jitter_seconds: schedule.jitter.as_secs_f64(),
            offset_seconds: schedule.offset().as_secs_f64(),
            catch_up: schedule.catch_up.to_string(),
            alone: schedule.alone,
            queue: schedule.queue.to_string(),
            kind: schedule.kind.to_string(),
            args: Json::of_bytes(schedule.args.as_bytes()).0,
            priority: schedule.priority.get(),
            max_attempts: schedule.max_attempts,
            timeout_seconds: schedule.timeout.map(|timeout| timeout.as_secs_f64()),
            tags: schedule.tags.clone(),
            tenant_id: schedule.tenant_id.clone(),
            namespace: schedule.namespace.clone(),
            paused: standing.paused,
            upcoming: scheduled.upcoming(Self::UPCOMING),
            due_at: scheduled.due_at(),
            last_tick: standing.last,
            last_job_id: standing.last.map(|tick| scheduled.job_id(tick).to_string()),
            last_trace_id: last_trace.map(|context| context.trace_id),
            fired: standing.fired,
            missed: standing.missed,
            held: standing.held,
        }
    }
}

/// What a person does to a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ScheduleChange {
    /// To rest.
    Pause,
    /// To go on.
    Resume,
    /// To fire now, besides its times.
    Trigger,
    /// To be gone.
    Remove,
}

/// A schedule to be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangeSchedule {
    /// What to do.
    pub change: ScheduleChange,
    /// To which schedule.
    pub name: String,
}
