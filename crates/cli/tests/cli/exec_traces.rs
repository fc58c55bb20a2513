//! The traces of programs that take part in them: what `worker --exec` runs enqueues a job of its
//! own, as any program may, and its span hangs where `TRACEPARENT` says.
//!
//! Every case is a section of `trees/exec.txt`. After a change that is meant,
//! `LONGSHORE_WRITE_TREES=1` writes the file anew; read the difference before you keep it.

use std::path::Path;

use longshore_instrument::Span;
use longshore_testkit::collector::{Collector, trace_tree};

use crate::shell::Shell;

/// The caller's context; the sampler reads its low 56 bits, were it to decide.
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

/// A job, how its traces are sampled, and how the program ends.
struct Case {
    relation: &'static str,
    /// The share of new traces that is sampled, and whether the caller's is, if there is a caller.
    ratio: &'static str,
    caller: Option<bool>,
    end: &'static str,
}

/// How often a program that is stopped by its timeout is given twice as long.
const DOUBLINGS: u32 = 7;

/// All spans of the case as a tree.
fn tree(case: &Case) -> String {
    // How long a program takes for its part is not known: one that was stopped before is run again.
    let mut longer = (0..DOUBLINGS).map(|doubled| 1 << doubled);
    longer.find_map(|seconds| run(case, seconds)).unwrap()
}

/// The same, unless the program was stopped before it had done its part.
fn run(case: &Case, seconds: u32) -> Option<String> {
    let collector = Collector::start().unwrap();
    let shell = Shell::new()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.http_endpoint())
        .with("LONGSHORE_TELEMETRY_SAMPLING_RATIO", case.ratio)
        .with("LONGSHORE_TELEMETRY_KEEP", "false");
    let caller = case
        .caller
        .map(|sampled| format!("{CALLER}-0{}", u8::from(sampled)));
    let mut enqueue = vec!["q", "k", "--relation", case.relation, "--max-attempts", "1"];
    let timeout = format!("{seconds}s");
    let is_stopped = case.end == "sleep 300";
    if is_stopped {
        enqueue.extend(["--timeout", &timeout]);
    }
    if let Some(caller) = &caller {
        enqueue.extend(["--traceparent", caller]);
    }
    shell.enqueue(&enqueue);
    let binary = env!("CARGO_BIN_EXE_longshore");
    let program = format!("{binary} enqueue other inner; echo >done; {}", case.end);
    let answer = shell.drain(&program);
    let code = if case.end == "exit 0" { 0 } else { 3 };
    assert_eq!(answer.code, code, "{}", answer.err);
    if is_stopped && !Path::new(&shell.path("done")).exists() {
        return None;
    }
    shell.send_the_rest();
    let queues = shell.run(&["queues", "list", "--json"]).json();
    let inner = queues["queues"].as_array().unwrap();
    let inner = inner.iter().find(|queue| queue["queue"] == "other");
    assert_eq!(inner.unwrap()["available"], 1, "the program did its part");
    // A program that ended before the collector's answer came is right to have its span sent again
    // by a later one; it must be the same span then.
    let mut spans: Vec<_> = Vec::new();
    for span in collector.spans() {
        let sent = spans
            .iter()
            .find(|sent: &&Span| sent.span_id == span.span_id);
        match sent {
            Some(sent) => assert_eq!(sent.name, span.name),
            None => spans.push(span),
        }
    }
    // What the store asks for has trees of its own.
    spans.retain(|span| !longshore_testkit::storage::is_request(span));
    Some(trace_tree(&spans))
}

#[test]
fn a_program_takes_part_in_the_trace_of_its_job() {
    let mut cases = Vec::new();
    for relation in ["parent", "link", "auto"] {
        for (ratio, caller) in [
            ("1", None),
            ("0", None),
            ("0.5", Some(true)),
            ("0.5", Some(false)),
            ("0", Some(true)),
        ] {
            cases.push(Case {
                relation,
                ratio,
                caller,
                end: "exit 0",
            });
        }
        for end in ["exit 9", "exit 65", "exit 75", "sleep 300"] {
            cases.push(Case {
                relation,
                ratio: "0",
                caller: Some(true),
                end,
            });
        }
    }
    // Each waits for processes most of the time, and the one that runs into its timeout longest.
    let trees: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = cases
            .iter()
            .map(|case| scope.spawn(|| tree(case)))
            .collect();
        running
            .into_iter()
            .map(|case| case.join().unwrap())
            .collect()
    });
    let mut printed = String::new();
    for (case, tree) in cases.iter().zip(trees) {
        let caller = match case.caller {
            None => "no caller",
            Some(true) => "a sampled caller",
            Some(false) => "an unsampled caller",
        };
        printed += &format!(
            "relation {}, ratio {}, {caller}, {}\n{}\n",
            case.relation,
            case.ratio,
            case.end,
            if tree.is_empty() { "nothing\n" } else { &tree }
        );
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/trees/exec.txt");
    if std::env::var_os("LONGSHORE_WRITE_TREES").is_some() {
        std::fs::write(&file, &printed).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap();
    assert!(printed == expected, "{printed}");
}
