//! `longshore traces`: traces listed, drawn, followed and compared.

mod diff;
mod fetch;
mod list;
mod seal;
mod show;
mod tail;

pub(crate) use show::{Look, draw, told};

use longshore_trace::TraceSummary;

use crate::args::traces::Traces;
use crate::exit::Exit;
use crate::output::{Output, Paint};
use crate::session::Session;
use crate::text;

pub(crate) async fn run(session: &Session<'_>, args: Traces) -> anyhow::Result<Exit> {
    match args {
        Traces::List(args) => list::run(session, args).await,
        Traces::Show(args) => show::run(session, args).await,
        Traces::Tail(args) => tail::run(session, args).await,
        Traces::Diff(args) => diff::run(session, args).await,
        Traces::Seal(args) => seal::run(session, &args).await,
        Traces::Fetch(args) => fetch::run(session, &args).await,
    }
}

/// Several words as one search. A word with a blank in it was quoted by whoever typed it, so that
/// the shell left it whole, and is taken as it stands.
fn search(words: &[String]) -> String {
    words.join(" ")
}

/// How a trace stands, in a word.
fn standing(trace: &TraceSummary) -> (Paint, &str) {
    match (trace.open > 0, trace.failed) {
        (true, _) => (Paint::Cyan, "running"),
        (false, true) => (Paint::Red, trace.error_type.as_deref().unwrap_or("error")),
        (false, false) => match trace.outcome.as_deref() {
            Some(outcome) => (Paint::Green, outcome),
            None if !trace.job_ids.is_empty() => (Paint::Cyan, "no attempt yet"),
            None => (Paint::Green, "ok"),
        },
    }
}

/// What a trace is about: the kind of its job, and its root where that says more.
fn subject(trace: &TraceSummary) -> &str {
    trace.kind.as_deref().unwrap_or(&trace.name)
}

/// A trace in one line, for those who read along.
fn line(output: &Output, trace: &TraceSummary) -> String {
    let (paint, standing) = standing(trace);
    let queue = trace.queue.as_deref().unwrap_or(&trace.service);
    format!(
        "{} {} {} {} {}",
        output.paint(Paint::Dim, &text::moment(trace.start)),
        trace.trace_id,
        output.paint(
            Paint::Bold,
            &text::one_line(&format!("{queue}/{}", subject(trace)), 60)
        ),
        text::duration(trace.duration()),
        output.paint(paint, &text::one_line(standing, 60)),
    )
}
