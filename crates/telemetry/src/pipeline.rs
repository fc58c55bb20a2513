//! The threads that spans and log records pass through on their way out, and how they end.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock, SystemRandom};
use longshore_instrument::Span;
use opentelemetry::Context;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::backlog::{Inlet, LogInlet, MemoryBacklog, Outlet};
use crate::config::{Exporter as Target, TelemetrySettings, Warning};
use crate::counters::Tally;
use crate::export::{Breaker, Command, Exporter, FileSink, Otlp, Sink, Upkeep};
use crate::item::Item;
use crate::minutely::Minutely;
use crate::open_spans::OpenFrames;
use crate::origin::Origin;
use crate::queue::Queue;
use crate::signal::Signal;
use crate::writer::Writer;

/// How much longer than told a shutdown waits for an exporter that does not end by itself, be it stuck
/// or on a busy machine.
const GRACE: Duration = Duration::from_secs(1);

/// Where telemetry of one kind comes from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) origin: Origin,
    /// What is to be known of spans before they end, if anything.
    pub(crate) open: Option<OpenFrames>,
}

/// The queue that telemetry of one kind is put into, and the threads behind it.
#[derive(Debug)]
pub(crate) struct Pipeline<T: Item = Span> {
    pub(crate) queue: Arc<Queue<T>>,
    /// To the exporter, if there is one.
    commands: Option<mpsc::UnboundedSender<Command>>,
    /// Closed once the thread that writes down has ended.
    writer: watch::Receiver<()>,
    deadline: watch::Sender<Option<Instant>>,
}

impl<T: Item> Pipeline<T> {
    /// Starts what the settings ask for, which may lead nowhere. What cannot be started comes back
    /// as warnings.
    pub(crate) fn start(
        settings: &TelemetrySettings,
        source: Source,
        clock: &Arc<dyn Clock>,
        lines: Box<dyn Write + Send>,
        warnings: &mut Vec<Warning>,
    ) -> Self {
        let tally = Arc::new(Tally::default());
        let ends = Ends::open(settings, T::SIGNAL, clock, lines, &tally, warnings);
        let Some(ends) = ends else {
            return Self {
                queue: Arc::new(Queue::to_nowhere(tally)),
                commands: None,
                writer: watch::channel(()).1,
                deadline: watch::channel(None).0,
            };
        };
        let queue = Queue::new(settings.queue_size, settings.batch_size, tally);
        Self::run(Arc::new(queue), settings, ends, source, clock, warnings)
    }

    /// Starts the threads between a queue and a back end.
    fn run(
        queue: Arc<Queue<T>>,
        settings: &TelemetrySettings,
        ends: Ends,
        source: Source,
        clock: &Arc<dyn Clock>,
        warnings: &mut Vec<Warning>,
    ) -> Self {
        let (deadline, deadline_seen) = watch::channel(None);
        let (writes, writer_ended) = watch::channel(());
        let (parcels, written) = (Arc::default(), Arc::default());
        let open = open(source.open, &ends);
        let writer = Writer {
            queue: Arc::clone(&queue),
            inlet: ends.inlet,
            clock: Arc::clone(clock),
            parcels: Arc::clone(&parcels),
            written: Arc::clone(&written),
            warning: Minutely::default(),
            open,
        };
        let [name, exporter_name] = T::SIGNAL.threads();
        let mut commands = None;
        let mut started = spawn(name, move || {
            let _until_it_has_ended = writes;
            writer.run(source.origin);
        });
        if let Some((sink, outlet)) = ends.outlet {
            let (sender, receiver) = mpsc::unbounded_channel();
            let exporter = Exporter {
                signal: T::SIGNAL,
                outlet,
                sink,
                written,
                batch_size: settings.batch_size,
                delay: settings.delay,
                clock: Arc::clone(clock),
                tally: Arc::clone(&queue.tally),
                deadline: deadline_seen,
                breaker: Breaker::default(),
                parcels,
                taken: 0,
                gathered: Vec::new(),
                warning: Minutely::default(),
                upkeep: Upkeep::default(),
            };
            started = started.and(export(exporter_name, exporter, receiver));
            commands = Some(sender);
        }
        if let Err(error) = started {
            queue.close();
            let why = format!(
                "a thread cannot be started ({error}): no {} are exported",
                T::SIGNAL.name()
            );
            warnings.push(Warning(why));
        }
        Self {
            queue,
            commands,
            writer: writer_ended,
            deadline,
        }
    }

    /// Whether what is put in leaves at all.
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

impl<T: Item> Drop for Pipeline<T> {
    fn drop(&mut self) {
        // The threads end by themselves once they hear that nobody is left.
        self.queue.close();
    }
}

/// What goes into a log besides, if there is one.
fn open(frames: Option<OpenFrames>, ends: &Ends) -> Option<OpenFrames> {
    let frames = frames.filter(|_| ends.inlet.is_durable())?;
    frames.switch_on();
    Some(frames)
}

/// Both ends of a backlog, and what is at the far one.
struct Ends {
    inlet: Inlet,
    /// Absent where nothing is taken out: whoever takes leaves a lease in the folder.
    outlet: Option<(Sink, Outlet)>,
}

impl Ends {
    /// What the settings ask for; nothing if that leads nowhere.
    fn open(
        settings: &TelemetrySettings,
        signal: Signal,
        clock: &Arc<dyn Clock>,
        lines: Box<dyn Write + Send>,
        tally: &Arc<Tally>,
        warnings: &mut Vec<Warning>,
    ) -> Option<Self> {
        let sink = sink(settings, signal, clock, lines, warnings);
        if sink.is_none() && signal == Signal::Logs {
            // Nobody looks at log records on this machine.
            return None;
        }
        let log = open_log(settings, signal, sink.is_some(), clock, tally, warnings);
        match (log, sink) {
            (None, None) => None,
            (None, Some(sink)) => {
                let memory = MemoryBacklog::new(settings.backlog_bytes, Arc::clone(tally));
                let memory = Arc::new(memory);
                Some(Self {
                    inlet: Inlet::Memory(Arc::clone(&memory)),
                    outlet: Some((sink, Outlet::Memory(memory))),
                })
            }
            (Some(inlet), sink) => {
                let outlet = sink.map(|sink| (sink, Outlet::Log(Box::new(inlet.outlet()))));
                Some(Self {
                    inlet: Inlet::Log(Box::new(inlet)),
                    outlet,
                })
            }
        }
    }
}

/// The span log, if there is to be one and it can be written.
fn open_log(
    settings: &TelemetrySettings,
    signal: Signal,
    is_exported: bool,
    clock: &Arc<dyn Clock>,
    tally: &Arc<Tally>,
    warnings: &mut Vec<Warning>,
) -> Option<LogInlet> {
    let log = settings.span_log.as_ref().filter(|_| settings.enabled)?;
    let (clock, tally) = (Arc::clone(clock), Arc::clone(tally));
    match LogInlet::open(log, is_exported, clock, &SystemRandom, tally) {
        Ok(inlet) => Some(inlet.holding(signal.frames())),
        Err(error) => {
            let items = signal.items();
            let instead = if is_exported {
                format!("{items} wait in memory instead")
            } else {
                format!("{items} are not recorded")
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
    signal: Signal,
    clock: &Arc<dyn Clock>,
    lines: Box<dyn Write + Send>,
    warnings: &mut Vec<Warning>,
) -> Option<Sink> {
    match settings.exporter {
        _ if !settings.enabled => None,
        Target::None => None,
        Target::Stdout => Some(Sink::Lines(lines)),
        Target::File => Some(Sink::File(FileSink::new(settings.file.clone(), signal))),
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

/// Starts a thread of telemetry's own. What it has to say, and whatever it calls, becomes neither a
/// span nor a log record: else each export would make the next.
fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    let quietly = || {
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        run();
    };
    thread.spawn(quietly).map(|_runs_by_itself| ())
}

fn export(
    name: &str,
    exporter: Exporter,
    commands: mpsc::UnboundedReceiver<Command>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    spawn(name, move || {
        runtime.block_on(exporter.run(commands));
    })
}
