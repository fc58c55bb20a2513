//! Set-up and end of telemetry.

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::Clock;
use longshore_instrument::{Recorder, Span};
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::config::{Exporter as Target, TelemetrySettings, Warning};
use crate::counters::{Counters, Tally};
use crate::encode::Resource;
use crate::export::{Command, Exporter, Otlp, Sink};
use crate::keep::job_spans::{Bounds, JobSpans};
use crate::keep::{JobKeeper, KeepPolicy};
use crate::recorder::TelemetryRecorder;
use crate::sampler::Threshold;
use crate::span_queue::SpanQueue;
use crate::user_spans;

/// How much longer than told a shutdown waits for an exporter that does not end by itself.
const GRACE: Duration = Duration::from_millis(250);

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
    recorder: Arc<TelemetryRecorder>,
    queue: Arc<SpanQueue>,
    provider: SdkTracerProvider,
    commands: mpsc::UnboundedSender<Command>,
    deadline: watch::Sender<Option<Instant>>,
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
        let mut warnings = Vec::new();
        let threshold = match (settings.enabled, settings.exporter) {
            // What goes nowhere need not be recorded.
            (false, _) | (_, Target::None) => Threshold::NONE,
            _ => Threshold::from_ratio(settings.sampling_ratio),
        };
        let tally = Arc::new(Tally::default());
        let queue = SpanQueue::new(settings.queue_size, settings.batch_size, tally);
        let queue = Arc::new(queue);
        let bounds = Bounds {
            spans: settings.trace_spans,
            bytes: settings.held_bytes,
        };
        let job_spans = Arc::new(JobSpans::new(bounds, Arc::clone(&queue.tally)));
        let provider = user_spans::provider(Arc::clone(&queue), Arc::clone(&job_spans), threshold);
        let (commands, receiver) = mpsc::unbounded_channel();
        let (deadline, deadline_seen) = watch::channel(None);
        let exporter = Exporter {
            queue: Arc::clone(&queue),
            sink: sink(settings, lines, &mut warnings),
            resource: Resource::new(resource_pairs(settings)),
            delay: settings.delay,
            clock: Arc::clone(&clock),
            deadline: deadline_seen,
            last_warning: None,
        };
        if let Err(error) = spawn(exporter, receiver) {
            queue.close();
            let why = format!("the exporter cannot be started ({error}): nothing is exported");
            warnings.push(Warning(why));
        }
        let recorder = TelemetryRecorder {
            queue: Arc::clone(&queue),
            threshold,
            tracer: engine_tracer(&provider),
            service_name: settings.service_name.clone(),
            baggage_keys: settings.baggage_keys.clone(),
            keeper: keeper(settings, &queue),
            job_spans,
            clock,
        };
        let telemetry = Self {
            recorder: Arc::new(recorder),
            queue,
            provider,
            commands,
            deadline,
        };
        (telemetry, warnings)
    }

    /// Where the engine's telemetry goes.
    #[must_use]
    pub fn recorder(&self) -> Arc<dyn Recorder> {
        Arc::<TelemetryRecorder>::clone(&self.recorder)
    }

    /// A tracer for spans of the application, under the scope `name`.
    #[must_use]
    pub fn tracer(&self, name: &'static str) -> SdkTracer {
        self.provider.tracer(name)
    }

    /// Makes this telemetry the one that `opentelemetry::global` gives to the whole process, and
    /// W3C trace context and baggage what it propagates.
    pub fn install_global(&self) {
        use opentelemetry::propagation::TextMapCompositePropagator;
        use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
        opentelemetry::global::set_tracer_provider(self.provider.clone());
        opentelemetry::global::set_text_map_propagator(TextMapCompositePropagator::new(vec![
            Box::new(TraceContextPropagator::new()),
            Box::new(BaggagePropagator::new()),
        ]));
    }

    /// What was recorded, exported and lost so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.queue.tally.snapshot()
    }

    /// Sends what has been recorded so far. False if that was not done within `timeout`; the
    /// exporter goes on with it.
    pub async fn flush(&self, timeout: Duration) -> bool {
        let (done, finished) = oneshot::channel();
        self.commands.send(Command::Flush(done)).is_ok()
            && matches!(tokio::time::timeout(timeout, finished).await, Ok(Ok(())))
    }

    /// Sends what has been recorded so far and ends. What has not left within `timeout` is
    /// dropped and counted; false then. Spans recorded from now on are dropped and counted.
    pub async fn shutdown(&self, timeout: Duration) -> bool {
        let before = self.counters().dropped_total();
        self.queue.close();
        // A time beyond all time is none.
        self.deadline
            .send_replace(Instant::now().checked_add(timeout));
        let (done, finished) = oneshot::channel();
        if self.commands.send(Command::Stop(done)).is_err() {
            return self.queue.len() == 0;
        }
        // The exporter keeps the deadline itself; the grace is for one that is stuck.
        let ended = tokio::time::timeout(timeout.saturating_add(GRACE), finished).await;
        if ended.is_err() {
            self.queue.abandon();
        }
        ended.is_ok() && self.counters().dropped_total() == before
    }
}

/// What goes nowhere need not be kept.
fn keeper(settings: &TelemetrySettings, queue: &Arc<SpanQueue>) -> Option<JobKeeper> {
    let leaves = settings.enabled && settings.exporter != Target::None;
    let policy = KeepPolicy::new(settings.keep.clone());
    (leaves && settings.keep.enabled).then(|| JobKeeper::new(policy, Arc::clone(queue)))
}

fn engine_tracer(provider: &SdkTracerProvider) -> SdkTracer {
    let scope = InstrumentationScope::builder(Span::ENGINE_SCOPE)
        .with_version(env!("CARGO_PKG_VERSION"))
        .build();
    provider.tracer_with_scope(scope)
}

fn sink(
    settings: &TelemetrySettings,
    lines: Box<dyn Write + Send>,
    warnings: &mut Vec<Warning>,
) -> Sink {
    match settings.exporter {
        _ if !settings.enabled => Sink::Nowhere,
        Target::None => Sink::Nowhere,
        Target::Stdout => Sink::Lines(lines),
        Target::Otlp => match Otlp::new(settings) {
            Ok((otlp, more)) => {
                warnings.extend(more);
                Sink::Otlp(Box::new(otlp))
            }
            Err(warning) => {
                warnings.push(warning);
                Sink::Nowhere
            }
        },
    }
}

/// The attributes of this process; what the user set by hand wins.
fn resource_pairs(settings: &TelemetrySettings) -> Vec<(String, String)> {
    let own = [
        ("service.name", settings.service_name.as_str()),
        ("deployment.environment.name", settings.environment.as_str()),
        ("telemetry.sdk.name", Span::ENGINE_SCOPE),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ];
    let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let is_own = |key: &str| own.iter().any(|(name, _)| name == key);
    let further = settings
        .resource_attributes
        .iter()
        .filter(|(key, _)| !is_own(key));
    let further: Vec<_> = further.cloned().collect();
    own.into_iter().chain(further).collect()
}

fn spawn(exporter: Exporter, commands: mpsc::UnboundedReceiver<Command>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("longshore-export".to_owned())
        .spawn(move || runtime.block_on(exporter.run(commands)))?;
    Ok(())
}
