//! What each row stands for, and its label.

use std::collections::HashMap;
use std::ops::Range;

use longshore_core::Timestamp;
use longshore_instrument::AttributeValue;
use longshore_instrument::Span;
use longshore_instrument::table::{key, name};

use super::{Glyphs, STACKED};
use crate::duration;
use crate::story::{number, text};
use crate::text::{Line, Style, fit, printable, width};
use crate::tree::{Content, Forest, Node};

/// Fewest consecutive siblings of one name that become one row.
const FOLD: usize = 5;

/// A row of a waterfall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it shows.
    pub showing: Showing,
    /// The nodes of the forest that it stands for; every node belongs to exactly one row.
    pub nodes: Range<usize>,
    /// How many ancestors it has.
    pub depth: usize,
    /// Whether no sibling follows.
    pub last: bool,
}

/// What a row shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Showing {
    /// One node.
    Node,
    /// So many siblings of one name, with all that hangs under them.
    Fold(usize),
    /// The time between two attempts, in which the job was not due. It stands for no node.
    Pause {
        /// The node of the attempt before.
        after: usize,
        /// When the job was due again.
        until: Timestamp,
    },
}

/// The rows of a forest, from the top.
pub(super) fn rows(forest: &Forest<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut attempts: HashMap<(&str, usize), usize> = HashMap::new();
    let mut index = 0;
    while let Some(node) = forest.get(index) {
        if let Some(pause) = pause(forest, index, &mut attempts) {
            rows.push(pause);
        }
        let (count, end) = run(forest, index);
        let (showing, nodes) = if count >= FOLD {
            (Showing::Fold(count), index..end)
        } else {
            (Showing::Node, index..index + 1)
        };
        let after = if count >= FOLD { end } else { node.subtree_end };
        let next = forest.get(after);
        let last = next.is_none_or(|next| next.depth != node.depth);
        index = nodes.end;
        rows.push(Row {
            showing,
            nodes,
            depth: node.depth,
            last,
        });
    }
    rows
}

/// How many siblings from `index` on look alike, and the index after the last one's descendants.
fn run(forest: &Forest<'_>, index: usize) -> (usize, usize) {
    let end_of = |at: usize| forest.subtree(at).end;
    let Some(pattern) = forest.get(index).and_then(alike) else {
        return (1, end_of(index));
    };
    let (mut count, mut last) = (1, index);
    while let Some(next) = forest.next_sibling(last) {
        if forest.get(next).and_then(alike) != Some(pattern) {
            break;
        }
        count += 1;
        last = next;
    }
    (count, end_of(last))
}

/// What siblings must have in common to be folded; `None` for what is always shown.
fn alike<'a>(node: &Node<'a>) -> Option<(&'a str, Option<&'a str>)> {
    let span = node.span()?;
    let shown = node.cut_loose || node.linked || span.name == name::PROCESS;
    (!shown).then(|| (span.name.as_ref(), text(span, key::KIND)))
}

/// A row for the time before the node at `index`, if it begins another attempt of a job.
fn pause<'a>(
    forest: &Forest<'a>,
    index: usize,
    attempts: &mut HashMap<(&'a str, usize), usize>,
) -> Option<Row> {
    let node = forest.get(index)?;
    let span = node.span()?;
    let attempt = span.name == name::PROCESS;
    if !attempt && !is_wait(span) {
        return None;
    }
    let place = (text(span, key::JOB_ID)?, node.depth);
    let before = attempts.remove(&place);
    if attempt {
        attempts.insert(place, index);
    }
    let after = before?;
    let own_wait = forest
        .get(index + 1)
        .filter(|child| child.depth > node.depth && child.span().is_some_and(is_wait));
    let until = own_wait.map_or(node.start, |wait| wait.start.min(node.start));
    (until > forest.get(after)?.end).then_some(Row {
        showing: Showing::Pause { after, until },
        nodes: index..index,
        depth: node.depth,
        last: false,
    })
}

/// Whether a span is a job's wait for a worker.
pub(super) fn is_wait(span: &Span) -> bool {
    span.name == name::DEQUEUE
}

/// From when to when a row goes.
pub(super) fn times(forest: &Forest<'_>, row: &Row) -> (Timestamp, Timestamp) {
    if let Showing::Pause { after, until } = row.showing {
        let from = forest.get(after).map_or(until, |node| node.end);
        return (from, until);
    }
    let siblings = siblings(forest, row);
    let start = siblings.clone().map(|node| node.start).min();
    let end = siblings.map(|node| node.end).max();
    (start.unwrap_or_default(), end.unwrap_or_default())
}

/// The nodes that a row draws: its own, not what hangs under them.
pub(super) fn siblings<'f, 'a>(
    forest: &'f Forest<'a>,
    row: &Row,
) -> impl Iterator<Item = &'f Node<'a>> + Clone {
    let nodes = forest.nodes().get(row.nodes.clone()).unwrap_or_default();
    let depth = row.depth;
    nodes.iter().filter(move |node| node.depth == depth)
}

/// How many of the nodes of a row failed, and the first one's `error.type`.
pub(super) fn failures<'a>(forest: &Forest<'a>, row: &Row) -> (usize, &'a str) {
    let nodes = forest.nodes().get(row.nodes.clone()).unwrap_or_default();
    let failed = nodes
        .iter()
        .filter_map(Node::span)
        .filter(|span| span.status.is_error());
    let class = failed
        .clone()
        .next()
        .and_then(|span| text(span, key::ERROR_TYPE));
    (failed.count(), class.unwrap_or("error"))
}

/// How long a row took, as text; nothing for a ghost, of which nobody knows.
pub(super) fn duration_text(forest: &Forest<'_>, row: &Row, glyphs: Glyphs) -> String {
    let node = forest.get(row.nodes.start);
    let ghost = node.is_some_and(|node| node.span().is_none());
    if ghost && row.showing == Showing::Node {
        return String::new();
    }
    let (start, end) = times(forest, row);
    glyphs.duration(&duration::format(end.since(start)))
}

/// The left part of a row.
#[derive(Clone, Debug)]
pub(super) struct Label {
    guide: String,
    text: String,
    detail: String,
    style: Style,
}

impl Label {
    pub(super) fn width(&self) -> usize {
        let gap = usize::from(!self.detail.is_empty());
        width(&self.guide) + width(&self.text) + gap + width(&self.detail)
    }

    /// Draws it into `room` columns.
    pub(super) fn draw(&self, line: &mut Line, room: usize, glyphs: Glyphs) {
        line.push(&fit(&self.guide, room, ""), Style::Dim);
        let left = room.saturating_sub(line.used());
        line.push(&fit(&self.text, left, glyphs.more()), self.style);
        let left = room.saturating_sub(line.used() + 1);
        if !self.detail.is_empty() && left >= width(&self.detail).min(6) {
            line.push(" ", Style::Plain);
            line.push(&fit(&self.detail, left, glyphs.more()), Style::Dim);
        }
    }
}

/// The style of a row's duration.
pub(super) const fn duration_style(label: &Label) -> Style {
    match label.style {
        Style::Bold => Style::Plain,
        other => other,
    }
}

/// The labels of all rows for a drawing `total` columns wide.
pub(super) fn labels(
    forest: &Forest<'_>,
    rows: &[Row],
    glyphs: Glyphs,
    total: usize,
) -> Vec<Label> {
    let step = if total >= 90 { 3 } else { 2 };
    let room = if total < STACKED {
        total * 2 / 3
    } else {
        total * 2 / 5
    };
    let levels = (room.saturating_sub(16) / step).max(2);
    let mut open: Vec<bool> = Vec::new();
    let mut labels = Vec::with_capacity(rows.len());
    for row in rows {
        open.truncate(row.depth);
        open.resize(row.depth, false);
        let guide = guide(&open, row.last, levels, step, glyphs);
        open.push(!row.last);
        let (text, detail, style) = words(forest, row, glyphs);
        labels.push(Label {
            guide,
            text,
            detail,
            style,
        });
    }
    labels
}

/// The lines that lead to a row from its ancestors; of deep ones only the nearest.
fn guide(open: &[bool], last: bool, levels: usize, step: usize, glyphs: Glyphs) -> String {
    let Some(above) = open.get(1..) else {
        return String::new();
    };
    let hidden = (above.len() + 1).saturating_sub(levels);
    let mut guide = String::new();
    let wide = step == 3;
    if hidden > 0 {
        guide.push_str(glyphs.more());
    }
    for open in above.iter().skip(hidden) {
        guide.push_str(match (open, wide) {
            (true, true) => glyphs.pick("│  ", "|  "),
            (true, false) => glyphs.pick("│ ", "| "),
            (false, true) => "   ",
            (false, false) => "  ",
        });
    }
    guide.push_str(match (last, wide) {
        (true, true) => glyphs.pick("└─ ", "`- "),
        (true, false) => glyphs.pick("└ ", "`-"),
        (false, true) => glyphs.pick("├─ ", "|- "),
        (false, false) => glyphs.pick("├ ", "|-"),
    });
    guide
}

/// What a row is called, what is said beside it, and in which style.
fn words(forest: &Forest<'_>, row: &Row, glyphs: Glyphs) -> (String, String, Style) {
    if let Showing::Pause { after, .. } = row.showing {
        let before = forest.get(after).and_then(Node::span);
        let outcome = before.and_then(|span| text(span, key::OUTCOME));
        let word = match outcome {
            Some("retried" | "not_yet") => "back-off",
            Some("snoozed") => "snoozed",
            _ => "not due",
        };
        return (word.to_owned(), String::new(), Style::Dim);
    }
    let Some(node) = forest.get(row.nodes.start) else {
        return (String::new(), String::new(), Style::Dim);
    };
    let (called, detail) = match node.content {
        Content::Span(span) => (span_name(span), span_detail(node, span)),
        Content::Ghost { span_id, .. } => (
            "parent not received".to_owned(),
            span_id.to_string().chars().take(8).collect(),
        ),
    };
    let called = match row.showing {
        Showing::Fold(count) => format!("{}{count} {called}", glyphs.pick("×", "x")),
        Showing::Node | Showing::Pause { .. } => called,
    };
    let style = match node.span() {
        None => Style::Dim,
        Some(_) if failures(forest, row).0 > 0 => Style::Error,
        Some(span) if is_wait(span) => Style::Dim,
        Some(span) if span.name == name::PROCESS => Style::Bold,
        Some(_) => Style::Plain,
    };
    let clean = |text: &str| printable(text, glyphs.unicode).into_owned();
    (clean(&called), clean(&detail), style)
}

/// The name of a span, of an attempt with its number.
pub(crate) fn span_name(span: &Span) -> String {
    match number(span, key::ATTEMPT) {
        Some(attempt) if span.name == name::PROCESS => format!("{} #{attempt}", span.name),
        _ => span.name.to_string(),
    }
}

/// What tells a span from others of its name.
pub(crate) fn span_detail(node: &Node<'_>, span: &Span) -> String {
    let rebuilt = span.attribute(key::REBUILT) == Some(&AttributeValue::Bool(true));
    let mut parts = Vec::new();
    if span.name == name::ENQUEUE {
        parts.extend(text(span, key::KIND));
    }
    if node.cut_loose {
        parts.push("(parents go in a circle)");
    }
    if node.linked {
        parts.push("(linked)");
    }
    if rebuilt && span.name == name::PROCESS {
        parts.push("(rebuilt)");
    }
    parts.join(" ")
}
