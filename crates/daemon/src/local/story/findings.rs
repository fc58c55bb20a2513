//! What a person should know of a story, beyond what stands out in its chart.

use std::time::Duration;

use longshore_api::trace::Finding;
use longshore_core::{Job, JobState, Timestamp};
use longshore_trace::chart::{Content, Marks, Row};
use longshore_trace::{Chart, CriticalPath, duration, findings, unusual};

/// What stands out, the gravest first. `usual` is how long jobs of the same kind ran lately.
pub(super) fn find(
    chart: &Chart,
    path: &CriticalPath,
    job: Option<&Job>,
    usual: &[Duration],
    now: Timestamp,
) -> Vec<Finding> {
    let mut found: Vec<Finding> = job
        .and_then(|job| running(chart, job, now))
        .into_iter()
        .collect();
    let in_chart = findings::findings(chart, path).into_iter();
    found.extend(in_chart.map(|one| Finding {
        what: one.what.to_owned(),
        text: one.text,
        row: one.row,
    }));
    found.extend(job.and_then(|job| unusually_long(chart, job, usual)));
    found
}

/// That only so many of the spans are there.
pub(super) fn cut(shown: usize) -> Finding {
    Finding {
        what: "cut".to_owned(),
        text: format!(
            "it has more than {shown} spans: those that were written down first are shown, and \
             sums, critical path and what stands out are of them alone"
        ),
        row: None,
    }
}

/// What is open in a job that runs.
fn running(chart: &Chart, job: &Job, now: Timestamp) -> Option<Finding> {
    if job.state != JobState::Running {
        return None;
    }
    let since = job.claimed_at.map_or(Duration::ZERO, |at| now.since(at));
    let open = |(_, row): &(usize, &Row)| {
        row.marks.has(Marks::OPEN) && matches!(row.content, Content::Span | Content::Running)
    };
    // The deepest is what everything above it waits for.
    let deepest = chart.rows().iter().enumerate().filter(open);
    let deepest = deepest.max_by_key(|(_, row)| (row.depth, row.start));
    let within = deepest.filter(|(_, row)| row.content == Content::Span);
    let within = within.map_or_else(String::new, |(_, row)| {
        let lasts = duration::format(now.since(row.start));
        format!(", and for {lasts} in `{}`", chart.name(row))
    });
    Some(Finding {
        what: "running".to_owned(),
        text: format!("it has run for {}{within}", duration::format(since)),
        row: deepest.and_then(|(index, _)| u32::try_from(index).ok()),
    })
}

/// That the last attempt ran for much longer than those of other jobs of the kind.
fn unusually_long(chart: &Chart, job: &Job, usual: &[Duration]) -> Option<Finding> {
    let last = job.last_attempt()?;
    let ran = longshore_api::job::ran(last);
    let standing = unusual::standing(ran, usual)?;
    if !standing.is_unusual() || ran <= standing.median {
        return None;
    }
    let is_attempt =
        |row: &Row| longshore_trace::critical::is_attempt(chart, row) && row.end >= last.ended_at;
    let row = chart.rows().iter().rposition(is_attempt);
    Some(Finding {
        what: "unusually_long".to_owned(),
        text: format!(
            "its last attempt ran {}; of the last {} of its kind half ran {} at most",
            duration::format(ran),
            usual.len(),
            duration::format(standing.median)
        ),
        row: row.and_then(|row| u32::try_from(row).ok()),
    })
}
