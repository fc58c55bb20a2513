//! What is known of every trace without reading it again.
//!
//! A span takes 56 bytes here, and texts are held once; with all that finds it, a trace of a job with
//! five spans takes about 1.3 KB. What spans say is held as four bytes for each value that is in a
//! frame, at most 16 values for each span and 64 for each frame.

mod entry;
mod frames;
mod shape;
#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use longshore_core::{SpanId, Timestamp, TraceId};
use longshore_instrument::Span;
use longshore_instrument::table::links_join;
use longshore_spanlog::{FileName, Position};
use longshore_trace::otlp::{self, SpanView};

pub(crate) use self::entry::Source;
use self::entry::{Entry, Fact};
pub(crate) use self::frames::FrameId;
use self::frames::Frames;
pub(crate) use self::shape::Shape;
pub(crate) use self::shape::outlined_resource;
use self::shape::{JobName, Pool};
use crate::token::{Token, Tokens};

/// Most traces that a trace is known to be linked to or from.
const MAX_LINKS: usize = 256;

/// Where a frame lies: the number of its folder, and the place there.
pub(crate) type Place = (usize, Position);

/// A place in the listing: newest first, and of those that began together by id.
pub(crate) type Rank = (Reverse<Timestamp>, TraceId);

/// All traces.
#[derive(Debug, Default)]
pub(crate) struct Index {
    traces: HashMap<TraceId, Entry>,
    order: BTreeSet<Rank>,
    /// Which trace changed last, by the number of the change.
    changes: BTreeMap<u64, TraceId>,
    last_change: u64,
    by_job: HashMap<Box<str>, Vec<TraceId>>,
    /// Which traces link to a trace.
    linked_from: HashMap<TraceId, Vec<TraceId>>,
    frames: Frames,
    pool: Pool,
    tokens: Tokens,
    spans: usize,
    /// Spans that were left out since there was no room for them.
    pub(crate) left_out: u64,
    /// Spans that could not be read.
    pub(crate) refused: u64,
}

impl Index {
    /// Takes note of the spans of a frame. Gives back its number and the traces in it.
    pub(crate) fn add(
        &mut self,
        place: Place,
        source: Source,
        body: &[u8],
    ) -> (FrameId, Vec<TraceId>) {
        let frame = self.frames.add(place);
        let mut met = Vec::new();
        let (mut last, before) = (None, self.spans);
        let mut latest = Timestamp::default();
        for item in otlp::spans(body) {
            let Ok(span) = item else {
                self.refused += 1;
                continue;
            };
            self.add_span(frame, source, &span);
            latest = latest.max(span.start);
            self.tokens.add(&span);
            if last != Some(span.trace_id) {
                last = Some(span.trace_id);
                met.push(span.trace_id);
            }
        }
        let said = self.tokens.take();
        self.frames.say(frame, self.spans - before, said);
        self.frames.reach(frame, latest);
        met.sort_unstable();
        met.dedup();
        for trace in &met {
            self.changed(*trace);
        }
        (frame, met)
    }

    fn add_span(&mut self, frame: FrameId, source: Source, span: &SpanView<'_>) {
        let job = self.pool.job(span);
        if let Some(job) = &job {
            self.note_job(job, span.trace_id);
        }
        let fact = Fact::of_view(frame, source, self.pool.shape(span), job, span);
        let links = span.links().filter_map(|link| Some(link.to?.0));
        let links = links.filter(|_| links_join(span.name));
        self.link(span.trace_id, links);
        let entry = self.traces.entry(span.trace_id).or_default();
        entry.facts.push(fact);
        self.spans += 1;
    }

    /// Takes note of a span that has no more than what a summary is made of, and of the traces that
    /// it joins its own to. [`Index::settle`] is to follow.
    pub(crate) fn add_outline(&mut self, source: Source, outline: &Span, links: &[TraceId]) {
        let (shape, job) = self.pool.of_outline(outline);
        if let Some(job) = &job {
            self.note_job(job, outline.trace_id);
        }
        let fact = Fact::of_outline(source, shape, job, outline);
        self.link(outline.trace_id, links.iter().copied());
        let entry = self.traces.entry(outline.trace_id).or_default();
        entry.facts.push(fact);
        self.spans += 1;
    }

    /// Puts every trace where it belongs in the listing.
    pub(crate) fn settle(&mut self) {
        let traces: Vec<TraceId> = self.traces.keys().copied().collect();
        for trace in traces {
            self.changed(trace);
        }
    }

    fn note_job(&mut self, job: &JobName, trace: TraceId) {
        let of_job = self.by_job.entry(job.id.clone()).or_default();
        if !of_job.contains(&trace) {
            of_job.push(trace);
        }
    }

    fn link(&mut self, trace: TraceId, links: impl Iterator<Item = TraceId>) {
        for other in links.filter(|other| *other != trace) {
            if !self.traces.entry(trace).or_default().link(other) {
                continue;
            }
            let from = self.linked_from.entry(other).or_default();
            if from.len() < MAX_LINKS {
                from.push(trace);
            }
        }
    }

    /// Puts a trace where it belongs in the listing, and notes that it changed.
    fn changed(&mut self, trace: TraceId) {
        let Some(entry) = self.traces.get_mut(&trace) else {
            return;
        };
        self.changes.remove(&entry.change);
        if let Some(start) = entry.listed_at {
            self.order.remove(&(Reverse(start), trace));
        }
        if entry.facts.is_empty() {
            self.remove(trace);
            return;
        }
        self.last_change += 1;
        entry.change = self.last_change;
        let start = entry.start();
        entry.listed_at = Some(start);
        self.changes.insert(self.last_change, trace);
        self.order.insert((Reverse(start), trace));
    }

    /// Forgets a trace and what it links to.
    fn remove(&mut self, trace: TraceId) {
        let linked = self.traces.remove(&trace).map(|entry| entry.linked);
        for other in linked.into_iter().flatten() {
            take_out(&mut self.linked_from, &other, trace);
        }
    }

    /// Forgets what frames said about these traces.
    pub(crate) fn remove_frames(&mut self, frames: &[FrameId], traces: &[TraceId]) {
        for trace in traces {
            self.forget(*trace, |fact| frames.contains(&fact.frame));
        }
        for frame in frames {
            self.frames.remove(*frame);
        }
    }

    /// Forgets what stood in files of a folder that are not among `files` any more.
    pub(crate) fn keep_files(&mut self, folder: usize, files: &[FileName]) {
        let is_there = |name: &FileName| files.binary_search(name).is_ok();
        let (gone, latest) = self.frames.of_others(folder, is_there);
        if gone.is_empty() {
            return;
        }
        let gone: HashSet<FrameId> = gone.into_iter().collect();
        // No trace that began later has a span in them. What goes is the oldest as a rule, so that
        // these are few more than those that have.
        let from = (Reverse(latest), TraceId::from_u128(1));
        let older: Vec<TraceId> = self.order.range(from..).map(|(_, trace)| *trace).collect();
        for trace in older {
            self.forget(trace, |fact| gone.contains(&fact.frame));
        }
        for frame in gone {
            self.frames.remove(frame);
        }
        self.pool.tidy();
    }

    /// Forgets the oldest traces until there are no more spans than this.
    pub(crate) fn bound(&mut self, max_spans: usize) {
        if self.spans <= max_spans {
            return;
        }
        // Some more than must be, so that this is not done each time.
        let aim = max_spans - max_spans / 10;
        let mut left = self.spans;
        let mut doomed = Vec::new();
        for (_, trace) in self.order.iter().rev() {
            if left <= aim {
                break;
            }
            left -= self.traces.get(trace).map_or(0, |entry| entry.facts.len());
            doomed.push(*trace);
        }
        self.left_out += (self.spans - left) as u64;
        for trace in doomed {
            self.forget(trace, |_| true);
        }
        self.pool.tidy();
    }

    /// Forgets such facts of a trace, and what hangs on them.
    fn forget(&mut self, trace: TraceId, is_gone: impl Fn(&Fact) -> bool) {
        let Some(entry) = self.traces.get_mut(&trace) else {
            return;
        };
        let gone: Vec<Fact> = if entry.facts.iter().all(&is_gone) {
            std::mem::take(&mut entry.facts)
        } else {
            entry.facts.extract_if(.., |fact| is_gone(fact)).collect()
        };
        if gone.is_empty() {
            return;
        }
        self.spans -= gone.len();
        entry.facts.shrink_to_fit();
        let named: HashSet<&str> = entry.facts.iter().filter_map(Fact::job_id).collect();
        let mut last = None;
        for job in gone.iter().filter_map(Fact::job_id) {
            // Spans of a job stand together as a rule.
            if last.replace(job) != Some(job) && !named.contains(job) {
                take_out(&mut self.by_job, job, trace);
            }
        }
        gone.into_iter()
            .filter_map(Fact::into_job)
            .for_each(|job| self.pool.let_go(&job));
        self.changed(trace);
    }

    /// The spans of a trace as far as a summary needs them, each with what it is worth.
    pub(crate) fn outlines(&self, trace: TraceId) -> impl Iterator<Item = (Source, Span)> {
        let entry = self.traces.get(&trace).into_iter();
        entry.flat_map(move |entry| entry.spans(trace))
    }

    /// The frames in which a span may say one of these.
    pub(crate) fn saying(&self, tokens: &[Token]) -> HashSet<FrameId> {
        self.frames.saying(tokens).into_iter().collect()
    }

    /// Where a frame lies.
    pub(crate) fn place(&self, frame: FrameId) -> Option<Place> {
        self.frames.place(frame)
    }

    /// Whether spans of a trace are in one of these frames.
    pub(crate) fn is_in(&self, trace: TraceId, frames: &HashSet<FrameId>) -> bool {
        let mut facts = self
            .traces
            .get(&trace)
            .into_iter()
            .flat_map(|entry| &entry.facts);
        facts.any(|fact| frames.contains(&fact.frame))
    }

    /// The traces that link to a trace.
    pub(crate) fn linked_from(&self, trace: TraceId) -> &[TraceId] {
        self.linked_from.get(&trace).map_or(&[], Vec::as_slice)
    }

    /// The traces that a trace links to.
    pub(crate) fn links_of(&self, trace: TraceId) -> &[TraceId] {
        self.traces.get(&trace).map_or(&[], |entry| &entry.linked)
    }

    /// The traces in which a job occurs.
    pub(crate) fn of_job(&self, job: &str) -> &[TraceId] {
        self.by_job.get(job).map_or(&[], Vec::as_slice)
    }

    /// How many spans are known of a trace; one that is there twice counts twice.
    pub(crate) fn count_of(&self, trace: TraceId) -> usize {
        self.traces.get(&trace).map_or(0, |entry| entry.facts.len())
    }

    /// Where the spans of a trace lie, the frames that count before those that they stand in for.
    pub(crate) fn places(&self, trace: TraceId) -> Vec<(Source, Place)> {
        self.places_where(trace, |_| true)
    }

    /// The same for one of its spans.
    pub(crate) fn places_of_span(&self, trace: TraceId, span: SpanId) -> Vec<(Source, Place)> {
        self.places_where(trace, |fact| fact.is_of(span))
    }

    fn places_where(&self, trace: TraceId, counts: impl Fn(&Fact) -> bool) -> Vec<(Source, Place)> {
        let Some(entry) = self.traces.get(&trace) else {
            return Vec::new();
        };
        let facts = entry.facts.iter().filter(|fact| counts(fact));
        let mut frames: Vec<_> = facts
            .map(|fact| (Reverse(fact.source()), fact.frame))
            .collect();
        frames.sort_unstable();
        frames.dedup();
        let place = |(Reverse(source), frame)| Some((source, self.frames.place(frame)?));
        frames.into_iter().filter_map(place).collect()
    }

    /// Traces from a place of the listing on, that place itself left out.
    pub(crate) fn after(&self, rank: Option<Rank>) -> impl Iterator<Item = Rank> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = rank.map_or(Unbounded, Excluded);
        self.order.range((from, Unbounded)).copied()
    }

    /// Where a trace stands in the listing.
    pub(crate) fn rank(&self, trace: TraceId) -> Option<Rank> {
        let start = self.traces.get(&trace)?.listed_at?;
        Some((Reverse(start), trace))
    }

    /// The traces that changed after the change of this number, the earliest change first.
    pub(crate) fn changed_after(&self, change: u64) -> impl Iterator<Item = (u64, TraceId)> {
        let later = self.changes.range(change.saturating_add(1)..);
        later.map(|(change, trace)| (*change, *trace))
    }

    pub(crate) const fn last_change(&self) -> u64 {
        self.last_change
    }

    pub(crate) fn shapes(&self) -> impl Iterator<Item = &Shape> {
        self.pool.shapes()
    }

    pub(crate) fn len(&self) -> usize {
        self.traces.len()
    }

    pub(crate) const fn spans(&self) -> usize {
        self.spans
    }
}

/// Takes a trace from the list of a key, and a list that is empty then.
fn take_out<K, Q>(lists: &mut HashMap<K, Vec<TraceId>>, key: &Q, trace: TraceId)
where
    K: Borrow<Q> + Eq + Hash,
    Q: Eq + Hash + ?Sized,
{
    let Some(list) = lists.get_mut(key) else {
        return;
    };
    list.retain(|other| *other != trace);
    if list.is_empty() {
        lists.remove(key);
    }
}
