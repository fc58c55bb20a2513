//! What the time mostly went for, if that is not running.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use longshore_instrument::table::name;

use super::{Finding, percent};
use crate::chart::record::OVER;
use crate::chart::{Chart, Content, Marks, Row};
use crate::critical::{CriticalPath, is_wait, subject};
use crate::duration;
use crate::text::printable;

/// Time of a job that nobody worked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Idle {
    Waited,
    BackedOff,
}

/// That time on the path, and where most of it shows.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    time: Duration,
    longest: (Duration, u32),
    open: bool,
}

pub(super) fn spent(chart: &Chart, path: &CriticalPath) -> Option<Finding> {
    let about = subject(chart)?;
    let total = path.spent(chart).total;
    let mut spent: HashMap<(u32, Idle), Spent> = HashMap::new();
    for (at, time) in path.by_row() {
        let Some(row) = chart.row(at as usize) else {
            continue;
        };
        let Some(idle) = idle(chart, row) else {
            continue;
        };
        let sum = spent.entry((row.job, idle)).or_default();
        sum.time = sum.time.saturating_add(time);
        sum.longest = sum.longest.max((time, at));
        sum.open |= row.marks.has(Marks::OPEN);
    }
    let most = spent
        .into_iter()
        .max_by_key(|(_, spent)| (spent.time, spent.longest));
    let ((job, idle), spent) = most?;
    if spent.time < Duration::from_secs(1) || percent(spent.time, total) < 50 {
        return None;
    }
    let who = match job == about {
        true => Cow::Borrowed("it"),
        false => called(chart, job),
    };
    let share = percent(spent.time, total);
    let time = duration::format(spent.time);
    let (what, text) = match (idle, spent.open) {
        (Idle::Waited, false) => (
            "waited",
            format!(
                "{who} waited {time} for a worker, {share} % of the time: the workers of its queue were too few, busy or paused, or a limit was full"
            ),
        ),
        (Idle::Waited, true) => (
            "waited",
            format!(
                "{who} has been waiting {time} for a worker: none takes jobs of its queue, it is paused or held back by a limit, or all are busy"
            ),
        ),
        (Idle::BackedOff, false) => (
            "backed_off",
            format!(
                "{who} was backed off for {time}, {share} % of the time: failures cost more than work"
            ),
        ),
        (Idle::BackedOff, true) => (
            "backed_off",
            format!(
                "{who} was backed off for {time}, {share} % of the time, and waits to be tried again"
            ),
        ),
    };
    let row = Some(spent.longest.1);
    Some(Finding { what, text, row })
}

fn idle(chart: &Chart, row: &Row) -> Option<Idle> {
    match row.content {
        _ if is_wait(chart, row) => Some(Idle::Waited),
        Content::BackOff if chart.name(row) != OVER => Some(Idle::BackedOff),
        _ => None,
    }
}

/// The kind of a job, or at least its id.
fn called(chart: &Chart, job: u32) -> Cow<'_, str> {
    let mut rows = chart.rows().iter();
    let enqueue = rows.find(|row| row.job == job && chart.name(row) == name::ENQUEUE);
    match enqueue
        .map(|row| chart.detail(row))
        .filter(|kind| !kind.is_empty())
    {
        Some(kind) => printable(kind, true),
        None => {
            let id = chart.jobs().get(job as usize).map_or("", String::as_str);
            Cow::Owned(format!("job {}", printable(id, true)))
        }
    }
}
