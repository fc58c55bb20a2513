//! `longshore traces fetch`.

use longshore_archive::Archived;
use longshore_core::{Clock as _, SystemClock};
use longshore_tracestore::sealed_folder;
use serde::Serialize;

use crate::args::traces::Fetch;
use crate::exit::{Exit, Usage};
use crate::session::Session;
use crate::text;
use crate::upkeep;

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Done {
    dry_run: bool,
    archived_files: u64,
    files: u64,
    bytes: u64,
    spans: u64,
}

pub(super) async fn run(session: &Session<'_>, args: &Fetch) -> anyhow::Result<Exit> {
    let Some(archive) = upkeep::archive(session)? else {
        let hint = "there is no archive: set `trace_store.archive` to `s3://BUCKET/PREFIX`";
        return Err(Usage(hint.to_owned()).into());
    };
    let now = SystemClock::new().now();
    let is_of_time = |file: &&Archived| {
        let is_late = |since| file.name.last() >= now.before(since);
        let is_early = |until| file.name.first() <= now.before(until);
        args.since.is_none_or(is_late) && args.until.is_none_or(is_early)
    };
    let archived = archive.list().await?;
    let mut done = Done {
        dry_run: args.dry_run,
        archived_files: archived.len() as u64,
        ..Done::default()
    };
    let into = sealed_folder(&args.into);
    for file in archived.iter().filter(is_of_time) {
        if let Some(trace) = args.trace
            && !archive.may_hold(file, trace).await?
        {
            continue;
        }
        if !args.dry_run {
            archive.fetch(file, &into).await?;
        }
        done.files += 1;
        done.bytes += file.bytes;
        done.spans += file.name.spans();
        if !args.json {
            session.output.data(&file.name.to_string())?;
        }
    }
    if args.json {
        session.output.json(&done)?;
        return Ok(Exit::Done);
    }
    let verb = if args.dry_run { "There are" } else { "Brought" };
    session.output.talk(&format!(
        "{verb} {} of {} in the archive, {} with {}.",
        text::counted(done.files, "file"),
        done.archived_files,
        text::bytes(done.bytes),
        text::counted(done.spans, "span"),
    ));
    Ok(Exit::Done)
}
