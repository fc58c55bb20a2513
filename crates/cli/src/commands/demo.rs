//! `longshore demo`: a small shop on a fresh store, and the trace of one of its orders.

mod recorder;
mod shop;
mod summary;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use longshore_core::{Clock as _, JobId, Random as _, Store, SystemClock, SystemRandom};
use longshore_queue::{Producer, Worker};
use longshore_sqlite::{SqliteOptions, SqliteStore};
use longshore_trace::{Colour, DrawOptions, Story, Waterfall};

use crate::args;
use crate::exit::{Exit, Usage};
use crate::output::{Output, Paint};
use crate::session::{OpenStore, Session};
use recorder::DemoRecorder;
use summary::Summary;

/// Columns of the progress bar.
const BAR: usize = 24;

pub(crate) async fn run(session: &Session<'_>, args: args::Demo) -> anyhow::Result<Exit> {
    let output = session.output;
    let clock = SystemClock::new();
    let url = fresh_store(args.folder)?;
    let store = SqliteStore::open(SqliteOptions::from_url(&url)?)?;
    session.on(OpenStore::Sqlite(store.clone()));
    let store: Arc<dyn Store> = Arc::new(store);
    let recorder = Arc::new(DemoRecorder::new(session.recorder()?));
    output.talk(&format!(
        "A small shop takes {} orders. Each is a job with three child jobs; the bank is flaky, the \
         thank-you mail is delayed, and one label printer is broken for good.",
        args.orders
    ));
    let started = clock.monotonic();
    let producer = Producer::new(Arc::clone(&store)).with_recorder(recorder.clone());
    let worker = shop::staff(Worker::builder(Arc::clone(&store)).recorder(recorder.clone()));
    let worker = worker.build().context("the demo's worker")?;
    let retried = shop::take_orders(&producer, args.orders).await?;
    let progress = watch(&*store, shop::jobs(args.orders), output);
    tokio::select! {
        report = worker.run(std::future::pending()) => { report?; }
        () = progress => {}
    }
    output.end_progress();
    let took = clock.monotonic().saturating_sub(started);
    let summary = Summary::of(&*store, &url, took).await?;
    let spans = recorder.spans();
    let story = Story::of_job(&spans, &retried);
    if args.json {
        output.json(&summary.to_json(&retried))?;
        return Ok(Exit::Done);
    }
    output.data(&format!(
        "{} jobs in {} ({} attempts), each with its trace:",
        summary.jobs(),
        crate::text::duration(took),
        summary.attempts(),
    ))?;
    output.data("")?;
    let columns = output.data_columns().map(|columns| columns - 2);
    for line in summary.lines(columns) {
        output.data(&format!("  {line}"))?;
    }
    output.data("")?;
    if let Some(story) = story {
        draw(output, &story)?;
    }
    what_next(output, &url, &summary, &retried);
    Ok(Exit::Done)
}

fn draw(output: &Output, story: &Story<'_>) -> anyhow::Result<()> {
    output.data("One order whose payment needed a second attempt, drawn from its spans:")?;
    output.data("")?;
    let colour = if output.data_colour() {
        Colour::Ansi
    } else {
        Colour::None
    };
    let options = DrawOptions {
        width: output.data_columns().unwrap_or(100).clamp(40, 140),
        colour,
        ..DrawOptions::default()
    };
    let drawing = Waterfall::new(story).draw(&options);
    for line in drawing.lines() {
        output.data(line)?;
    }
    Ok(())
}

/// The URL of a store that does not exist yet, in a folder that does.
fn fresh_store(folder: Option<PathBuf>) -> anyhow::Result<String> {
    let folder = folder.unwrap_or_else(|| {
        let number = SystemRandom.next_u64() & 0xffff_ffff;
        std::env::temp_dir().join(format!("longshore-demo-{number:08x}"))
    });
    let file = folder.join("shop.db");
    if file.exists() {
        let shown = file.display();
        return Err(Usage(format!(
            "{shown} exists: the demo needs a fresh store; name another --folder, or remove the file"
        ))
        .into());
    }
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("the folder {} could not be made", folder.display()))?;
    let file = std::path::absolute(&file).unwrap_or(file);
    Ok(format!("sqlite:{}", file.display()))
}

/// Shows how far the shop is, for ever.
async fn watch(store: &dyn Store, jobs: u64, output: &Output) {
    let mut tick = tokio::time::interval(Duration::from_millis(80));
    loop {
        tick.tick().await;
        if !output.shows_progress() {
            continue;
        }
        let Ok(queues) = store.queue_stats().await else {
            continue;
        };
        let sum = |of: fn(&longshore_core::QueueStats) -> u64| queues.iter().map(of).sum::<u64>();
        let done = sum(|queue| queue.completed + queue.discarded + queue.cancelled);
        output.progress(&format!(
            "{} {done}/{jobs} done, {} running, {} to retry, {} delayed",
            crate::text::bar(BAR, done, jobs),
            sum(|queue| queue.running),
            sum(|queue| queue.retryable),
            sum(|queue| queue.scheduled),
        ));
    }
}

/// Commands that work on what the demo left behind.
fn what_next(output: &Output, url: &str, summary: &Summary, retried: &JobId) {
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "longshore".to_owned());
    let say = |what: &str, command: &str| {
        output.talk(&format!("  {command}"));
        output.talk(&output.paint_talk(Paint::Dim, &format!("      {what}")));
    };
    output.talk("\nThe shop's store is still there. What to type next:");
    output.talk(&format!("  export LONGSHORE_STORE={url}"));
    say(
        "look around: every job, queue and trace, with / to search and ? for the keys",
        &format!("{program} tui"),
    );
    say(
        "that order again, as wide as your terminal",
        &format!("{program} traces show {retried}"),
    );
    say(
        "the traces that failed",
        &format!("{program} traces list error"),
    );
    say("how every queue stands", &format!("{program} queues list"));
    say(
        "the life of that order",
        &format!("{program} jobs show {retried}"),
    );
    say(
        "what failed for good",
        &format!("{program} jobs list --state discarded"),
    );
    if let Some(id) = summary.discarded() {
        say(
            "try the broken printer again",
            &format!("{program} jobs retry {id}"),
        );
        say(
            "run it by a program of yours: the printer is mended",
            &format!("{program} worker --queue labels --drain --exec 'echo printed $(cat)'"),
        );
    }
    say(
        "a job of your own",
        &format!("{program} enqueue hello greet '{{\"name\": \"you\"}}'"),
    );
}
