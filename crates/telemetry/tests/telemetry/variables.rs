//! OpenTelemetry's own variables, and telemetry switched off.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Kind, Priority, QueueName, SystemClock, TraceId};
use longshore_instrument::{AttributeValue, RootRequest, SpanEvent};
use longshore_telemetry::config::{Exporter, KEYS, Propagators, Protocol};
use longshore_telemetry::{Config, Environment, Telemetry, TelemetrySettings};
use longshore_testkit::collector::Collector;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanBuilder, TraceContextExt, Tracer};

use super::outage::Folder;
use super::{PATIENCE, grpc, log_variables, settings, span, start};

/// A variable, a value, and whether the settings that follow from it are right.
pub(super) type Row = (&'static str, &'static str, fn(&TelemetrySettings) -> bool);

fn path(text: &str) -> Option<PathBuf> {
    Some(PathBuf::from(text))
}

/// The resource attributes beyond the usual.
pub(super) fn pairs(settings: &TelemetrySettings) -> Vec<(&str, &str)> {
    let pairs = settings.resource_attributes.iter();
    pairs
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

/// Every variable of OpenTelemetry's specification that says something about traces, resources,
/// limits, propagators or the OTLP exporter.
const ROWS: [Row; 49] = [
    ("OTEL_SDK_DISABLED", "true", |s| !s.enabled),
    ("OTEL_SDK_DISABLED", "TRUE", |s| !s.enabled),
    ("OTEL_SDK_DISABLED", "yes", |s| s.enabled),
    ("OTEL_RESOURCE_ATTRIBUTES", "team=blue%20sky", |s| {
        pairs(s) == [("team", "blue sky")]
    }),
    ("OTEL_RESOURCE_ATTRIBUTES", "service.name=till", |s| {
        s.service_name == "till"
    }),
    ("OTEL_RESOURCE_ATTRIBUTES", "gcp.project_id=p", |s| {
        s.google.project.as_deref() == Some("p")
    }),
    ("OTEL_SERVICE_NAME", "till", |s| s.service_name == "till"),
    ("OTEL_LOG_LEVEL", "debug", |_log_lines| true),
    ("OTEL_PROPAGATORS", "tracecontext", |s| {
        s.propagators
            == Propagators {
                trace_context: true,
                baggage: false,
            }
    }),
    ("OTEL_PROPAGATORS", "none", |s| {
        s.propagators
            == Propagators {
                trace_context: false,
                baggage: false,
            }
    }),
    ("OTEL_TRACES_SAMPLER", "always_off", |s| {
        s.sampling_ratio < 1e-9
    }),
    ("OTEL_TRACES_SAMPLER_ARG", "0.25", |s| {
        (s.sampling_ratio - 0.25).abs() < 1e-9
    }),
    ("OTEL_TRACES_EXPORTER", "otlp", |s| {
        s.exporter == Exporter::Otlp
    }),
    ("OTEL_TRACES_EXPORTER", "console", |s| {
        s.exporter == Exporter::Stdout
    }),
    ("OTEL_TRACES_EXPORTER", "none", |s| {
        s.exporter == Exporter::None
    }),
    ("OTEL_BSP_SCHEDULE_DELAY", "250", |s| {
        s.delay == Duration::from_millis(250)
    }),
    ("OTEL_BSP_EXPORT_TIMEOUT", "300", |s| {
        s.timeout == Duration::from_millis(300)
    }),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "777", |s| s.queue_size == 777),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "77", |s| {
        s.batch_size == 77
    }),
    ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9", |s| {
        s.redaction.max_attribute_length == 9
    }),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9", |s| {
        s.redaction.max_attribute_length == 9
    }),
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", "7", |s| {
        let limits = s.limits;
        [
            limits.attributes,
            limits.event_attributes,
            limits.link_attributes,
        ] == [7, 7, 7]
            && [limits.events, limits.links] == [128, 128]
    }),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "7", |s| {
        s.limits.attributes == 7
    }),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0", |s| {
        s.limits.attributes == 0
    }),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "7", |s| s.limits.events == 7),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", "7", |s| s.limits.links == 7),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "7", |s| {
        s.limits.event_attributes == 7
    }),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "7", |s| {
        s.limits.link_attributes == 7
    }),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:1/x", |s| {
        s.endpoint.url == "https://c:1/x/v1/traces"
    }),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4318", |s| {
        s.endpoint.url == "https://c:4318/v1/traces"
    }),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:1/x", |s| {
        s.endpoint.url == "http://c:1/x"
    }),
    ("OTEL_EXPORTER_OTLP_INSECURE", "true", |s| {
        s.endpoint.url.starts_with("http://")
    }),
    ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "true", |s| {
        s.endpoint.url.starts_with("http://")
    }),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", |s| {
        s.endpoint.protocol == Protocol::Grpc
    }),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc", |s| {
        s.endpoint.protocol == Protocol::Grpc
    }),
    ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%20c", |s| {
        s.headers == [("a".into(), "b c".into())]
    }),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b", |s| {
        s.headers == [("a".into(), "b".into())]
    }),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500", |s| {
        s.timeout == Duration::from_millis(1500)
    }),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1500", |s| {
        s.timeout == Duration::from_millis(1500)
    }),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", |s| s.gzip),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip", |s| s.gzip),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/a.pem", |s| {
        s.tls.certificate == path("/a.pem")
    }),
    ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/a.pem", |s| {
        s.tls.certificate == path("/a.pem")
    }),
    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/a.pem", |s| {
        s.tls.client_certificate == path("/a.pem")
    }),
    (
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
        "/a.pem",
        |s| s.tls.client_certificate == path("/a.pem"),
    ),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/a.key", |s| {
        s.tls.client_key == path("/a.key")
    }),
    ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/a.key", |s| {
        s.tls.client_key == path("/a.key")
    }),
    // Those for traces win over those for all.
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "", |s| {
        s.exporter == Exporter::None
    }),
    ("OTEL_TRACES_SAMPLER", "parentbased_always_on", |s| {
        s.sampling_ratio > 0.99
    }),
];

/// What a variable needs beside it to have its effect.
fn beside(variable: &str) -> Option<(&'static str, &'static str)> {
    match variable {
        "OTEL_TRACES_SAMPLER_ARG" => Some(("OTEL_TRACES_SAMPLER", "traceidratio")),
        name if name.ends_with("INSECURE") => Some(("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317")),
        _ => None,
    }
}

#[test]
fn every_standard_variable_has_its_effect() {
    for (variable, value, is_right) in ROWS {
        let pairs: Vec<_> = beside(variable)
            .into_iter()
            .chain([(variable, value)])
            .collect();
        assert!(is_right(&settings(&pairs)), "{variable}={value}");
    }
    let all = ROWS.iter().chain(&log_variables::ROWS);
    let tested: BTreeSet<&str> = all.map(|row| row.0).collect();
    let read = KEYS
        .iter()
        .flat_map(|key| key.variables)
        .map(|one| one.name);
    let read: BTreeSet<&str> = read.filter(|name| name.starts_with("OTEL_")).collect();
    assert_eq!(tested, read);
}

#[test]
fn a_variable_for_traces_wins_over_the_one_for_all() {
    for (general, own, value, other) in [
        ("ENDPOINT", "TRACES_ENDPOINT", "http://a:1", "http://b:1"),
        ("PROTOCOL", "TRACES_PROTOCOL", "grpc", "http/protobuf"),
        ("HEADERS", "TRACES_HEADERS", "a=1", "b=1"),
        ("TIMEOUT", "TRACES_TIMEOUT", "1", "2"),
        ("COMPRESSION", "TRACES_COMPRESSION", "gzip", "none"),
        ("CERTIFICATE", "TRACES_CERTIFICATE", "a", "b"),
        ("CLIENT_CERTIFICATE", "TRACES_CLIENT_CERTIFICATE", "a", "b"),
        ("CLIENT_KEY", "TRACES_CLIENT_KEY", "a", "b"),
        ("INSECURE", "TRACES_INSECURE", "true", "false"),
    ] {
        let [general, own] = [general, own].map(|name| format!("OTEL_EXPORTER_OTLP_{name}"));
        let both = settings(&[(&general, value), (&own, other)]);
        let alone = settings(&[(&own, other)]);
        assert_eq!(format!("{both:?}"), format!("{alone:?}"), "{own}");
    }
}

#[test]
fn what_a_variable_cannot_mean_is_passed_over_with_a_word() {
    for (variable, value, text) in [
        (
            "OTEL_PROPAGATORS",
            "tracecontext,b3,xray",
            "knows no propagator b3, xray",
        ),
        ("OTEL_LOG_LEVEL", "loud", "none of error, warn, info, debug"),
        (
            "OTEL_TRACES_EXPORTER",
            "zipkin",
            "none of otlp, jaeger, cloudtrace, file",
        ),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "set it to gzip"),
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "http/json",
            "none of grpc, http/protobuf",
        ),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "-1", "not a whole number"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon", "not a duration"),
    ] {
        let environment = Environment::from_pairs([(variable, value)]);
        let config = Config::load(&[], &environment, &[]).unwrap();
        let warnings = config.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].0.contains(variable), "{warnings:?}");
        assert!(warnings[0].0.contains(text), "{warnings:?}");
    }
    let environment = Environment::from_pairs([("OTEL_PROPAGATORS", "b3,baggage")]);
    let telemetry = Config::load(&[], &environment, &[]).unwrap().telemetry();
    assert!(telemetry.propagators.baggage && !telemetry.propagators.trace_context);
}

#[test]
fn the_log_level_is_that_of_tracing_itself() {
    let filter = |pairs: &[(&str, &str)]| {
        let environment = Environment::from_pairs(pairs.iter().copied());
        let config = Config::load(&[], &environment, &[]).unwrap();
        config.text("log.filter").to_owned()
    };
    let debug = filter(&[("OTEL_LOG_LEVEL", "DEBUG")]);
    assert_eq!(debug, "warn,longshore=debug,opentelemetry=debug");
    let none = filter(&[("OTEL_LOG_LEVEL", "none")]);
    assert_eq!(none, "warn,longshore=off,opentelemetry=off");
    let own = filter(&[("OTEL_LOG_LEVEL", "debug"), ("LONGSHORE_LOG", "info")]);
    assert_eq!(own, "info");
}

#[tokio::test]
async fn limits_hold_for_the_engines_spans_and_the_applications_alike() {
    let collector = Collector::start().unwrap();
    let mut settings = grpc(&collector);
    settings.limits.attributes = 2;
    settings.limits.events = 1;
    settings.limits.event_attributes = 1;
    let telemetry = start(&settings);
    let attributes = || (0..3).map(|n| KeyValue::new(format!("key.{n}"), n));
    let mut of_engine = span(1);
    let one = of_engine.attributes[0].clone();
    of_engine.attributes = vec![one.clone(), one.clone(), one.clone()];
    let event = SpanEvent {
        name: "event".into(),
        at: of_engine.start,
        attributes: vec![one.clone(), one],
    };
    of_engine.events = vec![event.clone(), event];
    telemetry.recorder().record(vec![of_engine]);
    let builder = SpanBuilder::from_name("of_application").with_attributes(attributes());
    let mut of_application = telemetry.tracer("shop").build(builder);
    of_application.add_event("first", attributes().collect());
    of_application.add_event("second", Vec::new());
    of_application.end();
    assert!(telemetry.shutdown(PATIENCE).await);
    let spans = collector.spans();
    assert_eq!(spans.len(), 2);
    for span in spans {
        assert_eq!(span.attributes.len(), 2, "{span:?}");
        assert_eq!(span.events.len(), 1, "{span:?}");
        assert_eq!(span.events[0].attributes.len(), 1, "{span:?}");
        assert!(span.dropped.attributes >= 1, "{span:?}");
        assert_eq!(span.dropped.events, 1, "{span:?}");
    }
}

#[tokio::test]
async fn values_are_cut_in_both() {
    let collector = Collector::start().unwrap();
    let mut pairs = vec![("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5")];
    let endpoint = collector.http_endpoint();
    pairs.push(("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint));
    let telemetry = start(&settings(&pairs));
    let mut of_engine = span(1);
    of_engine.attributes[0].value = AttributeValue::from("harmless".to_owned());
    telemetry.recorder().record(vec![of_engine]);
    let mut of_application = telemetry.tracer("shop").start("of_application");
    of_application.set_attribute(KeyValue::new("any", "harmless"));
    of_application.end();
    assert!(telemetry.shutdown(PATIENCE).await);
    for span in collector.spans() {
        let AttributeValue::String(text) = &span.attributes[0].value else {
            panic!("{span:?}");
        };
        assert!(
            text.starts_with("har") && text.chars().count() <= 5,
            "{text}"
        );
    }
}

#[test]
fn propagators_are_those_that_are_named() {
    for (named, fields) in [
        (
            "tracecontext,baggage",
            &["traceparent", "tracestate", "baggage"][..],
        ),
        ("baggage", &["baggage"]),
        ("none", &[]),
    ] {
        let telemetry = start(&settings(&[("OTEL_PROPAGATORS", named)]));
        telemetry.install_global();
        opentelemetry::global::get_text_map_propagator(|propagator| {
            let known: BTreeSet<&str> = propagator.fields().collect();
            assert_eq!(known, fields.iter().copied().collect());
        });
    }
    let keys = ("LONGSHORE_TELEMETRY_BAGGAGE_KEYS", "tenant");
    assert_eq!(settings(&[keys]).baggage_keys, ["tenant"]);
    let none = settings(&[keys, ("OTEL_PROPAGATORS", "tracecontext")]);
    assert_eq!(none.baggage_keys, [""; 0]);
}

/// Set for the process that only looks at itself.
const ALONE: &str = "LONGSHORE_TEST_ALONE";

/// In a process of its own: threads of other tests would be in the way.
#[test]
fn switched_off_it_costs_nothing() {
    if std::env::var_os(ALONE).is_some() {
        return look_at_what_is_off();
    }
    let name = "variables::switched_off_it_costs_nothing";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{text}");
}

fn look_at_what_is_off() {
    let folder = Folder::new("off");
    let folder = folder.0.join("never-made");
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task");
        tasks.map_or(0, Iterator::count)
    };
    let before = threads();
    let settings = settings(&[
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_EXPORTER", "cloudtrace"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/not/there"),
        ("LONGSHORE_TELEMETRY_SPAN_LOG", folder.to_str().unwrap()),
        ("K_SERVICE", "till"),
    ]);
    let (telemetry, warnings) = Telemetry::init(&settings, Arc::new(SystemClock::new()));
    assert_eq!(warnings, [], "no file is even looked at");
    let recorder = telemetry.recorder();
    assert!(recorder.keeper().is_none());
    let decision = recorder.decide_root(&RootRequest {
        trace_id: TraceId::from_u128(u128::MAX),
        queue: &"mail".parse::<QueueName>().unwrap(),
        kind: None::<&Kind>,
        priority: Priority::default(),
        tenant_id: None,
        namespace: None,
        route: None,
        jobs: 1,
    });
    assert!(!decision.sampled);
    recorder.record(vec![span(1)]);
    let of_application = telemetry.tracer("shop").start("work");
    assert!(!of_application.is_recording());
    let context = opentelemetry::Context::current_with_span(of_application);
    assert!(!context.span().span_context().is_sampled());
    assert_eq!(
        telemetry.counters(),
        longshore_telemetry::Counters::default()
    );
    assert_eq!(threads(), before);
    assert!(!folder.exists());
}
