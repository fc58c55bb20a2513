//! Programs of `worker --exec` that trace themselves with OpenTelemetry's Python SDK: the context is
//! taken from the environment, and where spans go comes from there too. `.ci/run` installs the SDK;
//! `LONGSHORE_OTEL_PYTHON` names its interpreter elsewhere.

use std::path::PathBuf;

use longshore_instrument::Span;
use longshore_spanlog::Reader;
use longshore_trace::otlp::Decoder;

use crate::shell::Shell;

/// A span beneath another, made as any program makes them.
const SCRIPT: &str = r#"
import os, sys
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

carrier = {key: os.environ[key.upper()] for key in ("traceparent", "tracestate") if key.upper() in os.environ}
context = TraceContextTextMapPropagator().extract(carrier)
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("script")
with tracer.start_as_current_span("resize", context=context):
    with tracer.start_as_current_span("write to ada@example.com"):
        pass
provider.shutdown()
sys.exit(int(sys.argv[1]))
"#;

/// The interpreter, if it is there. Without it the test says so and is skipped, but not in CI.
#[expect(clippy::print_stderr, reason = "a test that is skipped must be seen")]
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("LONGSHORE_OTEL_PYTHON").map(PathBuf::from);
    let there = named.filter(|program| program.is_file());
    let ci = std::env::var_os("LONGSHORE_CI").is_some();
    assert!(there.is_some() || !ci, "CI must have LONGSHORE_OTEL_PYTHON");
    if there.is_none() {
        eprintln!("skipped: LONGSHORE_OTEL_PYTHON names no interpreter");
    }
    there
}

/// The spans of a job whose program ends with `code`, at this share of sampled traces.
fn spans(python: &std::path::Path, ratio: &str, code: i32) -> Vec<Span> {
    let shell = Shell::new()
        .with("LONGSHORE_TELEMETRY_SAMPLING_RATIO", ratio)
        .with("LONGSHORE_TELEMETRY_SPAN_LOG", "spans");
    let script = shell.write("work.py", SCRIPT);
    shell.enqueue(&["q", "k", "--max-attempts", "1"]);
    let answer = shell.drain(&format!("{} {script} {code}", python.display()));
    let ended = if code == 0 { 0 } else { 3 };
    assert_eq!(answer.code, ended, "{}", answer.err);
    let mut reader = Reader::open(shell.folder.join("spans")).unwrap();
    let frames = std::iter::from_fn(|| reader.next_frame().unwrap());
    let mut decoder = Decoder::default();
    let bodies = frames.map(|frame| match frame.header.flags & 3 {
        0 => frame.body,
        // A frame that is held or released begins with a number.
        _ => frame.body[8..].to_vec(),
    });
    bodies
        .flat_map(|body| decoder.decode(&body).spans)
        .collect()
}

fn named<'a>(spans: &'a [Span], name: &str) -> Option<&'a Span> {
    spans.iter().find(|span| span.name == name)
}

#[test]
fn the_spans_of_a_program_stand_beneath_its_handler() {
    let Some(python) = python() else {
        return;
    };
    let spans = spans(&python, "1", 0);
    let handler = named(&spans, "handler.execution").unwrap();
    let resize = named(&spans, "resize").unwrap();
    assert_eq!(resize.parent_span_id, Some(handler.span_id));
    assert_eq!(resize.trace_id, handler.trace_id);
    let write = named(&spans, "write to [REDACTED:email]").unwrap();
    assert_eq!(write.parent_span_id, Some(resize.span_id));
}

#[test]
fn the_spans_of_a_program_are_kept_with_its_job_and_not_otherwise() {
    let Some(python) = python() else {
        return;
    };
    let unsampled = spans(&python, "0", 0);
    assert!(named(&unsampled, "resize").is_none(), "{unsampled:?}");
    let kept = spans(&python, "0", 9);
    let handler = named(&kept, "handler.execution").unwrap();
    let resize = named(&kept, "resize").expect("a failed job keeps what its program did");
    assert_eq!(resize.parent_span_id, Some(handler.span_id));
}
