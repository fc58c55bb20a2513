//! What leaves the process, seen by a collector; and how telemetry bears a bad back end.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

#[path = "telemetry/adopt.rs"]
mod adopt;
#[path = "telemetry/caught.rs"]
mod caught;
#[path = "telemetry/deploy.rs"]
mod deploy;
#[path = "telemetry/elsewhere.rs"]
mod elsewhere;
#[path = "telemetry/files.rs"]
mod files;
#[path = "telemetry/foreign.rs"]
mod foreign;
#[path = "telemetry/google.rs"]
mod google;
#[path = "telemetry/guides.rs"]
mod guides;
#[path = "telemetry/hostile.rs"]
mod hostile;
#[path = "telemetry/log_lines.rs"]
mod log_lines;
#[path = "telemetry/log_records.rs"]
mod log_records;
#[path = "telemetry/log_variables.rs"]
mod log_variables;
#[path = "telemetry/metrics.rs"]
mod metrics;
#[path = "telemetry/open.rs"]
mod open;
#[path = "telemetry/origin.rs"]
mod origin;
#[path = "telemetry/outage.rs"]
mod outage;
#[path = "telemetry/planted.rs"]
mod planted;
#[path = "telemetry/proxy.rs"]
mod proxy;
#[path = "telemetry/sampling.rs"]
mod sampling;
#[path = "telemetry/server.rs"]
mod server;
#[path = "telemetry/settings.rs"]
mod settings_of_any_text;
#[path = "telemetry/tls.rs"]
mod tls;
#[path = "telemetry/variables.rs"]
mod variables;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{
    JobId, Kind, Priority, QueueName, SpanContext, SpanId, SystemClock, Timestamp, TraceFlags,
    TraceId, TraceState,
};
use longshore_instrument::{
    Attribute, Dropped, HandlerStart, PropagationFailure, RootRequest, Span, SpanKind, SpanStatus,
};
use longshore_telemetry::config::config_reference;
use longshore_telemetry::{
    Config, ConfigError, Environment, LogFormat, Telemetry, TelemetrySettings,
};
use longshore_testkit::collector::{Collector, Protocol, trace_tree};
use opentelemetry::trace::{Span as _, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};

use self::caught::Caught;

/// Long enough for a loaded machine, never waited for in full unless something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

fn settings(pairs: &[(&str, &str)]) -> TelemetrySettings {
    let environment = Environment::from_pairs(pairs.iter().copied());
    let config = Config::load(&[], &environment, &[]).unwrap();
    assert_eq!(config.warnings(), []);
    config.telemetry()
}

fn start(settings: &TelemetrySettings) -> Telemetry {
    let (telemetry, warnings) = Telemetry::init(settings, Arc::new(SystemClock::new()));
    assert_eq!(warnings, []);
    telemetry
}

fn grpc(collector: &Collector) -> TelemetrySettings {
    settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.grpc_endpoint()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ])
}

fn span(number: u64) -> Span {
    Span {
        trace_id: TraceId::from_u128(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
        span_id: SpanId::from_u64(number),
        parent_span_id: (number > 1).then(|| SpanId::from_u64(1)),
        parent_is_remote: number > 1,
        flags: TraceFlags::new(3),
        trace_state: TraceState::parse("ot=th:0").0,
        name: Cow::Borrowed("queue.enqueue"),
        kind: SpanKind::Producer,
        start: Timestamp::from_unix_millis(1_000),
        end: Timestamp::from_unix_millis(2_000),
        attributes: vec![Attribute::new("longshore.job.attempt", 2_i64)],
        events: Vec::new(),
        links: Vec::new(),
        status: SpanStatus::Error(Cow::Borrowed("")),
        scope: Cow::Borrowed(Span::ENGINE_SCOPE),
        dropped: Dropped::default(),
        resource: None,
    }
}

async fn arrive(settings: &TelemetrySettings, collector: &Collector, protocol: Protocol) {
    let telemetry = start(settings);
    let sent = vec![span(1), span(2)];
    telemetry.recorder().record(sent.clone());
    assert!(telemetry.flush(PATIENCE).await);
    assert_eq!(collector.spans(), sent);
    let requests = collector.requests();
    let request = &requests[0];
    assert_eq!(request.protocol, protocol);
    assert!(request.compressed);
    assert_eq!(request.headers["x-token"], "a b");
    assert_eq!(request.resource["service.name"], "till");
    assert_eq!(request.resource["team"], "blue");
    assert_eq!(telemetry.counters().exported, 2);
    assert!(telemetry.shutdown(PATIENCE).await);
}

#[tokio::test]
async fn spans_arrive_over_grpc_with_headers_and_gzip() {
    let collector = Collector::start().unwrap();
    let settings = settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.grpc_endpoint()),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-token=a%20b"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=blue,service.name=other"),
        ("OTEL_SERVICE_NAME", "till"),
    ]);
    arrive(&settings, &collector, Protocol::Grpc).await;
}

#[tokio::test]
async fn spans_arrive_over_http_with_headers_and_gzip() {
    let collector = Collector::start().unwrap();
    let settings = settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.http_endpoint()),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-token=a%20b"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=blue,service.name=till"),
    ]);
    arrive(&settings, &collector, Protocol::Http).await;
    assert_eq!(collector.requests()[0].path, "/v1/traces");
}

#[tokio::test]
async fn shutdown_hands_on_what_waits() {
    let collector = Collector::start().unwrap();
    let mut settings = grpc(&collector);
    settings.delay = Duration::from_secs(3_600);
    let telemetry = start(&settings);
    telemetry.recorder().record((1..=100).map(span).collect());
    assert!(telemetry.shutdown(PATIENCE).await);
    assert_eq!(collector.spans().len(), 100);
}

#[tokio::test]
async fn batches_leave_by_count_and_by_delay() {
    let collector = Collector::start().unwrap();
    let mut settings = grpc(&collector);
    settings.batch_size = 10;
    settings.delay = Duration::from_secs(3_600);
    let telemetry = start(&settings);
    telemetry.recorder().record((1..=10).map(span).collect());
    assert_eq!(collector.wait_for(10, PATIENCE).await.len(), 10);

    let quick = Collector::start().unwrap();
    let telemetry = start(&grpc(&quick));
    telemetry.recorder().record(vec![span(1)]);
    assert_eq!(quick.wait_for(1, PATIENCE).await.len(), 1);
}

#[tokio::test]
async fn unsampled_spans_stay_and_failures_of_propagation_are_counted() {
    let collector = Collector::start().unwrap();
    let telemetry = start(&grpc(&collector));
    let recorder = telemetry.recorder();
    let mut unsampled = span(1);
    unsampled.flags = TraceFlags::RANDOM;
    recorder.record(vec![unsampled]);
    let failure = PropagationFailure {
        direction: "extract",
        reason: "malformed",
    };
    recorder.propagation_failed(failure);
    assert!(telemetry.shutdown(PATIENCE).await);
    let counters = telemetry.counters();
    assert_eq!(counters.created, 0);
    assert_eq!(counters.propagation_failures[&("extract", "malformed")], 1);
}

#[test]
fn new_roots_follow_the_ratio_and_the_environment() {
    let queue = "mail".parse::<QueueName>().unwrap();
    let kept = |pairs: &[(&str, &str)]| {
        let telemetry = start(&settings(pairs));
        let recorder = telemetry.recorder();
        let mut random = fastrand::Rng::with_seed(56);
        let decide = |_| {
            recorder.decide_root(&RootRequest {
                trace_id: TraceId::from_u128(random.u128(..)),
                queue: &queue,
                kind: None,
                priority: Priority::default(),
                tenant_id: None,
                namespace: None,
                route: None,
                jobs: 1,
            })
        };
        let decisions = (0..10_000).map(decide);
        decisions.filter(|decision| decision.sampled).count()
    };
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    assert_eq!(kept(&[endpoint]), 10_000);
    let production = (
        "OTEL_RESOURCE_ATTRIBUTES",
        "deployment.environment.name=production",
    );
    assert!((60..140).contains(&kept(&[endpoint, production])));
    let quarter = ("OTEL_TRACES_SAMPLER_ARG", "0.25");
    assert!((2_300..2_700).contains(&kept(&[endpoint, quarter])));
    assert_eq!(
        kept(&[endpoint, quarter, ("OTEL_TRACES_SAMPLER", "always_off")]),
        0
    );
    assert_eq!(kept(&[endpoint, ("OTEL_SDK_DISABLED", "true")]), 0);
    assert_eq!(kept(&[]), 0);
}

fn handler(sampled: bool) -> HandlerStart {
    let trace = TraceId::from_u128(77);
    let flags = TraceFlags::RANDOM.with_sampled(sampled);
    HandlerStart {
        parent: SpanContext::new(trace, SpanId::from_u64(1), flags),
        context: SpanContext::new(trace, SpanId::from_u64(2), flags),
        job_id: "job-1".parse::<JobId>().unwrap(),
        kind: "greet".parse::<Kind>().unwrap(),
        queue: "mail".parse::<QueueName>().unwrap(),
        attempt: 1,
        at: Timestamp::from_unix_millis(1_000),
    }
}

#[tokio::test]
async fn user_spans_nest_under_the_handler_whichever_way_they_are_made() {
    let collector = Collector::start().unwrap();
    let telemetry = start(&grpc(&collector));
    let lines = Caught::default();
    let subscriber = lines.log(LogFormat::Json, "info", &telemetry);
    let recorder = telemetry.recorder();
    let scope = recorder.open_handler(handler(true)).unwrap();
    let tracer = telemetry.tracer("shop");
    tracing::subscriber::with_default(subscriber, || {
        scope.within(&mut || {
            assert_eq!(recorder.current().unwrap().span_id, SpanId::from_u64(2));
            let mut by_api = tracer.start("by_api");
            by_api.record_error(&std::io::Error::other("card 4111 1111 1111 1111"));
            by_api.set_status(opentelemetry::trace::Status::error(
                "card 4111 1111 1111 1111",
            ));
            let _current = Context::current_with_span(by_api).attach();
            tracing::info_span!("by_tracing").in_scope(|| {
                tracing::error!("card 4111 1111 1111 1111");
                tracer
                    .start("by_api_again")
                    .set_attribute(KeyValue::new("n", 1));
            });
        });
    });
    assert!(recorder.current().is_none());
    scope.end(Timestamp::from_unix_millis(2_000), Some("panic"));
    assert!(telemetry.shutdown(PATIENCE).await);

    let spans = collector.spans();
    let handler = spans
        .iter()
        .find(|span| span.name == "handler.execution")
        .unwrap();
    assert_eq!(handler.span_id, SpanId::from_u64(2));
    assert_eq!(handler.start, Timestamp::from_unix_millis(1_000));
    assert_eq!(handler.end, Timestamp::from_unix_millis(2_000));
    let tree = trace_tree(&spans);
    let expected = "\
trace
a handler.execution INTERNAL under ^e error longshore.job.attempt=1 error.type=panic
  b by_api INTERNAL (shop) error
    ! exception
    c by_tracing INTERNAL (tracing)
      d by_api_again INTERNAL (shop)
";
    assert_eq!(normalised(&tree), normalised(expected));
    let text = format!("{spans:?}");
    assert!(!text.contains("4111 1111"), "a card's number left: {text}");
    assert!(text.contains("card [REDACTED:card]"), "{text}");

    let lines = lines.text();
    let by_tracing = spans.iter().find(|span| span.name == "by_tracing").unwrap();
    let ids = format!(
        "\"span_id\":\"{}\",\"target\":\"telemetry\",\"time\"",
        by_tracing.span_id
    );
    assert!(lines.contains(&ids), "{lines}");
    assert!(lines.contains(&format!("\"trace_id\":\"{}\"", by_tracing.trace_id)));
}

/// Without spaces at line ends.
fn normalised(tree: &str) -> Vec<&str> {
    tree.lines().map(str::trim_end).collect()
}

#[tokio::test]
async fn an_unsampled_parent_is_respected() {
    let collector = Collector::start().unwrap();
    let telemetry = start(&grpc(&collector));
    let recorder = telemetry.recorder();
    let scope = recorder.open_handler(handler(false)).unwrap();
    scope.within(&mut || {
        telemetry.tracer("shop").start("child").end();
        let current = recorder.current().unwrap();
        assert_eq!(current.trace_id, TraceId::from_u128(77));
        assert_eq!(current.span_id, SpanId::from_u64(2));
        assert!(!current.flags.is_sampled());
    });
    scope.end(Timestamp::from_unix_millis(2_000), None);
    assert!(telemetry.shutdown(PATIENCE).await);
    assert_eq!(telemetry.counters().created, 0);
}

#[tokio::test]
async fn stdout_has_one_readable_line_per_span() {
    let written = Caught::default();
    let settings = settings(&[("OTEL_TRACES_EXPORTER", "console")]);
    let clock = Arc::new(SystemClock::new());
    let (telemetry, _) = Telemetry::init_with_writer(&settings, clock, Box::new(written.clone()));
    telemetry.recorder().record(vec![span(1)]);
    assert!(telemetry.shutdown(PATIENCE).await);
    assert_eq!(
        written.text(),
        "1970-01-01T00:00:01Z 0af7651916cd43dd8448eb211c80319c 0000000000000001 - queue.enqueue \
         PRODUCER 1000.000ms error longshore.job.attempt=2\n"
    );
}

#[test]
fn the_later_source_wins_and_says_so() {
    let file = (
        "longshore.toml".to_owned(),
        "[otel]\nservice_name = 'a'\nsampling_ratio = 0.5\n[worker]\nlease = '20s'\n\
         [tracing.headers]\ntoken = 'secret'\n"
            .to_owned(),
    );
    let environment = Environment::from_pairs([
        ("OTEL_SERVICE_NAME", "b"),
        ("LONGSHORE_TELEMETRY_SERVICE_NAME", "c"),
        ("LONGSHORE_WORKER_LEASE", "25s"),
    ]);
    let flags = [("worker.lease", "40s".to_owned())];
    let config = Config::load(&[file], &environment, &flags).unwrap();
    assert_eq!(config.text("telemetry.service_name"), "c");
    assert_eq!(
        config.duration("worker.lease"),
        Some(Duration::from_secs(40))
    );
    assert!((config.telemetry().sampling_ratio - 0.5).abs() < 1e-9);
    let origin = |key: &str| {
        let shown = config.shown();
        let shown = shown.iter().find(|shown| shown.key == key).unwrap();
        (shown.value.clone(), shown.origin.to_string())
    };
    let text = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    let variable = "$LONGSHORE_TELEMETRY_SERVICE_NAME";
    assert_eq!(origin("telemetry.service_name"), text("c", variable));
    assert_eq!(origin("worker.lease"), text("40s", "--worker.lease"));
    assert_eq!(
        origin("telemetry.headers"),
        text("token=***", "longshore.toml")
    );
    assert_eq!(origin("worker.shutdown_grace"), text("10s", "default"));
}

#[test]
fn unknown_keys_are_errors_and_bad_telemetry_values_are_warnings() {
    let load = |content: &str| {
        let file = ("longshore.toml".to_owned(), content.to_owned());
        Config::load(&[file], &Environment::default(), &[])
    };
    let unknown = load("[telemetry]\nservise_name = 'x'")
        .unwrap_err()
        .to_string();
    assert!(
        unknown.contains("did you mean `telemetry.service_name`?"),
        "{unknown}"
    );
    assert!(matches!(load("store = "), Err(ConfigError::Syntax { .. })));
    let bare = load("[worker]\n\nstore = postgres://app:hush@db/app")
        .unwrap_err()
        .to_string();
    assert!(
        bare.starts_with("longshore.toml, line 3, is not valid TOML: "),
        "{bare}"
    );
    assert!(!bare.contains("hush"), "{bare}");
    let bad = load("[worker]\nlease = 30").unwrap_err().to_string();
    assert!(
        bad.contains("longshore.toml: `worker.lease` = `30`"),
        "{bad}"
    );
    let config = load("[otel]\nsampling_ratio = 7\nprotocol = 'carrier pigeon'").unwrap();
    assert_eq!(config.warnings().len(), 2);
    assert!((config.telemetry().sampling_ratio - 1.0).abs() < 1e-9);
}

#[test]
fn endpoints_follow_the_rules_of_otlp() {
    let url = |pairs: &[(&str, &str)]| settings(pairs).endpoint.url;
    let base = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let grpc = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    assert_eq!(url(&[(base, "http://c:4318")]), "http://c:4318/v1/traces");
    assert_eq!(url(&[(base, "http://c/otlp/")]), "http://c/otlp/v1/traces");
    assert_eq!(
        url(&[(own, "http://c/in"), (base, "http://d")]),
        "http://c/in"
    );
    assert_eq!(
        url(&[(base, "http://c:4317")]),
        format!("http://c:4317{grpc}")
    );
    let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    assert_eq!(
        url(&[protocol, (base, "https://c/x")]),
        format!("https://c{grpc}")
    );
    assert_eq!(url(&[]), "http://localhost:4318/v1/traces");
}

/// After a change that is meant, `LONGSHORE_WRITE_PAGES=1` writes the page anew.
#[test]
fn the_page_of_settings_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    if std::env::var_os("LONGSHORE_WRITE_PAGES").is_some() {
        std::fs::write(path, config_reference()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap();
    assert!(
        page == config_reference(),
        "docs/configuration.md is out of date; LONGSHORE_WRITE_PAGES=1 writes it"
    );
}

#[test]
fn log_lines_for_people_stay_on_one_line() {
    let caught = Caught::default();
    let subscriber = caught.log(LogFormat::Human, "info", None);
    tracing::subscriber::with_default(subscriber, || {
        tracing::warn!(jobs = 3, "two\nlines \x1b[31m");
        tracing::debug!("not shown");
    });
    let lines = caught.text();
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(
        lines.ends_with(" WARN telemetry: two\\nlines \\u{1b}[31m jobs=3\n"),
        "{lines}"
    );
}
