//! Says which attempts have been running for a while, to those who look at them while they do, as
//! often as that changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{JobId, Timestamp, WorkerId};
use longshore_instrument::build::open_spans;
use longshore_instrument::facts::OpenFacts;
use longshore_instrument::{Recorder, Span};
use tokio::time::{MissedTickBehavior, interval};

use super::Shared;
use super::poll::past_context;
use crate::attempt::Attempt;

/// How often that is said. An attempt that is shorter is never among them.
const LOOK: Duration = Duration::from_secs(1);

/// Looks until the task is dropped, if anyone wants to know.
pub(crate) async fn run(shared: Arc<Shared>) {
    let recorder = shared.recorder.as_ref();
    let Some(recorder) = recorder.filter(|recorder| recorder.watches()) else {
        return;
    };
    let said = Said::nothing(&**recorder, &shared.id);
    let mut told = Told::new();
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let still = shared.running.still();
        let is_told = |attempt: &Attempt| {
            let told = told.get(&key_of(attempt));
            told.is_some_and(|(handler_at, _)| *handler_at == attempt.handler_at())
        };
        if still.len() == told.len() && still.iter().all(is_told) {
            continue;
        }
        let mut before = std::mem::take(&mut told);
        for attempt in still {
            let (key, handler_at) = (key_of(&attempt), attempt.handler_at());
            let known = before.remove(&key).filter(|(at, _)| *at == handler_at);
            let spans = known.map(|(_, spans)| spans);
            let spans = spans.unwrap_or_else(|| spans_of(&**recorder, &attempt, &shared.id));
            told.insert(key, (handler_at, spans));
        }
        let spans = told.values().flat_map(|(_, spans)| spans.iter().cloned());
        said.recorder.running(said.worker, spans.collect());
    }
}

/// What was said of attempts: each has its spans, which are made anew only once its handler begins.
type Told = BTreeMap<(JobId, u32), (Option<Timestamp>, Vec<Span>)>;

fn key_of(attempt: &Attempt) -> (JobId, u32) {
    let job = attempt.job();
    (job.id.clone(), job.claim)
}

fn spans_of(recorder: &dyn Recorder, attempt: &Attempt, worker: &WorkerId) -> Vec<Span> {
    let job = attempt.job();
    let Some(claimed_at) = job.claimed_at.or(attempt.handler_at()) else {
        return Vec::new();
    };
    open_spans(&OpenFacts {
        job,
        context: &past_context(recorder, job, claimed_at),
        worker,
        claimed_at,
        handler_at: attempt.handler_at(),
    })
}

/// Takes back what was said when the worker ends, however it does.
struct Said<'a> {
    recorder: &'a dyn Recorder,
    worker: &'a WorkerId,
}

impl<'a> Said<'a> {
    fn nothing(recorder: &'a dyn Recorder, worker: &'a WorkerId) -> Self {
        recorder.running(worker, Vec::new());
        Self { recorder, worker }
    }
}

impl Drop for Said<'_> {
    fn drop(&mut self) {
        self.recorder.running(self.worker, Vec::new());
    }
}
