//! Spans as indented text, without what differs from run to run.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use longshore_core::{SpanId, TraceId};
use longshore_instrument::table::key;
use longshore_instrument::{Span, SpanStatus};

use super::decode::text;

/// The attributes that [`trace_tree`] prints: those that tell one run's course from another's.
const TELLING: &[&str] = &[
    key::ATTEMPT,
    key::OUTCOME,
    key::ENQUEUE_OUTCOME,
    key::ENQUEUE_HITS,
    key::ENQUEUE_REPLACED,
    key::ERROR_TYPE,
    key::REBUILT,
];

type Id = (TraceId, SpanId);

/// Spans as an indented tree per trace, for golden tests: name, scope if it is not the engine's,
/// kind, status, the attributes attempt, outcome, error type and rebuilt, events and links.
///
/// Spans are named `a`, `b`, … in the order in which they are printed, which is by start within
/// their parent; a span that is only linked to, or only a parent, is named after them and marked
/// with `^`. A span whose parent is not among the spans stands at the left with `under ^x`.
///
/// ```text
/// trace
/// a queue.enqueue PRODUCER
///   b queue.dequeue CLIENT
///   c job.process CONSUMER error longshore.job.attempt=1 error.type=panic
///     ~ link a longshore.link=enqueue
/// ```
#[must_use]
pub fn trace_tree(spans: &[Span]) -> String {
    trace_tree_with(spans, TELLING)
}

/// [`trace_tree`] with the attribute keys to print.
#[must_use]
pub fn trace_tree_with(spans: &[Span], keys: &[&str]) -> String {
    let mut ordered: Vec<&Span> = spans.iter().collect();
    ordered.sort_by_key(|span| (span.start, span.end, span.name.clone(), span.span_id));
    let present: HashSet<Id> = ordered.iter().map(|span| id_of(span)).collect();
    let mut children: HashMap<Id, Vec<&Span>> = HashMap::new();
    let mut traces: Vec<(TraceId, Vec<&Span>)> = Vec::new();
    for span in &ordered {
        match parent_of(span).filter(|parent| present.contains(parent)) {
            Some(parent) => children.entry(parent).or_default().push(span),
            None => match traces.iter_mut().find(|(trace, _)| *trace == span.trace_id) {
                Some((_, roots)) => roots.push(span),
                None => traces.push((span.trace_id, vec![span])),
            },
        }
    }
    let mut lines: Vec<Option<(usize, &Span)>> = Vec::new();
    for (_, roots) in &traces {
        lines.push(None);
        for root in roots {
            flatten(root, 0, &children, &mut lines);
        }
    }
    draw(&lines, &present, keys)
}

fn flatten<'a>(
    span: &'a Span,
    depth: usize,
    children: &HashMap<Id, Vec<&'a Span>>,
    lines: &mut Vec<Option<(usize, &'a Span)>>,
) {
    lines.push(Some((depth, span)));
    for child in children.get(&id_of(span)).into_iter().flatten() {
        flatten(child, depth + 1, children, lines);
    }
}

fn draw(lines: &[Option<(usize, &Span)>], present: &HashSet<Id>, keys: &[&str]) -> String {
    let mut names = Names::default();
    for (_, span) in lines.iter().flatten() {
        names.of(id_of(span));
    }
    let mut out = String::new();
    for line in lines {
        let Some((depth, span)) = line else {
            out.push_str("trace\n");
            continue;
        };
        let indent = "  ".repeat(*depth);
        let name = names.of(id_of(span));
        let _ = write!(out, "{indent}{name} {} {}", span.name, span.kind.as_str());
        if let Some(parent) = parent_of(span).filter(|parent| !present.contains(parent)) {
            let _ = write!(out, " under ^{}", names.of(parent));
        }
        draw_rest(&mut out, span, keys);
        out.push('\n');
        for event in &span.events {
            let _ = writeln!(out, "{indent}  ! {}", event.name);
        }
        for link in &span.links {
            let target = (link.context.trace_id, link.context.span_id);
            let mark = if present.contains(&target) { "" } else { "^" };
            let _ = write!(out, "{indent}  ~ link {mark}{}", names.of(target));
            for attribute in &link.attributes {
                let _ = write!(out, " {}={}", attribute.key, text(&attribute.value));
            }
            out.push('\n');
        }
    }
    out
}

fn draw_rest(out: &mut String, span: &Span, keys: &[&str]) {
    if span.scope != Span::ENGINE_SCOPE {
        let _ = write!(out, " ({})", span.scope);
    }
    match &span.status {
        SpanStatus::Unset => {}
        SpanStatus::Ok => out.push_str(" ok"),
        SpanStatus::Error(_) => out.push_str(" error"),
    }
    for key in keys {
        if let Some(value) = span.attribute(key) {
            let _ = write!(out, " {key}={}", text(value));
        }
    }
}

fn id_of(span: &Span) -> Id {
    (span.trace_id, span.span_id)
}

fn parent_of(span: &Span) -> Option<Id> {
    span.parent_span_id.map(|parent| (span.trace_id, parent))
}

/// Names in the order of asking: `a` to `z`, then `a1` to `z1`, and so on.
#[derive(Default)]
struct Names(HashMap<Id, usize>);

impl Names {
    fn of(&mut self, id: Id) -> String {
        let next = self.0.len();
        let number = *self.0.entry(id).or_insert(next);
        let letter = char::from(
            b"abcdefghijklmnopqrstuvwxyz"
                .get(number % 26)
                .copied()
                .unwrap_or(b'?'),
        );
        match number / 26 {
            0 => letter.to_string(),
            round => format!("{letter}{round}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use longshore_core::{SpanContext, Timestamp, TraceFlags, TraceState};
    use longshore_instrument::{Attribute, Dropped, SpanKind, SpanLink};

    use super::*;

    fn span(id: u64, parent: Option<u64>, name: &'static str, start: i64) -> Span {
        Span {
            trace_id: TraceId::from_u128(9),
            span_id: SpanId::from_u64(id),
            parent_span_id: parent.map(SpanId::from_u64),
            parent_is_remote: false,
            flags: TraceFlags::SAMPLED,
            trace_state: TraceState::EMPTY,
            name: Cow::Borrowed(name),
            kind: SpanKind::Internal,
            start: Timestamp::from_unix_millis(start),
            end: Timestamp::from_unix_millis(start + 1),
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            status: SpanStatus::Unset,
            scope: Cow::Borrowed(Span::ENGINE_SCOPE),
            dropped: Dropped::default(),
            resource: None,
        }
    }

    #[test]
    fn a_tree_names_spans_in_order_and_marks_what_is_elsewhere() {
        let mut failed = span(3, Some(1), "later", 5);
        failed.status = SpanStatus::Error("".into());
        failed.attributes = vec![Attribute::new(key::ERROR_TYPE, "panic")];
        failed.links = [1, 77]
            .map(|target| SpanLink {
                context: SpanContext::new(
                    TraceId::from_u128(9),
                    SpanId::from_u64(target),
                    TraceFlags::SAMPLED,
                ),
                attributes: Vec::new(),
            })
            .into();
        let spans = [
            failed,
            span(1, None, "root", 0),
            span(2, Some(1), "earlier", 1),
            span(4, Some(99), "orphan", 9),
        ];
        let expected = "\
trace
a root INTERNAL
  b earlier INTERNAL
  c later INTERNAL error error.type=panic
    ~ link a
    ~ link ^e
d orphan INTERNAL under ^f
";
        assert_eq!(trace_tree(&spans), expected);
    }
}
