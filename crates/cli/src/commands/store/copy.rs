//! `longshore store copy`: all that a store has, into an empty one.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_core::{ErrorKind, QueueName, Store, StoreError};
use longshore_queue::{Contents, Copied, CopyProgress, CopyStep, StoreCopy};
use tokio::time::{Instant, sleep};

use crate::args::store::Copy;
use crate::exit::{Exit, refused};
use crate::output::Output;
use crate::record::copy::{ContentsJson, CopyJson};
use crate::session::Session;
use crate::table::{Align, Table};
use crate::text;

/// How often it looks whether anything runs.
const EVERY: Duration = Duration::from_millis(500);
/// Columns of the bar.
const BAR: usize = 20;

pub(super) async fn run(session: &Session<'_>, args: Copy) -> anyhow::Result<Exit> {
    let output = session.output;
    let from = session.source_at("FROM", &args.from).await?;
    // Before the target is opened, which makes what is not there.
    wait_until_idle(output, &*from, args.wait).await?;
    let to = session.target_at("TO", &args.to, args.dry_run).await?;
    let copy = StoreCopy::new(from.clone(), to);
    copy.check().await.map_err(refused)?;
    let began = Instant::now();
    if args.dry_run {
        let source = at_rest(output, &*from, args.wait, async || {
            copy.survey(&mut |progress| show(output, progress)).await
        });
        return tell_dry(output, &args, &source.await?);
    }
    let copied = at_rest(output, &*from, args.wait, async || {
        copy.run(&mut |progress| show(output, progress)).await
    });
    let copied = copied.await?;
    tell(output, &args, &copied, began.elapsed())
}

/// Does something once no job runs at the source, and once more if one began to run after all.
async fn at_rest<T>(
    output: &Output,
    from: &dyn Store,
    waits: bool,
    work: impl AsyncFn() -> Result<T, StoreError>,
) -> anyhow::Result<T> {
    loop {
        wait_until_idle(output, from, waits).await?;
        let done = work().await;
        output.end_progress();
        match done {
            Err(error) if waits && error.kind() == ErrorKind::Conflict => {
                if running(from).await? == 0 {
                    return Err(error.into());
                }
            }
            done => return done.map_err(refused),
        }
    }
}

fn tell(output: &Output, args: &Copy, copied: &Copied, took: Duration) -> anyhow::Result<Exit> {
    if args.json {
        output.json(&CopyJson {
            dry_run: false,
            is_whole: Some(copied.is_whole()),
            stored: copied.stored,
            present: copied.present,
            source: ContentsJson::of(&copied.source),
            target: Some(ContentsJson::of(&copied.target)),
            seconds: took.as_secs_f64(),
        })?;
    } else {
        compare(output, &copied.source, &copied.target)?;
    }
    if !copied.is_whole() {
        output.error(
            "the stores differ: something changed in one of them during the copy. Stop what works \
             there and repeat this command, or copy into another store that is empty",
        );
        return Ok(Exit::Failed);
    }
    if !args.json {
        let before = match copied.present {
            0 => String::new(),
            jobs => format!(", {} of a copy before", text::jobs(jobs)),
        };
        output.talk(&format!(
            "Both stores have the same: {} copied in {}{before}; the source is as it was: let no worker \
             start there again.",
            text::jobs(copied.stored),
            text::duration(took),
        ));
        tell_pauses(output, &copied.target.paused);
    }
    Ok(Exit::Done)
}

/// How many jobs run at the source, as its counts say.
async fn running(from: &dyn Store) -> Result<u64, StoreError> {
    let stats = from.queue_stats().await?;
    Ok(stats.iter().map(|stats| stats.running).sum())
}

/// Goes on once no job runs at the source.
async fn wait_until_idle(output: &Output, from: &dyn Store, waits: bool) -> anyhow::Result<()> {
    loop {
        let running = running(from).await?;
        if running == 0 {
            output.end_progress();
            return Ok(());
        }
        let running = match running {
            1 => "1 job runs".to_owned(),
            _ => format!("{} jobs run", text::number(running)),
        };
        anyhow::ensure!(
            waits,
            "{running} at the source: stop the workers there, or `longshore queues pause` its queues \
             and wait with `longshore queues drain`; `--wait` waits here until nothing runs"
        );
        output.progress(&format!("{running} at the source"));
        sleep(EVERY).await;
    }
}

fn show(output: &Output, progress: CopyProgress) {
    let done = text::number(progress.done);
    let what = match progress.step {
        CopyStep::Looking => "jobs found",
        CopyStep::Copying => "jobs copied",
        CopyStep::Comparing => "jobs compared",
    };
    output.progress(&match progress.of {
        None => format!("{done} {what}"),
        Some(of) => {
            let bar = text::bar(BAR, progress.done, of);
            format!("{bar} {done} of {} {what}", text::number(of))
        }
    });
}

fn tell_dry(output: &Output, args: &Copy, source: &Contents) -> anyhow::Result<Exit> {
    if args.json {
        output.json(&CopyJson {
            dry_run: true,
            is_whole: None,
            stored: 0,
            present: 0,
            source: ContentsJson::of(source),
            target: None,
            seconds: 0.0,
        })?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&[("", Align::Left), ("SOURCE", Align::Right)]);
    for (what, value) in rows(source) {
        table.row([what.to_owned(), value]);
    }
    print(output, &table)?;
    let documents = match source.documents {
        1 => "1 document".to_owned(),
        more => format!("{} documents", text::number(more)),
    };
    output.talk(&format!(
        "This would copy {} and {documents}. Nothing was copied.",
        text::jobs(source.jobs()),
    ));
    Ok(Exit::Done)
}

fn compare(output: &Output, source: &Contents, target: &Contents) -> anyhow::Result<()> {
    let right = |name| (name, Align::Right);
    let mut table = Table::new(&[("", Align::Left), right("SOURCE"), right("TARGET")]);
    for ((what, source), (_, target)) in rows(source).into_iter().zip(rows(target)) {
        table.row([what.to_owned(), source, target]);
    }
    print(output, &table)
}

fn rows(contents: &Contents) -> [(&'static str, String); 7] {
    let paused = contents.paused.len() as u64;
    [
        ("waiting", text::number(contents.waiting)),
        ("completed", text::number(contents.completed)),
        ("cancelled", text::number(contents.cancelled)),
        ("discarded", text::number(contents.discarded)),
        ("documents", text::number(contents.documents)),
        ("paused queues", text::number(paused)),
        ("hash", contents.digest.to_string()),
    ]
}

fn print(output: &Output, table: &Table) -> anyhow::Result<()> {
    for line in table.lines(output.data_columns()) {
        output.data(&line)?;
    }
    Ok(())
}

fn tell_pauses(output: &Output, paused: &BTreeSet<QueueName>) {
    if paused.is_empty() {
        return;
    }
    let names: Vec<&str> = paused.iter().map(QueueName::as_str).collect();
    output.talk(&format!(
        "Paused there as here: {}; `longshore queues resume` at the target starts them.",
        text::one_line(&names.join(" "), 200)
    ));
}
