//! The worker: claims jobs, runs their handlers, settles what came of them.
//!
//! Tasks share one [`Shared`]: the claim loop (`poll`), one task per attempt (`attempt`), the settler
//! (`settle`), the heartbeat (`heartbeat`), the worker's sign of life (`presence`) and maintenance
//! (`crate::maintenance`).

mod ahead;
mod ask;
mod attempt;
mod batch_spans;
mod follow_up;
mod hand_back;
mod heartbeat;
pub(crate) mod hook;
mod keep;
pub(crate) mod losses;
mod measure;
mod open;
pub(crate) mod options;
mod pace;
pub(crate) mod poll;
mod presence;
mod recent;
pub(crate) mod report;
mod running;
mod settle;
mod timeline;
pub(crate) mod upkeep;
mod verdict;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use longshore_core::{
    Clock, ErrorKind, Job, Kind, Random, RetryPolicy, Store, StoreError, WorkerId,
};
use longshore_instrument::{Measured, Recorder};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::ahead::Ahead;
use self::batch_spans::BatchSpans;
use self::hook::{Hooks, Listener};
use self::losses::Losses;
use self::options::{Registration, WorkerBuilder, WorkerOptions};
use self::pace::Pace;
use self::poll::Poller;
use self::presence::Presence;
use self::report::{Counters, WorkerReport};
use self::running::Running;
use crate::attempt::{Attempt, StopReason};
use crate::batches::marks::{self, Marks};
use crate::complaints::Complaints;
use crate::handler::{BoxedHandler, BoxedRun};
use crate::layer::Middleware;
use crate::limits::desk::{Desk, Owner};
use crate::limits::keep as permits;
use crate::maintenance;
use crate::meter::Meter;
use crate::producer::Producer;
use crate::storage::watching;

/// Why a worker stopped before it was asked to.
#[derive(Debug)]
pub struct WorkerError {
    source: StoreError,
    report: WorkerReport,
}

impl WorkerError {
    /// What the worker had done by then.
    #[must_use]
    pub const fn report(&self) -> WorkerReport {
        self.report
    }

    /// What the store said.
    #[must_use]
    pub const fn store_error(&self) -> &StoreError {
        &self.source
    }
}

impl fmt::Display for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the worker stopped, since it cannot claim jobs")
    }
}

impl std::error::Error for WorkerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Runs jobs of some queues of a store. Make one with [`Worker::builder`].
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    listeners: Vec<Listener>,
}

/// What the worker's tasks share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) options: WorkerOptions,
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
    meters: Option<Arc<dyn Recorder>>,
    pub(crate) producer: Producer,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) id: WorkerId,
    handlers: HashMap<String, Registration>,
    fallback: Option<BoxedHandler>,
    retry: RetryPolicy,
    middleware: Option<Middleware>,
    hooks: Hooks,
    pub(crate) running: Running,
    /// How quickly handlers end.
    pace: Pace,
    /// Held while heartbeats are under way: only then is it known which checkpoints are stored.
    pub(crate) beating: tokio::sync::Mutex<()>,
    pub(crate) counters: Counters,
    pub(crate) complaints: Arc<Complaints>,
    /// What is held against limits.
    pub(crate) desk: Desk,
    pub(crate) batch_spans: BatchSpans,
    pub(crate) losses: Losses,
    /// Members of batches that are over.
    pub(crate) marks: Marks,
    /// Notified after every settle.
    pub(crate) settled: Notify,
    /// Since when what the store refuses must be left to other workers.
    giving_up: watch::Sender<Option<Instant>>,
}

impl Shared {
    fn handler(&self, kind: &Kind) -> Option<BoxedHandler> {
        let own = self.handlers.get(kind.as_str());
        own.map(|registration| &registration.handler)
            .or(self.fallback.as_ref())
            .cloned()
    }

    /// A handler's future, with the layers around it.
    fn run_of(&self, handler: BoxedHandler, attempt: Attempt) -> BoxedRun {
        match &self.middleware {
            Some(middleware) => middleware.run(handler, attempt),
            None => handler.run(attempt.job().args.clone(), attempt),
        }
    }

    fn policy(&self, kind: &Kind) -> &RetryPolicy {
        let own = self.handlers.get(kind.as_str());
        own.and_then(|registration| registration.retry.as_ref())
            .unwrap_or(&self.retry)
    }

    /// Whether what the store refuses now must be left to other workers.
    fn must_give_up(&self) -> bool {
        self.giving_up.borrow().is_some()
    }

    /// An answer of the store. Once the worker is giving up, it counts as unavailable if it takes
    /// longer than half a lease, so that what waits for it is brought to an end in order.
    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let mut giving_up = self.giving_up.subscribe();
        let out_of_time = async {
            let since = giving_up.wait_for(Option::is_some).await;
            let since = since.ok().and_then(|since| *since);
            match since {
                Some(since) => sleep_until(since + self.options.lease / 2).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            answer = answer => answer,
            () = out_of_time => {
                Err(StoreError::new(ErrorKind::Unavailable, "no answer until the worker had to stop"))
            }
        }
    }

    fn lease_lost(&self, job: &Job) {
        // The store may have the lease for as long as it was last renewed.
        self.running
            .remove_unsettled(job, self.desk.covered_until());
        self.count_lost_lease(job);
        self.settled.notify_waiters();
        tracing::warn!(job.id = %job.id, "lease lost; the handler was stopped and nothing settled");
    }

    fn count_lost_lease(&self, job: &Job) {
        self.counters.leases_lost.fetch_add(1, Ordering::Relaxed);
        if let Some(meter) = self.meter() {
            let queue = &job.queue;
            meter.measure(&Measured::LeaseLost { queue });
        }
    }

    /// The clock by which a call is watched, if anyone wants to know what the store asks for.
    pub(crate) fn watching(&self) -> Option<&Arc<dyn Clock>> {
        watching(self.recorder.as_ref(), &self.clock)
    }

    pub(crate) fn meter(&self) -> Option<Meter<'_>> {
        Meter::of(self.meters.as_ref(), &*self.clock)
    }

    async fn queues_are_empty(&self) -> Result<bool, StoreError> {
        let stats = self.store.queue_stats().await?;
        Ok(stats
            .iter()
            .filter(|stats| self.options.queues.contains(&stats.queue))
            .all(|stats| stats.unfinished() == 0))
    }
}

impl Worker {
    /// Starts to build a worker for a store.
    #[must_use]
    pub fn builder(store: Arc<dyn Store>) -> WorkerBuilder {
        WorkerBuilder::new(store)
    }

    pub(crate) fn from_builder(builder: WorkerBuilder) -> Self {
        let id = builder.id.unwrap_or_else(|| {
            let digits = builder.random.next_u64() >> 16;
            WorkerId::new(&format!("longshore-{}-{digits:012x}", std::process::id()))
        });
        let meters = builder.meters.or_else(|| builder.recorder.clone());
        let mut producer = Producer::new(Arc::clone(&builder.store))
            .with_optional_recorder(builder.recorder.clone())
            .with_clock(Arc::clone(&builder.clock), Arc::clone(&builder.random));
        if let Some(meters) = &meters {
            producer = producer.with_meters(Arc::clone(meters));
        }
        let kinds = builder.fallback.is_none();
        let kinds = kinds.then(|| builder.handlers.keys().cloned().collect());
        let complaints = Arc::new(Complaints::new(Arc::clone(&builder.clock)));
        let desk = Desk::new(
            Arc::clone(&builder.store),
            Arc::clone(&builder.clock),
            Arc::clone(&builder.random),
            Owner {
                id: &id,
                options: &builder.options,
                complaints: &complaints,
                kinds,
            },
        );
        let (hooks, listeners) = Hooks::new(builder.hooks);
        Self {
            listeners,
            shared: Arc::new(Shared {
                store: builder.store,
                options: builder.options,
                meters,
                recorder: builder.recorder,
                producer,
                clock: builder.clock,
                random: builder.random,
                id,
                handlers: builder.handlers,
                fallback: builder.fallback,
                retry: builder.retry,
                middleware: builder.layers.assemble(),
                hooks,
                running: Running::default(),
                pace: Pace::default(),
                beating: tokio::sync::Mutex::default(),
                counters: Counters::default(),
                complaints,
                desk,
                batch_spans: BatchSpans::default(),
                losses: Losses::default(),
                marks: Marks::default(),
                settled: Notify::new(),
                giving_up: watch::Sender::new(None),
            }),
        }
    }

    /// The worker's name.
    #[must_use]
    pub fn id(&self) -> &WorkerId {
        &self.shared.id
    }

    /// Runs until `shutdown` resolves or, if draining was asked for, nothing is left to do. Then
    /// claims no more, gives handlers their grace, hands back what did not finish, and settles
    /// everything else. Dropping the future stops at once, as a crash would: other workers take
    /// the jobs back once their leases expire.
    ///
    /// # Errors
    /// The store refuses claims for a reason that waiting will not mend.
    pub async fn run(
        mut self,
        shutdown: impl Future<Output = ()>,
    ) -> Result<WorkerReport, WorkerError> {
        let listeners = std::mem::take(&mut self.listeners);
        let shared = &self.shared;
        let hooks = Listening::start(shared, listeners);
        let (ended, receiver) = settle::channel();
        let settler = Background(vec![tokio::spawn(settle::run(
            Arc::clone(shared),
            receiver,
        ))]);
        let background = Background(vec![
            tokio::spawn(heartbeat::run(Arc::clone(shared))),
            tokio::spawn(permits::run(Arc::clone(shared))),
            tokio::spawn(permits::watch(Arc::clone(shared))),
            tokio::spawn(measure::look(Arc::clone(shared))),
            tokio::spawn(open::run(Arc::clone(shared))),
        ]);
        let chores = Background(upkeep::chores(shared));
        let presence = Presence::start(shared);
        let mut poller = Poller {
            shared: Arc::clone(shared),
            slots: Arc::new(Semaphore::new(shared.options.concurrency)),
            ended,
            attempts: JoinSet::new(),
            turn: shared.random.next_u64(),
            ahead: Ahead::default(),
            limit_rest: None,
        };
        let claimed = poller.run(pin!(shutdown)).await;
        presence.stopping();
        self.wind_down(poller, settler).await;
        let noted = shared.marks.flush(&shared.producer);
        let _out_of_time = timeout(shared.options.lease, noted).await;
        drop((background, chores));
        presence.end().await;
        // What a store that does not answer keeps, ends by itself.
        let _closed = timeout(shared.options.lease, shared.desk.close()).await;
        hooks.end().await;
        permits::measure_end(shared);
        let report = shared.counters.report();
        match claimed {
            Ok(()) => Ok(report),
            Err(source) => Err(WorkerError { source, report }),
        }
    }

    /// Lets handlers finish, then stops them, then waits for the last settle.
    async fn wind_down(&self, poller: Poller, mut settler: Background) {
        let shared = &self.shared;
        let Poller {
            attempts: _attempts,
            ended,
            ..
        } = poller;
        drop(ended);
        if timeout(shared.options.shutdown_grace, self.all_settled())
            .await
            .is_err()
        {
            let count = shared.running.len();
            tracing::warn!(count, "the grace is over; stopping handlers");
            shared.running.stop_all(StopReason::Shutdown);
        }
        // Handlers drop at the end of their own grace; then each has one settle to do.
        let last_settle = shared.options.stop_grace + shared.options.lease;
        tokio::select! {
            () = settler.ended() => {}
            () = sleep(last_settle) => {
                shared.giving_up.send_replace(Some(Instant::now()));
                let _ended = timeout(shared.options.lease, settler.ended()).await;
            }
        }
    }

    async fn all_settled(&self) {
        loop {
            let settled = self.shared.settled.notified();
            if self.shared.running.is_empty() {
                return;
            }
            settled.await;
        }
    }
}

/// The tasks that call hooks.
#[derive(Debug)]
struct Listening {
    tasks: Background,
    over: watch::Sender<Option<Instant>>,
}

impl Listening {
    fn start(shared: &Arc<Shared>, listeners: Vec<Listener>) -> Self {
        let over = watch::Sender::new(None);
        let spawn = |listener| {
            let listening = hook::run(Arc::clone(shared), listener, over.subscribe());
            tokio::spawn(listening)
        };
        Self {
            tasks: Background(listeners.into_iter().map(spawn).collect()),
            over,
        }
    }

    /// Nothing more happens: lets the hooks hear the rest.
    async fn end(mut self) {
        self.over
            .send_replace(Some(Instant::now() + hook::LAST_WORDS));
        self.tasks.ended().await;
    }
}

/// Tasks that end with the worker: a worker whose future is dropped leaves nothing running.
#[derive(Debug)]
struct Background(Vec<JoinHandle<()>>);

impl Background {
    /// Waits until all have ended by themselves.
    async fn ended(&mut self) {
        for task in &mut self.0 {
            let _ended = task.await;
        }
        self.0.clear();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}
