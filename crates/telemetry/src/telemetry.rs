//! Set-up and end of telemetry.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::{Clock, QueueName, SystemRandom};
use longshore_instrument::Recorder;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use crate::config::{Exporter, Propagators, TelemetrySettings, Warning};
use crate::counters::Counters;
use crate::keep::job_spans::{Bounds, JobSpans};
use crate::keep::{JobKeeper, KeepPolicy};
use crate::logs::LogLayer;
use crate::logs::record::{LogRecord, RecordSink};
use crate::metrics::Metrics;
use crate::metrics::meters::Meters;
use crate::open_spans::{OpenFrames, OpenSpans};
use crate::origin::Origin;
use crate::pipeline::{Pipeline, Source};
use crate::process::Process;
use crate::processor::Gate;
use crate::recorder::TelemetryRecorder;
use crate::redact::Redactor;
use crate::sampler::{Budget, HeadSampler, Threshold};
use crate::served::ServedStore;
use crate::user_spans;
use crate::way_out::WayOut;

/// Running telemetry: a recorder for the engine, a tracer for users, and the exporter's thread.
///
/// [`Telemetry::shutdown`] hands on what has not left yet; dropping it without loses that.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use longshore_core::SystemClock;
/// use longshore_telemetry::{Telemetry, TelemetrySettings};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let settings = TelemetrySettings::default();
/// let (telemetry, warnings) = Telemetry::init(&settings, Arc::new(SystemClock::new()));
/// assert!(warnings.is_empty());
/// let recorder = telemetry.recorder();
/// assert_eq!(recorder.service_name(), "longshore");
/// telemetry.shutdown(Duration::from_secs(1)).await;
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Telemetry {
    pub(crate) recorder: Arc<TelemetryRecorder>,
    pipeline: Pipeline,
    logs: Option<Logs>,
    provider: SdkTracerProvider,
    propagators: Propagators,
    backend: &'static str,
}

/// The way out of log records.
struct Logs {
    pipeline: Pipeline<LogRecord>,
    sink: Arc<RecordSink>,
    backend: &'static str,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("service_name", &self.recorder.service_name)
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Starts telemetry. What cannot be set up comes back as warnings, and spans are then
    /// dropped; the exporter `stdout` writes to this process's standard output.
    #[must_use]
    pub fn init(settings: &TelemetrySettings, clock: Arc<dyn Clock>) -> (Self, Vec<Warning>) {
        Self::init_with_writer(settings, clock, Box::new(std::io::stdout()))
    }

    /// [`Telemetry::init`] with the writer that the exporter `stdout` writes to.
    #[must_use]
    pub fn init_with_writer(
        settings: &TelemetrySettings,
        clock: Arc<dyn Clock>,
        lines: Box<dyn Write + Send>,
    ) -> (Self, Vec<Warning>) {
        let (redactor, mut warnings) = Redactor::new(&settings.redaction);
        let redactor = Arc::new(redactor);
        let process = Process::this(&SystemRandom);
        let gate = Gate::new(settings.processors.clone(), Arc::clone(&redactor))
            .with_limits(settings.limits);
        let gate = Arc::new(gate);
        let open = Arc::new(OpenSpans::default());
        let frames = OpenFrames::new(Arc::clone(&open), Arc::clone(&gate));
        let served = Arc::new(ServedStore::default());
        let origin = || {
            let (redactor, served) = (Arc::clone(&redactor), Arc::clone(&served));
            Origin::of(settings, &process, redactor, served)
        };
        let source = Source {
            origin: origin(),
            open: settings.open_spans.then_some(frames),
        };
        let lines = SharedWriter::new(lines);
        let logs = Logs::start(
            settings,
            (origin(), &redactor),
            &clock,
            &lines,
            &mut warnings,
        );
        let lines = Box::new(lines);
        let pipeline = Pipeline::start(settings, source, &clock, lines, &mut warnings);
        let way = Arc::new(WayOut {
            open,
            gate,
            queue: Arc::clone(&pipeline.queue),
            clock,
        });
        let (queue, gate, clock) = (&way.queue, &way.gate, &way.clock);
        let (head, budget) = head_sampler(settings, &pipeline, clock);
        let bounds = Bounds {
            spans: settings.trace_spans,
            bytes: settings.held_bytes,
        };
        let job_spans = Arc::new(JobSpans::new(bounds, Arc::clone(&queue.tally)));
        let provider =
            user_spans::provider(Arc::clone(&way), Arc::clone(&job_spans), Arc::clone(&head));
        let meters = Meters::new(pipeline.leads_somewhere(), redactor);
        let keeps = pipeline.leads_somewhere() && settings.keep.enabled;
        let policy = || KeepPolicy::new(settings.keep.clone());
        let recorder = TelemetryRecorder {
            head,
            service_name: settings.service_name.clone(),
            baggage_keys: settings.baggage_keys.clone(),
            keeper: keeps.then(|| {
                JobKeeper::new(policy(), Arc::clone(queue), Arc::clone(gate)).with_budget(budget)
            }),
            way,
            job_spans,
            meters: Arc::new(meters),
            takes_storage_spans: settings.storage_spans && pipeline.leads_somewhere(),
            served,
        };
        let telemetry = Self {
            recorder: Arc::new(recorder),
            pipeline,
            logs,
            provider,
            backend: backend(settings.exporter),
            propagators: settings.propagators,
        };
        (telemetry, warnings)
    }

    /// Where the engine's telemetry goes.
    #[must_use]
    pub fn recorder(&self) -> Arc<dyn Recorder> {
        Arc::<TelemetryRecorder>::clone(&self.recorder)
    }

    /// What decides what may leave, for texts that leave in other ways, such as those shown to
    /// people.
    #[must_use]
    pub fn redactor(&self) -> Arc<Redactor> {
        Arc::clone(&self.recorder.way.gate.redactor)
    }

    /// A tracer for spans of the application, under the scope `name`.
    #[must_use]
    pub fn tracer(&self, name: &'static str) -> SdkTracer {
        self.provider.tracer(name)
    }

    /// Makes this telemetry the one that `opentelemetry::global` gives to the whole process, and
    /// W3C trace context and baggage what it propagates, or those of them that the settings name.
    pub fn install_global(&self) {
        use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
        use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
        opentelemetry::global::set_tracer_provider(self.provider.clone());
        let mut all: Vec<Box<dyn TextMapPropagator + Send + Sync>> = Vec::new();
        if self.propagators.trace_context {
            all.push(Box::new(TraceContextPropagator::new()));
        }
        if self.propagators.baggage {
            all.push(Box::new(BaggagePropagator::new()));
        }
        opentelemetry::global::set_text_map_propagator(TextMapCompositePropagator::new(all));
    }

    /// What was recorded, exported and lost so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.pipeline.queue.tally.snapshot()
    }

    /// What became of log records so far; nothing if they do not leave.
    #[must_use]
    pub fn log_counters(&self) -> Option<Counters> {
        let logs = self.logs.as_ref()?;
        Some(logs.pipeline.queue.tally.snapshot())
    }

    /// A layer of `tracing-subscriber` that makes OTLP log records of events; nothing if log records
    /// do not leave. [`init_logs`](crate::init_logs) has it already.
    #[must_use]
    pub fn log_layer(&self) -> Option<LogLayer> {
        let sink = Arc::clone(&self.logs.as_ref()?.sink);
        Some(LogLayer { sink })
    }

    /// The metrics of this process. From the first call on, jobs are measured, and workers ask
    /// their store every few seconds how the queues stand.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let meters = Arc::clone(&self.recorder.meters);
        meters.switch_on();
        let tally = Arc::clone(&self.pipeline.queue.tally);
        let head = Arc::clone(&self.recorder.head);
        let metrics = Metrics::new(meters, tally, self.backend, head);
        match &self.logs {
            Some(logs) => metrics.with_logs(Arc::clone(&logs.pipeline.queue.tally), logs.backend),
            None => metrics,
        }
    }

    /// The share of new traces that is sampled now, for each queue that was heard of: what a rule
    /// says that looks at the queue alone, else the base rate, less what gives way to pressure. At
    /// most about a thousand queues.
    #[must_use]
    pub fn sampling_ratios(&self) -> BTreeMap<QueueName, f64> {
        let head = &self.recorder.head;
        let measured = self.recorder.meters.queue_names();
        let measured = measured.iter().filter_map(|queue| queue.parse().ok());
        let queues = head.queues().into_iter().chain(measured);
        queues
            .map(|queue: QueueName| {
                let ratio = head.ratio(queue.as_str());
                (queue, ratio)
            })
            .collect()
    }

    /// Sends what has been recorded so far. False if that was not done within `timeout`; the
    /// exporter goes on with it.
    pub async fn flush(&self, timeout: Duration) -> bool {
        let logs = async {
            match &self.logs {
                Some(logs) => logs.pipeline.flush(timeout).await,
                None => true,
            }
        };
        let (spans, logs) = tokio::join!(self.pipeline.flush(timeout), logs);
        spans && logs
    }

    /// Sends what has been recorded so far and ends. What has not left within `timeout` stays in
    /// the span log for a later process, or without one is dropped and counted; false then. Spans
    /// recorded from now on are dropped and counted.
    pub async fn shutdown(&self, timeout: Duration) -> bool {
        let logs = async {
            match &self.logs {
                Some(logs) => logs.pipeline.shutdown(timeout).await,
                None => true,
            }
        };
        let (spans, logs) = tokio::join!(self.pipeline.shutdown(timeout), logs);
        spans && logs
    }
}

impl Logs {
    /// Starts what the settings ask for, which is nothing unless they do.
    fn start(
        settings: &TelemetrySettings,
        (origin, redactor): (Origin, &Arc<Redactor>),
        clock: &Arc<dyn Clock>,
        lines: &SharedWriter,
        warnings: &mut Vec<Warning>,
    ) -> Option<Self> {
        let logs = settings.logs.as_ref()?;
        let source = Source { origin, open: None };
        let settings = settings.for_logs()?;
        let lines = Box::new(lines.clone());
        let pipeline = Pipeline::start(&settings, source, clock, lines, warnings);
        if !pipeline.leads_somewhere() {
            return None;
        }
        let sink = RecordSink {
            queue: Arc::clone(&pipeline.queue),
            redactor: Arc::clone(redactor),
            clock: Arc::clone(clock),
            attributes: logs.attributes,
            value_length: logs.value_length,
        };
        Some(Self {
            pipeline,
            sink: Arc::new(sink),
            backend: backend(settings.exporter),
        })
    }
}

/// One writer for spans and log records, each request whole.
#[derive(Clone)]
struct SharedWriter(Arc<Mutex<Box<dyn Write + Send>>>);

impl SharedWriter {
    fn new(writer: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(writer)))
    }

    fn inner(&self) -> MutexGuard<'_, Box<dyn Write + Send>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for SharedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner().write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner().write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner().flush()
    }
}

/// The sampler of new traces, and the budget it keeps to, if there is one.
fn head_sampler(
    settings: &TelemetrySettings,
    pipeline: &Pipeline,
    clock: &Arc<dyn Clock>,
) -> (Arc<HeadSampler>, Option<Arc<Budget>>) {
    let tally = Arc::clone(&pipeline.queue.tally);
    if !pipeline.leads_somewhere() {
        return (Arc::new(HeadSampler::of_nothing(tally)), None);
    }
    let base = Threshold::from_ratio(settings.sampling_ratio);
    let budget = settings.spans_per_second.map(|spans| {
        let clock = Arc::clone(clock);
        Arc::new(Budget::new(spans, settings.storage_spans, base, clock))
    });
    let rules = settings.sampling_rules.clone();
    let head = HeadSampler::new(rules, base, budget.clone(), tally);
    (Arc::new(head), budget)
}

/// The name of what spans are sent to, as a metric label.
const fn backend(exporter: Exporter) -> &'static str {
    match exporter {
        Exporter::Otlp => "otlp",
        Exporter::CloudTrace => "cloudtrace",
        Exporter::File => "file",
        Exporter::Stdout => "stdout",
        Exporter::None => "none",
    }
}
