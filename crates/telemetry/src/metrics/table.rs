//! The one table of metrics: what there is, under which name and labels. Everything that is
//! encoded, and the page `docs/metrics.md`, comes from here.
//!
//! The names are those of OpenTelemetry's semantic conventions in the form that Prometheus gives
//! them, and `longshore_…` where there is none.

use std::fmt::Write;

use longshore_instrument::table::key;

/// What kind of numbers a metric has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// A count that only rises.
    Counter,
    /// A number that rises and falls.
    Gauge,
    /// Counts of durations by size, and their sum. The bounds are in seconds.
    Histogram(&'static [f64]),
}

impl Shape {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// A label of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// The key of the attribute that says the same on a span; redaction goes by it.
    pub attribute: &'static str,
    /// Whether the application decides which values there are. Their number is then bounded: the
    /// rest goes under [`OTHER`].
    pub is_open: bool,
}

/// Stands for all values of a label beyond what a metric may have.
pub const OTHER: &str = "other";

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Its name, as it stands in queries; a histogram's has `_bucket`, `_sum` or `_count` after it.
    pub name: &'static str,
    /// What kind of numbers it has.
    pub shape: Shape,
    /// Labels that have the same value everywhere.
    pub fixed: &'static [(&'static str, &'static str)],
    /// The labels that tell its series apart. One without a value is left out.
    pub labels: &'static [Label],
    /// Whether its samples carry exemplars, in the formats that have them.
    pub has_exemplars: bool,
    /// What it says.
    pub doc: &'static str,
}

impl Metric {
    /// The name without what the shape puts after it; the family's name in OpenMetrics.
    pub(super) fn family(&self) -> &'static str {
        self.name.strip_suffix("_total").unwrap_or(self.name)
    }

    /// Whether a label without a value stands for the same value everywhere.
    pub(super) fn is_fixed(&self, label: &Label) -> bool {
        self.fixed.iter().any(|(name, _)| *name == label.name)
    }

    /// The unit, if the numbers have one.
    pub(super) fn unit(&self) -> Option<&'static str> {
        let family = self.family();
        ["seconds", "ratio"]
            .into_iter()
            .find(|unit| family.ends_with(unit))
    }
}

const fn open(name: &'static str, attribute: &'static str) -> Label {
    Label {
        name,
        attribute,
        is_open: true,
    }
}

const fn closed(name: &'static str, attribute: &'static str) -> Label {
    Label {
        name,
        attribute,
        is_open: false,
    }
}

const QUEUE: Label = open("messaging_destination_name", key::QUEUE);
const KIND: Label = open("longshore_job_kind", key::KIND);
const ERROR: Label = open("error_type", key::ERROR_TYPE);
const OUTCOME: Label = closed("longshore_job_outcome", key::OUTCOME);
const STATE: Label = closed("longshore_job_state", key::JOB_STATE);
const OPERATION: Label = closed("messaging_operation_name", key::OPERATION_NAME);
const CALL: Label = closed("longshore_store_call", "longshore.store.call");
const STORE_SYSTEM: Label = closed("longshore_store_system", "longshore.store.system");
const STORE_OPERATION: Label = closed("longshore_store_operation", "longshore.store.operation");
const REASON: Label = closed("reason", "reason");
const SIGNAL: Label = closed("signal", "signal");

const LIMIT: Label = open("longshore_limit", key::QUEUE);

const SYSTEM: (&str, &str) = ("messaging_system", "longshore");
/// The system of a queue that is not ours; without a value for our own.
const FOREIGN: Label = closed(SYSTEM.0, key::SYSTEM);
const ENQUEUE: &[(&str, &str)] = &[SYSTEM, ("messaging_operation_name", "enqueue")];
const RECEIVE: &[(&str, &str)] = &[SYSTEM, ("messaging_operation_name", "claim")];
const PROCESS: &[(&str, &str)] = &[SYSTEM, ("messaging_operation_name", "process")];

/// Of calls: from what memory takes to what one would call an outage.
const CALLS: Shape = Shape::Histogram(&[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
]);
/// Of jobs: the bounds that the semantic conventions advise, and beyond them up to two hours.
const JOBS: Shape = Shape::Histogram(&[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0,
    300.0, 1800.0, 7200.0,
]);

macro_rules! metrics {
    ($($constant:ident = $name:literal, $shape:expr, $fixed:expr, [$($label:expr),*], $exemplars:expr, $doc:literal;)*) => {
        $(pub(super) const $constant: &Metric = &Metric {
            name: $name,
            shape: $shape,
            fixed: $fixed,
            labels: &[$($label),*],
            has_exemplars: $exemplars,
            doc: $doc,
        };)*

        /// Every metric.
        pub const METRICS: &[&Metric] = &[$($constant),*];
    };
}

metrics! {
    SENT = "messaging_client_sent_messages_total", Shape::Counter, ENQUEUE, [QUEUE, KIND, ERROR, FOREIGN], true,
        "Jobs that producers handed to the store; with `error_type` those that it did not take.";
    OPERATIONS = "messaging_client_operation_duration_seconds", CALLS, &[SYSTEM], [OPERATION, QUEUE, ERROR, FOREIGN], true,
        "How long enqueue, claim and settle took, repetitions included. A claim or settle of several queues names none.";
    RECEIVED = "messaging_client_consumed_messages_total", Shape::Counter, RECEIVE, [QUEUE, FOREIGN], false,
        "Jobs that workers got from the store.";
    RUN = "messaging_process_duration_seconds", JOBS, PROCESS, [QUEUE, KIND, OUTCOME, ERROR, FOREIGN], true,
        "How long handlers ran, once their attempt was settled.";
    WAIT = "longshore_queue_wait_seconds", JOBS, &[], [QUEUE, KIND, FOREIGN], true,
        "How long jobs that were due waited for a worker.";
    ATTEMPTS = "longshore_attempts_total", Shape::Counter, &[], [QUEUE, KIND, OUTCOME, ERROR, FOREIGN], true,
        "Attempts that ended, by outcome; `lost` are those of workers that vanished.";
    LEASES_LOST = "longshore_leases_lost_total", Shape::Counter, &[], [QUEUE], false,
        "Jobs that a worker still ran when it heard that it no longer held them.";
    RESCUED = "longshore_jobs_rescued_total", Shape::Counter, &[], [QUEUE], true,
        "Jobs taken back from workers that vanished. By kind they are attempts whose outcome is `lost`.";
    STORE = "longshore_store_duration_seconds", CALLS, &[], [CALL, ERROR], false,
        "How long single calls to the store took.";
    REQUESTS = "longshore_store_requests_total", Shape::Counter, &[], [STORE_SYSTEM, STORE_OPERATION, closed("outcome", "outcome")], false,
        "Requests that this process sent to an object storage, as providers bill them: `put`, `get`, `delete` or `list`, whatever for, those of polling included. They are `done`, `refused` (somebody was first, or nothing is there) or `failed`.";
    DEPTH = "longshore_queue_depth", Shape::Gauge, &[], [QUEUE, STATE], false,
        "Jobs of a queue by state. Every worker reports every queue of its store, so take the maximum, not the sum.";
    OLDEST = "longshore_queue_oldest_age_seconds", Shape::Gauge, &[], [QUEUE], false,
        "How long the job that waits longest has been able to run; 0 if none waits.";
    PAUSED = "longshore_queue_paused", Shape::Gauge, &[], [QUEUE], false,
        "1 if nobody may claim from the queue.";
    LIMITS = "longshore_limits", Shape::Gauge, &[], [], false,
        "Limits that are in force in the store, as a worker last read them.";
    PERMITS = "longshore_limit_permits", Shape::Gauge, &[], [LIMIT], false,
        "Permits that this process's workers hold, for jobs that run and for those they are about to claim. Those of all tenants are `tenants`.";
    HAND_BACKS = "longshore_limit_hand_backs_total", Shape::Counter, &[], [QUEUE], false,
        "Jobs that were claimed and handed back at once, since a limit had no room. Many of them say that limits cost more than they should.";
    REFUSALS = "longshore_limit_refusals_total", Shape::Counter, &[], [QUEUE, REASON], false,
        "Jobs that a limit kept producers from enqueueing: `queue_full` or `rate_limited`.";
    HOOK_MISSES = "longshore_hook_misses_total", Shape::Counter, &[], [REASON], false,
        "State changes of which a hook did not hear to its end: `backlog_full`, `panic` or `shutdown`.";
    CREATED = "queue_trace_spans_created_total", Shape::Counter, &[],
        [closed("component", "component"), closed("operation", "operation")], false,
        "Spans that were made to leave. Those of the application are `application`, `span`, those of programs that handed them in `outside`, `span`.";
    EXPORT_ERRORS = "queue_trace_export_errors_total", Shape::Counter, &[],
        [closed("backend", "backend"), closed("error_type", "error_type")], false,
        "Requests to the back end that failed; most are repeated.";
    RATIO = "queue_trace_sampling_ratio", Shape::Gauge, &[], [open("queue_name", key::QUEUE)], false,
        "The share of new traces that is sampled; 0 if spans lead nowhere.";
    PROPAGATION = "queue_trace_context_propagation_failures_total", Shape::Counter, &[],
        [closed("direction", "direction"), REASON], false,
        "Trace contexts that were lost on the way.";
    ADOPTED = "longshore_trace_spans_adopted_total", Shape::Counter, &[], [], false,
        "Spans of ended processes that this one took over from the span log.";
    LOGGED = "longshore_trace_spans_logged_total", Shape::Counter, &[], [], false,
        "Spans that were written to the span log.";
    EXPORTED = "longshore_trace_spans_exported_total", Shape::Counter, &[], [], false,
        "Spans that the back end took.";
    DROPPED = "longshore_trace_spans_dropped_total", Shape::Counter, &[], [REASON], false,
        "Spans that were lost.";
    WAITING = "longshore_trace_spans_waiting", Shape::Gauge, &[], [], false,
        "Spans that are neither exported nor lost yet.";
    KEPT = "longshore_trace_kept_total", Shape::Counter, &[], [REASON], false,
        "Attempts that gave a reason to keep the trace of their job.";
    UNSAFE_SETTLES = "longshore_trace_unsafe_settles_total", Shape::Counter, &[], [], false,
        "Kept attempts that were settled before their spans were safe, since that took too long.";
    BREAKER = "longshore_trace_breaker_open", Shape::Gauge, &[], [], false,
        "1 while exports are held back, since the back end kept failing.";
    SHED = "longshore_traces_shed_total", Shape::Counter, &[], [], false,
        "New traces that would have been sampled had the way out not been filling up.";
    REDACTED = "longshore_trace_redacted_total", Shape::Counter, &[], [closed("rule", "rule")], false,
        "Pieces of text that a rule of redaction hid.";
    LOG_CREATED = "longshore_log_records_created_total", Shape::Counter, &[], [], false,
        "Log records that were made to leave. This and the others of log records are there only if they leave.";
    LOG_EXPORT_ERRORS = "longshore_log_export_errors_total", Shape::Counter, &[],
        [closed("backend", "backend"), closed("error_type", "error_type")], false,
        "Requests with log records that failed; most are repeated.";
    LOG_ADOPTED = "longshore_log_records_adopted_total", Shape::Counter, &[], [], false,
        "Log records of ended processes that this one took over from the disk.";
    LOG_LOGGED = "longshore_log_records_written_total", Shape::Counter, &[], [], false,
        "Log records that were written to the disk, to wait there.";
    LOG_EXPORTED = "longshore_log_records_exported_total", Shape::Counter, &[], [], false,
        "Log records that the back end took.";
    LOG_DROPPED = "longshore_log_records_dropped_total", Shape::Counter, &[], [REASON], false,
        "Log records that were lost.";
    LOG_WAITING = "longshore_log_records_waiting", Shape::Gauge, &[], [], false,
        "Log records that are neither exported nor lost yet.";
    LOG_BREAKER = "longshore_log_breaker_open", Shape::Gauge, &[], [], false,
        "1 while exports of log records are held back, since the back end kept failing.";
    RECEIVER_REQUESTS = "longshore_receiver_requests_total", Shape::Counter, &[],
        [closed("protocol", "protocol"), closed("outcome", "outcome")], false,
        "Requests of other programs by OTLP: `taken`, or why nothing of them was. This and the others of the receiver are there where OTLP is taken: in `longshore serve`, and in workers, from the programs of `--exec`.";
    RECEIVER_RECEIVED = "longshore_receiver_received_total", Shape::Counter, &[], [SIGNAL], false,
        "Spans and log records in requests that could be read. Each is accepted, rejected or dropped.";
    RECEIVER_ACCEPTED = "longshore_receiver_accepted_total", Shape::Counter, &[], [SIGNAL], false,
        "Spans and log records that were written down, or went with the job whose program sent them.";
    RECEIVER_REJECTED = "longshore_receiver_rejected_total", Shape::Counter, &[], [SIGNAL, REASON], false,
        "Spans and log records that will never be taken, as their senders were told: `missing_ids`, `wrong_ids`, `too_many` or `job_gone`.";
    RECEIVER_DROPPED = "longshore_receiver_dropped_total", Shape::Counter, &[], [SIGNAL, REASON], false,
        "Spans and log records that were read and could not be kept: `busy` or `unwritable`, whose senders were told to send them again, or `too_large`.";
    RECEIVER_REDACTED = "longshore_receiver_redacted_total", Shape::Counter, &[], [closed("rule", "rule")], false,
        "Pieces of text of other programs that a rule of redaction hid; those of programs of `--exec` are among `longshore_trace_redacted_total`.";
    ARCHIVE_FILES = "longshore_archive_files_total", Shape::Counter, &[], [], false,
        "Sealed files of traces that this process copied to the archive. This and the others of the archive are there where one is set up (`trace_store.archive`); of all processes of a machine one copies.";
    ARCHIVE_BYTES = "longshore_archive_bytes_total", Shape::Counter, &[], [], false,
        "The bytes of these files.";
    ARCHIVE_DELETED = "longshore_archive_deleted_total", Shape::Counter, &[], [], false,
        "Small files that were deleted in the archive, since a larger one that is there has what they held.";
    ARCHIVE_FAILURES = "longshore_archive_failures_total", Shape::Counter, &[], [], false,
        "Turns of copying that failed; each goes on with the next turn, a minute later.";
    ARCHIVE_WAITING = "longshore_archive_files_waiting", Shape::Gauge, &[], [], false,
        "Sealed files that this process has still to copy. It rises while the archive takes none.";
    ANSWERS = "longshore_answers_total", Shape::Counter, &[], [closed("outcome", "outcome")], false,
        "Requests of traces, stories and comparisons to `longshore serve`, which may be large: those that there was memory for `at_once`, those that `waited` for it, and those that were `refused` after 10 s.";
    ANSWERS_MEMORY = "longshore_answers_memory_bytes", Shape::Gauge, &[], [], false,
        "Memory that is set aside for such answers now.";
    OVERFLOW = "longshore_metrics_overflow_total", Shape::Counter, &[], [closed("metric", "metric")], false,
        "Measurements that went under `other`, since the metric had as many series as it may.";
}

/// The page `docs/metrics.md`, in Markdown.
#[must_use]
pub fn metrics_reference() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         What `longshore worker --metrics ADDR`, `longshore serve` at `/metrics` and `Telemetry::metrics` say, as OpenMetrics 1.0 \
         or in the classic text format of Prometheus. [The guide](guides/prometheus.md) goes from \
         an alert to a trace.\n\n\
         Names are those of OpenTelemetry's semantic conventions as Prometheus writes them. A \
         label without a value is left out: `error_type` is there only on what failed. Where it \
         says *exemplars*, samples name a trace that leaves, sampled or kept. Values that the \
         application chooses pass redaction, and are bounded in number: the rest counts under \
         `other`, and in `longshore_metrics_overflow_total`. Of [queues that \
         are not ours](guides/own-queue.md) `messaging_system` names theirs; where no value of it \
         is given here, it is there for those alone.\n\n\
         | metric | type | labels | what it says |\n| --- | --- | --- | --- |\n",
    );
    for metric in METRICS {
        let fixed = metric
            .fixed
            .iter()
            .map(|(name, value)| format!("`{name}=\"{value}\"`"));
        let labels = metric
            .labels
            .iter()
            .filter(|label| !metric.is_fixed(label))
            .map(|label| format!("`{}`", label.name));
        let labels: Vec<String> = fixed.chain(labels).collect();
        let exemplars = if metric.has_exemplars {
            ", exemplars"
        } else {
            ""
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | {}{exemplars} | {} | {} |",
            metric.name,
            metric.shape.as_str(),
            labels.join(" "),
            metric.doc
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_can_be_written_in_every_format() {
        for metric in METRICS {
            let allowed = |text: &str| {
                let mut bytes = text.bytes();
                bytes.all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            };
            assert!(allowed(metric.name), "{}", metric.name);
            let counts = metric.shape == Shape::Counter;
            assert_eq!(metric.name.ends_with("_total"), counts, "{}", metric.name);
            assert!(!metric.doc.contains(['\\', '\n', '"']), "{}", metric.doc);
            assert!(
                !(metric.has_exemplars && metric.shape == Shape::Gauge),
                "{}: Prometheus takes no target whose gauges have exemplars",
                metric.name
            );
            if let Shape::Histogram(bounds) = metric.shape {
                assert!(bounds.is_sorted_by(|left, right| left < right));
            }
            let labels = metric.labels.iter().filter(|label| !metric.is_fixed(label));
            let mut names: Vec<_> = labels.map(|label| label.name).collect();
            names.extend(metric.fixed.iter().map(|(name, _)| *name));
            assert!(names.iter().all(|name| allowed(name)));
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{}", metric.name);
        }
    }

    #[test]
    fn no_two_metrics_have_one_name() {
        let mut families: Vec<_> = METRICS.iter().map(|metric| metric.family()).collect();
        families.sort_unstable();
        families.dedup();
        assert_eq!(families.len(), METRICS.len());
    }
}
