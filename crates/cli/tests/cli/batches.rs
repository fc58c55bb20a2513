//! `enqueue --batch` and `batches`.

use serde_json::json;

use crate::shell::Shell;

const LINES: &str = "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n";

/// A shell with a file of three lines.
fn shell() -> (Shell, String) {
    let shell = Shell::new().with_store();
    let file = shell.write("lines", LINES);
    (shell, file)
}

fn drain(shell: &Shell, program: &str) {
    let answer = shell.run(&["worker", "--queue", "q", "--drain", "--exec", program]);
    assert!([0, 3].contains(&answer.code), "{}", answer.err);
}

#[test]
fn a_batch_is_enqueued_followed_and_shown() {
    let (shell, file) = shell();
    let empty = shell.run(&["batches", "list"]);
    assert_eq!((empty.code, empty.out.as_str()), (0, ""));
    assert!(empty.err.contains("--batch"), "{}", empty.err);
    let words = [
        "enqueue",
        "q",
        "k",
        "--lines",
        &file,
        "--batch=b",
        "--on-end",
        "ended",
        "--on-success",
        "succeeded",
    ];
    let answer = shell.run(&words);
    assert_eq!(
        (answer.code, answer.out.as_str()),
        (0, "b\n"),
        "{}",
        answer.err
    );
    assert!(
        answer.err.contains("3 jobs enqueued as batch b"),
        "{}",
        answer.err
    );
    let again = shell.run(&[&words[..], &["--json"]].concat());
    assert_eq!(
        again.json(),
        json!({"batch": "b", "jobs": 3, "created": false})
    );
    let shown = shell.run(&["batches", "show", "b"]).out;
    assert!(shown.starts_with("b running\n"), "{shown}");
    assert!(
        shown.contains("] 0 of 3") && shown.contains("not over"),
        "{shown}"
    );
    drain(&shell, "cat");
    let shown = shell.run(&["batches", "show", "b", "--json"]).json();
    assert_eq!(shown["state"], "ended");
    assert_eq!(
        (&shown["members"], &shown["completed"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(shown["unsuccessful"], json!([]));
    are_followed(&shell, &shown);
    are_listed(&shell);
}

/// Both callbacks ran, with the id of the batch.
fn are_followed(shell: &Shell, shown: &serde_json::Value) {
    let callbacks = shown["callbacks"].as_array().unwrap();
    assert_eq!(callbacks.len(), 2);
    for callback in callbacks {
        assert_eq!(callback["state"], "completed");
        let id = callback["job_id"].as_str().unwrap();
        let job = shell.run(&["jobs", "show", id, "--json"]).json();
        assert_eq!(job["args"], json!({"batch": "b"}));
        let life = shell.run(&["jobs", "show", id]).out;
        assert!(life.contains("batch b"), "{life}");
    }
}

/// The batch and its jobs are in lists.
fn are_listed(shell: &Shell) {
    let members = shell
        .run(&["jobs", "list", "--batch", "b", "--json"])
        .json();
    let members = members["jobs"].as_array().unwrap();
    assert_eq!(members.len(), 3);
    assert!(members.iter().all(|job| job["batch"] == "b"));
    let table = shell.run(&["batches", "list"]).out;
    assert!(
        table.starts_with("ID") && table.contains("ended"),
        "{table}"
    );
    let listed = shell.run(&["batches", "list", "--json"]).json();
    assert_eq!(listed["batches"][0]["ended"], 3);
    let after = shell.run(&["batches", "list", "--after", "b"]);
    assert_eq!(after.out, "");
}

#[test]
fn what_failed_is_shown_and_success_does_not_follow() {
    let (shell, file) = shell();
    let made = shell.run(&[
        "enqueue",
        "q",
        "k",
        "--lines",
        &file,
        "--batch",
        "--max-attempts",
        "1",
        "--on-success",
        "succeeded",
    ]);
    assert_eq!(made.code, 0, "{}", made.err);
    let id = made.out.trim();
    let jobs = shell.run(&["jobs", "list", "--batch", id, "--json"]).json();
    let first = jobs["jobs"][0]["id"].as_str().unwrap();
    assert_eq!(shell.run(&["jobs", "cancel", first]).code, 0);
    let shown = shell.run(&["batches", "show", id, "--json"]).json();
    assert_eq!(shown["cancelled"], 1, "who cancels it notes it: {shown}");
    drain(&shell, "false");
    let shown = shell.run(&["batches", "show", id]).out;
    assert!(shown.contains("3 of 3"), "{shown}");
    assert!(shown.contains(&format!("{first} cancelled")), "{shown}");
    assert!(shown.contains("on success   succeeded\n"), "{shown}");
    let shown = shell.run(&["batches", "show", id, "--json"]).json();
    assert_eq!(
        (&shown["discarded"], &shown["cancelled"]),
        (&json!(2), &json!(1))
    );
}

#[test]
fn words_about_a_batch_need_one() {
    let (shell, file) = shell();
    for words in [
        &["enqueue", "q", "k", "--batch"][..],
        &["enqueue", "q", "k", "--lines", &file, "--on-end", "x"],
        &["enqueue", "q", "k", "--lines", &file, "--batch=no spaces"],
        &[
            "enqueue",
            "q",
            "k",
            "--lines",
            &file,
            "--batch",
            "--unique-args",
        ],
        &["jobs", "list", "--batch", "b", "--meta", "a=b"],
    ] {
        let answer = shell.run(words);
        assert_eq!(answer.code, 2, "{words:?}: {}", answer.err);
    }
    let absent = shell.run(&["batches", "show", "b"]);
    assert_eq!(absent.code, 1);
    assert!(absent.err.contains("batches list"), "{}", absent.err);
    std::fs::write(&file, "{\"n\":1}\nnonsense\n").unwrap();
    let wrong = shell.run(&["enqueue", "q", "k", "--lines", &file, "--batch=b"]);
    assert_eq!(wrong.code, 1, "{}", wrong.err);
    assert!(wrong.err.contains("line 2"), "{}", wrong.err);
    assert_eq!(shell.run(&["jobs", "list"]).out, "", "nothing is enqueued");
}
