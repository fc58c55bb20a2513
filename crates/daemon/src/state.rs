//! What every answer is made of.

use std::fmt;
use std::sync::Arc;

use longshore_core::{Clock, Store};
use longshore_telemetry::Metrics;
use longshore_telemetry::metrics::{ArchiveCounters, ArchiveTally, Beside};

use crate::auth::Access;
use crate::local::LocalBackend;
use crate::otlp::Receiver;
use crate::traced::Tracing;
use crate::view::View;

/// The parts of a daemon, shared by all requests; a clone is the same daemon.
#[derive(Clone)]
pub struct AppState {
    /// Where the jobs are.
    pub(crate) store: Arc<dyn Store>,
    /// What time it is.
    pub(crate) clock: Arc<dyn Clock>,
    /// Who takes what programs send over OTLP, if anybody does.
    pub(crate) receiver: Option<Receiver>,
    /// Other receivers of this process.
    others: Vec<Receiver>,
    /// How far copies of its traces to an archive are.
    copies: Vec<ArchiveTally>,
    /// What the JSON API is made of.
    pub(crate) view: View,
    /// Where its own spans go, if anywhere.
    pub(crate) tracing: Option<Tracing>,
}

impl AppState {
    /// A daemon for the jobs in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let view = View::new(Arc::clone(&store), Arc::clone(&clock));
        Self {
            store,
            clock,
            receiver: None,
            others: Vec::new(),
            copies: Vec::new(),
            tracing: None,
            view,
        }
    }

    /// The same, with spans of its own.
    #[must_use]
    pub fn with_tracing(self, tracing: Tracing) -> Self {
        Self {
            tracing: Some(tracing),
            ..self
        }
    }

    /// The same, its JSON API answered by `backend`.
    #[must_use]
    pub fn with_backend(mut self, backend: LocalBackend) -> Self {
        self.view.backend = backend;
        self
    }

    /// The same for whom `access` says, instead of this machine alone.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        let receiver = self.receiver.take();
        self.receiver = receiver.map(|receiver| receiver.with_access(access.clone()));
        self.view.door = self.view.door.with_access(access);
        self
    }

    /// Ends what listeners hear, so that their connections do not keep the daemon from stopping.
    pub fn end_live(&self) {
        self.view.live.end();
    }

    /// The same with what is measured, for `/metrics`.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.view.metrics = Some(metrics);
        self
    }

    /// The same, telling at `/metrics` what another receiver of this process was sent, too.
    #[must_use]
    pub fn counting(mut self, receiver: Receiver) -> Self {
        self.others.push(receiver);
        self
    }

    /// The same, telling at `/metrics` how far these copies to an archive are.
    #[must_use]
    pub fn copying(mut self, copies: Vec<ArchiveTally>) -> Self {
        self.copies.extend(copies);
        self
    }

    /// What its parts counted that measure nothing of jobs.
    pub(crate) fn beside(&self) -> Beside {
        let receivers = self.receiver.iter().chain(&self.others);
        let received = receivers.map(Receiver::counters);
        Beside {
            receiver: received.reduce(|all, one| all.with(&one)),
            archive: ArchiveCounters::of_all(&self.copies),
            answers: Some(self.view.memory.counted()),
        }
    }

    /// The same, taking OTLP too, from whom the receiver takes it.
    #[must_use]
    pub fn with_receiver(self, receiver: Receiver) -> Self {
        Self {
            receiver: Some(receiver),
            ..self
        }
    }
}

impl fmt::Debug for AppState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppState")
            .field("now", &self.clock.now())
            .finish_non_exhaustive()
    }
}
