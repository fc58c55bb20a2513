//! Programs that say how far they are, and leave a checkpoint for the next attempt.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::shell::{Answer, Shell};

/// How often a job is asked for, at about a hundred times a second, before it is given up.
const ASKS: u32 = 5_000;

/// Waits for the job to be as it should, by asking again and again.
fn until(shell: &Shell, id: &str, is: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..ASKS {
        let job = shell.job(id);
        if is(&job) {
            return job;
        }
    }
    panic!("the job never became what it should: {}", shell.job(id));
}

fn fifo(shell: &Shell, name: &str) -> String {
    let path = shell.path(name);
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    path
}

/// Copies ten parts, three at each attempt.
const COPIES: &str = r#"
done=$(cat "$LONGSHORE_CHECKPOINT_FILE" 2>/dev/null || echo 0)
printf '%s ' "$done" >> begun
for part in 1 2 3; do
  done=$((done + 1))
  echo "$((done * 10))" > "$LONGSHORE_PROGRESS_FILE"
  echo "$done" > "$LONGSHORE_CHECKPOINT_FILE.new"
  mv "$LONGSHORE_CHECKPOINT_FILE.new" "$LONGSHORE_CHECKPOINT_FILE"
  [ "$done" -ge 10 ] && { echo copied; exit 0; }
done
exit 75
"#;

#[test]
fn each_attempt_goes_on_where_the_last_one_stopped() {
    let shell = Shell::new();
    let id = shell.enqueue(&["q", "copy", "--max-attempts", "9"]);
    let answer = shell.drain(COPIES);
    assert_eq!(answer.code, 0, "{}", answer.err);
    let job = shell.job(&id);
    assert_eq!(
        (&job["result"], &job["attempt"]),
        (&"copied\n".into(), &4.into())
    );
    assert_eq!(job["result_bytes"], 7);
    let begun = std::fs::read_to_string(shell.path("begun")).unwrap();
    assert_eq!(begun, "0 3 6 9 ");
    assert_eq!(job["checkpoint_bytes"], Value::Null, "the job is over");
}

#[test]
fn progress_and_checkpoint_are_seen_while_the_program_runs() {
    let shell = Shell::new();
    let id = shell.enqueue(&["q", "k"]);
    let go_on = fifo(&shell, "go_on");
    let program = format!(
        "echo '62 %' > $LONGSHORE_PROGRESS_FILE; printf 12345 > $LONGSHORE_CHECKPOINT_FILE; \
         cat {go_on}"
    );
    let args = [
        "worker", "--queue", "q", "--drain", "--lease", "1s", "--exec", &program,
    ];
    let worker = shell.start(&args);
    let job = until(&shell, &id, |job| !job["progress"].is_null());
    assert_eq!(job["progress"], 62);
    let job = until(&shell, &id, |job| !job["checkpoint_bytes"].is_null());
    assert_eq!(
        (&job["state"], &job["checkpoint_bytes"]),
        (&"running".into(), &5.into())
    );
    let shown = shell.run(&["jobs", "show", &id]).out;
    assert!(shown.contains("████████████········ 62 % done"), "{shown}");
    assert!(shown.contains("checkpoint   5 bytes"), "{shown}");
    let listed = shell.run(&["jobs", "list"]).out;
    assert!(listed.contains("running ████···· 62 %"), "{listed}");
    std::fs::write(&go_on, "done").unwrap();
    let answer = Answer::of(worker.wait_with_output().unwrap());
    assert_eq!(answer.code, 0, "{}", answer.err);
    let job = shell.job(&id);
    assert_eq!(
        (&job["result"], &job["progress"]),
        (&"done".into(), &Value::Null)
    );
}

#[test]
fn what_a_program_that_is_stopped_wrote_last_is_there_for_the_next() {
    let shell = Shell::new();
    let program = "if [ $LONGSHORE_ATTEMPT = 2 ]; then cat $LONGSHORE_CHECKPOINT_FILE; exit; fi; \
                   trap 'printf last > $LONGSHORE_CHECKPOINT_FILE; exit 1' TERM; \
                   touch begun-$LONGSHORE_JOB_ID; sleep 300 & wait";
    // How long a program takes for its part is not known: one that was stopped before it is run
    // again.
    let job = (0..8).find_map(|doubled| {
        let timeout = format!("{}ms", 500 << doubled);
        let id = shell.enqueue(&["q", "k", "--timeout", &timeout, "--max-attempts", "2"]);
        shell.drain(program);
        let job = shell.job(&id);
        assert_eq!(job["history"][0]["error"]["class"], "timeout");
        let has_begun = shell.folder.join(format!("begun-{id}")).exists();
        let is_late = job["history"][1]["error"]["class"] == "timeout";
        (has_begun && !is_late).then_some(job)
    });
    let job = job.unwrap();
    assert_eq!(
        (&job["state"], &job["result"]),
        (&"completed".into(), &"last".into())
    );
}

#[test]
fn a_checkpoint_over_the_bound_is_complained_of_and_the_one_before_stays() {
    let shell = Shell::new();
    let id = shell.enqueue(&["q", "k", "--max-attempts", "3"]);
    let program = "case $LONGSHORE_ATTEMPT in \
                   1) printf small > $LONGSHORE_CHECKPOINT_FILE; exit 1;; \
                   2) head -c 70000 /dev/zero > $LONGSHORE_CHECKPOINT_FILE; echo why >&2; exit 1;; \
                   3) cat $LONGSHORE_CHECKPOINT_FILE;; esac";
    assert_eq!(shell.drain(program).code, 0);
    let job = shell.job(&id);
    let message = job["history"][1]["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("why\nthe checkpoint takes 70000 bytes"),
        "{message}"
    );
    assert!(message.contains("write a reference"), "{message}");
    assert_eq!(job["result"], "small");
}

#[test]
fn without_temporary_files_programs_run_until_a_checkpoint_would_be_missed() {
    let shell = Shell::new();
    let temporary = shell.path("temporary");
    let worker = |program: &str| {
        let args = ["worker", "--queue", "q", "--drain", "--exec", program];
        let mut command = shell.command(&args);
        command.env("TMPDIR", &temporary).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let ended = |worker: Child| Answer::of(worker.wait_with_output().unwrap());

    let id = shell.enqueue(&["q", "k"]);
    let program = "[ -z \"$LONGSHORE_CHECKPOINT_FILE\" ] && echo none";
    assert_eq!(ended(worker(program)).code, 0);
    assert_eq!(shell.job(&id)["result"], "none\n");

    std::fs::create_dir(&temporary).unwrap();
    let id = shell.enqueue(&["q", "k", "--max-attempts", "99"]);
    let started = worker("printf x > $LONGSHORE_CHECKPOINT_FILE; exit 1");
    until(&shell, &id, |job| !job["checkpoint_bytes"].is_null());
    // The next attempt may be making a folder in it.
    while std::fs::exists(&temporary).unwrap() {
        let _used = std::fs::remove_dir_all(&temporary);
    }
    let last_class = |job: &Value| {
        let history = job["history"].as_array().unwrap();
        let last = history.last().map(|last| last["error"]["class"].clone());
        last.unwrap_or_default()
    };
    let job = until(&shell, &id, |job| {
        last_class(job) == "checkpoint_unreadable"
    });
    assert_eq!(job["checkpoint_bytes"], 1);
    let message = job["history"].as_array().unwrap().last().unwrap()["error"]["message"].clone();
    assert!(message.as_str().unwrap().contains("TMPDIR"), "{message}");
    shell.run(&["jobs", "cancel", &id]);
    assert_eq!(ended(started).code, 0);
}

#[test]
fn nothing_of_an_attempt_is_left_among_temporary_files() {
    let shell = Shell::new();
    shell.enqueue(&["q", "k"]);
    let temporary = shell.path("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let program = "printf x > $LONGSHORE_CHECKPOINT_FILE; dirname $LONGSHORE_CHECKPOINT_FILE";
    let args = ["worker", "--queue", "q", "--drain", "--exec", program];
    let output = shell.command(&args).env("TMPDIR", &temporary).output();
    assert_eq!(Answer::of(output.unwrap()).code, 0);
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}

#[test]
fn a_worker_removes_what_killed_ones_left() {
    let shell = Shell::new();
    let among = shell.path("tmp");
    let (old, young) = ("longshore-exec-2147483646-0", "longshore-exec-2147483646-1");
    for folder in [old, young] {
        std::fs::create_dir_all(format!("{among}/{folder}")).unwrap();
    }
    let made = Command::new("touch")
        .args(["-t", "202001010000", &format!("{among}/{old}")])
        .status();
    assert!(made.unwrap().success());
    let shell = shell.with("TMPDIR", &among);
    assert_eq!(shell.drain("true").code, 0);
    let rest: Vec<String> = std::fs::read_dir(&among)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("longshore-exec-"))
        .collect();
    assert_eq!(rest, [young]);
}
