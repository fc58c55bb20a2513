//! Search and live tail.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;

use longshore_core::{Timestamp, TraceId};
use longshore_instrument::Span;
use longshore_trace::TraceSummary;

use super::TraceStore;
use crate::error::TraceStoreError;
use crate::hot::lock;
use crate::index::Rank;
use crate::sealed::SealedFile;
use crate::search::{self, Changes, Filter, Page};

/// What a page may cost: as much as so many summaries.
const MAX_COST: usize = 20_000;
/// So many spans of a sealed file that is read whole cost as much as a summary.
const SPANS_READ: usize = 10;
/// What it costs to read the spans of a trace.
const READ_COST: usize = 40;
/// Traces that are looked at before others may have the index.
const BATCH: usize = 256;

/// Sealed files that were read whole during a call.
type Whole = HashMap<PathBuf, HashMap<TraceId, Vec<Span>>>;

impl TraceStore {
    /// A page of the traces that match, those that began last first.
    ///
    /// A call looks at no more than 20 000 traces, one whose spans have to be read counting as 40,
    /// and ten spans of a sealed file that is read whole as one;
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
        let before = filter.until().map(search::before);
        at = at.max(before);
        let mut page = Page::default();
        let mut whole = Whole::new();
        let mut cost = 0;
        loop {
            let batch = match filter.job() {
                Some(job) => self.ranks_of_job(job, at),
                None => self.ranks(at, filter.since(), BATCH),
            };
            let Some(last) = batch.last() else {
                return Ok(page);
            };
            at = Some(*last);
            for rank in batch {
                cost += 1;
                let known = self.known(rank.1);
                // It is listed once, where the newest of what is known of it stands.
                let newer =
                    |other: &Rank| *other < rank && before.is_none_or(|before| *other > before);
                if !known.ranks.iter().any(newer)
                    && let Some(summary) = known.summary(rank.1)
                    && self.is_match(filter, &summary, &mut whole, &mut cost)?
                {
                    page.traces.push(summary);
                }
                if page.traces.len() >= limit.max(1) || cost >= MAX_COST {
                    page.next_cursor = Some(search::print(rank));
                    return Ok(page);
                }
            }
        }
    }

    fn is_match(
        &self,
        filter: &dyn Filter,
        summary: &TraceSummary,
        whole: &mut Whole,
        cost: &mut usize,
    ) -> Result<bool, TraceStoreError> {
        if let Some(decided) = filter.decide(summary) {
            return Ok(decided);
        }
        let trace = summary.trace_id;
        let files = lock(&self.tier).with(trace);
        let is_in_log = lock(&self.index).rank(trace).is_some();
        let spans = match files.as_slice() {
            [file] if !is_in_log => {
                let spans = match whole.entry(file.path.clone()) {
                    Entry::Occupied(read) => read.into_mut(),
                    Entry::Vacant(unread) => {
                        *cost += usize::try_from(file.name.spans).unwrap_or(MAX_COST) / SPANS_READ;
                        unread.insert(self.all_of(file))
                    }
                };
                spans.remove(&trace).unwrap_or_default()
            }
            _ => {
                *cost += READ_COST;
                self.spans_of(trace)?
            }
        };
        Ok(filter.matches(summary, &spans))
    }

    /// All spans of a sealed file: its traces lie in another order than they are listed in, so that
    /// to read one after the other would take far longer.
    fn all_of(&self, file: &SealedFile) -> HashMap<TraceId, Vec<Span>> {
        let mut by_trace: HashMap<TraceId, Vec<Span>> = HashMap::new();
        match file.all_spans() {
            Ok(spans) => {
                for span in spans {
                    by_trace.entry(span.trace_id).or_default().push(span);
                }
            }
            Err(_) => lock(&self.tier).give_up(&file.path),
        }
        by_trace
    }

    /// The next places of the listing. Traces that ended before `since` may be left out.
    pub(super) fn ranks(
        &self,
        after: Option<Rank>,
        since: Option<Timestamp>,
        most: usize,
    ) -> Vec<Rank> {
        let mut ranks: Vec<Rank> = lock(&self.index).after(after).take(most).collect();
        let files = lock(&self.tier).files();
        for file in files {
            let name = file.name;
            if ranks.len() >= most && ranks.last().is_some_and(|(start, _)| name.last() < start.0) {
                // All that is in this file and in the rest comes later.
                break;
            }
            let is_passed = after.is_some_and(|(start, _)| name.first() > start.0);
            if is_passed || since.is_some_and(|since| name.last() < since) {
                continue;
            }
            let Some(outlines) = lock(&self.tier).outlines(&file) else {
                continue;
            };
            ranks.extend(outlines.after(after).take(most));
            ranks.sort_unstable();
            ranks.dedup();
            ranks.truncate(most);
        }
        ranks
    }

    /// The places of the traces in which a job is.
    fn ranks_of_job(&self, job: &str, after: Option<Rank>) -> Vec<Rank> {
        let mut traces = lock(&self.index).of_job(job).to_vec();
        traces.extend(lock(&self.tier).of_job(job));
        let ranks = traces.into_iter().flat_map(|trace| self.known(trace).ranks);
        let mut ranks: Vec<Rank> = ranks
            .filter(|rank| after.is_none_or(|after| *rank > after))
            .collect();
        ranks.sort_unstable();
        ranks.dedup();
        ranks
    }

    /// The traces that changed since a cursor was given, at most `limit`; without a cursor none,
    /// and a cursor to begin with. A trace that changed several times comes once, as it is now.
    ///
    /// # Errors
    /// [`TraceStoreError::Cursor`] if the cursor is none.
    pub fn tail(&self, cursor: Option<&str>, limit: usize) -> Result<Changes, TraceStoreError> {
        let index = lock(&self.index);
        let last_change = index.last_change();
        let print = |change: u64| format!("{:016x}-{change}", self.life);
        let Some(cursor) = cursor else {
            return Ok(Changes {
                cursor: print(last_change),
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
                cursor: print(last_change),
                missed: true,
                ..Changes::default()
            });
        }
        let mut changes = Changes::default();
        let mut last = change;
        let changed: Vec<_> = index.changed_after(change).take(limit.max(1) + 1).collect();
        drop(index);
        for (change, trace) in changed {
            if changes.traces.len() >= limit.max(1) {
                changes.more = true;
                break;
            }
            last = change;
            changes.traces.extend(self.summary(trace));
        }
        changes.cursor = print(last);
        Ok(changes)
    }
}
