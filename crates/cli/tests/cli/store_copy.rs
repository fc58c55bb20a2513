//! A store is copied into another one: whole, or refused, or gone on with after an interruption.

use serde_json::Value;

use crate::shell::{Answer, Shell};

/// The job's record; but for what holds it back, which says for how long.
fn job(shell: &Shell, store: &str, id: &str) -> Value {
    let answer = shell.run(&["--store", store, "jobs", "show", id, "--json"]);
    assert_eq!(answer.code, 0, "{}", answer.err);
    let mut job = answer.json();
    job.as_object_mut().unwrap().remove("held_back");
    job
}

/// A store with something of everything; gives back the ids of its jobs.
pub(crate) fn filled(shell: &Shell) -> Vec<String> {
    let bad = shell.enqueue(&["q", "send", "{}", "--max-attempts", "1"]);
    let good = shell.enqueue(&[
        "q",
        "send",
        "{\"to\":\"ann\"}",
        "--tag",
        "red",
        "--meta",
        "order=7",
        "--traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ]);
    let worker = shell.drain("grep ann");
    assert_eq!(worker.code, 3, "{}", worker.err);
    let later = shell.enqueue(&["later", "send", "1", "--delay", "2h", "--tenant", "t-1"]);
    let keyed = shell.enqueue(&["q", "send", "2", "--unique-key", "k", "--priority", "1"]);
    let gone = shell.enqueue(&["q", "send", "3"]);
    let big = shell.write("big.json", format!("\"{}\"", "x".repeat(100_000)));
    let large = shell.enqueue(&["held", "send", "--args-file", &big]);
    let commands: [&[&str]; 5] = [
        &["jobs", "cancel", &gone],
        &["queues", "pause", "held", "--reason", "moved"],
        &["schedule", "add", "nightly", "0 3 29 2 *", "q", "send"],
        &["limits", "set", "queue:q", "--concurrency", "1"],
        &[
            "enqueue",
            "q",
            "send",
            "--lines",
            &shell.write("lines", "4\n5\n"),
            "--batch",
        ],
    ];
    for command in commands {
        let answer = shell.run(command);
        assert_eq!(answer.code, 0, "{command:?}: {}", answer.err);
    }
    vec![bad, good, later, keyed, gone, large]
}

pub(crate) fn copy(shell: &Shell, from: &str, to: &str) -> Answer {
    shell.run(&["store", "copy", from, to, "--json"])
}

#[test]
fn a_copy_has_all_that_the_source_has() {
    let shell = Shell::new();
    let ids = filled(&shell);
    let (from, to) = (shell.store(), format!("sqlite:{}", shell.path("other.db")));

    let dry = shell.run(&["store", "copy", &from, &to, "--dry-run", "--json"]);
    assert_eq!(dry.code, 0, "{}", dry.err);
    assert!(
        !shell.folder.join("other.db").exists(),
        "looking makes none"
    );
    let copied = copy(&shell, &from, &to);
    assert_eq!(copied.code, 0, "{}", copied.err);
    let (dry, copied) = (dry.json(), copied.json());
    assert_eq!(copied["source"], copied["target"]);
    assert_eq!(copied["source"], dry["source"]);
    assert_eq!(copied["source"]["jobs"], 8, "{copied}");
    assert_eq!(copied["source"]["paused"][0], "held");
    assert_eq!(
        (&copied["is_whole"], &copied["stored"]),
        (&true.into(), &8.into())
    );
    for id in &ids {
        assert_eq!(job(&shell, &from, id), job(&shell, &to, id));
    }
    for list in [
        ["schedule", "list"],
        ["limits", "list"],
        ["batches", "list"],
    ] {
        let of = |store: &str| shell.run(&[&["--store", store], &list[..], &["--json"]].concat());
        let (before, after) = (of(&from), of(&to));
        assert_eq!(before.code, 0, "{}", before.err);
        let without_times = |answer: &Answer| {
            let mut value = answer.json();
            value.as_object_mut().unwrap().remove("as_of");
            value
        };
        assert_eq!(without_times(&before), without_times(&after), "{list:?}");
    }

    // What waited goes on there, and what is over is not run again.
    let program = "echo $LONGSHORE_JOB_ID >>ran.txt";
    let work = [
        "--store", &to, "worker", "--queue", "q", "--drain", "--exec", program,
    ];
    assert_eq!(shell.run(&work).code, 0);
    let ran = std::fs::read_to_string(shell.path("ran.txt")).unwrap();
    assert_eq!(ran.lines().count(), 3, "{ran}");
    assert!(ran.contains(&ids[3]), "{ran}");
    // The target has jobs now that no copy left.
    let again = copy(&shell, &from, &to);
    assert_eq!(again.code, 2, "{}", again.err);
    assert!(again.err.contains("not empty"), "{}", again.err);
}

#[test]
fn a_job_that_runs_refuses_a_copy_or_is_waited_for() {
    let shell = Shell::new();
    shell.enqueue(&["q", "send", "1"]);
    let (from, to) = (shell.store(), format!("sqlite:{}", shell.path("other.db")));
    let program = "touch began; until [ -e end ]; do sleep 0.05; done";
    let worker = shell.start(&["worker", "--queue", "q", "--drain", "--exec", program]);
    while !shell.folder.join("began").exists() {
        std::thread::yield_now();
    }
    let refused = shell.run(&["store", "copy", &from, &to]);
    assert_eq!(refused.code, 1, "{}", refused.err);
    assert!(
        refused.err.contains("1 job runs at the source"),
        "{}",
        refused.err
    );
    assert!(refused.err.contains("queues pause"), "{}", refused.err);
    assert!(!shell.folder.join("other.db").exists(), "nothing was made");

    let waits = shell.start(&["store", "copy", &from, &to, "--wait", "--json"]);
    shell.write("end", "");
    let answer = Answer::of(worker.wait_with_output().unwrap());
    assert_eq!(answer.code, 0, "{}", answer.err);
    let copied = Answer::of(waits.wait_with_output().unwrap());
    assert_eq!(copied.code, 0, "{}", copied.err);
    assert_eq!(copied.json()["target"]["completed"], 1);
}

#[test]
fn what_cannot_be_copied_says_why() {
    let shell = Shell::new();
    shell.enqueue(&["q", "send", "1"]);
    let from = shell.store();
    let to = format!("sqlite:{}", shell.path("other.db"));
    let missing = format!("sqlite:{}", shell.path("missing.db"));
    let cases: [(&str, &str, &str); 4] = [
        (&from, &from, "both are the store"),
        (&missing, &to, "FROM: there is no store at"),
        (&from, "jobs.db", "TO: `jobs.db` is a path"),
        ("mysql://x", &to, "FROM: `mysql:` names no store"),
    ];
    for (from, to, said) in cases {
        let answer = shell.run(&["store", "copy", from, to]);
        assert_eq!(answer.code, 2, "{from} {to}: {}", answer.err);
        assert!(answer.err.contains(said), "{}", answer.err);
    }
    assert!(!shell.folder.join("missing.db").exists());
}

/// A copy that is killed goes on when it is repeated, from the same source only.
#[test]
fn a_copy_that_was_killed_goes_on() {
    let shell = Shell::new();
    let lines = shell.write("lines", "{}\n".repeat(4000));
    let answer = shell.run(&["enqueue", "q", "send", "--lines", &lines]);
    assert_eq!(answer.code, 0, "{}", answer.err);
    // The target is there, so that its file can be watched.
    let (from, to) = (shell.store(), shell.make_store("other.db"));
    let target = rusqlite::Connection::open(shell.path("other.db")).unwrap();
    let count = |sql| target.query_row(sql, [], |row| row.get::<_, i64>(0));

    let mut child = shell.start(&["store", "copy", &from, &to]);
    let begun = |sql| count(sql).unwrap_or(0) > 0;
    while !begun("SELECT count(*) FROM longshore_document") && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    // Whoever has the file's lock stops the copy where it is.
    target
        .execute_batch("PRAGMA busy_timeout = 60000; BEGIN IMMEDIATE")
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let there = count("SELECT count(*) FROM longshore_job").unwrap();
    let marked = count("SELECT count(*) FROM longshore_document").unwrap();
    target.execute_batch("ROLLBACK").unwrap();
    if marked == 0 {
        // It had been through before anybody could stop it.
        assert_eq!(there, 4000);
        return;
    }
    let doctor = shell.run(&["--store", &to, "doctor", "--json"]).json();
    let mut checks = doctor["checks"].as_array().unwrap().iter();
    let half = checks.find(|check| check["check"] == "copy").unwrap();
    assert_eq!(half["grade"], "warning", "{half}");
    assert!(
        half["message"].as_str().unwrap().contains("not whole"),
        "{half}"
    );
    let refused = copy(&shell, &shell.make_store("third.db"), &to);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(
        refused.err.contains("what a copy of the sqlite store"),
        "{}",
        refused.err
    );

    let copied = copy(&shell, &from, &to);
    assert_eq!(copied.code, 0, "{}", copied.err);
    let copied = copied.json();
    assert_eq!(copied["source"], copied["target"]);
    assert_eq!(copied["present"], there);
    assert_eq!(copied["stored"], 4000 - there);
    assert_eq!(count("SELECT count(*) FROM longshore_document").unwrap(), 0);
    let doctor = shell.run(&["--store", &to, "doctor"]).out;
    assert!(!doctor.contains("not whole"), "{doctor}");
}
