//! A forest as indented text: for logs, mails and `--plain`.

use std::fmt::Write;

use longshore_instrument::table::{key, name};
use longshore_instrument::{AttributeValue, Span};

use crate::duration;
use crate::story::{number, text};
use crate::text::printable;
use crate::tree::{Content, Forest, Node};

/// Deepest indentation; what is deeper is indented no further and says its depth.
const DEEPEST: usize = 40;

/// One line for each row: two blanks for each level, the name, how long it took, and `error.type`
/// of what failed.
///
/// ```
/// # use longshore_trace::{Forest, outline};
/// assert_eq!(outline::outline(&Forest::new(&[])), "");
/// ```
#[must_use]
pub fn outline(forest: &Forest<'_>) -> String {
    let mut out = String::new();
    for node in forest.nodes() {
        let indent = "  ".repeat(node.depth.min(DEEPEST));
        let deeper = match node.depth {
            0..=DEEPEST => String::new(),
            depth => format!("[{depth}] "),
        };
        // Writing to a String cannot fail.
        let _ = match node.content {
            Content::Ghost { span_id, .. } => {
                writeln!(out, "{indent}{deeper}parent not received {span_id}")
            }
            Content::Span(span) => {
                let detail = span_detail(node, span);
                let gap = if detail.is_empty() { "" } else { " " };
                let called = format!("{}{gap}{detail}", span_name(span));
                let called = printable(&called, true);
                let took = duration::format(node.end.since(node.start));
                let failed = span.status.is_error();
                let class = text(span, key::ERROR_TYPE).unwrap_or("error");
                let class = format!("  ✗ {}", printable(class, true));
                let class = if failed { class.as_str() } else { "" };
                writeln!(out, "{indent}{deeper}{called}  {took}{class}")
            }
        };
    }
    out
}

/// The name of a span, of an attempt with its number.
fn span_name(span: &Span) -> String {
    match number(span, key::ATTEMPT) {
        Some(attempt) if span.name == name::PROCESS => format!("{} #{attempt}", span.name),
        _ => span.name.to_string(),
    }
}

/// What tells a span from others of its name.
fn span_detail(node: &Node<'_>, span: &Span) -> String {
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
