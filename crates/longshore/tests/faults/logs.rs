//! Log records of handlers, while what takes them fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{SpanContext, SpanId, SystemClock, TraceId};
use longshore_instrument::Span;
use longshore_instrument::table::name;
use longshore_telemetry::logs::log_subscriber;
use longshore_telemetry::{
    Config, Counters, DropReason, Environment, LogFormat, Telemetry, TelemetrySettings,
};
use longshore_testkit::collector::{Behaviour, Collector, LogRecord, Protocol};
use longshore_testkit::faulty_line::Fault;
use tracing::subscriber::DefaultGuard;

use crate::bed::{Bed, CARD, Folder, PATIENCE, Way, until};
use crate::child;

const JOBS: u64 = 150;
/// Every tenth job runs twice.
const RECORDS: u64 = JOBS + JOBS / 10;

/// Lets log records leave to where spans do.
fn with_logs(settings: &mut TelemetrySettings) {
    let url = settings.endpoint.url.clone();
    let parts: Vec<&str> = url.splitn(4, '/').collect();
    let protocol = match settings.endpoint.protocol {
        longshore_telemetry::config::Protocol::Grpc => "grpc",
        longshore_telemetry::config::Protocol::HttpProtobuf => "http/protobuf",
    };
    let pairs = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*parts[..3].join("/")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
    ];
    let config = Config::load(&[], &Environment::from_pairs(pairs), &[]).unwrap();
    assert_eq!(config.warnings(), []);
    settings.logs = config.telemetry().logs;
}

/// Sends what this thread logs from now on through telemetry; jobs run on the test's own thread.
fn listen(telemetry: &Telemetry) -> DefaultGuard {
    let clock = Arc::new(SystemClock::new());
    let nowhere = |_line: &[u8]| Ok(());
    let logs = log_subscriber(LogFormat::Json, "info", clock, Some(telemetry), nowhere);
    tracing::subscriber::set_default(logs.unwrap())
}

/// The records of the handlers of a [`Bed`].
fn packed(collector: &Collector) -> Vec<LogRecord> {
    let records = collector.log_records().into_iter();
    records.filter(|record| record.scope == "shop").collect()
}

/// What handlers of which numbers said, and how many records say so.
fn numbers(collector: &Collector) -> (BTreeSet<u64>, usize) {
    let records = packed(collector);
    let number = |record: &LogRecord| record.attribute("number").unwrap().parse().unwrap();
    (records.iter().map(number).collect(), records.len())
}

fn accounted(telemetry: &Telemetry) -> Counters {
    let counters = telemetry.log_counters().unwrap();
    let gone = counters.exported + counters.dropped_total();
    assert_eq!(gone, counters.created + counters.adopted, "{counters:?}");
    counters
}

fn ids<'a>(contexts: impl Iterator<Item = &'a SpanContext>) -> BTreeSet<(TraceId, SpanId)> {
    contexts
        .map(|context| (context.trace_id, context.span_id))
        .collect()
}

/// The handlers whose spans arrived.
fn handlers(spans: &[Span]) -> BTreeSet<(TraceId, SpanId)> {
    let handlers = spans.iter().filter(|span| span.name == name::HANDLER);
    handlers.map(|span| (span.trace_id, span.span_id)).collect()
}

fn assert_holds_no_secret(collector: &Collector) {
    let card = CARD.as_bytes();
    for request in collector.requests() {
        let holds = |secret: &[u8]| {
            let mut windows = request.message.windows(secret.len());
            windows.any(|window| window == secret)
        };
        assert!(!holds(card) && !holds(b"ann@"), "{}", request.path);
    }
}

#[tokio::test]
async fn what_handlers_say_arrives_with_the_ids_of_their_spans() {
    for way in Way::ALL {
        let bed = Bed::new(way, with_logs);
        let _listening = listen(&bed.telemetry);
        bed.run_jobs(JOBS).await;
        bed.assert_accounted().await;
        let records = packed(&bed.collector);
        assert_eq!(records.len() as u64, RECORDS, "{way:?}");
        let contexts = records.iter().filter_map(|record| record.span.as_ref());
        assert!(contexts.clone().all(|context| context.flags.is_sampled()));
        // Each handler said one thing, and each has its span.
        assert_eq!(ids(contexts), handlers(&bed.collector.spans()), "{way:?}");
        for record in &records {
            assert_eq!(record.body, "packing for [REDACTED:email]");
            assert_eq!(record.attribute("card").unwrap(), "[REDACTED:card]");
        }
        assert_holds_no_secret(&bed.collector);
        let paths = bed.collector.requests().into_iter().map(|one| one.path);
        let paths: BTreeSet<String> = paths.collect();
        let logs = match way.protocol {
            Protocol::Http => "/v1/logs",
            Protocol::Grpc => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        };
        assert!(paths.contains(logs), "{way:?}: {paths:?}");
        let counters = accounted(&bed.telemetry);
        assert_eq!(counters.dropped_total(), 0, "{way:?}: {counters:?}");
        let written = if way.logged { counters.created } else { 0 };
        assert_eq!(counters.logged, written, "{way:?}");
    }
}

/// Records leave whatever the sampler says. Those of the jobs that are kept lead to their spans.
#[tokio::test]
async fn what_handlers_of_unsampled_jobs_say_leaves_and_those_of_kept_jobs_find_their_spans() {
    let way = Way::of(Protocol::Http, true);
    let bed = Bed::new(way, |settings| {
        settings.sampling_ratio = 0.0;
        settings.keep.run_objective = Some(Duration::from_secs(3600));
        with_logs(settings);
    });
    let _listening = listen(&bed.telemetry);
    bed.run_jobs(JOBS).await;
    bed.assert_accounted().await;
    let records = packed(&bed.collector);
    assert_eq!(records.len() as u64, RECORDS);
    let contexts: Vec<&SpanContext> = records
        .iter()
        .filter_map(|record| record.span.as_ref())
        .collect();
    assert_eq!(contexts.len() as u64, RECORDS, "all have ids");
    // The second attempt of a job that is kept is sampled from its start.
    let sampled = contexts.iter().filter(|context| context.flags.is_sampled());
    assert_eq!(sampled.count() as u64, JOBS / 10);
    let kept = handlers(&bed.collector.spans());
    assert_eq!(kept.len() as u64, 2 * JOBS / 10);
    assert!(ids(contexts.into_iter()).is_superset(&kept));
}

#[tokio::test]
async fn a_receiver_that_is_away_holds_up_no_job_and_loses_no_record() {
    for way in Way::ALL {
        let bed = Bed::new(way, with_logs);
        let _listening = listen(&bed.telemetry);
        bed.line.set(Fault::Refused);
        bed.run_jobs(JOBS).await;
        assert_eq!(packed(&bed.collector).len(), 0, "{way:?}");
        let failed = || {
            !bed.telemetry
                .log_counters()
                .unwrap()
                .export_errors
                .is_empty()
        };
        until(failed).await;
        bed.line.set(Fault::None);
        bed.assert_accounted().await;
        let (numbers, records) = numbers(&bed.collector);
        assert_eq!(numbers, (0..JOBS).collect(), "{way:?}");
        assert_eq!(records as u64, RECORDS, "{way:?}: none came twice");
        assert_eq!(accounted(&bed.telemetry).dropped_total(), 0, "{way:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_rejects_some_is_believed() {
    for way in Way::ALL {
        let bed = Bed::new(way, with_logs);
        let rejected = Behaviour::PartialSuccess { rejected: 3 };
        bed.collector.set_behaviour(rejected);
        let _listening = listen(&bed.telemetry);
        bed.run_jobs(JOBS).await;
        bed.sent().await;
        let counters = accounted(&bed.telemetry);
        let requests = bed.collector.requests().into_iter();
        let requests = requests.filter(|one| one.path.to_lowercase().contains("logs"));
        let most = 3 * requests.count() as u64;
        let rejected = counters.dropped[&DropReason::Rejected];
        assert!((3..=most).contains(&rejected), "{way:?}: {counters:?}");
        let arrived = bed.collector.log_records().len() as u64;
        assert_eq!(arrived, counters.exported, "{way:?}");
        assert_eq!(counters.dropped_total(), rejected, "{way:?}");
    }
}

fn telemetry(folder: &Path, endpoint: &str) -> Telemetry {
    let log = folder.join("spans");
    let pairs = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
        ("LONGSHORE_TELEMETRY_SPAN_LOG", log.to_str().unwrap()),
    ];
    let config = Config::load(&[], &Environment::from_pairs(pairs), &[]).unwrap();
    let (telemetry, warnings) = Telemetry::init(&config.telemetry(), Arc::new(SystemClock::new()));
    assert_eq!((config.warnings(), warnings.as_slice()), (&[][..], &[][..]));
    telemetry
}

/// Says so many things, and dies as nothing can be prepared for once all are written down.
#[tokio::test]
async fn part_say_and_die() {
    let Some((folder, words)) = child::told() else {
        return;
    };
    let folder = PathBuf::from(folder);
    let (endpoint, count) = words.split_once(' ').unwrap();
    let count: u64 = count.parse().unwrap();
    let telemetry = telemetry(&folder, endpoint);
    let listening = listen(&telemetry);
    for number in 0..count {
        tracing::info!(target: "shop", number, card = CARD, "said");
    }
    until(|| telemetry.log_counters().unwrap().logged == count).await;
    drop(listening);
    let kill = format!("kill -9 {}", std::process::id());
    let _no_answer = Command::new("sh").args(["-c", &kill]).status();
    loop {
        std::thread::park();
    }
}

#[tokio::test]
async fn what_a_killed_process_had_said_leaves_with_the_next() {
    let folder = Folder::new();
    let collector = Collector::start().unwrap();
    // One dies without a receiver, one whose receiver never answers.
    for behaviour in [Behaviour::Unavailable(u32::MAX), Behaviour::Hang] {
        collector.clear();
        collector.set_behaviour(behaviour);
        let words = format!("{} {JOBS}", collector.http_endpoint());
        let mut dead = child::start("logs::part_say_and_die", &folder.0, &words);
        let status = dead.wait().unwrap();
        assert!(!status.success(), "it was killed");
        assert_eq!(packed(&collector).len(), 0);
        collector.set_behaviour(Behaviour::Accept);
        let next = telemetry(&folder.0, &collector.http_endpoint());
        let count = usize::try_from(JOBS).unwrap();
        collector.wait_for_log_records(count, PATIENCE).await;
        assert!(next.shutdown(PATIENCE).await);
        assert_eq!(numbers(&collector), ((0..JOBS).collect(), count));
        let counters = accounted(&next);
        assert_eq!((counters.adopted, counters.exported), (JOBS, JOBS));
        assert_holds_no_secret(&collector);
    }
}
