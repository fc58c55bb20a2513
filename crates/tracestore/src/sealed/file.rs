//! A sealed file and what is in memory of it: about 20 bytes a trace, 12 a job and 12 a link.

use std::ops::Range;
use std::path::{Path, PathBuf};

use longshore_core::TraceId;
use longshore_instrument::Span;
use parquet::errors::ParquetError;
use xxhash_rust::xxh3::xxh3_64;

use super::name::SealedName;
use super::read::{SealedReader, guarded};
use crate::index::{Index, Source};

/// A sealed file.
#[derive(Debug)]
pub(crate) struct SealedFile {
    pub(crate) path: PathBuf,
    pub(crate) name: SealedName,
    /// Its traces, sorted, and where the rows of each begin.
    traces: Vec<TraceId>,
    rows: Vec<u32>,
    /// Hashes of jobs, each with the index of a trace it is in, sorted.
    jobs: Vec<(u64, u32)>,
    /// Hashes of traces that are linked to, each with the index of a trace that links, sorted.
    links: Vec<(u64, u32)>,
}

impl SealedFile {
    /// Reads what traces are found by.
    pub(crate) fn open(path: &Path, name: SealedName) -> Result<Self, ParquetError> {
        let finders = guarded(|| SealedReader::open(path)?.finders())?;
        let mut file = Self {
            path: path.to_owned(),
            name,
            traces: Vec::new(),
            rows: Vec::new(),
            jobs: Vec::new(),
            links: Vec::new(),
        };
        for (finder, row) in finders.into_iter().zip(0_u32..) {
            if file.traces.last() != Some(&finder.trace) {
                file.traces.push(finder.trace);
                file.rows.push(row);
            }
            let at = u32::try_from(file.traces.len() - 1).unwrap_or(u32::MAX);
            let job = finder.job.map(|job| (xxh3_64(job.as_bytes()), at));
            file.jobs.extend(job);
            let links = finder.links.iter();
            file.links
                .extend(links.map(|other| (xxh3_64(&other.to_bytes()), at)));
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
        file.traces.shrink_to_fit();
        Ok(file)
    }

    /// The rows of a trace.
    pub(crate) fn rows_of(&self, trace: TraceId) -> Option<Range<usize>> {
        let at = self.traces.binary_search(&trace).ok()?;
        let row = |at: usize| self.rows.get(at).map(|row| *row as usize);
        Some(row(at)?..row(at + 1)?)
    }

    /// Traces that may have spans of this job.
    pub(crate) fn of_job(&self, job: &str) -> impl Iterator<Item = TraceId> {
        self.found(&self.jobs, xxh3_64(job.as_bytes()))
    }

    /// Traces that may link to this one.
    pub(crate) fn linked_from(&self, trace: TraceId) -> impl Iterator<Item = TraceId> {
        self.found(&self.links, xxh3_64(&trace.to_bytes()))
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

    /// All its spans, whole.
    pub(crate) fn all_spans(&self) -> Result<Vec<Span>, ParquetError> {
        guarded(|| SealedReader::open(&self.path)?.spans(&(0..usize::MAX)))
    }

    /// The spans of a trace, whole.
    pub(crate) fn spans(&self, trace: TraceId) -> Result<Vec<Span>, ParquetError> {
        let Some(rows) = self.rows_of(trace) else {
            return Ok(Vec::new());
        };
        guarded(|| SealedReader::open(&self.path)?.spans(&rows))
    }
}
