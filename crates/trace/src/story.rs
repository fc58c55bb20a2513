//! The story of a job: its traces, stitched together where they link to each other.

use std::collections::HashMap;
use std::time::Duration;

use longshore_core::{JobId, Timestamp, TraceId};
use longshore_instrument::table::{key, links_join, name};
use longshore_instrument::{AttributeValue, Span, SpanLink};

use crate::tree::{Above, Forest, Node, parent_of};

/// Everything that belongs to one job: the trace of its enqueue and, where attempts run in traces
/// of their own, those too, hung under the enqueue span by their link.
#[derive(Clone, Debug)]
pub struct Story<'a> {
    forest: Forest<'a>,
    summary: Summary<'a>,
}

/// What a story comes down to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary<'a> {
    /// The kind of the job the story is about; of a trace without jobs, the first span's name.
    pub kind: &'a str,
    /// Its queue.
    pub queue: Option<&'a str>,
    /// Its id.
    pub job_id: Option<&'a str>,
    /// How its last attempt ended; `None` if no attempt is known.
    pub outcome: Option<&'a str>,
    /// Whether its last attempt failed, or, in a trace without jobs, whether any span did.
    pub failed: bool,
    /// The number of the last attempt; 0 before the first.
    pub attempts: u32,
    /// How long it was due and waited for a worker.
    pub waited: Duration,
    /// How long its attempts ran.
    pub ran: Duration,
    /// How long it was not due between attempts.
    pub backed_off: Duration,
    /// From the first start to the last end of all spans.
    pub total: Duration,
}

impl<'a> Story<'a> {
    /// The stories that `spans` tell, the earliest first.
    #[must_use]
    pub fn stitch(spans: &'a [Span]) -> Vec<Self> {
        let mut groups = Groups::default();
        for span in spans {
            groups.find(span.trace_id);
            for link in joining_links(span) {
                groups.join(span.trace_id, link.context.trace_id);
            }
        }
        let mut by_group: HashMap<TraceId, Vec<&'a Span>> = HashMap::new();
        for span in spans {
            let group = groups.find(span.trace_id);
            by_group.entry(group).or_default().push(span);
        }
        let mut stories: Vec<Self> = by_group
            .into_values()
            .map(|spans| Self::of(Forest::with_parents(spans, above, |_ghost| None), None))
            .collect();
        stories.sort_by_key(|story| {
            let first = story.forest.spans().next();
            (story.start(), first.map(|span| span.trace_id))
        });
        stories
    }

    /// The story in which `job` occurs, told about that job: of a batch, without the jobs that
    /// were only enqueued by the same call. `None` if no span names it.
    #[must_use]
    pub fn of_job(spans: &'a [Span], job: &JobId) -> Option<Self> {
        let job = job.as_str();
        let of = |span: &Span| text(span, key::JOB_ID) == Some(job);
        let story = Self::stitch(spans)
            .into_iter()
            .find(|story| story.forest.spans().any(of))?;
        let forest = Forest::with_parents(own_spans(&story.forest, job), above, |_ghost| None);
        let subject = subject(&forest, Some(job));
        Some(Self::of(forest, subject))
    }

    fn of(forest: Forest<'a>, about: Option<&'a Span>) -> Self {
        let about = about.or_else(|| subject(&forest, None));
        let summary = summarise(&forest, about);
        Self { forest, summary }
    }

    /// Its spans as trees.
    #[must_use]
    pub fn forest(&self) -> &Forest<'a> {
        &self.forest
    }

    /// What it comes down to.
    #[must_use]
    pub fn summary(&self) -> &Summary<'a> {
        &self.summary
    }

    /// When the first span began.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        let starts = self.forest.nodes().iter().map(|node| node.start);
        starts.min().unwrap_or_default()
    }

    /// When the last span ended.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        let ends = self.forest.nodes().iter().map(|node| node.end);
        ends.max().unwrap_or_default()
    }
}

/// The text of an attribute.
pub(crate) fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    match span.attribute(key)? {
        AttributeValue::String(text) => Some(text),
        _ => None,
    }
}

/// The number of an attribute.
pub(crate) fn number(span: &Span, key: &str) -> Option<u32> {
    match span.attribute(key)? {
        AttributeValue::Int(number) => u32::try_from(*number).ok(),
        _ => None,
    }
}

/// Links that make two traces one story.
pub(crate) fn joining_links(span: &Span) -> &[SpanLink] {
    match links_join(&span.name) {
        true => &span.links,
        false => &[],
    }
}

/// A root that links to an enqueue span hangs under it.
pub(crate) fn above(span: &Span) -> Option<Above> {
    let enqueue = |link: &&SpanLink| {
        link.attributes.iter().any(|attribute| {
            attribute.key == key::LINK && attribute.value == AttributeValue::from("enqueue")
        })
    };
    parent_of(span).or_else(|| {
        let link = span.links.iter().find(enqueue)?;
        let key = (link.context.trace_id, link.context.span_id);
        Some(Above { key, linked: true })
    })
}

/// The span that says what a story is about: the attempt nearest to the root, else an enqueue.
fn subject<'a>(forest: &Forest<'a>, job: Option<&str>) -> Option<&'a Span> {
    let named = |wanted: &str| {
        let nodes = forest.nodes().iter();
        let fits = |node: &&Node<'a>| {
            node.span().is_some_and(|span| {
                span.name == wanted && (job.is_none() || text(span, key::JOB_ID) == job)
            })
        };
        nodes.filter(fits).min_by_key(|node| node.depth)
    };
    let node = named(name::PROCESS).or_else(|| named(name::ENQUEUE))?;
    node.span()
}

/// The spans of a forest without the trees of jobs that hang where an attempt of `job` hangs.
fn own_spans<'a>(forest: &Forest<'a>, job: &str) -> Vec<&'a Span> {
    let nodes = forest.nodes();
    let own = |node: &Node<'a>| {
        let span = node.span();
        span.is_some_and(|span| span.name == name::PROCESS && text(span, key::JOB_ID) == Some(job))
    };
    let others = |node: &Node<'a>| {
        let id = node.span().and_then(|span| text(span, key::JOB_ID));
        id.is_some_and(|id| id != job)
    };
    let attempt = nodes.iter().position(own).unwrap_or(0);
    let depth = nodes.get(attempt).map_or(0, |node| node.depth);
    let before = nodes.get(..attempt).unwrap_or_default();
    let parent = before.iter().rposition(|node| node.depth < depth);
    let mut left_out = 0..0;
    let mut spans = Vec::with_capacity(nodes.len());
    let among = parent.map_or(0..0, |parent| forest.subtree(parent));
    for (index, node) in nodes.iter().enumerate() {
        if among.contains(&index) && node.depth == depth && others(node) {
            left_out = forest.subtree(index);
        }
        if !left_out.contains(&index) {
            spans.extend(node.span());
        }
    }
    spans
}

fn summarise<'a>(forest: &Forest<'a>, about: Option<&'a Span>) -> Summary<'a> {
    let nodes = forest.nodes().iter();
    let start = nodes.clone().map(|node| node.start).min();
    let end = nodes.map(|node| node.end).max();
    let total = end.zip(start).map(|(end, start)| end.since(start));
    let mut summary = Summary {
        total: total.unwrap_or_default(),
        ..Summary::default()
    };
    let Some(about) = about else {
        let first = forest.spans().next();
        summary.kind = first.map_or("", |span| span.name.as_ref());
        summary.failed = forest.spans().any(|span| span.status.is_error());
        return summary;
    };
    summary.kind = text(about, key::KIND).unwrap_or(about.name.as_ref());
    summary.queue = text(about, key::QUEUE);
    summary.job_id = text(about, key::JOB_ID);
    add_attempts(forest, &mut summary);
    summary
}

/// What the spans of the job itself say.
fn add_attempts<'a>(forest: &Forest<'a>, summary: &mut Summary<'a>) {
    let job_id = summary.job_id;
    let named = |wanted: &'static str| {
        let mut spans: Vec<&'a Span> = forest
            .spans()
            .filter(|span| span.name == wanted && text(span, key::JOB_ID) == job_id)
            .collect();
        spans.sort_by_key(|span| span.start);
        spans
    };
    let took = |spans: &[&Span]| -> Duration {
        let each = spans.iter().map(|span| span.end.since(span.start));
        each.fold(Duration::ZERO, Duration::saturating_add)
    };
    let (waits, attempts) = (named(name::DEQUEUE), named(name::PROCESS));
    summary.waited = took(&waits);
    summary.ran = took(&attempts);
    for pair in attempts.windows(2) {
        let [before, after] = pair else { continue };
        let due = waits
            .iter()
            .filter(|wait| wait.start >= before.end && wait.start <= after.start)
            .map(|wait| wait.start)
            .min();
        let pause = due.unwrap_or(after.start).since(before.end);
        summary.backed_off = summary.backed_off.saturating_add(pause);
    }
    if let Some(last) = attempts.last() {
        summary.outcome = text(last, key::OUTCOME);
        summary.failed = last.status.is_error();
        let counted = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
        summary.attempts = number(last, key::ATTEMPT).unwrap_or(counted);
    }
}

/// Which traces belong together.
#[derive(Default)]
struct Groups {
    parents: HashMap<TraceId, TraceId>,
}

impl Groups {
    fn find(&mut self, trace: TraceId) -> TraceId {
        let mut at = trace;
        loop {
            let parent = *self.parents.entry(at).or_insert(at);
            if parent == at {
                return at;
            }
            let grandparent = self.parents.get(&parent).copied().unwrap_or(parent);
            self.parents.insert(at, grandparent);
            at = grandparent;
        }
    }

    fn join(&mut self, one: TraceId, other: TraceId) {
        let (one, other) = (self.find(one), self.find(other));
        self.parents.insert(one.max(other), one.min(other));
    }
}
