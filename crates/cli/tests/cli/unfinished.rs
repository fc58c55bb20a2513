//! Traces of jobs that are not over.

use crate::shell::Shell;
use crate::traces::{shop, trace_of};

/// No span says how long a job has waited and run that is not over; its record does.
#[test]
fn a_job_that_is_not_over_is_listed_with_its_times_so_far() {
    let shell = Shell::new();
    let job = shell.enqueue(&["q", "slow"]);
    let times = || -> Vec<String> {
        let list = shell.run(&["traces", "list", "kind=slow"]);
        let line = list.out.lines().nth(1).unwrap().to_owned();
        let cells = line
            .split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty());
        let cells: Vec<String> = cells.map(str::to_owned).collect();
        assert_eq!(cells[3], "slow", "{}", list.out);
        cells[4..8].to_vec()
    };
    let waits = times();
    assert!(waits[2] != "0 µs" && waits[3] == "0 µs", "{waits:?}");
    assert!(waits[0].starts_with("waiting "), "{waits:?}");
    let ok = shell.run(&["traces", "list", "ok", "kind=slow", "--json"]);
    assert_eq!(ok.json()["traces"].as_array().map(Vec::len), Some(0));
    let mut worker = shell.start(&["worker", "--queue", "q", "--exec", "sleep 600"]);
    while shell.job(&job)["state"] != "running" {}
    let runs = times();
    assert!(runs[2] != "0 µs" && runs[3] != "0 µs", "{runs:?}");
    assert!(runs[0].starts_with("running "), "{runs:?}");
    worker.kill().unwrap();
    worker.wait().unwrap();
}

#[test]
fn a_trace_that_is_not_over_is_not_called_faster() {
    let (shell, _, completed) = shop();
    let waits = shell.enqueue(&["later", "pack"]);
    let (before, after) = (trace_of(&shell, &completed), trace_of(&shell, &waits));
    let diff = shell.run(&["traces", "diff", &before, &after]);
    assert_eq!(diff.code, 0, "{}", diff.err);
    assert!(
        diff.out.contains("The second is not over: waiting "),
        "{}",
        diff.out
    );
    assert!(!diff.out.contains("faster"), "{}", diff.out);
}

#[test]
fn what_holds_a_job_back_is_said_as_exactly_as_of_the_job() {
    let shell = Shell::new();
    let job = shell.enqueue(&["q", "k"]);
    assert_eq!(shell.run(&["kinds", "pause", "k"]).code, 0);
    let ago = "UPDATE longshore_job SET available_at = available_at - 600000000000";
    let conn = rusqlite::Connection::open(shell.path("jobs.db")).unwrap();
    conn.execute_batch(ago).unwrap();
    for id in [&job, &trace_of(&shell, &job)] {
        let shown = shell.run(&["traces", "show", id, "--width", "400"]);
        assert_eq!(shown.code, 0, "{}", shown.err);
        assert!(shown.out.contains("the kind was paused"), "{}", shown.out);
        assert!(!shown.out.contains("none takes jobs"), "{}", shown.out);
    }
}

/// Its record says that a job is over where its spans do not, or not yet.
#[test]
fn a_job_that_ended_untraced_is_listed_as_over() {
    let shell = Shell::new();
    let job = shell.enqueue(&["q", "k"]);
    let mut worker = shell.command(&["worker", "--queue", "q", "--drain", "--exec", "true"]);
    let ended = worker.env("LONGSHORE_TELEMETRY_SPAN_LOG", "off").output();
    assert!(ended.unwrap().status.success());
    assert_eq!(shell.job(&job)["state"], "completed");
    let list = shell.run(&["traces", "list", "kind=k"]).out;
    assert!(list.contains("  completed  "), "{list}");
}
