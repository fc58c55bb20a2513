//! `longshore traces seal`.

use std::time::Duration;

use longshore_archive::Copier;
use longshore_core::{Clock as _, SystemClock};
use longshore_tracestore::{Sealer, Upkeep};
use serde::Serialize;

use crate::args::traces::Seal;
use crate::exit::{Exit, Usage};
use crate::session::Session;
use crate::text;
use crate::upkeep;

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Done {
    sealed_spans: u64,
    from_bytes: u64,
    sealed_bytes: u64,
    deleted_files: u64,
    deleted_spans: u64,
    copied_files: u64,
    copied_bytes: u64,
    /// Whether another process is at it.
    busy: bool,
}

pub(super) async fn run(session: &Session<'_>, args: &Seal) -> anyhow::Result<Exit> {
    let config = session.config()?;
    let Some(log) = session.span_log()? else {
        let hint = "there is no span log to be sealed: set `telemetry.span_log` to a folder";
        return Err(Usage(hint.to_owned()).into());
    };
    // Whoever asks for it wants what is there, however little it is.
    let bounds = Upkeep {
        min_age: Duration::ZERO,
        min_bytes: 0,
        ..upkeep::bounds(config)
    };
    let mut sealer = Sealer::new([&log.folder]);
    let mut done = Done::default();
    loop {
        let kept = sealer.turn(&bounds, SystemClock::new().now())?;
        done.sealed_spans += kept.sealed_spans;
        done.from_bytes += kept.from_bytes;
        done.sealed_bytes += kept.sealed_bytes;
        done.deleted_files += kept.deleted_files;
        let deleted = kept.deleted_spans;
        done.deleted_spans += deleted.base + deleted.kept + deleted.pinned;
        done.busy |= kept.busy;
        if !kept.more {
            break;
        }
    }
    if let Some(archive) = upkeep::archive(session)? {
        let copied = Copier::new(archive, &log.folder).turn().await?;
        done.copied_files = copied.files;
        done.copied_bytes = copied.bytes;
        done.busy |= copied.busy;
    }
    if args.json {
        session.output.json(&done)?;
        return Ok(Exit::Done);
    }
    if done.busy {
        session.output.talk("Another process is at it.");
    }
    session.output.data(&told(&done))?;
    Ok(Exit::Done)
}

fn told(done: &Done) -> String {
    let mut told = format!(
        "Sealed {}: {} of the log became {}.",
        text::counted(done.sealed_spans, "span"),
        text::bytes(done.from_bytes),
        text::bytes(done.sealed_bytes),
    );
    if done.deleted_files > 0 {
        told.push_str(&format!(
            " Deleted {} beyond the bounds.",
            text::counted(done.deleted_spans, "span")
        ));
    }
    if done.copied_files > 0 {
        told.push_str(&format!(
            " Copied {}, {}, to the archive.",
            text::counted(done.copied_files, "file"),
            text::bytes(done.copied_bytes)
        ));
    }
    told
}
