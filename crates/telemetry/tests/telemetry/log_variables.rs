//! OpenTelemetry's own variables, as far as they say something about log records.

use std::path::Path;
use std::time::Duration;

use longshore_telemetry::TelemetrySettings;
use longshore_telemetry::config::{Exporter, LogSettings, Protocol};

use super::settings;
use super::variables::Row;

fn logs(settings: &TelemetrySettings) -> &LogSettings {
    settings.logs.as_ref().unwrap()
}

/// Each beside `OTEL_LOGS_EXPORTER=otlp`.
pub(super) const ROWS: [Row; 31] = [
    ("OTEL_LOGS_EXPORTER", "otlp", |s| {
        logs(s).exporter == Exporter::Otlp
    }),
    ("OTEL_LOGS_EXPORTER", "console", |s| {
        logs(s).exporter == Exporter::Stdout
    }),
    ("OTEL_LOGS_EXPORTER", "none", |s| s.logs.is_none()),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:1/x", |s| {
        logs(s).endpoint.url == "https://c:1/x/v1/logs"
    }),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c/v1/traces", |s| {
        logs(s).endpoint.url == "http://c/v1/logs"
    }),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "", |s| {
        logs(s).endpoint.url == "http://localhost:4318/v1/logs"
    }),
    ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://c:1/x", |s| {
        logs(s).endpoint.url == "http://c:1/x" && s.exporter == Exporter::None
    }),
    ("OTEL_EXPORTER_OTLP_LOGS_INSECURE", "true", |s| {
        // It says nothing about a URL.
        logs(s).endpoint.url == "http://localhost:4318/v1/logs"
    }),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", |s| {
        logs(s).endpoint.protocol == Protocol::Grpc
            && logs(s).endpoint.url
                == "http://localhost:4317/opentelemetry.proto.collector.logs.v1.LogsService/Export"
    }),
    ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc", |s| {
        logs(s).endpoint.protocol == Protocol::Grpc && s.endpoint.protocol == Protocol::HttpProtobuf
    }),
    ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%20c", |s| {
        logs(s).headers == [("a".into(), "b c".into())]
    }),
    ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "a=b", |s| {
        logs(s).headers == [("a".into(), "b".into())] && s.headers.is_empty()
    }),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500", |s| {
        logs(s).timeout == Duration::from_millis(1500)
    }),
    ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "1500", |s| {
        logs(s).timeout == Duration::from_millis(1500) && s.timeout == Duration::from_secs(10)
    }),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", |s| logs(s).gzip),
    ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "gzip", |s| {
        logs(s).gzip && !s.gzip
    }),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/a.pem", |s| {
        logs(s).tls.certificate.as_deref() == Some(Path::new("/a.pem"))
    }),
    ("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", "/a.pem", |s| {
        logs(s).tls.certificate.as_deref() == Some(Path::new("/a.pem"))
    }),
    (
        "OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE",
        "/a.pem",
        |s| logs(s).tls.client_certificate.as_deref() == Some(Path::new("/a.pem")),
    ),
    ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", "/a.key", |s| {
        logs(s).tls.client_key.as_deref() == Some(Path::new("/a.key"))
    }),
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", "7", |s| {
        logs(s).attributes == 7
    }),
    ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "7", |s| {
        logs(s).attributes == 7 && s.limits.attributes == 128
    }),
    ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9", |s| {
        logs(s).value_length == 9
    }),
    ("OTEL_BLRP_SCHEDULE_DELAY", "250", |s| {
        logs(s).delay == Duration::from_millis(250)
    }),
    ("OTEL_BLRP_EXPORT_TIMEOUT", "300", |s| {
        logs(s).timeout == Duration::from_millis(300)
    }),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", "77", |s| {
        logs(s).queue_size == 77 && logs(s).batch_size == 77
    }),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "77", |s| {
        logs(s).batch_size == 77
    }),
    // What is for traces alone does not count.
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:1/x", |s| {
        logs(s).endpoint.url == "http://localhost:4318/v1/logs"
    }),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc", |s| {
        logs(s).endpoint.protocol == Protocol::HttpProtobuf
    }),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "token=x", |s| {
        logs(s).headers.is_empty()
    }),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1", |s| {
        logs(s).timeout == Duration::from_secs(10)
    }),
];

#[test]
fn every_variable_for_log_records_has_its_effect() {
    for (variable, value, is_right) in ROWS {
        let pairs = [("OTEL_LOGS_EXPORTER", "otlp"), (variable, value)];
        // The later of two that have the same name counts.
        assert!(is_right(&settings(&pairs)), "{variable}={value}");
    }
}

#[test]
fn a_variable_for_log_records_wins_over_the_one_for_all() {
    for (name, value, other) in [
        ("ENDPOINT", "http://a:1", "http://b:1"),
        ("PROTOCOL", "grpc", "http/protobuf"),
        ("HEADERS", "a=1", "b=1"),
        ("TIMEOUT", "1", "2"),
        ("COMPRESSION", "gzip", "none"),
        ("CERTIFICATE", "a", "b"),
        ("CLIENT_CERTIFICATE", "a", "b"),
        ("CLIENT_KEY", "a", "b"),
    ] {
        let general = format!("OTEL_EXPORTER_OTLP_{name}");
        let own = format!("OTEL_EXPORTER_OTLP_LOGS_{name}");
        let on = ("OTEL_LOGS_EXPORTER", "otlp");
        let both = settings(&[on, (&general, value), (&own, other)]);
        let alone = settings(&[on, (&own, other)]);
        assert_eq!(logs(&both), logs(&alone), "{own}");
    }
    let insecure = |general, own| {
        let settings = settings(&[
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4318"),
            ("OTEL_EXPORTER_OTLP_INSECURE", general),
            ("OTEL_EXPORTER_OTLP_LOGS_INSECURE", own),
        ]);
        logs(&settings).endpoint.url.starts_with("http://")
    };
    assert!(insecure("false", "true") && !insecure("true", "false"));
    assert!(insecure("true", "") && !insecure("false", ""));
}

/// A file's value counts for log records even where a variable for traces has another.
#[test]
fn what_a_variable_for_traces_overrides_still_holds_for_log_records() {
    use longshore_telemetry::{Config, Environment};
    let file = "[telemetry]\nlogs = 'otlp'\nheaders = 'a=1'\ntimeout = '7s'".to_owned();
    let variables = [
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "token=x"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "6000"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "5000"),
    ];
    let environment = Environment::from_pairs(variables);
    let files = [("longshore.toml".to_owned(), file)];
    let load = |environment: &Environment| Config::load(&files, environment, &[]).unwrap();
    let read = load(&environment).telemetry();
    assert_eq!(logs(&read).headers, [("a".to_owned(), "1".to_owned())]);
    assert_eq!(read.headers, [("token".to_owned(), "x".to_owned())]);
    assert_eq!(logs(&read).timeout, Duration::from_secs(6));
    assert_eq!(read.timeout, Duration::from_secs(5));
    let mut pairs = variables.to_vec();
    pairs.push(("LONGSHORE_TELEMETRY_HEADERS", "own=1"));
    let read = load(&Environment::from_pairs(pairs)).telemetry();
    assert_eq!(logs(&read).headers, [("own".to_owned(), "1".to_owned())]);
}

#[test]
fn secret_headers_are_shown_by_name_alone() {
    use longshore_telemetry::{Config, Environment};
    let pairs = [("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "authorization=s3cr3t")];
    let config = Config::load(&[], &Environment::from_pairs(pairs), &[]).unwrap();
    let shown = config.shown();
    let headers = shown.iter().find(|one| one.key == "telemetry.logs_headers");
    assert_eq!(headers.unwrap().value, "authorization=***");
}
