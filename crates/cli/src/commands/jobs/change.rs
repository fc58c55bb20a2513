//! `longshore jobs cancel`, `retry` and `discard`: by id, or by filter.

use anyhow::Context as _;
use longshore_api::job::ChangedJob;
use longshore_core::{ErrorKind, JobFilter, JobId, JobState};
use longshore_queue::{Admin, Change, Changed as AllChanged, Found};

use crate::args::Changed;
use crate::exit::{Exit, Usage, told};
use crate::named;
use crate::record::admin::ChangedByFilterJson;
use crate::session::Session;
use crate::{text, view};

/// How many of the jobs that a filter finds are shown.
const SOME: usize = 10;

pub(super) async fn run(
    session: &Session<'_>,
    args: Changed,
    change: Change,
) -> anyhow::Result<Exit> {
    let verb = change.as_str();
    match (args.ids.is_empty(), args.filter.is_empty()) {
        (false, false) => Err(Usage(
            "give ids or a filter, not both: a filter finds its jobs itself".to_owned(),
        )
        .into()),
        (true, true) => Err(Usage(format!(
            "say which jobs to {verb}: ids, or a filter such as --queue mail or --kind welcome"
        ))
        .into()),
        (false, true) if args.dry_run => Err(Usage(
            "--dry-run goes with a filter; `longshore jobs show` shows jobs by id".to_owned(),
        )
        .into()),
        (false, true) => by_id(session, args, change).await,
        (true, false) => by_filter(session, args, change).await,
    }
}

async fn by_id(session: &Session<'_>, args: Changed, change: Change) -> anyhow::Result<Exit> {
    let admin = session.desk(&args.caller)?.admin();
    let mut exit = Exit::Done;
    let location = admin.store().info().location;
    let view = view::of_store(session)?;
    // All of them first: what is not clear changes nothing.
    let mut ids = Vec::with_capacity(args.ids.len());
    for id in &args.ids {
        ids.push(named::job(&view, id).await?);
    }
    for id in &ids {
        let answer = admin.change(change, id).await;
        if let Err(error) = &answer
            && error.kind() == ErrorKind::Unavailable
        {
            return answer.map(|_| exit).context(format!("job {id}"));
        }
        exit = if answer.is_ok() { exit } else { Exit::Failed };
        let answer = answer.map_err(|error| anyhow::Error::new(error).context(location.clone()));
        tell(session, id, answer, args.json)?;
    }
    Ok(exit)
}

fn tell(
    session: &Session<'_>,
    id: &JobId,
    answer: anyhow::Result<JobState>,
    json: bool,
) -> anyhow::Result<()> {
    let output = session.output;
    if json {
        return output.json(&ChangedJob {
            id: id.to_string(),
            state: (answer.as_ref().ok()).map(|state| state.as_str().to_owned()),
            error: answer.err().map(|error| error.root_cause().to_string()),
        });
    }
    match answer {
        Ok(JobState::Running) => output.data(&format!("{id} running, asked to stop"))?,
        Ok(state) => output.data(&format!("{id} {state}"))?,
        Err(error) => output.error(&told(&error)),
    }
    Ok(())
}

async fn by_filter(session: &Session<'_>, args: Changed, change: Change) -> anyhow::Result<Exit> {
    let output = session.output;
    let admin = session.desk(&args.caller)?.admin();
    let now = admin.store().now().await?;
    let filter = change
        .narrow(&args.filter.at(now))
        .map_err(|error| Usage(error.to_string()))?;
    let mut expected = None;
    if args.dry_run || (output.shows_progress() && !args.yes) {
        let found = find(session, &admin, change, &filter).await?;
        if args.dry_run || (found.jobs == 0 && !args.json) {
            return show(session, change, &found, args.json).await;
        }
        if found.jobs > 1 {
            show(session, change, &found, false).await?;
            return Err(Usage(format!(
                "add --yes to {} them all, or say more exactly which",
                change.as_str()
            ))
            .into());
        }
        expected = Some(found.jobs);
    }
    let mut last = (0, 0);
    let changed = admin
        .change_all(change, &filter, |changed| {
            last = (changed.done, changed.refused);
            let of = expected.map_or_else(String::new, |jobs| format!(" of {jobs}"));
            let done = text::number(changed.done);
            output.progress(&format!("{done}{of} {}", past(change)));
        })
        .await;
    output.end_progress();
    let changed = changed.with_context(|| {
        format!(
            "stopped after {} were {}; the same command does the rest",
            text::jobs(last.0),
            past(change)
        )
    })?;
    tell_all(session, change, &changed, args.json)?;
    Ok(match changed.refused {
        0 => Exit::Done,
        _ => Exit::Failed,
    })
}

/// Says what was changed by a filter.
fn tell_all(
    session: &Session<'_>,
    change: Change,
    changed: &AllChanged,
    json: bool,
) -> anyhow::Result<()> {
    let output = session.output;
    let refusal = changed.first_refusal.as_ref().map(ToString::to_string);
    if json {
        return output.json(&ChangedByFilterJson {
            change: change.as_str(),
            dry_run: false,
            matched: changed.done + changed.refused,
            changed: changed.done,
            asked_to_stop: changed.asked,
            refused: changed.refused,
            error: refusal,
            examples: Vec::new(),
        });
    }
    let asked = match changed.asked {
        0 => String::new(),
        asked => format!(
            "; {} of them run and were asked to stop",
            text::number(asked)
        ),
    };
    let done = text::jobs(changed.done);
    output.data(&format!("{done} {}{asked}", past(change)))?;
    if let Some(why) = refusal {
        let refused = text::jobs(changed.refused);
        output.error(&format!("{refused} stayed as they are; the first: {why}"));
    }
    Ok(())
}

async fn find(
    session: &Session<'_>,
    admin: &Admin,
    change: Change,
    filter: &JobFilter,
) -> anyhow::Result<Found> {
    let output = session.output;
    let found = admin
        .find(change, filter, SOME, |jobs| {
            output.progress(&format!("{} found so far", text::number(jobs)));
        })
        .await;
    output.end_progress();
    Ok(found?)
}

/// Shows what would be changed.
async fn show(
    session: &Session<'_>,
    change: Change,
    found: &Found,
    json: bool,
) -> anyhow::Result<Exit> {
    let output = session.output;
    if json {
        output.json(&ChangedByFilterJson {
            change: change.as_str(),
            dry_run: true,
            matched: found.jobs,
            changed: 0,
            asked_to_stop: 0,
            refused: 0,
            error: None,
            examples: found.some.iter().map(|job| job.id.as_str()).collect(),
        })?;
        return Ok(Exit::Done);
    }
    if found.jobs == 0 {
        output.talk(&format!(
            "No job matches, so there is nothing to {}.",
            change.as_str()
        ));
        return Ok(Exit::Done);
    }
    let as_of = session.store()?.now().await?;
    super::print_jobs(session, &found.some, &JobFilter::default(), as_of)?;
    let shown = found.some.len() as u64;
    let newest = match found.jobs > shown {
        true => format!("; these are the newest {shown}"),
        false => String::new(),
    };
    output.talk(&format!(
        "This would {} {}{newest}. Nothing was changed.",
        change.as_str(),
        text::jobs(found.jobs)
    ));
    Ok(Exit::Done)
}

const fn past(change: Change) -> &'static str {
    match change {
        Change::Cancel => "cancelled",
        Change::Retry => "made available",
        Change::Discard => "discarded",
    }
}
