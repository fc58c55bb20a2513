//! Pages of jobs.

use longshore_core::{ErrorKind, JobFilter, JobPage, StoreError, Timestamp};

use crate::answer::array;
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
        Some(text) => Some(number(text)?),
    };
    let limit = limit.clamp(1, JobPage::MAX_JOBS);
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
        call.count(chunk);
        let (now, answer) = connection.call(&call).await?;
        as_of.get_or_insert(now);
        let rows = array(answer)?;
        let read = rows.len();
        for value in rows {
            let Some(row) = row::read(value, true)? else {
                continue;
            };
            below = Some(row.number);
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
        looked_at += read;
        if read < chunk {
            return Ok(page(jobs, None, as_of.unwrap_or(now)));
        }
        if looked_at >= MOST_LOOKED_AT {
            return Ok(page(jobs, below, as_of.unwrap_or(now)));
        }
    }
}

fn page(jobs: Vec<longshore_core::Job>, cursor: Option<u64>, as_of: Timestamp) -> JobPage {
    JobPage {
        jobs,
        next_cursor: cursor.map(|number| number.to_string()),
        as_of,
    }
}

fn number(cursor: &str) -> Result<u64, StoreError> {
    cursor.parse().map_err(|error: std::num::ParseIntError| {
        let shown: String = cursor.chars().take(60).collect();
        let message = format!("`{shown}` is not a cursor of this store: start without one");
        StoreError::new(ErrorKind::Invalid, message).with_source(error)
    })
}
