//! Schedules as JSON.

use longshore_api::schedule::Schedule;
use serde::Serialize;

/// All schedules.
#[derive(Debug, Serialize)]
pub(crate) struct SchedulesJson {
    pub(crate) schedules: Vec<Schedule>,
}

/// What became of a schedule that was named.
#[derive(Debug, Serialize)]
pub(crate) struct NamedScheduleJson<'a> {
    pub(crate) name: &'a str,
    pub(crate) error: Option<String>,
}
