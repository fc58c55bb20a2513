//! Search and live tail.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use longshore_core::TraceId;
use longshore_trace::TraceSummary;

use super::TraceStore;
use super::narrow::{Narrowed, Scope};
use super::summary::Known;
use crate::error::TraceStoreError;
use crate::hot::lock;
use crate::index::Rank;
use crate::sealed::{SealedFile, Within};
use crate::search::{self, Changes, Filter, Page};

/// What a page may cost: as much as so many summaries.
const MAX_COST: usize = 20_000;
/// So many spans of a sealed file that is read whole cost as much as a summary.
const SPANS_READ: usize = 10;
/// What it costs to read the spans of a trace.
const READ_COST: usize = 40;
/// Most spans of a trace that are read to find out whether it matches.
const MAX_MATCHED: usize = 1_000_000;
/// Traces that are looked at before others may have the index.
const BATCH: usize = 256;
/// Of so many traces of a sealed file the outlines of all are read.
const FEW: usize = 8;
/// So many traces of a sealed file are read one by one before it is read whole.
const ONE_BY_ONE: usize = 64;

/// What a search found out so far.
#[derive(Debug, Default)]
struct Looks {
    cost: usize,
    /// How many traces of a sealed file were read.
    read: HashMap<PathBuf, usize>,
    /// Which traces match of sealed files that were read whole.
    matches: HashMap<PathBuf, Arc<HashSet<TraceId>>>,
}

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
        let narrowed = match filter.job() {
            Some(job) => Narrowed::Few(self.with_job(job)),
            None => self.narrow(filter)?,
        };
        let scope = match &narrowed {
            Narrowed::Few(_) => Scope::default(),
            Narrowed::Not => Scope {
                since: filter.since(),
                places: None,
            },
            Narrowed::To(places) => Scope {
                since: filter.since(),
                places: Some(places),
            },
        };
        let mut page = Page::default();
        let mut looks = Looks::default();
        loop {
            let batch = match &narrowed {
                Narrowed::Few(traces) => self.ranks_of(traces, at),
                Narrowed::Not | Narrowed::To(_) => self.ranks(at, scope, BATCH),
            };
            let Some(last) = batch.last() else {
                return Ok(page);
            };
            at = Some(*last);
            for rank in batch {
                looks.cost += 1;
                // It is listed once, where the newest of what is listed of it stands.
                let newer =
                    |other: &Rank| *other < rank && before.is_none_or(|before| *other > before);
                if !self.ranks_in(rank.1, scope).iter().any(newer) {
                    let found = self.look_at(filter, rank.1, &mut looks)?;
                    page.traces.extend(found);
                }
                if page.traces.len() >= limit.max(1) || looks.cost >= MAX_COST {
                    page.next_cursor = Some(search::print(rank));
                    return Ok(page);
                }
            }
        }
    }

    /// A trace, if it matches.
    fn look_at(
        &self,
        filter: &dyn Filter,
        trace: TraceId,
        looks: &mut Looks,
    ) -> Result<Option<TraceSummary>, TraceStoreError> {
        let mut known = self.known(trace);
        looks.cost += known.files_read * READ_COST;
        let Some(summary) = known.summary(trace) else {
            return Ok(None);
        };
        let matches = match filter.decide(&summary) {
            Some(decided) => decided,
            None => self.matches(filter, &known, &summary, looks)?,
        };
        Ok(matches.then_some(summary))
    }

    /// Whether a trace matches by its spans.
    fn matches(
        &self,
        filter: &dyn Filter,
        known: &Known<'_>,
        summary: &TraceSummary,
        looks: &mut Looks,
    ) -> Result<bool, TraceStoreError> {
        if let Some(spans) = known.spans() {
            return Ok(filter.matches(summary, &spans));
        }
        let trace = summary.trace_id;
        let files = lock(&self.tier).with(trace);
        let is_in_log = lock(&self.index).rank(trace).is_some();
        if let [file] = files.as_slice()
            && !is_in_log
        {
            let read = looks.read.entry(file.path.clone()).or_default();
            *read += 1;
            if let Some(matches) = self.matches_of(file, filter, looks) {
                let since = filter.since();
                let in_time = since.is_none_or(|since| summary.end >= since || summary.open > 0);
                return Ok(in_time && matches.contains(&trace));
            }
        }
        looks.cost += READ_COST;
        self.matches_when_read(filter, summary)
    }

    fn matches_when_read(
        &self,
        filter: &dyn Filter,
        summary: &TraceSummary,
    ) -> Result<bool, TraceStoreError> {
        let spans = self.some_spans_of(summary.trace_id, MAX_MATCHED)?;
        Ok(filter.matches(summary, &spans))
    }

    /// Whether a trace matches, its spans read if need be.
    ///
    /// # Errors
    /// [`TraceStoreError::Log`] if a file cannot be read.
    pub fn is_match(
        &self,
        filter: &dyn Filter,
        summary: &TraceSummary,
    ) -> Result<bool, TraceStoreError> {
        if let Some(decided) = filter.decide(summary) {
            return Ok(decided);
        }
        let _turn = self.turn_of(summary.trace_id);
        self.matches_when_read(filter, summary)
    }

    /// Which traces of a sealed file match. They lie in another order than they are listed in, so
    /// that to read many of them one after the other takes longer than to read all: nothing as long
    /// as few were read.
    fn matches_of(
        &self,
        file: &SealedFile,
        filter: &dyn Filter,
        looks: &mut Looks,
    ) -> Option<Arc<HashSet<TraceId>>> {
        if let Some(known) = looks.matches.get(&file.path) {
            return Some(Arc::clone(known));
        }
        let name = filter.lasting();
        let remembered = name
            .as_deref()
            .and_then(|name| lock(&self.matches).of(name, &file.path));
        let matches = match remembered {
            Some(matches) => matches,
            None if looks
                .read
                .get(&file.path)
                .is_some_and(|read| *read <= ONE_BY_ONE) =>
            {
                return None;
            }
            None => {
                looks.cost += usize::try_from(file.name.spans).unwrap_or(MAX_COST) / SPANS_READ;
                let matches = Arc::new(self.match_all(file, filter));
                if let Some(name) = name {
                    lock(&self.matches).remember(name, &file.path, &matches);
                }
                matches
            }
        };
        let known = Arc::clone(&matches);
        looks.matches.insert(file.path.clone(), known);
        Some(matches)
    }

    fn match_all(&self, file: &SealedFile, filter: &dyn Filter) -> HashSet<TraceId> {
        let mut matches = HashSet::new();
        let read = file.each_trace(|trace, spans| {
            let summary = Known::of_file(file.name.class, spans.clone()).summary(trace);
            if summary.is_some_and(|summary| filter.matches(&summary, &spans)) {
                matches.insert(trace);
            }
        });
        if read.is_err() {
            lock(&self.tier).give_up(&file.path);
        }
        matches
    }

    /// The next places of a part of the listing.
    pub(super) fn ranks(&self, after: Option<Rank>, scope: Scope<'_>, most: usize) -> Vec<Rank> {
        let mut ranks: Vec<Rank> = {
            let index = lock(&self.index);
            let all = index.after(after);
            match scope.frames() {
                Some(frames) => {
                    let listed = all.filter(|(_, trace)| index.is_in(*trace, frames));
                    listed.take(most).collect()
                }
                None => all.take(most).collect(),
            }
        };
        let files = lock(&self.tier).files();
        let mut met = Vec::new();
        for file in files {
            let name = file.name;
            if ranks.len() >= most && ranks.last().is_some_and(|(start, _)| name.last() < start.0) {
                // All that is in this file and in the rest comes later.
                break;
            }
            if after.is_some_and(|(start, _)| name.first() > start.0) {
                continue;
            }
            match scope.within(&file) {
                None => continue,
                Some(Within::These(traces)) => {
                    let all = traces.iter().filter_map(|trace| file.rank(*trace));
                    ranks.extend(all.filter(|rank| after.is_none_or(|after| *rank > after)));
                }
                Some(Within::Any) => {
                    ranks.extend(file.after(after).take(most));
                    met.push(file);
                }
            }
            ranks.sort_unstable();
            ranks.dedup();
            ranks.truncate(most);
        }
        self.prepare(&met, &ranks);
        ranks
    }

    /// Reads the outlines of the files in which many of these traces are: all of them at once take
    /// less time than the spans of each trace.
    fn prepare(&self, files: &[Arc<SealedFile>], ranks: &[Rank]) {
        for file in files {
            let of_file = ranks
                .iter()
                .filter(|rank| file.rank(rank.1) == Some(**rank));
            if of_file.take(FEW).count() == FEW {
                let _known = lock(&self.tier).outlines(file);
            }
        }
    }

    /// The places of these traces.
    fn ranks_of(&self, traces: &[TraceId], after: Option<Rank>) -> Vec<Rank> {
        let ranks = traces
            .iter()
            .flat_map(|trace| self.ranks_in(*trace, Scope::default()));
        let mut ranks: Vec<Rank> = ranks
            .filter(|rank| after.is_none_or(|after| *rank > after))
            .collect();
        ranks.sort_unstable();
        ranks.dedup();
        ranks
    }

    /// The traces in which a job may be.
    fn with_job(&self, job: &str) -> Vec<TraceId> {
        let mut traces = lock(&self.index).of_job(job).to_vec();
        traces.extend(lock(&self.tier).of_job(job));
        traces
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
