//! The trace context of whoever runs the program.

use longshore_instrument::Span;
use longshore_testkit::collector::Collector;

use crate::shell::Shell;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

fn shell(collector: &Collector) -> Shell {
    Shell::new().with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.http_endpoint())
}

/// The spans of this name, in the order they came.
fn named(collector: &Collector, name: &str) -> Vec<Span> {
    let spans = collector.spans().into_iter();
    spans.filter(|span| span.name == name).collect()
}

fn is_child_of(span: &Span, traceparent: &str) -> bool {
    let parent = span.parent_span_id.map(|id| id.to_string());
    let parts: Vec<&str> = traceparent.split('-').collect();
    span.trace_id.to_string() == parts[1] && parent.as_deref() == Some(parts[2])
}

#[test]
fn every_call_is_part_of_the_trace_of_the_environment() {
    let collector = Collector::start().unwrap();
    let shell = shell(&collector)
        .with("TRACEPARENT", PARENT)
        .with("TRACESTATE", "vendor=yes")
        .with("BAGGAGE", "user=ann,secret=x")
        .with("LONGSHORE_TELEMETRY_BAGGAGE_KEYS", "user");
    let id = shell.enqueue(&["q", "k"]);
    assert_eq!(shell.run(&["jobs", "cancel", &id]).code, 0);
    assert_eq!(shell.run(&["jobs", "retry", &id]).code, 0);
    let enqueue = named(&collector, "queue.enqueue").remove(0);
    assert!(is_child_of(&enqueue, PARENT), "{enqueue:?}");
    let admin = named(&collector, "queue.admin");
    assert_eq!(admin.len(), 2);
    for span in &admin {
        assert!(is_child_of(span, PARENT), "{span:?}");
        assert_eq!(span.links[0].context.span_id, enqueue.span_id);
        assert_eq!(span.trace_state.as_str(), "vendor=yes");
    }
    assert_ne!(admin[0].span_id, admin[1].span_id);
    // What the job carries is what its program sees.
    assert_eq!(shell.drain("printf '%s %s' $TRACESTATE $BAGGAGE").code, 0);
    assert_eq!(shell.job(&id)["result"], "vendor=yes user=ann");
}

/// Schedules, limits and kinds are changed on behalf of the caller, too.
#[test]
fn what_changes_schedules_limits_and_kinds_is_part_of_the_trace_of_the_environment() {
    let collector = Collector::start().unwrap();
    let shell = shell(&collector).with("TRACEPARENT", PARENT);
    let calls: [&[&str]; 9] = [
        &["schedule", "add", "s", "@daily", "q", "k"],
        &["schedule", "pause", "s"],
        &["schedule", "resume", "s"],
        &["schedule", "trigger", "s"],
        &["schedule", "remove", "s"],
        &["limits", "set", "queue:q", "--concurrency", "5"],
        &["limits", "remove", "queue:q"],
        &["kinds", "pause", "k"],
        &["kinds", "resume", "k"],
    ];
    for call in calls {
        let answer = shell.run(call);
        assert_eq!(answer.code, 0, "{call:?}: {}", answer.err);
    }
    let admin = named(&collector, "queue.admin");
    assert_eq!(admin.len(), calls.len());
    assert!(admin.iter().all(|span| is_child_of(span, PARENT)));
    collector.clear();
    let typed = ["kinds", "pause", "k", "--traceparent", OTHER];
    assert_eq!(shell.run(&typed).code, 0);
    assert!(is_child_of(&named(&collector, "queue.admin")[0], OTHER));
}

#[test]
fn a_typed_context_wins_and_an_unsampled_one_is_obeyed() {
    let collector = Collector::start().unwrap();
    let shell = shell(&collector).with("TRACEPARENT", PARENT);
    let id = shell.enqueue(&["q", "k", "--traceparent", OTHER]);
    let cancel = shell.run(&["jobs", "cancel", &id, "--traceparent", OTHER]);
    assert_eq!(cancel.code, 0, "{}", cancel.err);
    for name in ["queue.enqueue", "queue.admin"] {
        assert!(is_child_of(&named(&collector, name)[0], OTHER), "{name}");
    }
    let retry = shell.run(&["jobs", "retry", &id, "--traceparent", UNSAMPLED]);
    assert_eq!(retry.code, 0, "{}", retry.err);
    assert_eq!(named(&collector, "queue.admin").len(), 1);
}

#[test]
fn a_broken_context_of_the_environment_warns_and_fails_nothing() {
    let collector = Collector::start().unwrap();
    for broken in [
        "00-zz",
        "ff-",
        &PARENT[..54],
        "\u{1b}[2J",
        "x".repeat(9000).as_str(),
    ] {
        let shell = shell(&collector).with("TRACEPARENT", broken);
        collector.clear();
        let enqueued = shell.run(&["enqueue", "q", "k"]);
        let id = enqueued.out.trim();
        let cancelled = shell.run(&["jobs", "cancel", id, "--json"]);
        assert_eq!(cancelled.json()["state"], "cancelled");
        for answer in [enqueued, cancelled] {
            assert_eq!(answer.code, 0, "{}", answer.err);
            assert!(
                answer.err.starts_with("warning: TRACEPARENT"),
                "{}",
                answer.err
            );
        }
        for name in ["queue.enqueue", "queue.admin"] {
            let span = &named(&collector, name)[0];
            assert_eq!(
                span.parent_span_id, None,
                "{name} begins a trace of its own"
            );
        }
    }
}

#[test]
fn a_broken_context_that_was_typed_changes_nothing() {
    let shell = Shell::new();
    let id = shell.enqueue(&["q", "k"]);
    let answer = shell.run(&["jobs", "cancel", &id, "--traceparent", "00-zz"]);
    assert_eq!(answer.code, 2);
    assert!(answer.err.contains("--traceparent"), "{}", answer.err);
    assert_eq!(shell.job(&id)["state"], "available");
}
