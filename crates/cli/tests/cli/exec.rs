//! `worker --exec`, and programs that behave badly.

use longshore_testkit::collector::Collector;

use crate::shell::{Answer, Shell};

/// Whether a process is still running; one that only waits to be reaped is not.
pub(crate) fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn the_program_gets_args_and_environment_and_gives_the_result() {
    let shell = Shell::new().with("TRACEPARENT", "");
    let id = shell.enqueue(&["q", "greet", "{\"n\":1}"]);
    let program =
        "cat; echo \" $LONGSHORE_JOB_ID $LONGSHORE_QUEUE $LONGSHORE_KIND $LONGSHORE_ATTEMPT\"";
    let answer = shell.drain(program);
    assert_eq!(
        (answer.code, answer.out.as_str()),
        (0, ""),
        "{}",
        answer.err
    );
    assert_eq!(
        shell.job(&id)["result"],
        format!("{{\"n\":1}} {id} q greet 1\n")
    );
}

/// What the spans of a program say of where they come from, unless somebody says something else.
#[test]
fn a_program_is_called_what_its_job_is() {
    for (inherited, told) in [
        (None, "resize"),
        (Some(("OTEL_SERVICE_NAME", "shop")), "shop"),
        (Some(("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop")), ""),
    ] {
        let mut shell = Shell::new().with("LONGSHORE_TELEMETRY_SPAN_LOG", "spans");
        if let Some((name, value)) = inherited {
            shell = shell.with(name, value);
        }
        let id = shell.enqueue(&["q", "resize"]);
        let answer = shell.drain("printf %s \"$OTEL_SERVICE_NAME\"");
        assert_eq!(answer.code, 0, "{}", answer.err);
        let result = shell.job(&id)["result"].as_str().unwrap_or("").to_owned();
        assert_eq!(result, told, "{inherited:?}");
    }
}

#[test]
fn the_trace_goes_in_and_spans_come_out() {
    let collector = Collector::start().unwrap();
    let shell = Shell::new().with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.http_endpoint());
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let id = shell.enqueue(&["q", "k", "--traceparent", parent, "--relation", "parent"]);
    let answer = shell.drain("printf %s \"$TRACEPARENT\"");
    assert!(
        answer.err.contains("OpenTelemetry tracing enabled"),
        "{}",
        answer.err
    );
    let job = shell.job(&id);
    let told = job["result"].as_str().unwrap().to_owned();
    let spans = collector.spans();
    let named = |name: &str| spans.iter().find(|span| span.name == name).expect(name);
    let (enqueue, process) = (named("queue.enqueue"), named("job.process"));
    let handler = named("handler.execution");
    assert!(parent.contains(&enqueue.trace_id.to_string()));
    assert_eq!(process.parent_span_id, Some(enqueue.span_id));
    assert_eq!(handler.parent_span_id, Some(process.span_id));
    assert!(
        told.contains(&format!("{}-{}", handler.trace_id, handler.span_id)),
        "{told}"
    );
    assert_eq!(job["history"][0]["trace_id"], process.trace_id.to_string());
}

#[test]
fn exit_codes_say_what_follows() {
    let cases = [
        ("exit 65", "discarded", "exit_65", 3),
        ("exit 75", "discarded", "try_again", 3),
        ("exit 9", "discarded", "exit_9", 3),
        ("kill -9 $$", "discarded", "signal_9", 3),
        ("no-such-program-anywhere", "discarded", "exit_127", 3),
    ];
    for (program, state, class, code) in cases {
        let shell = Shell::new();
        let id = shell.enqueue(&["q", "k", "--max-attempts", "1"]);
        assert_eq!(shell.drain(program).code, code, "{program}");
        let job = shell.job(&id);
        assert_eq!(
            (&job["state"], &job["attempt"]),
            (&state.into(), &1.into()),
            "{program}"
        );
        assert_eq!(job["history"][0]["error"]["class"], class, "{program}");
    }
    let shell = Shell::new();
    let id = shell.enqueue(&["q", "k"]);
    assert_eq!(shell.drain("exit 65").code, 3);
    assert_eq!(shell.job(&id)["attempt"], 1, "65 is final");
}

#[test]
fn a_failure_is_retried_by_policy_and_75_is_none() {
    for (code, outcome) in [("1", "retried"), ("75", "not_yet")] {
        let shell = Shell::new();
        let id = shell.enqueue(&["q", "k"]);
        let program = format!("[ $LONGSHORE_ATTEMPT = 2 ] || exit {code}; echo done");
        let answer = shell.drain(&program);
        assert_eq!(answer.code, 0, "{}", answer.err);
        let job = shell.job(&id);
        assert_eq!(
            (&job["state"], &job["attempt"]),
            (&"completed".into(), &2.into())
        );
        assert_eq!(job["history"][0]["outcome"], outcome);
    }
}

#[test]
fn a_flood_is_cut_and_bytes_that_are_no_text_are_kept() {
    let shell = Shell::new();
    let flood = shell.enqueue(&["q", "flood"]);
    let bytes = shell.enqueue(&["q", "bytes"]);
    let program = "if [ $LONGSHORE_KIND = flood ]; then head -c 30000000 /dev/zero | tr '\\0' a; \
                   head -c 3000000 /dev/zero >&2; else printf '\\377\\376'; fi";
    let answer = shell.drain(program);
    assert_eq!(answer.code, 0);
    assert_eq!(
        shell.job(&flood)["result"].as_str().unwrap().len(),
        64 << 10
    );
    let warned: Vec<&str> = answer
        .err
        .lines()
        .filter(|line| line.contains("cut"))
        .collect();
    assert_eq!(warned.len(), 1, "only the flood was cut: {}", answer.err);
    for said in [&*flood, "30000000", "65536"] {
        assert!(warned[0].contains(said), "{said}: {}", warned[0]);
    }
    let shown = shell.run(&["jobs", "show", &flood]).out;
    assert!(shown.contains("(64.0 KiB; perhaps cut)"), "{shown}");
    assert_eq!(shell.job(&bytes)["result_base64"], "//4=");
}

#[test]
fn a_program_that_closes_stdin_early_is_no_error() {
    let shell = Shell::new();
    let big = format!("\"{}\"", "x".repeat(10_000_000));
    let answer = shell.run_with(&["enqueue", "q", "k", "-"], big.as_bytes());
    let id = answer.out.trim();
    assert_eq!(shell.drain("exec 0<&-; echo early").code, 0);
    assert_eq!(shell.job(id)["result"], "early\n");
}

#[test]
fn what_a_program_leaves_in_the_background_is_stopped() {
    let shell = Shell::new();
    let id = shell.enqueue(&["q", "k"]);
    let answer = shell.drain("sleep 300 & echo $!");
    assert_eq!(answer.code, 0, "{}", answer.err);
    let pid = shell.job(&id)["result"].to_string();
    assert!(!runs(&pid), "{pid}");
}

#[test]
fn a_timeout_stops_the_whole_group_even_if_it_ignores_sigterm() {
    let shell = Shell::new();
    let pids = shell.path("pids");
    let program = format!("trap '' TERM; sleep 300 & echo $! $$ > {pids}; wait; sleep 300");
    // How long a program takes to begin is not known: one that was stopped before is run again.
    let told = (0..8).find_map(|doubled| {
        let timeout = format!("{}ms", 400 << doubled);
        let id = shell.enqueue(&["q", "k", "--max-attempts", "1", "--timeout", &timeout]);
        assert_eq!(shell.drain(&program).code, 3);
        assert_eq!(shell.job(&id)["history"][0]["error"]["class"], "timeout");
        let told = std::fs::read_to_string(&pids).ok();
        told.filter(|told| told.ends_with('\n'))
    });
    for pid in told.unwrap().split_whitespace() {
        assert!(!runs(pid), "{pid}");
    }
}

#[test]
fn a_cancelled_job_stops_its_program() {
    let shell = Shell::new();
    let id = shell.enqueue(&["q", "k"]);
    let fifo = shell.path("started");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let program = format!("echo $$ > {fifo}; sleep 300");
    let args = [
        "worker", "--queue", "q", "--drain", "--lease", "1s", "--exec", &program,
    ];
    let worker = shell.start(&args);
    let pid = std::fs::read_to_string(&fifo).unwrap();
    let asked = shell.run(&["jobs", "cancel", &id]);
    assert!(asked.out.contains("asked to stop"), "{asked:?}");
    let answer = Answer::of(worker.wait_with_output().unwrap());
    assert_eq!(answer.code, 0, "{}", answer.err);
    assert_eq!(shell.job(&id)["state"], "cancelled");
    assert!(!runs(&pid));
}

#[test]
fn a_worker_that_is_asked_to_stop_hands_its_job_back() {
    let shell = Shell::new();
    shell.write("longshore.toml", "[worker]\nshutdown_grace = '100ms'\n");
    let id = shell.enqueue(&["q", "k"]);
    let fifo = shell.path("started");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let program = format!("echo $$ > {fifo}; sleep 300");
    let worker = shell.start(&["worker", "--queue", "q", "--json", "--exec", &program]);
    let pid = std::fs::read_to_string(&fifo).unwrap();
    let kill = ["-TERM", &worker.id().to_string()].map(str::to_owned);
    assert!(
        std::process::Command::new("kill")
            .args(kill)
            .status()
            .unwrap()
            .success()
    );
    let answer = Answer::of(worker.wait_with_output().unwrap());
    assert_eq!(
        (answer.code, &answer.json()["handed_back"]),
        (0, &1.into()),
        "{}",
        answer.err
    );
    let job = shell.job(&id);
    assert_eq!(
        (&job["state"], &job["attempt"]),
        (&"available".into(), &0.into())
    );
    assert!(!runs(&pid));
}

#[test]
fn a_program_is_needed() {
    let shell = Shell::new();
    assert_eq!(shell.run(&["worker", "--queue", "q"]).code, 2);
    assert_eq!(
        shell.run(&["worker", "--queue", "q", "--exec", " "]).code,
        2
    );
    assert_eq!(
        shell
            .run(&["worker", "--queue", "q", "--exec", "x", "--lease", "1ms"])
            .code,
        2
    );
}

#[test]
fn a_collector_that_is_away_costs_no_job() {
    let shell = Shell::new()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        .with("OTEL_EXPORTER_OTLP_TIMEOUT", "300");
    let id = shell.enqueue(&["q", "k"]);
    assert_eq!(shell.drain("echo fine").code, 0);
    assert_eq!(shell.job(&id)["state"], "completed");
}
