//! Hooks: an application hears of the state changes that its worker makes, beside the work.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{
    AttemptError, AttemptOutcome, Job, JobState, Outcome, Rescued, Settled, Timestamp,
};
use longshore_instrument::build::as_it_ran;
use longshore_instrument::{HookMiss, Measured};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::settle::{Finished, outcome_of};

/// Changes that may wait for one hook; more are dropped.
const BACKLOG: usize = 1024;
/// How long hooks may go on once the worker has settled everything.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(5);

/// A change of a job's state that a worker made, and that is durable.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StateChange {
    /// The job, as it was when the attempt was claimed: what became of it is in the fields below.
    pub job: Arc<Job>,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The state before.
    pub from: JobState,
    /// The state since.
    pub to: JobState,
    /// How the attempt ended; `None` if it began.
    pub outcome: Option<AttemptOutcome>,
    /// What the attempt ended with, if that is an error. The message is as the handler gave it.
    pub error: Option<AttemptError>,
    /// When it happened, by the store's clock.
    pub at: Timestamp,
}

impl StateChange {
    fn claimed(job: &Arc<Job>) -> Self {
        Self {
            attempt: job.attempt,
            from: JobState::Available,
            to: JobState::Running,
            outcome: None,
            error: None,
            at: job.claimed_at.unwrap_or(job.available_at),
            job: Arc::clone(job),
        }
    }

    fn settled(finished: &Finished, settled: &Settled) -> Self {
        let job = &finished.claim.job;
        Self {
            job: Arc::clone(job),
            attempt: job.attempt,
            from: JobState::Running,
            to: settled.state,
            outcome: Some(outcome_of(finished, settled.state)),
            error: error_of(&finished.decision.outcome).cloned(),
            at: settled.at,
        }
    }

    fn rescued(rescued: &Rescued) -> Self {
        let lost = &rescued.lost;
        let job = as_it_ran(&rescued.job, lost);
        Self {
            attempt: job.attempt,
            job: Arc::new(job),
            from: JobState::Running,
            to: rescued.job.state,
            outcome: Some(lost.outcome),
            error: lost.error.clone(),
            at: lost.ended_at,
        }
    }
}

/// What an attempt ended with, be it a failure or not.
fn error_of(outcome: &Outcome) -> Option<&AttemptError> {
    match outcome {
        Outcome::Retry { error, .. }
        | Outcome::NotYet { error, .. }
        | Outcome::Discard { error } => Some(error),
        Outcome::Cancel { error } => error.as_ref(),
        Outcome::Complete { .. } | Outcome::Snooze { .. } | Outcome::HandBack => None,
    }
}

type Told = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A hook with its types erased.
#[derive(Clone)]
pub(crate) struct Hook(Arc<dyn Fn(StateChange) -> Told + Send + Sync>);

impl Hook {
    pub(crate) fn new<F, Fut>(hook: F) -> Self
    where
        F: Fn(StateChange) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(move |change| Box::pin(hook(change))))
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// The ways to the hooks of a worker that runs.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    ways: Vec<mpsc::Sender<StateChange>>,
}

/// The hooks' own end of it.
#[derive(Debug)]
pub(crate) struct Listener {
    hook: Hook,
    changes: mpsc::Receiver<StateChange>,
}

impl Hooks {
    pub(crate) fn new(hooks: Vec<Hook>) -> (Self, Vec<Listener>) {
        let one = |hook| {
            let (way, changes) = mpsc::channel(BACKLOG);
            (way, Listener { hook, changes })
        };
        let (ways, listeners) = hooks.into_iter().map(one).unzip();
        (Self { ways }, listeners)
    }
}

impl Shared {
    pub(super) fn tell_claimed(&self, job: &Arc<Job>) {
        self.tell(|| StateChange::claimed(job));
    }

    pub(super) fn tell_settled(&self, finished: &Finished, settled: &Settled) {
        self.tell(|| StateChange::settled(finished, settled));
    }

    pub(crate) fn tell_rescued(&self, rescued: &Rescued) {
        self.tell(|| StateChange::rescued(rescued));
    }

    /// Never waits: a hook that is behind misses what there is no room for.
    fn tell(&self, change: impl FnOnce() -> StateChange) {
        if self.hooks.ways.is_empty() {
            return;
        }
        let change = change();
        for way in &self.hooks.ways {
            match way.try_send(change.clone()) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => self.count_miss(HookMiss::Backlog, 1),
                Err(TrySendError::Closed(_)) => self.count_miss(HookMiss::Shutdown, 1),
            }
        }
    }

    fn count_miss(&self, reason: HookMiss, changes: u64) {
        if changes == 0 {
            return;
        }
        self.counters.count_hook_miss(reason, changes);
        if let Some(meter) = self.meter() {
            meter.measure(&Measured::HookMissed { reason, changes });
        }
    }
}

/// Calls one hook, change by change, until the worker is done and all is told, or time is up.
pub(super) async fn run(
    shared: Arc<Shared>,
    listener: Listener,
    mut over: watch::Receiver<Option<Instant>>,
) {
    let Listener { hook, mut changes } = listener;
    loop {
        let change = tokio::select! {
            biased;
            change = changes.recv() => change,
            _over = over.wait_for(Option::is_some) => None,
        };
        let Some(change) = change else { break };
        if !call(&shared, &hook, change, &mut over).await {
            break;
        }
    }
    changes.close();
    let mut untold = 0;
    while changes.try_recv().is_ok() {
        untold += 1;
    }
    shared.count_miss(HookMiss::Shutdown, untold);
}

/// Calls the hook once; false if time was up before it was done.
async fn call(
    shared: &Shared,
    hook: &Hook,
    change: StateChange,
    over: &mut watch::Receiver<Option<Instant>>,
) -> bool {
    let hook = hook.clone();
    // On a task of its own, which catches panics and ends with this one.
    let mut task = JoinSet::new();
    task.spawn(async move { (hook.0)(change).await });
    let out_of_time = async {
        let until = over.wait_for(Option::is_some).await;
        match until.ok().and_then(|until| *until) {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        ended = task.join_next() => {
            if let Some(Err(error)) = ended && error.is_panic() {
                shared.count_miss(HookMiss::Panic, 1);
                tracing::error!("a hook on state changes panicked; it is called again for the next");
            }
            true
        }
        () = out_of_time => {
            shared.count_miss(HookMiss::Shutdown, 1);
            false
        }
    }
}
