//! A forest as indented text: for logs, mails and `--plain`.

use std::fmt::Write;

use longshore_instrument::table::key;

use crate::duration;
use crate::story::text;
use crate::text::printable;
use crate::tree::{Content, Forest};
use crate::waterfall::{span_detail, span_name};

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
