//! Schedules.

use longshore_core::{Timestamp, TraceId};
use serde::{Deserialize, Serialize};

/// A schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// When it fires.
    pub cron: String,
    /// Whose clock that is.
    pub zone: String,
    /// The queue of its jobs.
    pub queue: String,
    /// Their kind.
    pub kind: String,
    /// Whether it rests.
    pub paused: bool,
    /// What becomes of ticks that were missed.
    pub catch_up: String,
    /// The next times.
    pub upcoming: Vec<Timestamp>,
    /// The tick that fired last.
    pub last_tick: Option<Timestamp>,
    /// The job of that tick.
    pub last_job_id: Option<String>,
    /// Its trace.
    pub last_trace_id: Option<TraceId>,
    /// How often it fired.
    pub fired: u64,
    /// How many ticks were passed over.
    pub missed: u64,
}

/// What a person does to a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[serde(deny_unknown_fields)]
pub struct ChangeSchedule {
    /// What to do.
    pub change: ScheduleChange,
    /// To which schedule.
    pub name: String,
}
