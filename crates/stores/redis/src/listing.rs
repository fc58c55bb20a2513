//! Pages of jobs.

use longshore_core::{ErrorKind, JobFilter, JobPage, JobState, StoreError, Timestamp};

use crate::answer::{array, number, tuple};
use crate::call::Call;
use crate::connection::Connection;
use crate::{contract, row};

/// How many jobs one call of the function reads: nobody else is served meanwhile.
const CHUNK: usize = 200;
/// Most jobs that one page looks at.
const MOST_LOOKED_AT: usize = 5000;

/// The next page. It is put together of several reads, so that jobs may change between them.
pub(crate) async fn list(
    connection: &Connection,
    filter: &JobFilter,
    cursor: Option<&str>,
    limit: usize,
) -> Result<JobPage, StoreError> {
    let mut below = match cursor {
        None => None,
        Some(text) => Some(cursor_number(text)?),
    };
    let limit = limit.clamp(1, JobPage::MAX_JOBS);
    let shelves = shelves(&filter.states);
    let mut jobs = Vec::new();
    let mut as_of: Option<Timestamp> = None;
    let mut looked_at = 0;
    let mut last = below;
    loop {
        let wanted = if looked_at == 0 { limit + 1 } else { CHUNK };
        let chunk = wanted.min(CHUNK);
        let mut call = Call::new(&contract::LIST);
        match below {
            None => call.text("+inf"),
            Some(number) => call.text(&format!("({number}")),
        };
        call.count(chunk)
            .some(filter.queue.as_ref().map(|queue| queue.as_str()))
            .count(shelves.len());
        for shelf in &shelves {
            call.text(shelf);
        }
        let (now, answer) = connection.call(&call).await?;
        as_of.get_or_insert(now);
        let [found, lowest, rows] = tuple(answer)?;
        let (found, lowest): (usize, u64) = (number(found)?, number(lowest)?);
        for value in array(rows)? {
            let Some(row) = row::read(value, true)? else {
                continue;
            };
            let job = row.job.shown_at(now);
            if !filter.matches(&job) {
                continue;
            }
            if jobs.len() == limit {
                return Ok(page(jobs, last, as_of.unwrap_or(now)));
            }
            last = Some(row.number);
            jobs.push(job);
        }
        looked_at += found;
        if found < chunk {
            return Ok(page(jobs, None, as_of.unwrap_or(now)));
        }
        below = Some(lowest);
        if looked_at >= MOST_LOOKED_AT {
            return Ok(page(jobs, below, as_of.unwrap_or(now)));
        }
    }
}

/// Where jobs of these states are, as `job.lua` has it.
fn shelves(states: &[JobState]) -> Vec<&'static str> {
    let has = |state| states.is_empty() || states.contains(&state);
    let available = has(JobState::Available);
    let wanted = [
        // A job whose time has come is shown as available before it is promoted.
        ("0", has(JobState::Scheduled) || available),
        ("1", has(JobState::Retryable) || available),
        ("w", available),
        ("r", has(JobState::Running) && !available),
        ("4", has(JobState::Completed)),
        ("5", has(JobState::Cancelled)),
        ("6", has(JobState::Discarded)),
    ];
    let each = wanted.into_iter().filter(|(_, is_wanted)| *is_wanted);
    each.map(|(shelf, _)| shelf).collect()
}

fn page(jobs: Vec<longshore_core::Job>, cursor: Option<u64>, as_of: Timestamp) -> JobPage {
    JobPage {
        jobs,
        next_cursor: cursor.map(|number| number.to_string()),
        as_of,
    }
}

fn cursor_number(cursor: &str) -> Result<u64, StoreError> {
    cursor.parse().map_err(|error: std::num::ParseIntError| {
        let shown: String = cursor.chars().take(60).collect();
        let message = format!("`{shown}` is not a cursor of this store: start without one");
        StoreError::new(ErrorKind::Invalid, message).with_source(error)
    })
}
