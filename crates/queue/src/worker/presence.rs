//! The worker's entry in the register: written while it lives, taken out when it ends.
//!
//! No job depends on it, and no job waits for it. What the store refuses is written ten seconds
//! later.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::register::{WorkerEntry, WorkerState};
use longshore_core::{ErrorKind, Kind, StoreError, Timestamp};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Background, Shared};
use crate::maintenance::losses;
use crate::register;

/// How often a write is tried over one that came before.
const TRIES: usize = 3;
/// The shortest time between two warnings.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// The longest time that a worker takes to leave the register: its jobs are settled by then.
const LEAVE: Duration = Duration::from_secs(2);

/// A worker's presence in the register; if it is dropped, the entry stays, as after a crash.
#[derive(Debug)]
pub(super) struct Presence {
    phase: watch::Sender<Phase>,
    task: Background,
}

/// Where in its life a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    There(WorkerState),
    Over,
}

impl Presence {
    pub(super) fn start(shared: &Arc<Shared>) -> Self {
        let phase = watch::Sender::new(Phase::There(WorkerState::Running));
        let running = run(Arc::clone(shared), phase.subscribe());
        Self {
            task: Background(vec![tokio::spawn(running)]),
            phase,
        }
    }

    /// The worker claims no more.
    pub(super) fn stopping(&self) {
        self.phase.send_replace(Phase::There(WorkerState::Stopping));
    }

    /// The worker is over: takes its entry out.
    pub(super) async fn end(mut self) {
        self.phase.send_replace(Phase::Over);
        let _out_of_time = timeout(LEAVE, self.task.ended()).await;
    }
}

async fn run(shared: Arc<Shared>, mut phase: watch::Receiver<Phase>) {
    let mut page = Page::new(shared);
    let mut ticks = interval(WorkerEntry::EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            changed = phase.changed() => if changed.is_err() { return },
            _ = ticks.tick() => {}
        }
        let now = *phase.borrow_and_update();
        let done = match now {
            Phase::There(state) => page.write(state).await,
            Phase::Over => page.remove().await,
        };
        if let Err(error) = done {
            page.warn(&error);
        }
        if now == Phase::Over {
            return;
        }
    }
}

/// The worker's page of the register.
struct Page {
    shared: Arc<Shared>,
    /// What was written last, or was tried.
    entry: Option<WorkerEntry>,
    /// The version of the document, as far as is known; 0 if there is none.
    version: u64,
    /// Who had this name before and did not say that it ended, until what it may have left unwritten
    /// is written.
    before: Option<WorkerEntry>,
    warned_at: Option<Duration>,
}

impl Page {
    const fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            entry: None,
            version: 0,
            before: None,
            warned_at: None,
        }
    }

    async fn write(&mut self, state: WorkerState) -> Result<(), StoreError> {
        let store = &*self.shared.store;
        let now = store.now().await?;
        let entry = self.entry.get_or_insert_with(|| entry(&self.shared, now));
        entry.state = state;
        entry.running = count(self.shared.running.len());
        entry.jobs = self.shared.running.jobs(WorkerEntry::MAX_NAMES);
        entry.seen_at = now;
        let (name, body) = (WorkerEntry::document(&entry.id), entry.encode()?);
        let own = entry.clone();
        let mut tries = 1;
        loop {
            let written = store.write_document(&name, self.version, body.clone());
            match written.await {
                Ok(version) => {
                    self.version = version;
                    return self.write_for_before().await;
                }
                // An earlier write arrived after all, another worker has the same id, or the entry
                // was swept away.
                Err(error) if error.kind() == ErrorKind::Conflict && tries < TRIES => {
                    let there = store.read_document(&name).await?;
                    if self.version == 0 {
                        let there = there.as_ref().map(|there| WorkerEntry::decode(&there.body));
                        self.before = there.and_then(Result::ok).filter(|one| !one.is_of(&own));
                    }
                    self.version = there.map_or(0, |document| document.version);
                    tries += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn write_for_before(&mut self) -> Result<(), StoreError> {
        if let Some(before) = self.before.take()
            && let Err(error) = losses::write(&self.shared, std::slice::from_ref(&before)).await
        {
            self.before = Some(before);
            return Err(error);
        }
        Ok(())
    }

    async fn remove(&self) -> Result<(), StoreError> {
        match &self.entry {
            Some(entry) => register::remove(&*self.shared.store, entry).await.map(drop),
            None => Ok(()),
        }
    }

    fn warn(&mut self, error: &StoreError) {
        let now = self.shared.clock.monotonic();
        let is_due = |at: Duration| now.saturating_sub(at) >= WARN_EVERY;
        if self.warned_at.is_none_or(is_due) {
            self.warned_at = Some(now);
            tracing::warn!(
                error.kind = error.kind().as_str(),
                %error,
                "the entry of this worker in the register could not be written; jobs go on"
            );
        }
    }
}

/// What does not change while the worker lives.
fn entry(shared: &Shared, now: Timestamp) -> WorkerEntry {
    let most = WorkerEntry::MAX_NAMES;
    let queues = &shared.options.queues;
    let mut kinds: Vec<&str> = shared.handlers.keys().map(String::as_str).collect();
    kinds.sort_unstable();
    let more = |all: usize| all.saturating_sub(most);
    let any = shared.fallback.is_some();
    WorkerEntry {
        id: shared.id.clone(),
        host: host(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        queues: queues.iter().take(most).cloned().collect(),
        more_queues: more(queues.len()),
        more_kinds: if any { 0 } else { more(kinds.len()) },
        kinds: (!any).then(|| kinds.into_iter().take(most).map(Kind::lossy).collect()),
        concurrency: count(shared.options.concurrency),
        running: 0,
        jobs: Vec::new(),
        state: WorkerState::Running,
        started_at: now,
        seen_at: now,
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// What this machine calls itself.
#[cfg(unix)]
fn host() -> String {
    let names = rustix::system::uname();
    let name = names.nodename().to_string_lossy();
    name.chars().take(255).collect()
}

/// What this machine calls itself.
#[cfg(not(unix))]
const fn host() -> String {
    String::new()
}
