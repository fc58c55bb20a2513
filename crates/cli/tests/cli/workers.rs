//! `workers`.

use std::io::{BufRead as _, BufReader};
use std::process::Command;

use longshore_core::register::WorkerEntry;
use longshore_core::{Store as _, Timestamp, WorkerId};
use longshore_sqlite::{SqliteOptions, SqliteStore};
use serde_json::{Value, json};

use crate::shell::Shell;

const DOCUMENT: &str = include_str!("../../../../docs/cli.md");

/// A program that ends once the register shows a worker.
const UNTIL_SEEN: &str = "until \"$LONGSHORE\" workers | grep running >seen.txt; do :; done";

fn shell() -> Shell {
    Shell::new()
        .with_store()
        .with("LONGSHORE", env!("CARGO_BIN_EXE_longshore"))
}

#[test]
fn a_worker_is_listed_while_it_runs() {
    let shell = shell();
    let none = shell.run(&["workers"]);
    assert!(
        none.out.is_empty() && none.err.contains("No worker runs"),
        "{}",
        none.err
    );
    assert_eq!(
        shell.run(&["workers", "list", "--json"]).json()["workers"],
        json!([])
    );
    shell.enqueue(&["q", "k"]);
    let program = format!("{UNTIL_SEEN}; \"$LONGSHORE\" workers --json");
    let id = shell.enqueue(&["q", "k"]);
    let answer = shell.drain(&program);
    assert_eq!(answer.code, 0, "{}", answer.err);
    let listed = &shell.job(&id)["result"]["workers"];
    let worker = &listed[0];
    assert_eq!(
        (&worker["queues"], &worker["kinds"], &worker["state"]),
        (&json!(["q"]), &json!([]), &json!("running"))
    );
    assert_eq!(worker["unseen_seconds"], Value::Null);
    for key in worker.as_object().unwrap().keys() {
        assert!(DOCUMENT.contains(&format!("`{key}`")), "{key}");
    }
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let seen = std::fs::read_to_string(shell.path("seen.txt")).unwrap();
    assert!(
        seen.contains("  running ") && seen.contains(" any "),
        "{seen}"
    );
    assert_eq!(shell.run(&["workers"]).out, "", "it has ended");
}

#[tokio::test]
async fn a_worker_that_was_killed_is_not_seen_for_so_long() {
    let shell = shell();
    shell.enqueue(&["q", "k"]);
    let killed = shell.drain(&format!("{UNTIL_SEEN}; kill -9 $PPID; sleep 9"));
    assert_eq!(killed.code, -1, "{}", killed.err);
    let listed = shell.run(&["workers", "--json"]).json();
    let worker = &listed["workers"][0];
    // As if that was some minutes ago.
    let store = SqliteOptions::from_url(&format!("sqlite:{}", shell.path("jobs.db")));
    let store = SqliteStore::open(store.unwrap()).unwrap();
    let name = WorkerEntry::document(&WorkerId::new(worker["id"].as_str().unwrap()));
    let document = store.read_document(&name).await.unwrap().unwrap();
    let mut entry = WorkerEntry::decode(&document.body).unwrap();
    let now: Timestamp = store.now().await.unwrap();
    entry.seen_at = now.before(std::time::Duration::from_secs(5 * 60));
    let body = entry.encode().unwrap();
    let written = store.write_document(&name, document.version, body).await;
    written.unwrap();
    let table = shell.run(&["workers", "list"]).out;
    assert!(table.contains("not seen for 5 m "), "{table}");
    let listed = shell.run(&["workers", "--json"]).json();
    assert_eq!(listed["workers"][0]["state"], "lost");
    let unseen = listed["workers"][0]["unseen_seconds"].as_f64().unwrap();
    assert!(unseen >= 300.0, "{unseen}");
}

/// Who stops a worker hears what it waits for, and who does not wait, what is left.
#[test]
fn a_worker_that_is_stopped_says_what_runs() {
    let shell = Shell::new();
    let ids = [shell.enqueue(&["q", "k"]), shell.enqueue(&["q", "k"])];
    let program = "touch started-$LONGSHORE_JOB_ID; sleep 600";
    let words = ["worker", "--queue", "q", "--concurrency", "2", "--exec"];
    let mut worker = shell.start(&[&words[..], &[program]].concat());
    let started = |id: &String| shell.folder.join(format!("started-{id}")).exists();
    while !ids.iter().all(started) {
        std::thread::yield_now();
    }
    let mut said = BufReader::new(worker.stderr.take().unwrap()).lines();
    let interrupt = || {
        let send = format!("kill -INT {}", worker.id());
        let sent = Command::new("sh").args(["-c", &send]).status();
        assert!(sent.unwrap().success());
    };
    interrupt();
    let mut lines = said.by_ref().map(Result::unwrap);
    let stopping = lines.find(|line| line.contains("stopping")).unwrap();
    for part in [
        "waiting for 2 jobs that run (at most 15 s;",
        "Ctrl-C again leaves them",
    ] {
        assert!(stopping.contains(part), "{stopping}");
    }
    interrupt();
    let left = said
        .map(Result::unwrap)
        .find(|line| line.starts_with("left 2 jobs running: "));
    let left = left.unwrap();
    assert!(ids.iter().all(|id| left.contains(id)), "{left}");
    assert_eq!(worker.wait().unwrap().code(), Some(1));
}
