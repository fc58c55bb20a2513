//! From the backlog to a back end, on a thread and a runtime of its own, so that it works in any
//! application and never shares a core's time with handlers unasked.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use longshore_core::Clock;
use opentelemetry::Context;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::backlog::{Handed, Outlet};
use crate::counters::{DropReason, Tally};
use crate::minutely::Minutely;
use crate::signal::Signal;

mod answer;
mod breaker;
mod connection;
mod dialer;
mod file;
mod google;
mod line;
mod otlp;
mod retry_info;
mod tls;

pub(crate) use breaker::Breaker;
pub use breaker::BreakerState;
pub(crate) use file::FileSink;
pub(crate) use google::Place;
pub(crate) use otlp::Otlp;

/// How often the backlog is looked after when nothing happens.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the position of what was delivered may wait to be stored while deliveries go on: a
/// process that is killed meanwhile leaves it to the next one to send that once more.
const SAVE_EVERY: Duration = Duration::from_millis(100);
/// The longest pause between tries while telemetry is being shut down.
const LAST_PAUSE: Duration = Duration::from_millis(250);
/// Bytes after which a request is large enough.
const LARGE: usize = 2 << 20;

/// Where batches go.
pub(crate) enum Sink {
    Otlp(Box<Otlp>),
    /// OTLP in JSON, to a file.
    File(FileSink),
    /// Lines, to a writer.
    Lines(Box<dyn Write + Send>),
}

/// Asked of the exporter from outside.
pub(crate) enum Command {
    /// Export all that waits, then answer.
    Flush(oneshot::Sender<()>),
    /// Export all that waits, answer and end.
    Stop(oneshot::Sender<()>),
}

/// What became of a request.
pub(crate) enum Sent {
    /// It was taken, but for so many spans; and what the receiver had to say about it.
    Taken {
        rejected: usize,
        said: Option<String>,
    },
    /// It was not taken.
    Failed(Failure),
}

/// Why a request was not taken.
pub(crate) struct Failure {
    pub(crate) reason: DropReason,
    pub(crate) what: String,
    /// Whether it may be sent again, and after what pause if the back end said so.
    pub(crate) again: Option<Option<Duration>>,
}

impl Failure {
    /// The receiver cannot be reached, and perhaps can be later.
    fn for_now(what: String) -> Self {
        Self {
            reason: DropReason::Unavailable,
            what,
            again: Some(None),
        }
    }
}

/// Parcels that leave in one request.
#[derive(Debug, Default)]
struct Batch {
    body: Bytes,
    /// The body as it goes over the wire, made once however often it is sent.
    framed: Option<Bytes>,
    parcels: Vec<Handed>,
    spans: usize,
}

impl Batch {
    fn of(parcels: Vec<Handed>) -> Self {
        let body = match parcels.as_slice() {
            [one] => one.body.clone(),
            several => {
                let bytes = several.iter().map(|parcel| parcel.body.len()).sum();
                let mut body = BytesMut::with_capacity(bytes);
                for parcel in several {
                    body.extend_from_slice(&parcel.body);
                }
                body.freeze()
            }
        };
        Self {
            body,
            framed: None,
            spans: parcels.iter().map(|parcel| parcel.spans).sum(),
            parcels,
        }
    }

    fn halves(mut self) -> [Self; 2] {
        let right = self.parcels.split_off(self.parcels.len() / 2);
        [Self::of(self.parcels), Self::of(right)]
    }
}

/// The exporter's own state.
pub(crate) struct Exporter {
    pub(crate) signal: Signal,
    pub(crate) outlet: Outlet,
    pub(crate) sink: Sink,
    pub(crate) written: Arc<Notify>,
    pub(crate) batch_size: usize,
    pub(crate) delay: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tally: Arc<Tally>,
    /// When sending must end, once telemetry is being shut down.
    pub(crate) deadline: watch::Receiver<Option<Instant>>,
    pub(crate) breaker: Breaker,
    /// How many parcels this process has written.
    pub(crate) parcels: Arc<AtomicU64>,
    /// How many of them were taken out to be exported.
    pub(crate) taken: u64,
    /// Read from the outlet and not sent yet.
    pub(crate) gathered: Vec<Handed>,
    pub(crate) warning: Minutely,
    pub(crate) upkeep: Upkeep,
}

/// When the backlog was looked after.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    /// Since when something is delivered that the stored position does not say.
    unsaved_since: Option<Instant>,
    looked_at: Option<Instant>,
}

impl Exporter {
    /// Runs until told to stop, or until nobody is left who could.
    pub(crate) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        // The exporter's own requests must not become spans that it exports.
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        loop {
            let command = tokio::select! {
                command = commands.recv() => command,
                () = self.due() => {
                    self.drain().await;
                    self.look_after();
                    continue;
                }
            };
            self.drain().await;
            self.outlet.save();
            self.outlet.tick();
            match command {
                Some(Command::Flush(done)) => {
                    let _nobody_waits = done.send(());
                }
                Some(Command::Stop(done)) => {
                    self.end();
                    let _nobody_waits = done.send(());
                    return;
                }
                None => return self.end(),
            }
        }
    }

    /// Returns when a batch is full, or its first span has waited long enough.
    async fn due(&mut self) {
        let mut deadline = None;
        loop {
            if self.gather() {
                return;
            }
            let limit = if self.gathered.is_empty() {
                let unsaved = self.upkeep.unsaved_since.map(|since| since + SAVE_EVERY);
                unsaved.unwrap_or_else(|| Instant::now() + LOOK_EVERY)
            } else {
                *deadline.get_or_insert_with(|| Instant::now() + self.delay)
            };
            let written = tokio::time::timeout_at(limit, self.written.notified()).await;
            if written.is_err() {
                if !self.gathered.is_empty() {
                    return;
                }
                self.look_after();
            }
        }
    }

    /// Stores the position and looks for what others left, neither after each batch: under load that
    /// takes longer than to export it.
    fn look_after(&mut self) {
        let now = Instant::now();
        let is_due = |since: Instant| now >= since + SAVE_EVERY;
        if self.upkeep.unsaved_since.is_some_and(is_due) {
            self.upkeep.unsaved_since = None;
            self.outlet.save();
        }
        if self
            .upkeep
            .looked_at
            .is_none_or(|at| now >= at + LOOK_EVERY / 2)
        {
            self.upkeep.looked_at = Some(now);
            self.outlet.tick();
        }
    }

    /// Reads on until a batch is full; true if it is.
    fn gather(&mut self) -> bool {
        let mut spans: usize = self.gathered.iter().map(|parcel| parcel.spans).sum();
        let mut bytes: usize = self.gathered.iter().map(|parcel| parcel.body.len()).sum();
        while spans < self.batch_size && bytes < LARGE {
            let Some(parcel) = self.outlet.next() else {
                return false;
            };
            spans += parcel.spans;
            bytes += parcel.body.len();
            self.gathered.push(parcel);
        }
        true
    }

    /// Exports what is there now. What is written meanwhile waits for the next turn, so that a
    /// flush ends.
    async fn drain(&mut self) {
        let written = self.parcels.load(Ordering::Acquire);
        loop {
            self.gather();
            let taken = std::mem::take(&mut self.gathered);
            if taken.is_empty() {
                break;
            }
            self.taken += taken.iter().filter(|parcel| parcel.is_own).count() as u64;
            let adopted = taken.iter().filter(|parcel| !parcel.is_own);
            self.tally.adopted(adopted.map(|parcel| parcel.spans).sum());
            self.export(taken).await;
            if self.is_too_late() || self.taken >= written {
                break;
            }
        }
        self.upkeep.unsaved_since.get_or_insert_with(Instant::now);
    }

    /// Sends parcels until they are taken, refused for good, or there is no time left.
    async fn export(&mut self, parcels: Vec<Handed>) {
        let mut batches = VecDeque::from([Batch::of(parcels)]);
        while let Some(mut batch) = batches.pop_front() {
            if self.is_too_late() {
                self.leave(&batch);
                continue;
            }
            match self.send(&mut batch).await {
                Sent::Taken { rejected, said } => {
                    self.note_rejection(rejected, said);
                    self.breaker.succeeded();
                    self.tally.breaker(self.breaker.state());
                    self.tally.exported(batch.spans.saturating_sub(rejected));
                    self.tally
                        .dropped(DropReason::Rejected, rejected.min(batch.spans));
                    self.deal_with(&batch);
                }
                Sent::Failed(failure) => self.failed(batch, failure, &mut batches).await,
            }
        }
    }

    async fn send(&mut self, batch: &mut Batch) -> Sent {
        match &mut self.sink {
            Sink::Lines(writer) => line::write_all(writer.as_mut(), self.signal, &batch.body),
            Sink::File(file) => file.write(&batch.body),
            Sink::Otlp(otlp) => {
                let body = &batch.body;
                let framed = batch.framed.get_or_insert_with(|| otlp.framed(body));
                tokio::select! {
                    sent = otlp.send(framed) => sent,
                    () = passed(&mut self.deadline) => Sent::Failed(Failure {
                        reason: DropReason::Shutdown,
                        what: "the time given for shutting down is over".to_owned(),
                        again: Some(None),
                    }),
                }
            }
        }
    }

    /// What the receiver said of a request that it took.
    fn note_rejection(&mut self, rejected: usize, said: Option<String>) {
        if rejected == 0 && said.is_none() {
            return;
        }
        let said = said.unwrap_or_else(|| "it did not say why".to_owned());
        if rejected > 0 {
            let what = format!(
                "the receiver rejected {rejected} {}: {said}",
                self.signal.items()
            );
            self.tally.export_failed(DropReason::Rejected, &what);
        }
        if self.is_time_to_warn() {
            let receiver = match &self.sink {
                Sink::Otlp(otlp) => format!("the receiver {}", otlp.uri()),
                Sink::File(_) | Sink::Lines(_) => "the receiver".to_owned(),
            };
            tracing::warn!(
                target: "longshore",
                rejected,
                "{receiver} took {}, with reservations: {said}. This is said once a minute at most",
                self.signal.name()
            );
        }
    }

    /// Waits, splits or gives up.
    async fn failed(&mut self, batch: Batch, failure: Failure, batches: &mut VecDeque<Batch>) {
        self.tally.export_failed(failure.reason, &failure.what);
        self.warn(&failure.what);
        let Some(asked) = failure.again else {
            // One parcel that the back end cannot bear must not take others with it.
            if batch.parcels.len() > 1 {
                batches.extend(batch.halves());
                return;
            }
            self.tally.dropped(failure.reason, batch.spans);
            self.deal_with(&batch);
            return;
        };
        let pause = self.breaker.failed(asked, fastrand::f64());
        self.tally.breaker(self.breaker.state());
        // What takes too long may be too much at once.
        if failure.reason == DropReason::Timeout && batch.parcels.len() > 1 {
            batches.extend(batch.halves());
        } else {
            batches.push_front(batch);
        }
        self.pause(pause).await;
    }

    /// Waits, unless telemetry is being shut down: then every try counts.
    async fn pause(&mut self, pause: Duration) {
        let stopping = self.deadline.borrow().is_some();
        let pause = if stopping {
            pause.min(LAST_PAUSE)
        } else {
            pause
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _changed = self.deadline.changed() => {}
        }
    }

    /// The parcels are dealt with, one way or the other.
    fn deal_with(&mut self, batch: &Batch) {
        for parcel in &batch.parcels {
            self.outlet.delivered(parcel.mark);
        }
    }

    /// There is no time left for these.
    fn leave(&mut self, batch: &Batch) {
        if !self.outlet.is_durable() {
            self.tally.dropped(DropReason::Shutdown, batch.spans);
        }
    }

    /// Counts what only this process had.
    fn end(&mut self) {
        let gathered = Batch::of(std::mem::take(&mut self.gathered));
        self.leave(&gathered);
        let left = self.outlet.abandon();
        self.tally.dropped(DropReason::Shutdown, left);
        self.outlet.save();
    }

    /// Whether telemetry is being shut down and the time for that is over, or nobody is left who
    /// could shut it down.
    fn is_too_late(&self) -> bool {
        let deadline = *self.deadline.borrow();
        self.deadline.has_changed().is_err()
            || deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    fn is_time_to_warn(&mut self) -> bool {
        self.warning.is_due(self.clock.monotonic())
    }

    fn warn(&mut self, what: &str) {
        if !self.is_time_to_warn() {
            return;
        }
        let meanwhile = if self.outlet.is_durable() {
            "the span log keeps them"
        } else {
            "they wait in memory"
        };
        tracing::warn!(
            target: "longshore",
            "{} cannot be exported now: {what}; {meanwhile}, and jobs go on. This is said once a minute at most",
            self.signal.name()
        );
    }
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

#[cfg(test)]
mod tests;
