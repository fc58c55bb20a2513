//! What a worker is told before it starts.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{
    Clock, Kind, QueueName, Random, RetryPolicy, Store, SystemClock, SystemRandom, WorkerId,
};
use longshore_instrument::Recorder;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower_layer::Layer;
use tower_service::Service;

use super::Worker;
use super::hook::{Hook, StateChange};
use super::upkeep::Maintenance;
use crate::admin::PrunePolicy;
use crate::attempt::Attempt;
use crate::error::{BoxError, JobError};
use crate::handler::{BoxedHandler, Handler, RawResult};
use crate::layer::{HandlerCall, HandlerService, Layers};

/// The settings of a worker: plain values.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// The queues it claims from, all alike; at least one.
    pub queues: Vec<QueueName>,
    /// Most handlers at a time, 1 to 10,000; 10 by default.
    pub concurrency: usize,
    /// Most jobs that are claimed beyond the free slots, to start as soon as slots come free; 500 by
    /// default, 0 for none. No more than the worker has run in the last 50 ms, so only where
    /// handlers end quickly and jobs wait; none while limits are in force. They start within 250 ms,
    /// also when the worker stops meanwhile, or are handed back and go behind what is due already.
    pub claim_ahead: usize,
    /// How long a job is leased; renewed three times in that time while its handler runs.
    /// 30 s by default, 1 s at least.
    pub lease: Duration,
    /// Most time for an attempt of a job that does not say; 30 minutes by default.
    pub timeout: Duration,
    /// How long handlers may go on after shutdown began; 25 s by default.
    pub shutdown_grace: Duration,
    /// How long a handler that was asked to stop may go on before it is dropped; 5 s by default.
    pub stop_grace: Duration,
    /// The longest time without asking the store for jobs; 1 s by default. Stores wake a worker
    /// earlier where they can.
    pub poll_interval: Duration,
    /// Stop once nothing is waiting, scheduled or running in the queues.
    pub drain: bool,
    /// How long jobs of the whole store are kept once they are over. Each minute one of all
    /// workers deletes what its own policy lets go.
    pub prune: PrunePolicy,
}

impl WorkerOptions {
    /// Most handlers at a time.
    pub const MAX_CONCURRENCY: usize = 10_000;

    /// The defaults, for no queue yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            queues: Vec::new(),
            concurrency: 10,
            claim_ahead: 500,
            lease: Duration::from_secs(30),
            timeout: Duration::from_secs(30 * 60),
            shutdown_grace: Duration::from_secs(25),
            stop_grace: Duration::from_secs(5),
            poll_interval: Duration::from_secs(1),
            drain: false,
            prune: PrunePolicy::default(),
        }
    }
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a worker cannot be built.
#[derive(Debug)]
pub struct BuildError(String);

impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BuildError {}

/// A handler and when its failed attempts run again.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub(crate) handler: BoxedHandler,
    pub(crate) retry: Option<RetryPolicy>,
}

/// Makes a [`Worker`]. Mistakes are reported by [`build`](WorkerBuilder::build).
#[derive(Debug)]
pub struct WorkerBuilder {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) options: WorkerOptions,
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
    pub(crate) meters: Option<Arc<dyn Recorder>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) id: Option<WorkerId>,
    pub(crate) handlers: HashMap<String, Registration>,
    pub(crate) fallback: Option<BoxedHandler>,
    pub(crate) retry: RetryPolicy,
    pub(crate) layers: Layers,
    pub(crate) hooks: Vec<Hook>,
    mistake: Option<String>,
}

impl WorkerBuilder {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            options: WorkerOptions::new(),
            recorder: None,
            meters: None,
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
            id: None,
            handlers: HashMap::new(),
            fallback: None,
            retry: RetryPolicy::default(),
            layers: Layers::default(),
            hooks: Vec::new(),
            mistake: None,
        }
    }

    /// Claims from this queue, too.
    #[must_use]
    pub fn queue(mut self, name: impl AsRef<str>) -> Self {
        match name.as_ref().parse() {
            Ok(queue) => self.options.queues.push(queue),
            Err(error) => self.note(error),
        }
        self
    }

    /// Takes all settings at once.
    #[must_use]
    pub fn options(mut self, options: WorkerOptions) -> Self {
        self.options = options;
        self
    }

    /// Most handlers at a time.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.options.concurrency = concurrency;
        self
    }

    /// Most jobs that are claimed beyond the free slots: see [`WorkerOptions::claim_ahead`].
    #[must_use]
    pub fn claim_ahead(mut self, jobs: usize) -> Self {
        self.options.claim_ahead = jobs;
        self
    }

    /// How long a job is leased.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.options.lease = lease;
        self
    }

    /// Most time for an attempt of a job that does not say.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = timeout;
        self
    }

    /// How long handlers may go on after shutdown began.
    #[must_use]
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.options.shutdown_grace = grace;
        self
    }

    /// How long jobs are kept once they are over: see [`WorkerOptions::prune`].
    #[must_use]
    pub fn prune(mut self, policy: PrunePolicy) -> Self {
        self.options.prune = policy;
        self
    }

    /// Stop once nothing is waiting, scheduled or running in the queues.
    #[must_use]
    pub fn drain(mut self, drain: bool) -> Self {
        self.options.drain = drain;
        self
    }

    /// Runs jobs of `kind` with this handler; see [`Handler`].
    #[must_use]
    pub fn handler<M>(mut self, kind: impl AsRef<str>, handler: impl Handler<M>) -> Self {
        let kind = kind.as_ref();
        if let Err(error) = kind.parse::<Kind>() {
            self.note(error);
        }
        let registration = Registration {
            handler: BoxedHandler::new(handler),
            retry: None,
        };
        if self
            .handlers
            .insert(kind.to_owned(), registration)
            .is_some()
        {
            self.note(format!("the kind `{kind}` has two handlers; give it one"));
        }
        self
    }

    /// Runs jobs of `kind` with this handler, which gets a clone of `state` first.
    #[must_use]
    pub fn handler_with<S, F, Fut, A, T, E>(
        self,
        kind: impl AsRef<str>,
        state: S,
        handler: F,
    ) -> Self
    where
        S: Clone + Send + Sync + 'static,
        F: Fn(S, A, Attempt) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        A: DeserializeOwned + Send + 'static,
        T: Serialize + 'static,
        E: Into<JobError> + 'static,
    {
        self.handler(kind, move |args: A, attempt: Attempt| {
            handler(state.clone(), args, attempt)
        })
    }

    /// Runs jobs of any kind that has no handler of its own.
    #[must_use]
    pub fn fallback<M>(mut self, handler: impl Handler<M>) -> Self {
        self.fallback = Some(BoxedHandler::new(handler));
        self
    }

    /// Puts a `tower` layer around all handlers of this worker, within the layers added before: the
    /// first is the outermost.
    ///
    /// The layer sees one service for all kinds, so a limit of calls at a time is one of the worker.
    /// Its service gets a [`HandlerCall`] and gives the [`RawResult`] that is stored; its error is
    /// [`JobError`], or any error that converts into a boxed one. What a handler says passes through
    /// boxed errors as it is; an error of the layer's own is a failed attempt that is retried by the
    /// policy, with its type's name as the class, or `layer_error` if it comes in a box. So is a
    /// panic, with the class `panic`.
    ///
    /// Layers run within the attempt: under its handler's span, its timeout and its lease, and in a
    /// slot of the worker while they wait. A layer that runs the handler on another task, such as
    /// `tower`'s `Buffer`, leaves the span behind. Jobs of kinds without a handler pass no layer.
    ///
    /// ```
    /// # use longshore_queue::{HandlerCall, HandlerService, JobError, RawResult, WorkerBuilder};
    /// use std::future::Future;
    /// use std::pin::Pin;
    /// use std::task::{Context, Poll};
    /// use tower_service::Service;
    ///
    /// /// Refuses jobs that nobody may run on this machine.
    /// #[derive(Clone)]
    /// struct Guarded(HandlerService);
    ///
    /// impl Service<HandlerCall> for Guarded {
    ///     type Response = RawResult;
    ///     type Error = JobError;
    ///     type Future = Pin<Box<dyn Future<Output = Result<RawResult, JobError>> + Send>>;
    ///
    ///     fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), JobError>> {
    ///         self.0.poll_ready(context)
    ///     }
    ///
    ///     fn call(&mut self, call: HandlerCall) -> Self::Future {
    ///         if call.attempt().job().tenant_id.is_none() {
    ///             let refused = JobError::discard("no_tenant", "every job here needs a tenant");
    ///             return Box::pin(std::future::ready(Err(refused)));
    ///         }
    ///         self.0.call(call)
    ///     }
    /// }
    ///
    /// # fn example(builder: WorkerBuilder) -> WorkerBuilder {
    /// builder.layer(tower_layer::layer_fn(Guarded))
    /// # }
    /// ```
    #[must_use]
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<HandlerService> + Send + Sync + 'static,
        L::Service: Service<HandlerCall, Response = RawResult> + Clone + Send + Sync + 'static,
        <L::Service as Service<HandlerCall>>::Error: Into<BoxError> + 'static,
        <L::Service as Service<HandlerCall>>::Future: Send + 'static,
    {
        self.layers.push(layer);
        self
    }

    /// Calls `hook` after each state change that this worker makes: a job was claimed and starts, its
    /// attempt was settled, the job of a worker that vanished was taken back. What other processes
    /// do, and what makes waiting jobs due, it does not hear.
    ///
    /// A hook is called once the store has the change, one change after the other, and several hooks
    /// beside each other. It never holds up the worker: 1,024 changes may wait for it, and what comes
    /// then is missed and counted, as are its panics and, at the end, what it has not heard 5 s after
    /// the last settle ([`WorkerReport`](crate::WorkerReport), `longshore_hook_misses_total`). So it
    /// suits dashboards, caches and tests. It is **not** delivered at least once: a process that dies
    /// takes what it had not told with it. What must happen is a job, such as one of
    /// [`enqueue_on_success`](Attempt::enqueue_on_success).
    ///
    /// ```
    /// # use longshore_queue::{StateChange, WorkerBuilder};
    /// # fn example(builder: WorkerBuilder) -> WorkerBuilder {
    /// let (sender, _changes) = tokio::sync::mpsc::channel::<StateChange>(100);
    /// builder.on_state_change(move |change| {
    ///     let sender = sender.clone();
    ///     async move {
    ///         let _nobody_listens = sender.send(change).await;
    ///     }
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn on_state_change<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(StateChange) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.hooks.push(Hook::new(hook));
        self
    }

    /// When failed attempts run again; exponential from 1 s to 1 h by default.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// When failed attempts of `kind`, whose handler is registered already, run again.
    #[must_use]
    pub fn retry_kind(mut self, kind: impl AsRef<str>, policy: RetryPolicy) -> Self {
        let kind = kind.as_ref();
        match self.handlers.get_mut(kind) {
            Some(registration) => registration.retry = Some(policy),
            None => self.note(format!(
                "the kind `{kind}` has a retry policy but no handler; register its handler first"
            )),
        }
        self
    }

    /// With telemetry.
    #[must_use]
    pub fn recorder(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Hands what is measured, and nothing else, to another recorder than that of
    /// [`WorkerBuilder::recorder`]. So jobs can be measured where they are not traced, and carry
    /// the traces of others on as they are.
    #[must_use]
    pub fn meters(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.meters = Some(recorder);
        self
    }

    /// The worker's name; `longshore-` and random digits by default.
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.id = Some(WorkerId::new(id));
        self
    }

    /// With another clock and randomness, for tests and simulations.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        self.clock = clock;
        self.random = random;
        self
    }

    /// The worker.
    ///
    /// # Errors
    /// The first mistake in what the builder was told.
    pub fn build(self) -> Result<Worker, BuildError> {
        let options = &self.options;
        let most = WorkerOptions::MAX_CONCURRENCY;
        let mistake = if let Some(mistake) = self.mistake {
            mistake
        } else if options.queues.is_empty() {
            "the worker has no queue; name at least one".to_owned()
        } else if !(1..=most).contains(&options.concurrency) {
            format!(
                "a concurrency of {} is not possible; use 1 to {most}",
                options.concurrency
            )
        } else if options.lease < Duration::from_secs(1) {
            format!(
                "a lease of {:?} is too short to be renewed in time; use 1 s or more",
                options.lease
            )
        } else if options.timeout.is_zero() {
            "a timeout of nothing would fail every attempt; use more".to_owned()
        } else if self.handlers.is_empty() && self.fallback.is_none() {
            "the worker has no handler; register at least one".to_owned()
        } else {
            return Ok(Worker::from_builder(Self {
                mistake: None,
                ..self
            }));
        };
        Err(BuildError(mistake))
    }

    /// What every worker does beside running jobs, for a process that runs none: queues and
    /// handlers say nothing here.
    #[must_use]
    pub fn maintenance(self) -> Maintenance {
        Maintenance::new(Worker::from_builder(Self {
            mistake: None,
            ..self
        }))
    }

    fn note(&mut self, mistake: impl std::fmt::Display) {
        self.mistake.get_or_insert_with(|| mistake.to_string());
    }
}
