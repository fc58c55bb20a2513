//! Lines of the log: what a handler says carries its trace and no secret, in both forms.

use longshore_core::SpanId;
use longshore_telemetry::LogFormat;
use longshore_testkit::collector::Collector;
use serde_json::Value;

use super::caught::Caught;
use super::{PATIENCE, grpc, handler, start};

/// What is written while a handler of a job says something.
async fn said(format: LogFormat, sampled: bool) -> String {
    let collector = Collector::start().unwrap();
    let telemetry = start(&grpc(&collector));
    let lines = Caught::default();
    let subscriber = lines.log(format, "info", &telemetry);
    let scope = telemetry.recorder().open_handler(handler(sampled)).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!("before");
        scope.within(&mut || {
            tracing::warn!(
                order = 7,
                password = "enigma42",
                card = 4_111_111_111_111_111_u64,
                by = ?Some("ann@example.com"),
                trace_id = "not this",
                "mail to bob@example.com failed"
            );
        });
    });
    drop(scope);
    telemetry.shutdown(PATIENCE).await;
    lines.text()
}

#[tokio::test]
async fn people_read_which_trace_a_line_belongs_to() {
    for sampled in [true, false] {
        let said = said(LogFormat::Human, sampled).await;
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 2, "{said}");
        assert!(lines[0].ends_with("before"), "outside there is no trace");
        let context = handler(sampled).context;
        let ids = format!("trace_id={} span_id={}", context.trace_id, context.span_id);
        assert!(lines[1].ends_with(&ids), "{said}");
        for part in [
            " WARN ",
            "mail to [REDACTED:email] failed",
            "order=7",
            "password=\"[REDACTED:secret_key]\"",
            "card=\"[REDACTED:card]\"",
        ] {
            assert!(lines[1].contains(part), "{part} in {said}");
        }
        for secret in ["enigma42", "41111111", "ann@", "bob@", "\x1b"] {
            assert!(!said.contains(secret), "{secret} in {said}");
        }
    }
}

#[tokio::test]
async fn programs_read_which_trace_a_line_belongs_to() {
    for sampled in [true, false] {
        let said = said(LogFormat::Json, sampled).await;
        let lines: Vec<Value> = said
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2, "{said}");
        assert_eq!(lines[0]["trace_id"], Value::Null);
        let context = handler(sampled).context;
        assert_eq!(lines[1]["trace_id"], context.trace_id.to_string());
        assert_eq!(lines[1]["span_id"], SpanId::from_u64(2).to_string());
        assert_eq!(lines[1]["level"], "warn");
        assert_eq!(lines[1]["message"], "mail to [REDACTED:email] failed");
        assert_eq!(lines[1]["order"], 7);
        assert_eq!(lines[1]["password"], "[REDACTED:secret_key]");
        for secret in ["enigma42", "41111111", "ann@", "bob@"] {
            assert!(!said.contains(secret), "{secret} in {said}");
        }
    }
}
