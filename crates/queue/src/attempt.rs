//! What a handler may ask of the attempt it runs in.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI16, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use longshore_core::schedule::{METADATA_SCHEDULE, METADATA_TICK};
use longshore_core::{
    Beat, Enqueued, ErrorKind, Job, LeaseToken, NewJob, SpanContext, StoreError, Timestamp,
};
use longshore_instrument::{Span, propagation};
use tokio::sync::Notify;

use crate::producer::Producer;
use crate::producer::follow_up::FollowUp;
use crate::request::JobRequest;

/// The attempt a handler runs in. Cheap to clone.
#[derive(Clone)]
pub struct Attempt {
    shared: Arc<Shared>,
}

/// Why a running handler should stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// Someone asked for the job to be cancelled.
    Cancel,
    /// The lease is lost.
    LeaseLost,
    /// The attempt took too long.
    Timeout,
    /// The worker shuts down and the grace is over.
    Shutdown,
}

struct Shared {
    job: Arc<Job>,
    token: LeaseToken,
    /// When the handler began, in nanoseconds since 1970; 0 before.
    handler_at: AtomicI64,
    /// Whether somebody looked for attempts that run long, and this was there.
    was_seen: AtomicBool,
    handler_context: Option<SpanContext>,
    producer: Producer,
    stop: Mutex<Option<StopReason>>,
    stopped: AtomicBool,
    notify: Notify,
    progress: AtomicI16,
    /// The checkpoint that no beat has taken yet.
    checkpoint: Mutex<Option<Bytes>>,
    left_checkpoint: AtomicBool,
    follow_ups: Mutex<Vec<FollowUp>>,
}

/// Most follow-up jobs of one attempt.
const MAX_FOLLOW_UPS: usize = 10_000;

impl Attempt {
    pub(crate) fn new(
        job: Arc<Job>,
        token: LeaseToken,
        handler_context: Option<SpanContext>,
        producer: Producer,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                job,
                token,
                handler_at: AtomicI64::new(0),
                was_seen: AtomicBool::new(false),
                handler_context,
                producer,
                stop: Mutex::new(None),
                stopped: AtomicBool::new(false),
                notify: Notify::new(),
                progress: AtomicI16::new(-1),
                checkpoint: Mutex::new(None),
                left_checkpoint: AtomicBool::new(false),
                follow_ups: Mutex::new(Vec::new()),
            }),
        }
    }

    /// The handler begins.
    pub(crate) fn begin(&self, at: Timestamp) {
        let at = at.unix_nanos();
        self.shared.handler_at.store(at, Ordering::Relaxed);
    }

    /// When the handler began; nothing before.
    pub(crate) fn handler_at(&self) -> Option<Timestamp> {
        match self.shared.handler_at.load(Ordering::Relaxed) {
            0 => None,
            at => Some(Timestamp::from_unix_nanos(at)),
        }
    }

    /// Whether this was asked before.
    pub(crate) fn is_seen_again(&self) -> bool {
        self.shared.was_seen.swap(true, Ordering::Relaxed)
    }

    /// The job, as it was when the worker claimed it.
    #[must_use]
    pub fn job(&self) -> &Job {
        &self.shared.job
    }

    /// Which attempt this is, from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.shared.job.attempt
    }

    /// The schedule that the job comes from, if it comes from one.
    #[must_use]
    pub fn schedule(&self) -> Option<&str> {
        let named = self.shared.job.metadata.get(METADATA_SCHEDULE);
        named.map(String::as_str)
    }

    /// The tick of the schedule that the job was enqueued for: the time it stands for, however late
    /// it runs. `None` if it comes from no schedule, or a person fired it.
    #[must_use]
    pub fn tick(&self) -> Option<Timestamp> {
        self.shared.job.metadata.get(METADATA_TICK)?.parse().ok()
    }

    /// Whether the handler should stop: the job was cancelled, its lease lost, or the worker is
    /// shutting down. A handler that goes on is dropped at its next `.await`, shortly after.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.shared.stopped.load(Ordering::Acquire)
    }

    /// Waits until the handler should stop.
    pub async fn cancelled(&self) {
        loop {
            let notified = self.shared.notify.notified();
            if self.is_cancelled() {
                return;
            }
            notified.await;
        }
    }

    /// Says how far the handler is, 0 to 100; stored with the next heartbeat.
    pub fn progress(&self, percent: u8) {
        let percent = i16::from(percent.min(100));
        self.shared.progress.store(percent, Ordering::Relaxed);
    }

    /// Leaves bytes for the next attempt to resume from; stored with the next heartbeat.
    ///
    /// # Errors
    /// More than 64 KiB.
    pub fn checkpoint(&self, bytes: impl Into<Bytes>) -> Result<(), StoreError> {
        let bytes = bytes.into();
        if bytes.len() > Beat::MAX_CHECKPOINT_BYTES {
            return Err(StoreError::new(
                ErrorKind::Invalid,
                format!(
                    "the checkpoint takes {} bytes, more than the {} allowed: store it elsewhere and keep a reference",
                    bytes.len(),
                    Beat::MAX_CHECKPOINT_BYTES
                ),
            ));
        }
        *lock(&self.shared.checkpoint) = Some(bytes);
        self.shared.left_checkpoint.store(true, Ordering::Release);
        Ok(())
    }

    /// Enqueues a child job now, whatever becomes of this attempt. It carries this attempt's
    /// trace, tenant and namespace on. A retried attempt enqueues it again, unless it has a
    /// unique key or an id.
    ///
    /// # Errors
    /// As [`Producer::enqueue`].
    pub async fn enqueue(&self, request: JobRequest) -> Result<Enqueued, StoreError> {
        self.shared.producer.enqueue(self.child(request)).await
    }

    /// Enqueues a child job with the success of this attempt, exactly once: it appears when the
    /// attempt is settled as completed, and never otherwise.
    ///
    /// # Errors
    /// A value that is not allowed, or more than 10,000 of them.
    pub fn enqueue_on_success(&self, request: JobRequest) -> Result<(), StoreError> {
        let follow_up = self.shared.producer.follow_up(self.child(request))?;
        let mut follow_ups = lock(&self.shared.follow_ups);
        if follow_ups.len() >= MAX_FOLLOW_UPS {
            return Err(StoreError::new(
                ErrorKind::Invalid,
                format!("one attempt can have at most {MAX_FOLLOW_UPS} follow-up jobs"),
            ));
        }
        follow_ups.push(follow_up);
        Ok(())
    }

    pub(crate) fn producer(&self) -> &Producer {
        &self.shared.producer
    }

    /// The request as one of this attempt.
    pub(crate) fn child(&self, request: JobRequest) -> JobRequest {
        let request = request.child_of(&self.shared.job);
        match (&self.shared.handler_context, request.names_a_context()) {
            // A user's own span that is current under the handler is nearer than the handler's.
            (Some(context), false) if !self.shared.producer.stands_in(context) => {
                request.context(context.clone())
            }
            _ => request,
        }
    }

    /// The context of the handler's span, for calls out of the process; `None` without telemetry.
    #[must_use]
    pub fn context(&self) -> Option<&SpanContext> {
        self.shared.handler_context.as_ref()
    }

    /// Hands the headers that carry this attempt's trace to `set`: `traceparent`, `tracestate`,
    /// `baggage` and `x-longshore-traceparent`.
    ///
    /// ```
    /// # fn example(attempt: &longshore_queue::Attempt) {
    /// let mut headers = std::collections::HashMap::new();
    /// attempt.inject(|name, value| {
    ///     headers.insert(name.to_owned(), value.to_owned());
    /// });
    /// # }
    /// ```
    pub fn inject(&self, set: impl FnMut(&str, &str)) {
        let Some(context) = &self.shared.handler_context else {
            return;
        };
        let current = self.shared.producer.current();
        let nearest = current
            .filter(|current| current.trace_id == context.trace_id)
            .unwrap_or_else(|| context.clone());
        propagation::inject(&nearest, &self.shared.job.trace.baggage, set);
    }

    pub(crate) fn stop(&self, reason: StopReason) {
        let mut stop = lock(&self.shared.stop);
        // A lost lease outweighs everything: nothing may be settled then.
        if stop.is_none() || reason == StopReason::LeaseLost {
            *stop = Some(reason);
        }
        drop(stop);
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.notify.notify_waiters();
    }

    pub(crate) fn stop_reason(&self) -> Option<StopReason> {
        *lock(&self.shared.stop)
    }

    /// Makes the follow-ups ready for the settle; gives back the spans that begin with it.
    pub(crate) async fn begin_follow_ups(&self, at: Timestamp) -> Vec<Span> {
        let mut follow_ups = std::mem::take(&mut *lock(&self.shared.follow_ups));
        if follow_ups.is_empty() {
            return Vec::new();
        }
        let spans = self.shared.producer.begin(&mut follow_ups, at).await;
        *lock(&self.shared.follow_ups) = follow_ups;
        spans
    }

    pub(crate) fn take_follow_ups(&self) -> Vec<NewJob> {
        let follow_ups = std::mem::take(&mut *lock(&self.shared.follow_ups));
        follow_ups.into_iter().map(NewJob::from).collect()
    }

    pub(crate) fn holds(&self, token: LeaseToken) -> bool {
        self.shared.token == token
    }

    /// Whether the handler ever left a checkpoint, stored or not.
    pub(crate) fn left_checkpoint(&self) -> bool {
        self.shared.left_checkpoint.load(Ordering::Acquire)
    }

    /// Takes back what a beat that failed was to carry, unless the handler has said more since.
    pub(crate) fn take_back(&self, beat: &Beat) {
        if let Some(progress) = beat.progress {
            let (unsaid, progress) = (-1, i16::from(progress));
            let kept = &self.shared.progress;
            let _newer =
                kept.compare_exchange(unsaid, progress, Ordering::Relaxed, Ordering::Relaxed);
        }
        let mut checkpoint = lock(&self.shared.checkpoint);
        if checkpoint.is_none() {
            checkpoint.clone_from(&beat.checkpoint);
        }
    }

    /// The next heartbeat of this attempt.
    pub(crate) fn beat(&self, lease: std::time::Duration) -> Beat {
        let progress = self.shared.progress.swap(-1, Ordering::Relaxed);
        Beat {
            job_id: self.shared.job.id.clone(),
            token: self.shared.token,
            extend_by: lease,
            progress: u8::try_from(progress).ok(),
            checkpoint: lock(&self.shared.checkpoint).take(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("job_id", &self.shared.job.id)
            .field("number", &self.shared.job.attempt)
            .field("stopped", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}
