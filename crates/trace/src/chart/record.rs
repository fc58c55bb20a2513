//! What no span says, or not yet: time between attempts, and, from the record of a job, waits,
//! delays, lost leases and what runs now.

mod pauses;

use std::borrow::Cow;
use std::collections::HashMap;

use longshore_core::id::SpanPart;
use longshore_core::{AttemptOutcome, AttemptRecord, Job, JobState, SpanId, Timestamp, TraceId};
use longshore_instrument::Span;
use longshore_instrument::table::name;

use super::build::{Draft, draft};
use super::{Content, Marks};
use crate::tree::{self, Above, Forest};

/// Rows that stand for no node of the forest.
#[derive(Debug)]
pub(super) struct Insert<'a> {
    /// The node before which they stand.
    pub(super) at: usize,
    depth: usize,
    start: Timestamp,
    pub(super) rows: Vec<Draft<'a>>,
}

/// What is added to a forest.
#[derive(Debug, Default)]
pub(super) struct Additions<'a> {
    /// In the order in which they are read.
    pub(super) inserts: Vec<Insert<'a>>,
    /// Rows that stand in the place of a node: ghosts of which the record of a job knows more.
    pub(super) instead: HashMap<usize, Draft<'a>>,
}

/// Everything that `jobs` and the attempts among the spans add.
pub(super) fn additions<'a>(forest: &Forest<'a>, jobs: &'a [Job], now: Timestamp) -> Additions<'a> {
    let mut adder = Adder::new(forest, now);
    for job in jobs {
        adder.job(job);
    }
    adder.pauses(jobs);
    // What ends a deeper subtree stands before what follows it.
    let order = |insert: &Insert<'_>| (insert.at, std::cmp::Reverse(insert.depth), insert.start);
    adder.additions.inserts.sort_by_key(order);
    adder.additions
}

/// Where attempts belong that have no span but whose children have: under the enqueue spans of their
/// jobs.
pub(super) fn adopted(jobs: &[Job]) -> HashMap<SpanId, Above> {
    let mut adopted = HashMap::new();
    for job in jobs {
        let Some(enqueue) = job.trace.context().and_then(Result::ok) else {
            continue;
        };
        let above = Above {
            key: (enqueue.trace_id, enqueue.span_id),
            linked: false,
        };
        let records = job.history.iter().map(|record| record.claim);
        for claim in records.chain([job.claim]) {
            adopted.insert(job.id.derive_span_id(claim, SpanPart::Process), above);
        }
    }
    adopted
}

/// What the time is called in which a job was over, before a person had it run again.
pub(crate) const OVER: &str = "was over";

/// What the time is called before a job was first due.
const SCHEDULED: &str = "scheduled";

/// What the time between two attempts is called.
fn pause_name(outcome: Option<&str>) -> &'static str {
    match outcome {
        Some("retried" | "not_yet" | "lost") => "back-off",
        Some("snoozed") => "snoozed",
        Some("completed" | "discarded" | "cancelled") => OVER,
        _ => "not due",
    }
}

struct Adder<'f, 'a> {
    forest: &'f Forest<'a>,
    now: Timestamp,
    parents: Vec<Option<usize>>,
    /// Nodes by the id of their span; only if there are records to look for.
    places: HashMap<SpanId, usize>,
    /// The children of a node, or the roots, with their starts.
    children: HashMap<Option<usize>, Vec<(Timestamp, usize)>>,
    additions: Additions<'a>,
}

impl<'f, 'a> Adder<'f, 'a> {
    fn new(forest: &'f Forest<'a>, now: Timestamp) -> Self {
        Self {
            forest,
            now,
            parents: Vec::new(),
            places: HashMap::new(),
            children: HashMap::new(),
            additions: Additions::default(),
        }
    }

    fn parent(&mut self, node: usize) -> Option<usize> {
        if self.parents.is_empty() {
            let mut open: Vec<usize> = Vec::new();
            for (index, node) in self.forest.nodes().iter().enumerate() {
                open.truncate(node.depth);
                self.parents.push(open.last().copied());
                open.push(index);
            }
        }
        self.parents.get(node).copied().flatten()
    }

    fn place(&mut self, id: SpanId) -> Option<usize> {
        if self.places.is_empty() {
            let nodes = self.forest.nodes().iter().enumerate();
            self.places = nodes
                .map(|(index, node)| match node.content {
                    tree::Content::Span(span) => (span.span_id, index),
                    tree::Content::Ghost { span_id, .. } => (span_id, index),
                })
                .collect();
        }
        self.places.get(&id).copied()
    }

    fn span(&self, node: usize) -> Option<&'a Span> {
        self.forest.get(node)?.span()
    }

    /// Adds a row under `parent` where its start belongs.
    fn insert(&mut self, parent: Option<usize>, mut row: Draft<'a>) {
        row.depth = parent
            .and_then(|parent| self.forest.get(parent))
            .map_or(0, |parent| parent.depth + 1);
        let (at, depth, start) = (self.position(parent, row.start), row.depth, row.start);
        let rows = vec![row];
        self.additions.inserts.push(Insert {
            at,
            depth,
            start,
            rows,
        });
    }

    fn position(&mut self, parent: Option<usize>, start: Timestamp) -> usize {
        let forest = self.forest;
        let children = self.children.entry(parent).or_insert_with(|| {
            let end = parent.map_or(forest.nodes().len(), |at| forest.subtree(at).end);
            let within = |at: usize| (at < end).then_some(at);
            let first = within(parent.map_or(0, |parent| parent + 1));
            let each = std::iter::successors(first, |at| within(forest.subtree(*at).end));
            each.filter_map(|at| Some((forest.get(at)?.start, at)))
                .collect()
        });
        let next = children.partition_point(|(begun, _)| *begun < start);
        match children.get(next) {
            Some((_, at)) => *at,
            None => parent.map_or(forest.nodes().len(), |at| forest.subtree(at).end),
        }
    }

    /// What the record of a job says.
    fn job(&mut self, job: &'a Job) {
        let timeline = Timeline::of(job, self.now);
        let enqueue = job.trace.context().and_then(Result::ok);
        let enqueue_node = enqueue.as_ref().and_then(|at| self.place(at.span_id));
        let claims = timeline.claims();
        let attempts: Vec<usize> = claims.filter_map(|id| self.place(id)).collect();
        let parent = attempts.first().map(|at| self.parent(*at));
        let rows = timeline.rows(job, enqueue.as_ref().map(|at| at.trace_id));
        if let Some(at) = enqueue_node {
            self.name_ghost(at, job);
        }
        let mut left = Vec::new();
        for (mut row, has_span) in rows {
            if row.content == Content::BackOff {
                self.begin_where_attempt_ends(&mut row);
            }
            let node = has_span.and_then(|id| self.place(id));
            let is_ghost = node.is_some_and(|at| self.span(at).is_none());
            match node {
                Some(at) if is_ghost && row.content != Content::Wait => self.stands_for(at, row),
                Some(_) => {}
                None => left.push(row),
            }
        }
        match (parent, enqueue_node) {
            (Some(parent), _) => left.into_iter().for_each(|row| self.insert(parent, row)),
            (None, Some(at)) => left.into_iter().for_each(|row| self.insert(Some(at), row)),
            (None, None) => self.tree_of(job, enqueue.map(|at| (at.trace_id, at.span_id)), left),
        }
    }

    /// The record has the moment at which the store knew; the span of the attempt, if there is one,
    /// ended a little earlier or later.
    fn begin_where_attempt_ends(&mut self, row: &mut Draft<'a>) {
        let node = self.place(row.span_id).and_then(|at| self.forest.get(at));
        let ended = node.filter(|node| node.span().is_some_and(|span| !span.is_open()));
        if let Some(node) = ended.filter(|node| node.end < row.end) {
            row.start = node.end;
        }
    }

    /// Says of a ghost that it is the enqueue span of a job.
    fn name_ghost(&mut self, at: usize, job: &'a Job) {
        let Some(node) = self.forest.get(at).filter(|node| node.span().is_none()) else {
            return;
        };
        let mut row = draft(node, self.now);
        (row.name, row.detail) = (name::ENQUEUE, job.kind.as_str().into());
        row.job = job.id.as_str();
        self.additions.instead.insert(at, row);
    }

    /// Puts a row where its span is missing but has children.
    fn stands_for(&mut self, at: usize, mut row: Draft<'a>) {
        let Some(node) = self.forest.get(at) else {
            return;
        };
        let ghost = draft(node, self.now);
        (row.depth, row.trace) = (ghost.depth, ghost.trace);
        row.marks = row.marks.with(ghost.marks);
        self.additions.instead.insert(at, row);
    }

    /// A job of which there is no span: its own tree, under a ghost of the enqueue span.
    fn tree_of(
        &mut self,
        job: &'a Job,
        enqueue: Option<(TraceId, SpanId)>,
        mut rows: Vec<Draft<'a>>,
    ) {
        let (trace, span_id) = enqueue.unwrap_or_else(|| {
            let own = job.id.derive_span_id(0, SpanPart::Enqueue);
            (job.id.derive_trace_id(0, None), own)
        });
        for row in &mut rows {
            row.depth = 1;
        }
        let ends = rows.iter().map(|row| row.end);
        let ghost = Draft {
            content: Content::Ghost,
            trace,
            span_id,
            name: name::ENQUEUE,
            detail: job.kind.as_str().into(),
            error: "",
            service: "",
            job: job.id.as_str(),
            depth: 0,
            marks: Marks::default(),
            start: job.enqueued_at,
            end: ends.max().unwrap_or(job.enqueued_at),
        };
        let (depth, start) = (0, ghost.start);
        let at = self.position(None, start);
        rows.insert(0, ghost);
        self.additions.inserts.push(Insert {
            at,
            depth,
            start,
            rows,
        });
    }
}

/// One claim of a job.
struct Claim<'a> {
    number: u32,
    attempt: u32,
    due: Timestamp,
    from: Timestamp,
    /// Nothing while it runs.
    ended: Option<&'a AttemptRecord>,
}

/// The claims of a job in order, and what follows them.
struct Timeline<'a> {
    job: &'a Job,
    now: Timestamp,
    claims: Vec<Claim<'a>>,
}

impl<'a> Timeline<'a> {
    fn of(job: &'a Job, now: Timestamp) -> Self {
        let ended = job.history.iter().map(|record| Claim {
            number: record.claim,
            attempt: record.attempt,
            due: record.due_at,
            from: record.claimed_at,
            ended: Some(record),
        });
        let mut claims: Vec<Claim<'a>> = ended.collect();
        if let (JobState::Running, Some(from)) = (job.state, job.claimed_at) {
            claims.push(Claim {
                number: job.claim,
                attempt: job.attempt,
                due: job.available_at.min(from),
                from,
                ended: None,
            });
        }
        claims.sort_by_key(|claim| claim.number);
        Self { job, now, claims }
    }

    /// The ids that the attempts' spans have.
    fn claims(&self) -> impl Iterator<Item = SpanId> {
        let id = |claim: &Claim<'_>| self.job.id.derive_span_id(claim.number, SpanPart::Process);
        self.claims.iter().map(id)
    }

    /// Every row that the record tells, each with the id of the span that makes it needless.
    fn rows(&self, job: &'a Job, trace: Option<TraceId>) -> Vec<(Draft<'a>, Option<SpanId>)> {
        let enqueue = job.trace.context().and_then(Result::ok);
        let enqueue = enqueue.map(|at| at.span_id);
        let enqueue = enqueue.unwrap_or_else(|| job.id.derive_span_id(0, SpanPart::Enqueue));
        let frame = Frame {
            job,
            trace: trace.unwrap_or_else(|| job.id.derive_trace_id(0, None)),
        };
        let mut rows = Vec::new();
        let mut before: Option<(&AttemptRecord, SpanId)> = None;
        for claim in &self.claims {
            let id = |part| job.id.derive_span_id(claim.number, part);
            let process = id(SpanPart::Process);
            if let Some((record, of)) = before {
                let word = pause_name(Some(record.outcome.as_str()));
                let times = (record.ended_at, claim.due);
                rows.push((frame.row(Content::BackOff, word, of, times), None));
            } else if claim.number == 1 {
                let times = (job.enqueued_at, claim.due);
                rows.push((frame.row(Content::Delay, SCHEDULED, enqueue, times), None));
            }
            let wait = frame.row(Content::Wait, "wait", process, (claim.due, claim.from));
            rows.push((wait, Some(id(SpanPart::Dequeue))));
            let attempt = self.attempt(&frame, claim, process);
            rows.push((attempt, Some(process)));
            before = claim.ended.map(|record| (record, process));
        }
        rows.extend(self.next(&frame, before, enqueue).map(|row| (row, None)));
        rows.retain(|(row, _)| {
            let attempt = matches!(row.content, Content::Attempt | Content::LostLease);
            attempt || row.end > row.start || row.marks.has(Marks::OPEN)
        });
        rows
    }

    fn attempt(&self, frame: &Frame<'a>, claim: &Claim<'a>, id: SpanId) -> Draft<'a> {
        let Some(record) = claim.ended else {
            let times = (claim.from, self.now);
            let mut row = frame.row(Content::Running, name::PROCESS, id, times);
            row.detail = format!("#{}", claim.attempt).into();
            row.marks = row.marks.with(Marks::OPEN);
            return row;
        };
        let content = match record.outcome {
            AttemptOutcome::Lost => Content::LostLease,
            _ => Content::Attempt,
        };
        let times = (record.claimed_at, record.ended_at);
        let mut row = frame.row(content, name::PROCESS, id, times);
        row.trace = record.trace_id.unwrap_or(row.trace);
        row.detail = format!("#{}", claim.attempt).into();
        if record.outcome.is_failure() {
            row.marks = row.marks.with(Marks::ERROR);
            row.error = record.error.as_ref().map_or("", |error| &error.class);
        }
        row
    }

    /// What the job waits for now.
    fn next(
        &self,
        frame: &Frame<'a>,
        before: Option<(&AttemptRecord, SpanId)>,
        enqueue: SpanId,
    ) -> impl Iterator<Item = Draft<'a>> + use<'a> {
        let job = self.job;
        let waits = job.state.is_waiting() || job.state == JobState::Available;
        let due = job.available_at.min(self.now);
        let is_due = job.available_at <= self.now;
        let (content, word, of, from) = match before {
            Some((record, of)) => {
                let word = pause_name(Some(record.outcome.as_str()));
                (Content::BackOff, word, of, record.ended_at)
            }
            None => (Content::Delay, SCHEDULED, enqueue, job.enqueued_at),
        };
        let mut rest = frame.row(content, word, of, (from, due));
        if !is_due {
            rest.marks = rest.marks.with(Marks::OPEN);
        }
        let mut wait = frame.row(Content::Wait, "wait", of, (due, self.now));
        wait.marks = wait.marks.with(Marks::OPEN);
        let rest = waits.then_some(rest);
        rest.into_iter().chain((waits && is_due).then_some(wait))
    }
}

/// What all rows of a job have in common.
struct Frame<'a> {
    job: &'a Job,
    trace: TraceId,
}

impl<'a> Frame<'a> {
    fn row(
        &self,
        content: Content,
        name: &'static str,
        span_id: SpanId,
        (start, end): (Timestamp, Timestamp),
    ) -> Draft<'a> {
        Draft {
            content,
            trace: self.trace,
            span_id,
            name,
            detail: Cow::Borrowed(""),
            error: "",
            service: "",
            job: self.job.id.as_str(),
            depth: 0,
            marks: Marks::ASYNC,
            start,
            end,
        }
    }
}
