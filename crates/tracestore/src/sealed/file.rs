//! A sealed file and what is in memory of it: about 30 bytes a trace, 12 a job and 13 a link;
//! 4 more a trace once they were listed.

use std::cmp::Reverse;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use longshore_core::{SpanId, Timestamp, TraceId};
use longshore_instrument::Span;
use parquet::errors::ParquetError;
use xxhash_rust::xxh3::xxh3_64;

use super::filter::Filter;
use super::name::SealedName;
use super::place;
use super::read::{SealedReader, guarded};
use super::tokens::{Holders, TokenIndex};
use crate::index::{Index, Rank, Source};
use crate::token::Token;

/// Rows that are read at once where all are.
const ROWS_AT_ONCE: usize = 8 << 10;
/// How far from where it should lie a trace is looked for first.
const NEAR: usize = 256;

/// A sealed file.
#[derive(Debug)]
pub(crate) struct SealedFile {
    pub(crate) path: PathBuf,
    pub(crate) name: SealedName,
    /// Its traces, sorted, and where the rows of each begin.
    traces: Vec<TraceId>,
    rows: Vec<u32>,
    /// When each began.
    starts: Vec<Timestamp>,
    /// The traces by their numbers as they are listed, once somebody asked.
    listed: OnceLock<Box<[u32]>>,
    /// The traces that are in it, and those that are linked to.
    mentioned: Filter,
    tokens: Option<TokenIndex>,
    /// Hashes of jobs, each with the index of a trace it is in, sorted.
    jobs: Vec<(u64, u32)>,
    /// Hashes of traces that are linked to, each with the index of a trace that links, sorted.
    links: Vec<(u64, u32)>,
}

impl SealedFile {
    /// Reads what traces are found by.
    pub(crate) fn open(path: &Path, name: SealedName) -> Result<Self, ParquetError> {
        let (finders, tokens) = guarded(|| {
            let reader = SealedReader::open(path)?;
            Ok((reader.finders()?, reader.tokens().map(str::to_owned)))
        })?;
        let opened = place::open(path)?;
        let tokens = tokens.and_then(|said| TokenIndex::open(&opened, &said));
        let mut file = Self {
            path: path.to_owned(),
            name,
            traces: Vec::new(),
            rows: Vec::new(),
            starts: Vec::new(),
            listed: OnceLock::new(),
            mentioned: Filter::default(),
            tokens,
            jobs: Vec::new(),
            links: Vec::new(),
        };
        for (finder, row) in finders.into_iter().zip(0_u32..) {
            if file.traces.last() != Some(&finder.trace) {
                file.traces.push(finder.trace);
                file.rows.push(row);
                file.starts.push(finder.start);
            }
            let at = u32::try_from(file.traces.len() - 1).unwrap_or(u32::MAX);
            let job = finder.job.map(|job| (xxh3_64(job.as_bytes()), at));
            file.jobs.extend(job);
            let links = finder.links.iter();
            file.links.extend(links.map(|other| (hash_of(*other), at)));
        }
        if !file.traces.is_sorted() {
            return Err(ParquetError::General(
                "its traces are not in order".to_owned(),
            ));
        }
        file.rows
            .push(u32::try_from(name.spans).unwrap_or(u32::MAX));
        for found in [&mut file.jobs, &mut file.links] {
            found.sort_unstable();
            found.dedup();
            found.shrink_to_fit();
        }
        let own = file.traces.iter().map(|trace| hash_of(*trace));
        let linked = file.links.iter().map(|(hash, _)| *hash);
        let count = file.traces.len() + file.links.len();
        file.mentioned = Filter::of(own.chain(linked), count);
        file.traces.shrink_to_fit();
        file.rows.shrink_to_fit();
        file.starts.shrink_to_fit();
        Ok(file)
    }

    /// Whether a trace may be in it, or linked to from it. A look at one place in memory, where to
    /// find out takes many: most files have nothing of most traces.
    pub(crate) fn may_mention(&self, hash: u64) -> bool {
        self.mentioned.may_have(hash)
    }

    /// The number of a trace.
    fn number_of(&self, trace: TraceId) -> Option<usize> {
        // Ids are random as a rule, so that one says where it lies.
        let all = self.traces.len();
        let share = u64::try_from(trace.to_u128() >> 64).unwrap_or(u64::MAX);
        let about = (u128::from(share) * all as u128) >> 64;
        let about = usize::try_from(about).unwrap_or(0);
        let (from, to) = (about.saturating_sub(NEAR), all.min(about + NEAR));
        let near = self.traces.get(from..to).unwrap_or_default();
        let is_near = near.first().is_some_and(|first| *first <= trace)
            && near.last().is_some_and(|last| trace <= *last);
        if is_near {
            return near.binary_search(&trace).ok().map(|at| from + at);
        }
        self.traces.binary_search(&trace).ok()
    }

    /// The rows of a trace.
    pub(crate) fn rows_of(&self, trace: TraceId) -> Option<Range<usize>> {
        self.rows_at(self.number_of(trace)?)
    }

    fn rows_at(&self, number: usize) -> Option<Range<usize>> {
        let row = |at: usize| self.rows.get(at).map(|row| *row as usize);
        Some(row(number)?..row(number + 1)?)
    }

    /// Where a trace stands in the listing by what is in this file.
    pub(crate) fn rank(&self, trace: TraceId) -> Option<Rank> {
        let start = self.starts.get(self.number_of(trace)?)?;
        Some((Reverse(*start), trace))
    }

    /// The traces that have a span of which one of these tokens may be.
    pub(crate) fn holders(&self, tokens: &[Token]) -> Within {
        let Some(index) = &self.tokens else {
            return Within::Any;
        };
        let mut numbers = Vec::new();
        let Ok(file) = place::open(&self.path) else {
            return Within::Any;
        };
        for token in tokens {
            match index.find(&file, *token) {
                Ok(Holders::These(more)) => numbers.extend(more),
                Ok(Holders::None) => {}
                Ok(Holders::Any) | Err(_) => return Within::Any,
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        let trace = |number: u32| self.traces.get(number as usize).copied();
        Within::These(numbers.into_iter().filter_map(trace).collect())
    }

    /// Traces that may have spans of this job.
    pub(crate) fn of_job(&self, job: &str) -> impl Iterator<Item = TraceId> {
        self.found(&self.jobs, xxh3_64(job.as_bytes()))
    }

    /// Traces that may link to the one with this hash.
    pub(crate) fn linked_from(&self, hash: u64) -> impl Iterator<Item = TraceId> {
        self.found(&self.links, hash)
    }

    /// Its traces from a place of the listing on, that place itself left out. Nothing is read.
    pub(crate) fn after(&self, rank: Option<Rank>) -> impl Iterator<Item = Rank> {
        let rank_at = |number: &u32| -> Option<Rank> {
            let number = *number as usize;
            Some((
                Reverse(*self.starts.get(number)?),
                *self.traces.get(number)?,
            ))
        };
        let listed = self.listed.get_or_init(|| {
            let mut numbers: Vec<u32> = (0_u32..).take(self.traces.len()).collect();
            numbers.sort_unstable_by_key(rank_at);
            numbers.into()
        });
        let from = rank.map_or(0, |rank| {
            listed.partition_point(|number| rank_at(number) <= Some(rank))
        });
        let listed = listed.get(from..).unwrap_or_default();
        listed.iter().filter_map(rank_at)
    }

    fn found<'a>(&'a self, among: &'a [(u64, u32)], hash: u64) -> impl Iterator<Item = TraceId> {
        let from = among.partition_point(|(other, _)| *other < hash);
        let found = among.get(from..).unwrap_or_default().iter();
        let found = found.take_while(move |(other, _)| *other == hash);
        found.filter_map(|(_, at)| self.traces.get(*at as usize).copied())
    }

    /// What summaries of its traces are made of.
    pub(crate) fn outlines(&self) -> Result<Index, ParquetError> {
        let outlines = guarded(|| SealedReader::open(&self.path)?.outlines())?;
        let mut index = Index::default();
        for (span, links) in &outlines {
            index.add_outline(Source::Ended(self.name.class), span, links);
        }
        index.settle();
        Ok(index)
    }

    /// Gives the spans of each trace, whole.
    pub(crate) fn each_trace(
        &self,
        mut each: impl FnMut(TraceId, Vec<Span>),
    ) -> Result<(), ParquetError> {
        let mut numbers = 0..self.traces.len();
        while let Some(first) = numbers.next() {
            let begin = self.rows_at(first).unwrap_or_default();
            let mut rows = begin;
            while rows.len() < ROWS_AT_ONCE
                && let Some(more) = numbers.next().and_then(|number| self.rows_at(number))
            {
                rows.end = more.end;
            }
            let mut spans = guarded(|| SealedReader::open(&self.path)?.spans(&rows))?.into_iter();
            let mut next = spans.next();
            while let Some(first) = next.take() {
                let trace = first.trace_id;
                let mut of_trace = vec![first];
                next = spans.next();
                while let Some(span) = next.take_if(|span| span.trace_id == trace) {
                    of_trace.push(span);
                    next = spans.next();
                }
                each(trace, of_trace);
            }
        }
        Ok(())
    }

    /// A span of a trace, whole, without the others.
    pub(crate) fn span(&self, trace: TraceId, span: SpanId) -> Result<Option<Span>, ParquetError> {
        let Some(rows) = self.rows_of(trace) else {
            return Ok(None);
        };
        guarded(|| {
            let reader = SealedReader::open(&self.path)?;
            let Some(row) = reader.row_of(&rows, span)? else {
                return Ok(None);
            };
            Ok(reader.spans(&(row..row + 1))?.pop())
        })
    }

    /// The traces that the spans of a trace join it to.
    pub(crate) fn links_of(&self, trace: TraceId) -> Result<Vec<TraceId>, ParquetError> {
        let Some(number) = self.number_of(trace) else {
            return Ok(Vec::new());
        };
        // Most traces link to none, and of those nothing is read.
        let links = self.links.iter().any(|(_, at)| *at as usize == number);
        let Some(rows) = self.rows_at(number).filter(|_| links) else {
            return Ok(Vec::new());
        };
        guarded(|| SealedReader::open(&self.path)?.links(&rows))
    }

    /// The spans of a trace, whole.
    pub(crate) fn spans(&self, trace: TraceId) -> Result<Vec<Span>, ParquetError> {
        let mut spans = Vec::new();
        self.each_part(trace, usize::MAX, |part| spans.extend(part))?;
        Ok(spans)
    }

    /// Gives the spans of a trace, whole, at most so many, some thousand at a time.
    pub(crate) fn each_part(
        &self,
        trace: TraceId,
        most: usize,
        mut each: impl FnMut(Vec<Span>),
    ) -> Result<(), ParquetError> {
        let Some(mut rows) = self.rows_of(trace) else {
            return Ok(());
        };
        rows.end = rows.end.min(rows.start.saturating_add(most));
        while !rows.is_empty() {
            let next = rows.end.min(rows.start + ROWS_AT_ONCE);
            each(guarded(|| {
                SealedReader::open(&self.path)?.spans(&(rows.start..next))
            })?);
            rows.start = next;
        }
        Ok(())
    }
}

/// What stands for a trace where it is looked for.
pub(crate) fn hash_of(trace: TraceId) -> u64 {
    xxh3_64(&trace.to_bytes())
}

/// Which traces of a file come into question.
#[derive(Debug)]
pub(crate) enum Within {
    /// Any of them.
    Any,
    /// These alone, in their order.
    These(Vec<TraceId>),
}
