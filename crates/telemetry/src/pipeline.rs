//! The threads that spans pass through on their way out, and how they end.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use longshore_core::{Clock, SystemRandom};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::backlog::{Inlet, LogInlet, MemoryBacklog, Outlet};
use crate::config::{Exporter as Target, TelemetrySettings, Warning};
use crate::counters::Tally;
use crate::export::{Breaker, Command, Exporter, FileSink, Otlp, Sink};
use crate::minutely::Minutely;
use crate::origin::Origin;
use crate::span_queue::SpanQueue;
use crate::span_writer::SpanWriter;

/// How much longer than told a shutdown waits for an exporter that does not end by itself.
const GRACE: Duration = Duration::from_millis(250);

/// The queue that spans are put into, and the threads behind it.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) queue: Arc<SpanQueue>,
    /// To the exporter, if there is one.
    commands: Option<mpsc::UnboundedSender<Command>>,
    /// Closed once the thread that writes spans down has ended.
    writer: watch::Receiver<()>,
    deadline: watch::Sender<Option<Instant>>,
}

impl Pipeline {
    /// Starts what the settings ask for. What cannot be started comes back as warnings.
    pub(crate) fn start(
        settings: &TelemetrySettings,
        origin: Origin,
        clock: &Arc<dyn Clock>,
        lines: Box<dyn Write + Send>,
        warnings: &mut Vec<Warning>,
    ) -> Self {
        let (deadline, deadline_seen) = watch::channel(None);
        let tally = Arc::new(Tally::default());
        let (capacity, batch) = (settings.queue_size, settings.batch_size);
        let sink = sink(settings, clock, lines, warnings);
        let (writes, writer_ended) = watch::channel(());
        let log = open_log(settings, sink.is_some(), clock, &tally, warnings);
        if sink.is_none() && log.is_none() {
            return Self {
                queue: Arc::new(SpanQueue::to_nowhere(tally)),
                commands: None,
                writer: writer_ended,
                deadline,
            };
        }
        let queue = Arc::new(SpanQueue::new(capacity, batch, Arc::clone(&tally)));
        let ends = match log {
            Some(inlet) => Ends::in_log(inlet, sink.is_some()),
            None => Ends::in_memory(settings.backlog_bytes, &tally),
        };
        let written = Arc::new(Notify::new());
        let parcels = Arc::new(AtomicU64::new(0));
        let writer = SpanWriter {
            queue: Arc::clone(&queue),
            inlet: ends.inlet,
            clock: Arc::clone(clock),
            parcels: Arc::clone(&parcels),
            written: Arc::clone(&written),
            warning: Minutely::default(),
        };
        let mut commands = None;
        let mut started = spawn("longshore-spans", move || {
            let _until_it_has_ended = writes;
            writer.run(origin);
        });
        if let Some((sink, outlet)) = sink.zip(ends.outlet) {
            let (sender, receiver) = mpsc::unbounded_channel();
            let exporter = Exporter {
                outlet,
                sink,
                written,
                batch_size: batch,
                delay: settings.delay,
                clock: Arc::clone(clock),
                tally,
                deadline: deadline_seen,
                breaker: Breaker::default(),
                parcels,
                taken: 0,
                gathered: Vec::new(),
                warning: Minutely::default(),
            };
            started = started.and(export(exporter, receiver));
            commands = Some(sender);
        }
        if let Err(error) = started {
            queue.close();
            let why = format!("a thread cannot be started ({error}): nothing is exported");
            warnings.push(Warning(why));
        }
        Self {
            queue,
            commands,
            writer: writer_ended,
            deadline,
        }
    }

    /// Whether spans that are put in leave at all.
    pub(crate) fn leads_somewhere(&self) -> bool {
        !self.queue.is_to_nowhere()
    }

    pub(crate) async fn flush(&self, limit: Duration) -> bool {
        let flushed = async {
            let written = self.queue.flush().await.is_ok();
            let Some(commands) = &self.commands else {
                return written;
            };
            let (done, finished) = oneshot::channel();
            written && commands.send(Command::Flush(done)).is_ok() && finished.await.is_ok()
        };
        !self.leads_somewhere() || timeout(limit, flushed).await == Ok(true)
    }

    pub(crate) async fn shutdown(&self, limit: Duration) -> bool {
        if !self.leads_somewhere() {
            return true;
        }
        let before = self.queue.tally.snapshot().dropped_total();
        // A time beyond all time is none.
        let deadline = Instant::now().checked_add(limit);
        self.deadline.send_replace(deadline);
        let flushed = self.queue.flush();
        let mut writer = self.writer.clone();
        // The thread closes its files when it ends, which a process that ends first would prevent.
        let written = async move {
            let flushed = flushed.await;
            while writer.changed().await.is_ok() {}
            flushed
        };
        self.queue.close();
        let in_time = match deadline {
            Some(deadline) => timeout_at(deadline, written).await.is_ok(),
            None => written.await.is_ok(),
        };
        let mut ended = in_time;
        if !in_time {
            self.queue.abandon();
        }
        if let Some(commands) = &self.commands {
            let (done, finished) = oneshot::channel();
            // The exporter keeps the deadline itself; the grace is for one that is stuck.
            let stopping = timeout(limit.saturating_add(GRACE), finished);
            ended &= commands.send(Command::Stop(done)).is_err() || stopping.await.is_ok();
        }
        ended && self.queue.tally.snapshot().dropped_total() == before
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // The threads end by themselves once they hear that nobody is left.
        self.queue.close();
    }
}

/// Both ends of a backlog.
struct Ends {
    inlet: Inlet,
    /// Absent where nothing is taken out: whoever takes leaves a lease in the folder.
    outlet: Option<Outlet>,
}

impl Ends {
    fn in_memory(bytes: usize, tally: &Arc<Tally>) -> Self {
        let memory = Arc::new(MemoryBacklog::new(bytes, Arc::clone(tally)));
        Self {
            inlet: Inlet::Memory(Arc::clone(&memory)),
            outlet: Some(Outlet::Memory(memory)),
        }
    }

    fn in_log(inlet: LogInlet, is_exported: bool) -> Self {
        let outlet = is_exported.then(|| inlet.outlet());
        Self {
            inlet: Inlet::Log(Box::new(inlet)),
            outlet: outlet.map(|outlet| Outlet::Log(Box::new(outlet))),
        }
    }
}

/// The span log, if there is to be one and it can be written.
fn open_log(
    settings: &TelemetrySettings,
    is_exported: bool,
    clock: &Arc<dyn Clock>,
    tally: &Arc<Tally>,
    warnings: &mut Vec<Warning>,
) -> Option<LogInlet> {
    let log = settings.span_log.as_ref().filter(|_| settings.enabled)?;
    let (clock, tally) = (Arc::clone(clock), Arc::clone(tally));
    match LogInlet::open(log, is_exported, clock, &SystemRandom, tally) {
        Ok(inlet) => Some(inlet),
        Err(error) => {
            let instead = if is_exported {
                "spans wait in memory instead"
            } else {
                "spans are not recorded"
            };
            warnings.push(Warning(format!(
                "the span log cannot be used ({error}): {instead}; telemetry.span_log names \
                 another folder, or is `off`"
            )));
            None
        }
    }
}

fn sink(
    settings: &TelemetrySettings,
    clock: &Arc<dyn Clock>,
    lines: Box<dyn Write + Send>,
    warnings: &mut Vec<Warning>,
) -> Option<Sink> {
    match settings.exporter {
        _ if !settings.enabled => None,
        Target::None => None,
        Target::Stdout => Some(Sink::Lines(lines)),
        Target::File => Some(Sink::File(FileSink::new(settings.file.clone()))),
        Target::Otlp | Target::CloudTrace => match Otlp::new(settings, Arc::clone(clock)) {
            Ok((otlp, more)) => {
                warnings.extend(more);
                Some(Sink::Otlp(Box::new(otlp)))
            }
            Err(warning) => {
                warnings.push(warning);
                None
            }
        },
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(run).map(|_runs_by_itself| ())
}

fn export(exporter: Exporter, commands: mpsc::UnboundedReceiver<Command>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    spawn("longshore-export", move || {
        runtime.block_on(exporter.run(commands));
    })
}
