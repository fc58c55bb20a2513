//! Real input: a job for every file under `/usr/share/doc`, its words counted by a shell command.
//!
//! `LONGSHORE_REAL_INPUT` says how many files: a number, or `all`. `tests/real_input.sh` runs it
//! on all of them.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use longshore_core::{SpanId, TraceId};
use longshore_instrument::table::{key, name};
use longshore_instrument::{AttributeValue, Span};
use longshore_testkit::collector::Collector;
use serde_json::Value;

use crate::shell::{Answer, Shell};

/// Files of a run that nobody asked to be whole.
const DEFAULT_FILES: usize = 100;
/// One job in so many fails at its first attempt, where failing is asked for.
const FAILING: usize = 50;

/// Attempts that a killed worker had settled, and whose spans died with it: they had waited for
/// export for less than the delay of [`Run::new`], and no buffer on disk keeps them yet.
const MOST_UNEXPORTED: usize = 40;

/// The args are a JSON string: `F` or `-`, a space, a path. `F` fails at the first attempt.
const COUNT_WORDS: &str = r#"
    read -r args; args="${args#?}"; args="${args%?}"; mark="${args%% *}"; file="${args#* }"
    if [ "$mark" = F ] && [ "$LONGSHORE_ATTEMPT" = 1 ]; then echo "not this time" >&2; exit 7; fi
    case "$file" in *.gz) gzip -dc -- "$file" ;; *) cat -- "$file" ;; esac | LC_ALL=C wc -w
"#;

/// The files, spread evenly over the whole tree.
fn files() -> Vec<String> {
    let found = Command::new("find")
        .args(["-L", "/usr/share/doc", "-type", "f"])
        .output()
        .unwrap();
    let mut all: Vec<String> = String::from_utf8_lossy(&found.stdout)
        .lines()
        .filter(|path| !path.contains(['"', '\\']))
        .map(str::to_owned)
        .collect();
    all.sort();
    let wanted = std::env::var_os("LONGSHORE_REAL_INPUT");
    let wanted = match wanted.as_ref().and_then(|value| value.to_str()) {
        Some("all") => all.len(),
        Some(number) => number
            .parse()
            .expect("LONGSHORE_REAL_INPUT is a number or `all`"),
        None => DEFAULT_FILES,
    };
    let step = (all.len() / wanted.max(1)).max(1);
    let some: Vec<String> = all.into_iter().step_by(step).take(wanted.max(1)).collect();
    assert!(!some.is_empty(), "there is nothing under /usr/share/doc");
    some
}

/// The words of each file, counted with no queue in between.
fn expected(files: &[String]) -> BTreeMap<String, u64> {
    let count = r#"while read -r file; do
        case "$file" in *.gz) gzip -dc -- "$file" ;; *) cat -- "$file" ;; esac | LC_ALL=C wc -w
    done"#;
    let mut command = Command::new("sh");
    command
        .args(["-c", count])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let listed = files.join("\n") + "\n";
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(listed.as_bytes()).unwrap());
        child.wait_with_output().unwrap()
    });
    let counts = String::from_utf8(output.stdout).unwrap();
    let counts = counts.lines().map(|line| line.trim().parse().unwrap());
    files.iter().cloned().zip(counts).collect()
}

/// What reached the collector, by trace and span.
struct Traces {
    spans: HashMap<(TraceId, SpanId), Span>,
    children: HashMap<(TraceId, SpanId), Vec<String>>,
}

impl Traces {
    fn of(spans: Vec<Span>) -> Self {
        let mut children: HashMap<(TraceId, SpanId), Vec<String>> = HashMap::new();
        for span in &spans {
            if let Some(parent) = span.parent_span_id {
                let names = children.entry((span.trace_id, parent)).or_default();
                names.push(span.name.to_string());
            }
        }
        let spans = spans
            .into_iter()
            .map(|span| ((span.trace_id, span.span_id), span))
            .collect();
        Self { spans, children }
    }

    /// Whether an attempt's span is there.
    fn has(&self, attempt: &Value) -> bool {
        let trace = attempt["trace_id"].as_str().and_then(TraceId::from_hex);
        let span = attempt["span_id"].as_str().and_then(SpanId::from_hex);
        trace
            .zip(span)
            .is_some_and(|id| self.spans.contains_key(&id))
    }

    /// Checks that an attempt's span is there, whole, and leads to the enqueue span.
    fn check(&self, job: &Value, attempt: &Value) {
        let id = |value: &Value| value.as_str().expect("the attempt was traced").to_owned();
        let trace = TraceId::from_hex(&id(&attempt["trace_id"])).unwrap();
        let span = SpanId::from_hex(&id(&attempt["span_id"])).unwrap();
        let process = self.spans.get(&(trace, span));
        let process = process.unwrap_or_else(|| panic!("no span of {attempt} of {job}"));
        assert_eq!(process.name, name::PROCESS);
        let outcome = AttributeValue::from(id(&attempt["outcome"]));
        assert_eq!(process.attribute(key::OUTCOME), Some(&outcome), "{job}");
        let lost = attempt["outcome"] == "lost";
        // A worker gives back what it claimed ahead and did not begin.
        let handed_back = attempt["outcome"] == "handed_back";
        let fails = attempt["outcome"] != "completed" && !handed_back;
        assert_eq!(process.status.is_error(), fails, "{job}");
        if lost {
            let class = AttributeValue::from("lease_expired");
            assert_eq!(process.attribute(key::ERROR_TYPE), Some(&class), "{job}");
        } else if !handed_back {
            let children = self
                .children
                .get(&(trace, span))
                .expect("the attempt has children");
            for part in [name::HANDLER, name::SETTLE] {
                assert!(
                    children.iter().any(|child| child == part),
                    "{part} of {job}"
                );
            }
        }
        let above = process.parent_span_id.map(|parent| (trace, parent));
        let linked = process
            .links
            .iter()
            .map(|link| (link.context.trace_id, link.context.span_id));
        let enqueue = above
            .into_iter()
            .chain(linked)
            .filter_map(|id| self.spans.get(&id));
        let connected = enqueue.into_iter().any(|span| span.name == name::ENQUEUE);
        assert!(connected, "an attempt without its enqueue span: {job}");
    }
}

/// A run over all files.
struct Run {
    shell: Shell,
    collector: Collector,
    counts: BTreeMap<String, u64>,
}

impl Run {
    fn new() -> Self {
        let collector = Collector::start().unwrap();
        let shell = Shell::new()
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.http_endpoint())
            .with("OTEL_BSP_SCHEDULE_DELAY", "50");
        let counts = expected(&files());
        Self {
            shell,
            collector,
            counts,
        }
    }

    /// Enqueues all files; one in `failing` will fail at first.
    fn enqueue(&self, failing: Option<usize>) {
        let line = |(index, path): (usize, &String)| {
            let fails = failing.is_some_and(|failing| index.is_multiple_of(failing));
            format!("\"{} {path}\"\n", if fails { "F" } else { "-" })
        };
        let lines: String = self.counts.keys().enumerate().map(line).collect();
        let answer = self.shell.run_with(
            &["enqueue", "q", "count_words", "--lines", "-"],
            lines.as_bytes(),
        );
        assert_eq!(
            (answer.code, answer.out.lines().count()),
            (0, self.counts.len()),
            "{}",
            answer.err
        );
    }

    fn worker(&self) -> std::process::Child {
        self.shell.start(&[
            "worker",
            "--queue",
            "q",
            "--concurrency",
            "2",
            "--lease",
            "2s",
            "--drain",
            "--exec",
            COUNT_WORDS,
        ])
    }

    /// Stops a worker where it is, at a moment when the store has a job of it for running.
    fn stop_at_work(&self, worker: &std::process::Child) {
        let signal = |name: &str| {
            let send = format!("kill -{name} {}", worker.id());
            let sent = Command::new("sh").args(["-c", &send]).status();
            assert!(sent.unwrap().success());
        };
        let running = ["jobs", "list", "--state", "running", "--json"];
        for _try in 0..1000 {
            signal("STOP");
            let answer = self.shell.run(&running);
            // While it is in the midst of a write it holds others up.
            if answer.code == 0 && answer.json()["jobs"][0].is_object() {
                return;
            }
            signal("CONT");
        }
        panic!("the worker is never at work");
    }

    /// Checks every job and its traces; gives back how many attempts ended how. `victim` was
    /// killed.
    fn check(&self, victim: Option<u32>) -> BTreeMap<String, usize> {
        self.shell.send_the_rest();
        let page = self
            .shell
            .run(&["jobs", "list", "--limit", "1000000", "--json"])
            .json();
        let jobs = page["jobs"].as_array().unwrap();
        assert_eq!(jobs.len(), self.counts.len());
        let traces = Traces::of(self.collector.spans());
        let mut outcomes = BTreeMap::new();
        let mut unexported = 0;
        let victim = victim.map(|pid| format!("longshore-{pid}-"));
        for job in jobs {
            assert_eq!(job["state"], "completed", "{job}");
            let job = if job["args"].is_null() {
                &self.shell.job(job["id"].as_str().unwrap())
            } else {
                job
            };
            let args = job["args"].as_str().unwrap();
            let count = self.counts[&args[2..]];
            assert_eq!(job["result"].as_u64(), Some(count), "{job}");
            let history = job["history"].as_array().unwrap();
            if args.starts_with('F') {
                assert!(history.len() >= 2, "{job}");
            }
            for attempt in history {
                let worker = attempt["worker"].as_str().unwrap();
                let died = victim
                    .as_ref()
                    .is_some_and(|victim| worker.starts_with(victim));
                if died && attempt["outcome"] != "lost" && !traces.has(attempt) {
                    unexported += 1;
                } else {
                    traces.check(job, attempt);
                }
                let outcome = attempt["outcome"].as_str().unwrap();
                *outcomes.entry(outcome.to_owned()).or_default() += 1;
            }
        }
        assert!(
            unexported <= MOST_UNEXPORTED,
            "{unexported} attempts left no span"
        );
        outcomes
    }
}

fn finished(worker: std::process::Child) {
    let answer = Answer::of(worker.wait_with_output().unwrap());
    assert_eq!(answer.code, 0, "{}", answer.err);
}

#[test]
fn every_file_is_counted_with_a_trace_of_its_own() {
    let run = Run::new();
    run.enqueue(None);
    finished(run.worker());
    let mut outcomes = run.check(None);
    outcomes.remove("handed_back");
    let expected = BTreeMap::from([("completed".to_owned(), run.counts.len())]);
    assert_eq!(outcomes, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn none_is_lost_when_jobs_fail_and_a_worker_is_killed_half_way() {
    let run = Run::new();
    run.enqueue(Some(FAILING));
    let mut victim = run.worker();
    // An attempt makes four spans or five.
    let half = run.counts.len() * 2;
    let seen = run.collector.wait_for(half, Duration::from_secs(600)).await;
    assert!(seen.len() >= half, "{} spans", seen.len());
    run.stop_at_work(&victim);
    victim.kill().unwrap();
    victim.wait().unwrap();
    let workers = [run.worker(), run.worker()];
    workers.into_iter().for_each(finished);
    let outcomes = run.check(Some(victim.id()));
    assert_eq!(outcomes["completed"], run.counts.len());
    let failed = run.counts.len().div_ceil(FAILING);
    let lost = outcomes.get("lost").copied().unwrap_or(0);
    let retried = outcomes.get("retried").copied().unwrap_or(0);
    assert!(lost >= 1, "{outcomes:?}");
    assert!(
        retried <= failed && retried + lost >= failed,
        "{outcomes:?}"
    );
}
