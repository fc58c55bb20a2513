//! From spans, and the records of jobs, to rows.

use std::borrow::Cow;
use std::collections::HashMap;

use longshore_core::{Job, SpanId, Timestamp, TraceId};
use longshore_instrument::table::{key, name};
use longshore_instrument::{AttributeValue, Span, SpanKind};

use super::record::{self, Additions};
use super::skew::Skew;
use super::{Chart, Content, Marks, Row};
use crate::story::{above, number, text};
use crate::tree::{self, Forest, Node};

/// Attributes of which one says that a span asks a database.
const DATABASE: [&str; 5] = [
    "db.system.name",
    "db.system",
    "db.query.text",
    "db.statement",
    "db.operation.name",
];

/// A row in the making.
#[derive(Clone, Debug)]
pub(super) struct Draft<'a> {
    pub(super) content: Content,
    pub(super) trace: TraceId,
    pub(super) span_id: SpanId,
    pub(super) name: &'a str,
    pub(super) detail: Cow<'a, str>,
    pub(super) error: &'a str,
    pub(super) service: &'a str,
    pub(super) job: &'a str,
    pub(super) depth: usize,
    pub(super) marks: Marks,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

impl Chart {
    /// The rows of all `spans`, in whatever order they come: what names the same parent or links to
    /// the same enqueue span stands together, as in a [`Story`](crate::Story). `jobs` are the records
    /// of jobs among them, if they are known: they add what no span says, or not yet. What is open
    /// lasts until `now`.
    ///
    /// Where clocks of several machines contradict each other, they are shown as if they agreed, see
    /// [`Chart::corrections`]; [`Chart::as_recorded`] and [`Chart::uncorrected`] are not.
    #[must_use]
    pub fn of<'a>(spans: impl IntoIterator<Item = &'a Span>, jobs: &[Job], now: Timestamp) -> Self {
        let adopted = record::adopted(jobs);
        let above_ghost = |(_, span_id)| adopted.get(&span_id).copied();
        let forest = Forest::with_parents(spans, above, above_ghost);
        let Skew { corrections, moves } = Skew::of(&forest);
        if corrections.is_empty() {
            return Self::of_forest(&forest, jobs, now);
        }
        let by = |key| moves.get(&key).copied().unwrap_or(0);
        let forest = Forest::with_moves(forest.spans(), above, above_ghost, by);
        let mut chart = Self::of_forest(&forest, jobs, now);
        chart.note_moves(&moves);
        chart.corrections = corrections;
        chart
    }

    /// The same with all spans where their clocks said.
    #[must_use]
    pub fn as_recorded<'a>(
        spans: impl IntoIterator<Item = &'a Span>,
        jobs: &[Job],
        now: Timestamp,
    ) -> Self {
        let adopted = record::adopted(jobs);
        let above_ghost = |(_, span_id)| adopted.get(&span_id).copied();
        Self::of_forest(&Forest::with_parents(spans, above, above_ghost), jobs, now)
    }

    fn of_forest(forest: &Forest<'_>, jobs: &[Job], now: Timestamp) -> Self {
        let Additions {
            inserts,
            mut instead,
        } = record::additions(forest, jobs, now);
        let mut writer = Writer::new(forest.nodes().len() + inserts.len());
        let mut inserts = inserts.into_iter().peekable();
        for (index, node) in forest.nodes().iter().enumerate() {
            while let Some(insert) = inserts.next_if(|insert| insert.at <= index) {
                insert.rows.into_iter().for_each(|row| writer.write(&row));
            }
            match instead.remove(&index) {
                Some(row) => writer.write(&row),
                None => writer.write(&draft(node, now)),
            }
        }
        for insert in inserts {
            insert.rows.into_iter().for_each(|row| writer.write(&row));
        }
        writer.chart.link();
        writer.chart
    }

    /// Finds parents and subtrees from the depths, and what lies outside of its parent.
    pub(super) fn link(&mut self) {
        let total = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let mut open: Vec<u32> = Vec::new();
        for index in 0..total {
            let Some(row) = self.rows.get(index as usize).copied() else {
                return;
            };
            while open.len() > usize::from(row.depth) {
                self.close(open.pop(), index);
            }
            let parent = open.last().copied();
            let outside = parent
                .and_then(|parent| self.rows.get(parent as usize))
                .is_some_and(|parent| lies_outside(&row, parent));
            if let Some(row) = self.rows.get_mut(index as usize) {
                row.parent = parent.unwrap_or(index);
                if outside {
                    row.marks = row.marks.with(Marks::OUTSIDE);
                }
            }
            open.push(index);
        }
        while let Some(last) = open.pop() {
            self.close(Some(last), total);
        }
    }

    fn close(&mut self, index: Option<u32>, end: u32) {
        if let Some(row) = index.and_then(|index| self.rows.get_mut(index as usize)) {
            row.subtree_end = end;
        }
    }
}

fn lies_outside(row: &Row, parent: &Row) -> bool {
    let comparable = row.content == Content::Span
        && parent.content == Content::Span
        && !row.marks.has(Marks::ASYNC)
        && !parent.marks.has(Marks::OPEN);
    // Within a service work may go on behind the back of what began it.
    let ends_late = row.end > parent.end && row.service != parent.service;
    comparable && (row.start < parent.start || row.start > parent.end || ends_late)
}

/// Puts rows into columns.
struct Writer {
    chart: Chart,
    names: HashMap<String, u32>,
    services: HashMap<String, u32>,
    jobs: HashMap<String, u32>,
    traces: HashMap<TraceId, u32>,
}

impl Writer {
    fn new(rows: usize) -> Self {
        let mut writer = Self {
            chart: Chart {
                rows: Vec::with_capacity(rows),
                ..Chart::default()
            },
            names: HashMap::new(),
            services: HashMap::new(),
            jobs: HashMap::new(),
            traces: HashMap::new(),
        };
        for texts in [
            &mut writer.chart.names,
            &mut writer.chart.services,
            &mut writer.chart.jobs,
        ] {
            texts.push(String::new());
        }
        writer
    }

    fn write(&mut self, draft: &Draft<'_>) {
        let chart = &mut self.chart;
        let traces = &mut chart.traces;
        let trace = *self.traces.entry(draft.trace).or_insert_with(|| {
            traces.push(draft.trace);
            u32::try_from(traces.len() - 1).unwrap_or(u32::MAX)
        });
        // Deeper than any drawing; a chart of such a chain is cut to this depth.
        let deepest = chart
            .rows
            .last()
            .map_or(0, |row| row.depth.saturating_add(1));
        let depth = u16::try_from(draft.depth).unwrap_or(u16::MAX).min(deepest);
        let row = Row {
            content: draft.content,
            trace,
            span_id: draft.span_id,
            name: intern(&mut self.names, &mut chart.names, draft.name),
            detail: intern(&mut self.names, &mut chart.names, &draft.detail),
            error: intern(&mut self.names, &mut chart.names, draft.error),
            service: intern(&mut self.services, &mut chart.services, draft.service),
            job: intern(&mut self.jobs, &mut chart.jobs, draft.job),
            parent: 0,
            subtree_end: 0,
            depth,
            marks: draft.marks,
            start: draft.start,
            end: draft.end.max(draft.start),
        };
        chart.rows.push(row);
    }
}

/// The index of a text; 0 is nothing, everywhere.
fn intern(known: &mut HashMap<String, u32>, texts: &mut Vec<String>, text: &str) -> u32 {
    if text.is_empty() {
        return 0;
    }
    if let Some(index) = known.get(text) {
        return *index;
    }
    let index = u32::try_from(texts.len()).unwrap_or(u32::MAX);
    known.insert(text.to_owned(), index);
    texts.push(text.to_owned());
    index
}

/// The row of a node.
pub(super) fn draft<'a>(node: &Node<'a>, now: Timestamp) -> Draft<'a> {
    let mut marks = Marks::default();
    for (is_set, mark) in [
        (node.linked, Marks::LINKED),
        (node.linked, Marks::ASYNC),
        (node.cut_loose, Marks::CUT_LOOSE),
    ] {
        if is_set {
            marks = marks.with(mark);
        }
    }
    match node.content {
        tree::Content::Ghost { trace_id, span_id } => Draft {
            content: Content::Ghost,
            trace: trace_id,
            span_id,
            name: "",
            detail: Cow::Borrowed(""),
            error: "",
            service: "",
            job: "",
            depth: node.depth,
            marks,
            start: node.start,
            end: node.end,
        },
        tree::Content::Span(span) => Draft {
            content: Content::Span,
            trace: span.trace_id,
            span_id: span.span_id,
            name: &span.name,
            detail: detail(span),
            error: error(span),
            service: span.service().unwrap_or_default(),
            job: text(span, key::JOB_ID).unwrap_or_default(),
            depth: node.depth,
            marks: marks.with(marks_of(span)).with(moved(span, node)),
            start: node.start,
            end: if span.is_open() { now } else { node.end },
        },
    }
}

fn moved(span: &Span, node: &Node<'_>) -> Marks {
    match span.start == node.start {
        true => Marks::default(),
        false => Marks::CORRECTED,
    }
}

fn marks_of(span: &Span) -> Marks {
    let queued = matches!(
        span.name.as_ref(),
        name::PROCESS | name::DEQUEUE | name::CLAIM
    );
    let rebuilt = span.attribute(key::REBUILT) == Some(&AttributeValue::Bool(true));
    let database = span.kind == SpanKind::Client
        && span
            .attributes
            .iter()
            .any(|attribute| DATABASE.contains(&attribute.key.as_ref()));
    let mut marks = Marks::default();
    for (is_set, mark) in [
        (span.status.is_error(), Marks::ERROR),
        (span.is_open(), Marks::OPEN),
        (queued || span.kind == SpanKind::Consumer, Marks::ASYNC),
        (rebuilt, Marks::REBUILT),
        (database, Marks::DATABASE),
    ] {
        if is_set {
            marks = marks.with(mark);
        }
    }
    marks
}

fn detail(span: &Span) -> Cow<'_, str> {
    match span.name.as_ref() {
        name::PROCESS => {
            let attempt = number(span, key::ATTEMPT);
            attempt.map_or(Cow::Borrowed(""), |attempt| format!("#{attempt}").into())
        }
        name::ENQUEUE => text(span, key::KIND).unwrap_or_default().into(),
        _ => Cow::Borrowed(""),
    }
}

fn error(span: &Span) -> &str {
    match span.status.is_error() {
        true => text(span, key::ERROR_TYPE)
            .or_else(|| exception(span))
            .unwrap_or_default(),
        false => "",
    }
}

/// The last exception that a span tells of: programs that say no `error.type` note those.
fn exception(span: &Span) -> Option<&str> {
    let told = span.events.iter().rev().flat_map(|event| &event.attributes);
    let mut classes = told.filter(|attribute| attribute.key == key::EXCEPTION_TYPE);
    classes.find_map(|attribute| match &attribute.value {
        AttributeValue::String(class) if !class.is_empty() => Some(&**class),
        _ => None,
    })
}
