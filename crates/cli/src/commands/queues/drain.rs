//! `longshore queues drain`: waits until queues have nothing left to do.

use std::time::Duration;

use longshore_core::{QueueName, QueueStats};
use tokio::time::{Instant, sleep};

use crate::args::Drain;
use crate::exit::Exit;
use crate::record::admin::DrainedJson;
use crate::session::Session;
use crate::text;

/// How often it looks.
const EVERY: Duration = Duration::from_millis(200);

pub(super) async fn run(session: &Session<'_>, args: Drain) -> anyhow::Result<Exit> {
    let (store, output) = (session.store()?, session.output);
    let began = Instant::now();
    let mut has_warned = false;
    loop {
        let left = Left::of(&store.queue_stats().await?, &args.queues);
        if left.held_back > 0 && !has_warned {
            has_warned = true;
            output.talk(&format!(
                "{} in paused queues are not waited for; `longshore queues resume` starts them.",
                text::jobs(left.held_back)
            ));
        }
        let gave_up = args.timeout.is_some_and(|most| began.elapsed() >= most);
        if left.is_nothing() || gave_up {
            output.end_progress();
            return tell(session, &args, &left, began.elapsed());
        }
        output.progress(&left.to_string());
        sleep(EVERY).await;
    }
}

fn tell(session: &Session<'_>, args: &Drain, left: &Left, took: Duration) -> anyhow::Result<Exit> {
    let drained = left.is_nothing();
    if args.json {
        session.output.json(&DrainedJson {
            drained,
            waiting: left.waiting,
            running: left.running,
            seconds: took.as_secs_f64(),
        })?;
    } else if drained {
        session.output.talk("Nothing is left to do.");
    } else {
        let took = text::duration(took);
        session
            .output
            .error(&format!("after {took} there were still jobs: {left}"));
    }
    Ok(if drained { Exit::Done } else { Exit::Failed })
}

/// What queues have yet to do.
#[derive(Debug, Default)]
struct Left {
    waiting: u64,
    running: u64,
    /// Jobs that wait in queues that are paused.
    held_back: u64,
}

impl Left {
    fn of(stats: &[QueueStats], queues: &[QueueName]) -> Self {
        let mut left = Self::default();
        for stats in stats.iter().filter(|stats| queues.contains(&stats.queue)) {
            let waiting = stats.unfinished().saturating_sub(stats.running);
            left.running += stats.running;
            match stats.paused {
                true => left.held_back += waiting,
                false => left.waiting += waiting,
            }
        }
        left
    }

    const fn is_nothing(&self) -> bool {
        self.waiting == 0 && self.running == 0
    }
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (waiting, running) = (text::number(self.waiting), text::number(self.running));
        write!(f, "{waiting} waiting, {running} running")
    }
}
