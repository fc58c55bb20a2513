//! Search and live tail.

use longshore_core::TraceId;
use longshore_trace::TraceSummary;

use super::TraceStore;
use crate::error::TraceStoreError;
use crate::hot::lock;
use crate::index::Rank;
use crate::search::{self, Changes, Filter, Page};

/// What a page may cost: as much as so many summaries.
const MAX_COST: usize = 20_000;
/// What it costs to read the spans of a trace.
const READ_COST: usize = 40;
/// So many traces that are passed by cost as much as a summary.
const PASSED_BY: usize = 8;
/// Traces that are looked at before others may have the index.
const BATCH: usize = 256;

impl TraceStore {
    /// A page of the traces that match, those that began last first.
    ///
    /// A call looks at no more than 20 000 traces, one whose spans have to be read counting as 40;
    /// then it gives what it has, and a cursor. So follow the cursor until there is none, whatever
    /// a page holds. What begins while one pages comes before the first page and is not missed by
    /// those who page on.
    ///
    /// # Errors
    /// [`TraceStoreError::Cursor`] if the cursor is none, [`TraceStoreError::Log`] if a file cannot
    /// be read.
    pub fn search(
        &self,
        filter: &dyn Filter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page, TraceStoreError> {
        let mut at = cursor.map(search::parse).transpose()?;
        if let Some(until) = filter.until() {
            at = at.max(Some(search::before(until)));
        }
        let mut page = Page::default();
        let mut cost = 0;
        loop {
            let batch = self.batch(filter, at, BATCH);
            let Some(last) = batch.last() else {
                return Ok(page);
            };
            at = Some(last.rank);
            cost += batch.len() / PASSED_BY;
            for look in batch {
                cost += look.cost;
                let Some(summary) = look.summary else {
                    continue;
                };
                if self.is_match(filter, &summary, &mut cost)? {
                    page.traces.push(summary);
                }
                if page.traces.len() >= limit.max(1) || cost >= MAX_COST {
                    page.next_cursor = Some(search::print(look.rank));
                    return Ok(page);
                }
            }
        }
    }

    fn is_match(
        &self,
        filter: &dyn Filter,
        summary: &TraceSummary,
        cost: &mut usize,
    ) -> Result<bool, TraceStoreError> {
        if let Some(decided) = filter.decide(summary) {
            return Ok(decided);
        }
        *cost += READ_COST;
        let spans = self.spans_of(summary.trace_id)?;
        Ok(filter.matches(summary, &spans))
    }

    /// The next traces of the listing, with the summaries of those that are in question.
    fn batch(&self, filter: &dyn Filter, after: Option<Rank>, most: usize) -> Vec<Look> {
        let index = lock(&self.index);
        if let Some(job) = filter.job() {
            let mut ranks: Vec<Rank> = index
                .of_job(job)
                .iter()
                .filter_map(|trace| index.rank(*trace))
                .collect();
            ranks.sort_unstable();
            let later = ranks
                .into_iter()
                .filter(|rank| after.is_none_or(|after| *rank > after));
            return later
                .take(most)
                .map(|rank| Look::at(rank, index.summary(rank.1)))
                .collect();
        }
        let since = filter.since();
        let in_question = |trace: TraceId| {
            let end = index.end_of(trace);
            since.is_none_or(|since| end.is_some_and(|end| end >= since))
        };
        let ranks = index.after(after).take(most);
        ranks
            .map(|rank| match in_question(rank.1) {
                true => Look::at(rank, index.summary(rank.1)),
                false => Look {
                    rank,
                    summary: None,
                    cost: 0,
                },
            })
            .collect()
    }

    /// The traces that changed since a cursor was given, at most `limit`; without a cursor none,
    /// and a cursor to begin with. A trace that changed several times comes once, as it is now.
    ///
    /// # Errors
    /// [`TraceStoreError::Cursor`] if the cursor is none.
    pub fn tail(&self, cursor: Option<&str>, limit: usize) -> Result<Changes, TraceStoreError> {
        let index = lock(&self.index);
        let print = |change: u64| format!("{:016x}-{change}", self.life);
        let Some(cursor) = cursor else {
            return Ok(Changes {
                cursor: print(index.last_change()),
                ..Changes::default()
            });
        };
        let parsed = cursor.split_once('-').and_then(|(life, change)| {
            Some((
                u64::from_str_radix(life, 16).ok()?,
                change.parse::<u64>().ok()?,
            ))
        });
        let Some((life, change)) = parsed else {
            return Err(TraceStoreError::Cursor(cursor.chars().take(80).collect()));
        };
        if life != self.life {
            return Ok(Changes {
                cursor: print(index.last_change()),
                missed: true,
                ..Changes::default()
            });
        }
        let mut changes = Changes::default();
        let mut last = change;
        for (change, trace) in index.changed_after(change) {
            if changes.traces.len() >= limit.max(1) {
                changes.more = true;
                break;
            }
            last = change;
            changes.traces.extend(index.summary(trace));
        }
        changes.cursor = print(last);
        Ok(changes)
    }
}

/// A trace that was looked at.
struct Look {
    rank: Rank,
    /// Nothing if it cannot match.
    summary: Option<TraceSummary>,
    cost: usize,
}

impl Look {
    const fn at(rank: Rank, summary: Option<TraceSummary>) -> Self {
        Self {
            rank,
            summary,
            cost: 1,
        }
    }
}
