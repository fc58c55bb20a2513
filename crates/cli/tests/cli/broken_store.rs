//! Stores that cannot be used: what a person reads, and how the program ends.

use std::io::Write as _;
use std::process::Command;

use crate::shell::{Answer, Shell};

/// Calls that open the store, and the worker among them.
const CALLS: [&[&str]; 4] = [
    &["queues", "list"],
    &["jobs", "list"],
    &["enqueue", "q", "k"],
    &["worker", "--queue", "q", "--drain", "--exec", "true"],
];

/// A store with some jobs, all of them in the file.
fn stored() -> Shell {
    let shell = Shell::new();
    let args = "{}\n".repeat(300);
    let answer = shell.run_with(&["enqueue", "q", "k", "--lines", "-"], args.as_bytes());
    assert_eq!(answer.code, 0, "{}", answer.err);
    sql(&shell, "PRAGMA wal_checkpoint(TRUNCATE)");
    shell
}

fn sql(shell: &Shell, sql: &str) {
    let conn = longshore_sqlite::rusqlite::Connection::open(shell.path("jobs.db")).unwrap();
    conn.execute_batch(sql).unwrap();
}

/// One line that names the file once, and says all of `words`.
#[track_caller]
fn says(answer: &Answer, code: i32, words: &[&str]) {
    let text = &answer.err;
    assert_eq!(answer.code, code, "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_eq!(text.matches("/jobs.db").count(), 1, "{text}");
    for word in words {
        assert_eq!(text.matches(word).count(), 1, "`{word}` in {text}");
    }
}

#[test]
fn a_file_that_is_no_store_is_refused_in_one_line() {
    type Spoil = fn(&Shell);
    let cases: [(Spoil, &[&str]); 4] = [
        (
            |shell| {
                shell.write("jobs.db", "dear diary, ".repeat(1000));
            },
            &["not a SQLite database", "path of another"],
        ),
        (
            |shell| {
                let bytes = std::fs::read(shell.path("jobs.db")).unwrap();
                shell.write("jobs.db", &bytes[..bytes.len() / 2]);
            },
            &["is damaged", "malformed", "backup"],
        ),
        (
            |shell| sql(shell, "PRAGMA user_version = 99"),
            &["version 99", "run a newer version"],
        ),
        (
            |shell| sql(shell, "ALTER TABLE longshore_job DROP COLUMN keep"),
            &["table longshore_job", "by hand", "backup"],
        ),
    ];
    for (spoil, words) in cases {
        let shell = stored();
        spoil(&shell);
        let before = std::fs::read(shell.path("jobs.db")).unwrap();
        for call in CALLS {
            says(&shell.run(call), 1, words);
        }
        let doctor = shell.run(&["doctor"]);
        assert_eq!(doctor.code, 1);
        for word in words {
            assert!(doctor.out.contains(word), "{}", doctor.out);
        }
        assert!(std::fs::read(shell.path("jobs.db")).unwrap() == before);
    }
}

/// As every store that cannot be reached.
#[test]
fn a_store_in_a_folder_that_is_not_there_cannot_be_reached() {
    let shell = Shell::new().with("LONGSHORE_STORE", "sqlite:/nowhere/at/all/jobs.db");
    let answer = shell.run(&["jobs", "list"]);
    let said = answer.err.contains("check that its folder exists");
    assert_eq!((answer.code, said), (4, true), "{}", answer.err);
}

#[test]
fn damage_within_the_file_stops_a_worker_and_is_found_by_doctor() {
    let shell = stored();
    let mut bytes = std::fs::read(shell.path("jobs.db")).unwrap();
    bytes[5 * 4096..].fill(0xa5);
    shell.write("jobs.db", bytes);
    let worker = shell.drain("true");
    assert_eq!(worker.code, 1, "{}", worker.err);
    // What maintenance tells of the same damage may come after it.
    let error = worker.err.lines().find(|line| line.starts_with("error:"));
    let error = error.expect(&worker.err);
    assert!(error.contains("the worker stopped"), "{error}");
    assert!(error.contains("jobs.db: the file is damaged"), "{error}");
    let doctor = shell.run(&["doctor"]);
    assert_eq!(doctor.code, 1);
    assert!(doctor.out.contains("jobs.db is damaged"), "{}", doctor.out);
}

#[test]
fn a_worker_whose_store_is_deleted_stops_and_says_so() {
    let shell = stored();
    let worker = shell.start(&[
        "worker", "--queue", "idle", "--queue", "q", "--exec", "true",
    ]);
    // It has opened the store once it has completed everything.
    let completed = || {
        let queues = shell.run(&["queues", "list", "--json"]).json();
        queues["queues"][0]["completed"] == 300
    };
    while !completed() {}
    for file in ["jobs.db", "jobs.db-wal", "jobs.db-shm"] {
        std::fs::remove_file(shell.path(file)).unwrap();
    }
    let answer = Answer::of(worker.wait_with_output().unwrap());
    assert_eq!(answer.code, 1, "{}", answer.err);
    let last = answer.err.lines().last().unwrap();
    assert!(last.contains("deleted or replaced"), "{last}");
    assert!(last.contains("start again"), "{last}");
}

#[test]
fn a_full_disk_can_be_tried_again() {
    let shell = stored();
    // 256 KiB for any file; signal 25, SIGXFSZ, would end the program.
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -f 512 && trap '' 25 && exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_longshore"))
        .args(["enqueue", "q", "k", "-", "--store"])
        .arg(format!("sqlite:{}", shell.path("jobs.db")))
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = limited.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&vec![b'x'; 1 << 20]).unwrap();
    drop(stdin);
    let answer = Answer::of(child.wait_with_output().unwrap());
    says(
        &answer,
        4,
        &["the disk of the store", "has room", "try again"],
    );
    assert_eq!(shell.drain("true").code, 0);
}

#[test]
fn doctor_warns_of_a_log_that_somebody_keeps_from_shrinking() {
    let shell = stored();
    let reader = longshore_sqlite::rusqlite::Connection::open(shell.path("jobs.db")).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM longshore_job;")
        .unwrap();
    let large = shell.write("large", vec![b'x'; 15 << 20]);
    for _ in 0..5 {
        shell.enqueue(&["other", "k", "--args-file", &large]);
    }
    let doctor = shell.run(&["doctor", "--json"]);
    assert_eq!(doctor.code, 0, "{}", doctor.err);
    let json = doctor.json();
    let checks = json["checks"].as_array().unwrap();
    let file = checks
        .iter()
        .find(|check| check["check"] == "file")
        .unwrap();
    assert_eq!(file["grade"], "warning", "{file}");
    let message = file["message"].as_str().unwrap();
    assert!(message.contains("kept a transaction open"), "{message}");
    drop(reader);
    shell.enqueue(&["other", "k", "--args-file", &large]);
    shell.enqueue(&["other", "k"]);
    let healthy = shell.run(&["doctor"]);
    assert!(healthy.out.contains("sound, "), "{}", healthy.out);
}
