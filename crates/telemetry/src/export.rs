//! From the queue to a back end, on a thread and a runtime of its own, so that it works in any
//! application and never shares a core's time with handlers unasked.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::Clock;
use longshore_instrument::Span;
use opentelemetry::Context;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::counters::DropReason;
use crate::encode::{self, Resource};
use crate::span_queue::SpanQueue;

mod answer;
mod line;
mod otlp;

pub(crate) use otlp::Otlp;

/// The least time between two warnings.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Where batches go.
pub(crate) enum Sink {
    Otlp(Box<Otlp>),
    /// Readable lines to a writer.
    Lines(Box<dyn Write + Send>),
    Nowhere,
}

/// Asked of the exporter from outside.
pub(crate) enum Command {
    /// Export all that waits, then answer.
    Flush(oneshot::Sender<()>),
    /// Export all that waits, answer and end.
    Stop(oneshot::Sender<()>),
}

/// What became of a batch.
pub(crate) enum Sent {
    /// It was taken, but for so many spans.
    Taken {
        rejected: usize,
    },
    Failed {
        reason: DropReason,
        what: String,
    },
}

/// The exporter's own state.
pub(crate) struct Exporter {
    pub(crate) queue: Arc<SpanQueue>,
    pub(crate) sink: Sink,
    pub(crate) resource: Resource,
    pub(crate) delay: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    /// When sending must end, once telemetry is being shut down.
    pub(crate) deadline: watch::Receiver<Option<Instant>>,
    pub(crate) last_warning: Option<Duration>,
}

impl Exporter {
    /// Runs until told to stop, or until nobody is left who could.
    pub(crate) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        // The exporter's own requests must not become spans that it exports.
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        loop {
            let command = tokio::select! {
                command = commands.recv() => command,
                () = due(&self.queue, self.delay) => {
                    self.drain().await;
                    continue;
                }
            };
            self.drain().await;
            match command {
                Some(Command::Flush(done)) => {
                    let _nobody_waits = done.send(());
                }
                Some(Command::Stop(done)) => {
                    self.queue.abandon();
                    let _nobody_waits = done.send(());
                    return;
                }
                None => return,
            }
        }
    }

    async fn drain(&mut self) {
        // What arrives meanwhile waits for the next turn, so that a flush ends.
        let mut left = self.queue.len();
        while left > 0 {
            if self.is_too_late() {
                self.queue.abandon();
                return;
            }
            let batch = self.queue.take_batch();
            left = left.saturating_sub(batch.len().max(1));
            if !batch.is_empty() {
                self.export(batch).await;
            }
        }
    }

    /// Whether telemetry is being shut down and the time for that is over.
    fn is_too_late(&self) -> bool {
        let deadline = *self.deadline.borrow();
        deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    async fn export(&mut self, batch: Vec<Span>) {
        let count = batch.len();
        let sent = match &mut self.sink {
            Sink::Nowhere => Sent::Taken { rejected: 0 },
            Sink::Lines(writer) => line::write_all(writer.as_mut(), &batch),
            Sink::Otlp(otlp) => {
                let body = encode::request(&self.resource, &batch);
                tokio::select! {
                    sent = otlp.send(body) => sent,
                    () = passed(&mut self.deadline) => Sent::Failed {
                        reason: DropReason::Shutdown,
                        what: "the time given for shutting down is over".to_owned(),
                    },
                }
            }
        };
        let tally = &self.queue.tally;
        match sent {
            Sent::Taken { rejected } => {
                tally.exported(count.saturating_sub(rejected));
                tally.dropped(DropReason::Rejected, rejected.min(count));
            }
            Sent::Failed { reason, what } => {
                tally.dropped(reason, count);
                self.warn(&what);
            }
        }
    }

    fn warn(&mut self, what: &str) {
        let now = self.clock.monotonic();
        if self
            .last_warning
            .is_some_and(|last| now < last + WARN_EVERY)
        {
            return;
        }
        self.last_warning = Some(now);
        tracing::warn!(
            target: "longshore",
            "traces cannot be exported and are dropped: {what}; jobs go on, this is said once a minute at most"
        );
    }
}

/// Returns when a batch is full, or the first span has waited long enough.
async fn due(queue: &SpanQueue, delay: Duration) {
    while queue.len() == 0 {
        queue.arrived.notified().await;
    }
    let full = async {
        while !queue.holds_a_batch() {
            queue.arrived.notified().await;
        }
    };
    // Either way the batch is due.
    let _full = tokio::time::timeout(delay, full).await.is_ok();
}

/// Returns when the deadline has passed; never while none is set.
async fn passed(deadline: &mut watch::Receiver<Option<Instant>>) {
    loop {
        let current = *deadline.borrow_and_update();
        let changed = match current {
            Some(at) => tokio::select! {
                () = tokio::time::sleep_until(at) => return,
                changed = deadline.changed() => changed,
            },
            None => deadline.changed().await,
        };
        if changed.is_err() {
            match current {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
            return;
        }
    }
}
