//! Secrets of every kind planted in every position, looked for in the bytes of every way out.
//!
//! The seed of a run stands in each message that fails; `run(seed)` repeats it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use fastrand::Rng;
use longshore_core::{AttemptOutcome, SpanContext, SystemClock, Timestamp, TraceState};
use longshore_instrument::foreign::{Delivery, Ending, ForeignJob, ForeignQueue};
use longshore_instrument::{
    Attribute, AttributeValue, Example, Measured, Span, SpanEvent, SpanLink, SpanStatus, StoreCall,
};
use longshore_telemetry::{LogFormat, MetricsFormat, Telemetry, TelemetrySettings};
use longshore_testkit::collector::Collector;
use opentelemetry::trace::{Span as _, Status, TraceContextExt, Tracer};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};

use super::caught::Caught;
use super::outage::Folder;
use super::{PATIENCE, handler, settings, span};

const LOWER: &str = "abcdefghijkmnpqrstuvwxyz";
const ALNUM: &str = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";
const UPPER: &str = "ABCDEFGHJKLMNPQRSTUVWXYZ234567";

/// How spans leave in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Grpc,
    GrpcGzip,
    Http,
    HttpGzip,
    Lines,
    File,
}

const WAYS: [Way; 6] = [
    Way::Grpc,
    Way::GrpcGzip,
    Way::Http,
    Way::HttpGzip,
    Way::Lines,
    Way::File,
];

/// Kinds of secrets.
const KINDS: u64 = 11;

fn letters(rng: &mut Rng, of: &str, count: usize) -> String {
    let of: Vec<char> = of.chars().collect();
    (0..count).map(|_| of[rng.usize(..of.len())]).collect()
}

/// A number that cards have.
fn card(rng: &mut Rng) -> String {
    let mut digits = vec![4_u32];
    digits.extend((0..14).map(|_| rng.u32(0..10)));
    let weighted = |(place, digit): (usize, &u32)| match (place % 2, digit * 2) {
        (0, double) => double / 10 + double % 10,
        _ => *digit,
    };
    let sum: u32 = digits.iter().enumerate().map(weighted).sum();
    digits.push((10 - sum % 10) % 10);
    digits.iter().map(u32::to_string).collect()
}

/// What is planted, one secret after the other, none twice.
struct Secrets {
    rng: Rng,
    next: u64,
    /// What must not leave.
    planted: Vec<String>,
}

impl Secrets {
    fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            next: seed,
            planted: Vec::new(),
        }
    }

    /// A text with the next secret in it.
    fn text(&mut self) -> String {
        let rng = &mut self.rng;
        let random = letters(rng, ALNUM, 20);
        let (before, secret, after) = match self.next % KINDS {
            0 => ("", format!("AKIA{}", letters(rng, UPPER, 16)), ""),
            1 => ("", format!("ghp_{}", letters(rng, ALNUM, 36)), ""),
            2 => ("", format!("{}@example.com", letters(rng, LOWER, 12)), ""),
            3 => ("", card(rng), ""),
            4 => ("password=", random, ""),
            5 => ("Authorization: Bearer ", random, ""),
            6 => ("postgres://app:", random, "@db.internal/shop"),
            7 => ("", format!("CUST-{:06}", rng.u32(..1_000_000)), ""),
            8 => {
                let body = letters(rng, ALNUM, 64);
                let key = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----");
                self.next += 1;
                self.planted.push(body);
                return format!("read {key} from disk");
            }
            9 => {
                let payload = letters(rng, ALNUM, 40);
                (
                    "eyJhbGciOiJIUzI1NiJ9.eyJ",
                    format!("{payload}.{random}"),
                    "",
                )
            }
            _ => ("https://api.example.com/v1?token=", random, "&page=2"),
        };
        self.next += 1;
        self.planted.push(secret.clone());
        format!("see {before}{secret}{after} there")
    }

    fn cow(&mut self) -> Cow<'static, str> {
        Cow::Owned(self.text())
    }

    fn attributes(&mut self) -> Vec<Attribute> {
        let key = self.cow();
        let plain = |key: &'static str, text: String| Attribute::new(key, text);
        vec![
            plain("app.note", self.text()),
            plain("exception.message", self.text()),
            plain("exception.stacktrace", self.text()),
            plain("messaging.destination.name", self.text()),
            plain("longshore.job.kind", self.text()),
            plain("longshore.tenant", self.text()),
            plain("baggage.user", self.text()),
            plain("error.type", self.text()),
            Attribute {
                key: Cow::Borrowed("app.notes"),
                value: AttributeValue::Strings(vec![Cow::Borrowed("x"), self.cow(), self.cow()]),
            },
            Attribute {
                key,
                value: AttributeValue::from(self.text()),
            },
        ]
    }

    /// A span that has one wherever a text can stand.
    fn fill(&mut self, span: &mut Span) {
        span.attributes.extend(self.attributes());
        span.events.push(SpanEvent {
            name: self.cow(),
            at: span.start,
            attributes: self.attributes(),
        });
        span.links.push(SpanLink {
            context: SpanContext::new(span.trace_id, span.span_id, span.flags),
            attributes: self.attributes(),
        });
        span.status = SpanStatus::Error(self.cow());
    }

    /// Whatever of the planted stands in these bytes, also where JSON has escaped it.
    fn found_in(&self, bytes: &[u8]) -> Vec<&str> {
        let text = String::from_utf8_lossy(bytes);
        let in_bytes = |secret: &&String| text.contains(secret.as_str());
        self.planted
            .iter()
            .filter(in_bytes)
            .map(String::as_str)
            .collect()
    }
}

fn of_way(
    way: Way,
    collector: &Collector,
    folder: &Path,
    secrets: &mut Secrets,
) -> TelemetrySettings {
    let log = folder.join("spans");
    let file = folder.join("traces.jsonl");
    let logs_file = folder.join("logs.jsonl");
    let (key, value) = (secrets.text(), secrets.text());
    let (key, value) = (percent_encoded(&key), percent_encoded(&value));
    let resource = format!(
        "team=blue,note={value},{key}=here,plain {}=there",
        secrets.text()
    );
    let mut pairs = vec![
        ("LONGSHORE_TELEMETRY_SPAN_LOG", log.to_str().unwrap()),
        ("LONGSHORE_TELEMETRY_REDACT_PATTERNS", r"CUST-\d{6}"),
        ("OTEL_RESOURCE_ATTRIBUTES", resource.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "10"),
        ("LONGSHORE_TELEMETRY_LOGS", "same"),
        ("LONGSHORE_TELEMETRY_LOGS_FILE", logs_file.to_str().unwrap()),
    ];
    let endpoint = collector.http_endpoint();
    match way {
        Way::Lines => pairs.push(("LONGSHORE_TELEMETRY_EXPORTER", "stdout")),
        Way::File => pairs.extend([
            ("LONGSHORE_TELEMETRY_EXPORTER", "file"),
            ("LONGSHORE_TELEMETRY_FILE", file.to_str().unwrap()),
        ]),
        _ => pairs.push(("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)),
    }
    if matches!(way, Way::Grpc | Way::GrpcGzip) {
        pairs.push(("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"));
    }
    if matches!(way, Way::GrpcGzip | Way::HttpGzip) {
        pairs.push(("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"));
    }
    let mut settings = settings(&pairs);
    settings.service_name = secrets.text();
    settings.environment = secrets.text();
    settings
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        write!(encoded, "%{byte:02x}").unwrap();
    }
    encoded
}

/// Spans of the engine and of the application, by every interface there is.
fn speak(telemetry: &Telemetry, secrets: &mut Secrets) {
    let recorder = telemetry.recorder();
    let mut by_engine = span(1);
    secrets.fill(&mut by_engine);
    let mut by_other = span(2);
    secrets.fill(&mut by_other);
    by_other.name = secrets.cow();
    by_other.scope = secrets.cow();
    recorder.record(vec![by_engine, by_other]);

    let scope = recorder.open_handler(handler(true)).unwrap();
    scope.within(&mut || {
        let tracer = telemetry.tracer("shop");
        let mut user = tracer.start(secrets.text());
        let list = vec![StringValue::from(secrets.text()), "x".into()];
        user.set_attribute(KeyValue::new("notes", Value::Array(Array::String(list))));
        user.set_attribute(KeyValue::new(secrets.text(), secrets.text()));
        user.add_event(secrets.text(), vec![KeyValue::new("note", secrets.text())]);
        user.record_error(&std::io::Error::other(secrets.text()));
        let context = user.span_context().clone();
        user.add_link(context, vec![KeyValue::new("note", secrets.text())]);
        user.set_status(Status::error(secrets.text()));
        let _current = Context::current_with_span(user).attach();
        let (note, said) = (secrets.text(), secrets.text());
        tracing::info_span!("by_tracing", note, error = secrets.text()).in_scope(|| {
            tracing::warn!(note = secrets.text(), debug = ?Some(secrets.text()), "{said}");
        });
    });
    scope.end(Timestamp::from_unix_millis(2_000), Some("panic"));
}

fn measure(telemetry: &Telemetry, secrets: &mut Secrets) {
    let recorder = telemetry.recorder();
    let mut context = SpanContext::new(span(1).trace_id, span(1).span_id, span(1).flags);
    let state = format!("vendor={}", secrets.text());
    context.trace_state = TraceState::parse(&state).0;
    // Words without spaces, as queues and kinds are.
    let word = |secrets: &mut Secrets| loop {
        let text = secrets.text();
        let text = text.trim_start_matches("see ").trim_end_matches(" there");
        if let Ok(word) = text.parse() {
            return word;
        }
    };
    let (queue, class) = (word(secrets), secrets.text());
    let kind = handler(true).kind;
    recorder.measure(&Measured::Attempt {
        queue: &queue,
        kind: &kind,
        outcome: AttemptOutcome::Retried,
        error_class: Some(&class),
        wait: Duration::from_millis(30),
        run: Duration::from_millis(300),
        example: Some(Example {
            context: &context,
            at: Timestamp::from_unix_millis(2_000),
        }),
    });
    recorder.measure(&Measured::Store {
        call: StoreCall::Heartbeat,
        took: Duration::from_millis(3),
        error_class: Some("unavailable"),
    });
}

/// A handler that panics with a secret: what it says is caught and handed on, as the engine and the
/// adapters of other queues do; kept and held before it leaves.
async fn fail(telemetry: &Telemetry, secrets: &mut Secrets) {
    let queue = ForeignQueue::new("rabbitmq", telemetry.recorder());
    for outcome in [AttemptOutcome::Retried, AttemptOutcome::Discarded] {
        let said = secrets.text();
        let job = ForeignJob::new("mail", "greet").with_id("job-9");
        let attempt = queue.attempt(job, &Delivery::first(), |_| None);
        let (tracer, detail) = (telemetry.tracer("shop"), secrets.text());
        let panic = {
            let mut handler = pin!(attempt.run(async {
                let mut beneath = tracer.start("beneath");
                beneath.set_attribute(KeyValue::new("note", detail));
                std::panic::resume_unwind(Box::new(said));
            }));
            let caught = poll_fn(|cx| {
                let polled =
                    catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx).is_ready()));
                Poll::Ready(polled.unwrap_err())
            });
            caught.await
        };
        let message = panic.downcast_ref::<String>().unwrap();
        let ending = Ending::failed(outcome, "panic").with_message(message);
        attempt.end(ending).await.settled(None);
    }
}

/// One run; gives the places where something was found, and how much was looked at.
async fn run(seed: u64, leaks: &mut Vec<String>) -> usize {
    let way = WAYS[usize::try_from(seed).unwrap() % WAYS.len()];
    let folder = Folder::new(&format!("planted-{seed}"));
    folder.put("nothing", "");
    let collector = Collector::start().unwrap();
    let mut secrets = Secrets::new(seed);
    let settings = of_way(way, &collector, &folder.0, &mut secrets);
    let printed = Caught::default();
    let clock = Arc::new(SystemClock::new());
    let (telemetry, warnings) =
        Telemetry::init_with_writer(&settings, clock.clone(), Box::new(printed.clone()));
    assert_eq!(warnings, []);
    let metrics = telemetry.metrics();
    let (human, json) = (Caught::default(), Caught::default());
    for (format, caught) in [(LogFormat::Human, &human), (LogFormat::Json, &json)] {
        let log = caught.log(format, "trace", &telemetry);
        tracing::subscriber::with_default(log, || speak(&telemetry, &mut secrets));
    }
    fail(&telemetry, &mut secrets).await;
    measure(&telemetry, &mut secrets);
    let open_metrics = metrics.encode(MetricsFormat::OpenMetrics);
    assert!(open_metrics.contains("# {trace_id="), "{open_metrics}");
    let mut outside = vec![
        ("metrics", open_metrics.into_bytes()),
        ("human lines", human.take()),
        ("JSON lines", json.take()),
    ];
    assert!(telemetry.shutdown(PATIENCE).await, "{way:?}");
    outside.push(("printed spans", printed.take()));
    outside.push((
        "counters",
        format!("{:?}", telemetry.counters()).into_bytes(),
    ));
    for request in collector.requests() {
        outside.push(("headers", format!("{:?}", request.headers).into_bytes()));
        outside.push(("OTLP", request.message));
    }
    let logs = telemetry.log_counters().unwrap();
    assert_eq!((logs.exported, logs.waiting()), (2, 0), "{logs:?}");
    for place in ["", "spans", "spans/logs"].map(|place| folder.0.join(place)) {
        for entry in std::fs::read_dir(place).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                outside.push(("files", std::fs::read(path).unwrap()));
            }
        }
    }
    for (place, bytes) in &outside {
        for secret in secrets.found_in(bytes) {
            leaks.push(format!("seed {seed}, {way:?}: {secret:?} in {place}"));
        }
    }
    let marks = outside.iter().map(|(_, bytes)| {
        let text = String::from_utf8_lossy(bytes);
        text.matches("[REDACTED:").count()
    });
    marks.sum()
}

#[tokio::test]
async fn no_secret_leaves_in_any_way_from_any_position() {
    let mut leaks = Vec::new();
    // Every kind of secret meets every way, in every position.
    for seed in 0..KINDS * 6 {
        let marks = run(seed, &mut leaks).await;
        assert!(
            marks > 100,
            "seed {seed}: only {marks} marks, was anything said?"
        );
    }
    assert!(
        leaks.is_empty(),
        "{} leaks:\n{}",
        leaks.len(),
        leaks[..leaks.len().min(60)].join("\n")
    );
}

#[tokio::test]
async fn what_the_exporter_itself_says_holds_no_secret() {
    let caught = Caught::default();
    let clock = Arc::new(SystemClock::new());
    // The exporter has a thread of its own: everything this process says is looked at.
    let log = caught.log(LogFormat::Json, "trace", None);
    tracing::subscriber::set_global_default(log).unwrap();
    let mut said = Vec::new();
    for protocol in ["grpc", "http/protobuf"] {
        let settings = settings(&[
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "http://ann:hunter2Xsecret@127.0.0.1:9",
            ),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization=Bearer%20s3cr3tHeader0,bad%20name=s3cr3tHeader1",
            ),
            ("HTTP_PROXY", ""),
        ]);
        let (telemetry, warnings) = Telemetry::init(&settings, clock.clone());
        telemetry.recorder().record(vec![span(1)]);
        let _unreachable = telemetry.shutdown(Duration::from_millis(300)).await;
        said.push(format!(
            "{warnings:?} {:?} {telemetry:?}",
            telemetry.counters()
        ));
    }
    said.push(caught.text());
    let said = said.join("\n");
    assert!(said.contains("127.0.0.1:9"), "{said}");
    for secret in ["hunter2Xsecret", "s3cr3tHeader"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
}
