//! `longshore jobs failures`: what goes wrong, and how often.

use longshore_core::Timestamp;
use longshore_core::failure::{Failure, normalised, place};

use crate::args::Failures;
use crate::exit::Exit;
use crate::output::Paint;
use crate::record::admin::{FailureJson, FailuresJson};
use crate::session::Session;
use crate::text;

/// Most columns of a line where no terminal says.
const COLUMNS: usize = 200;

pub(super) async fn run(session: &Session<'_>, args: Failures) -> anyhow::Result<Exit> {
    let output = session.output;
    let admin = session.desk(&Default::default())?.admin();
    let now = admin.store().now().await?;
    let failures = admin
        .failures(&args.filter.at(now), |looked| {
            output.progress(&format!("searching; {} so far", text::jobs(looked)));
        })
        .await;
    output.end_progress();
    let failures = failures?;
    let ungrouped = failures.ungrouped();
    let mut all = failures.into_sorted();
    let (kinds, limit) = (all.len(), usize::try_from(args.limit).unwrap_or(usize::MAX));
    all.truncate(limit);
    if args.json {
        let redactor = session.redactor()?;
        let shown = all.iter().map(|failure| FailureJson::of(failure, redactor));
        output.json(&FailuresJson {
            failures: shown.collect(),
            more: kinds.saturating_sub(limit),
            ungrouped,
        })?;
        return Ok(Exit::Done);
    }
    if all.is_empty() {
        output.talk("No attempt failed among the jobs that match.");
        return Ok(Exit::Done);
    }
    for failure in &all {
        show(session, failure, now)?;
    }
    if kinds > limit {
        let more = kinds - limit;
        output.talk(&format!(
            "There are {more} more kinds of failures: --limit shows more."
        ));
    }
    if ungrouped > 0 {
        let attempts = text::number(ungrouped);
        output.talk(&format!(
            "{attempts} attempts failed in yet other ways; filter by kind or queue to see them."
        ));
    }
    Ok(Exit::Done)
}

fn show(session: &Session<'_>, failure: &Failure, now: Timestamp) -> anyhow::Result<()> {
    let (output, redactor) = (session.output, session.redactor()?);
    let columns = output.data_columns().unwrap_or(COLUMNS);
    let attempts = text::number(failure.attempts);
    let class = text::one_line(&redactor.text(&failure.class), columns / 2);
    let head = format!("{attempts} × {} ", failure.kind);
    let room = columns.saturating_sub(head.chars().count());
    let class = output.paint(Paint::Red, &text::one_line(&class, room.max(9)));
    output.data(&format!("{}{class}", output.paint(Paint::Bold, &head)))?;
    let message = redactor.text(&failure.message);
    let ago = |at: Timestamp| text::duration(now.since(at));
    let seen = format!(
        "last {} ago, first {} ago, in {}",
        ago(failure.last_seen),
        ago(failure.first_seen),
        text::jobs(failure.jobs)
    );
    let at = place(&message).map(|place| format!("at {place}"));
    let job = format!("job {}", failure.last_job);
    let trace = failure.last_trace.map(|trace| format!("trace {trace}"));
    let said = Some(normalised(&message)).filter(|message| !message.is_empty());
    let lines = [said, at, Some(seen), Some(job), trace];
    for line in lines.into_iter().flatten() {
        let line = text::one_line(&line, columns.saturating_sub(2).max(20));
        output.data(&format!("  {line}"))?;
    }
    Ok(())
}
