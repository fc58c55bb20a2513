//! `enqueue`.

use std::io::Read as _;
use std::process::Stdio;

use crate::shell::{Answer, Shell};

#[test]
fn prints_the_id_alone_and_with_json_the_whole_record() {
    let shell = Shell::new().with_store();
    let answer = shell.run(&["enqueue", "q", "k", "{\"to\": \"ann\"}"]);
    assert_eq!((answer.code, answer.err.as_str()), (0, ""));
    assert_eq!(answer.out.trim().len(), 36);
    let job = shell
        .run(&[
            "enqueue",
            "q",
            "k",
            "[1]",
            "--json",
            "--priority",
            "1",
            "--tag",
            "a",
            "--tag",
            "b",
            "--meta",
            "x=y=z",
            "--tenant",
            "t",
            "--namespace",
            "n",
            "--correlation-id",
            "c",
            "--max-attempts",
            "3",
            "--timeout",
            "1m30s",
            "--delay",
            "1h",
            "--relation",
            "link",
        ])
        .json();
    assert_eq!(job["args"], serde_json::json!([1]));
    assert_eq!(job["state"], "scheduled");
    assert_eq!(job["tags"], serde_json::json!(["a", "b"]));
    assert_eq!(job["metadata"]["x"], "y=z");
    assert_eq!(
        (&job["priority"], &job["max_attempts"]),
        (&1.into(), &3.into())
    );
    assert_eq!(job["timeout_seconds"], 90.0);
    assert_eq!(
        (&job["tenant_id"], &job["namespace"]),
        (&"t".into(), &"n".into())
    );
    assert_eq!(job["correlation_id"], "c");
    assert_eq!(job["trace"]["relation"], "link");
}

#[test]
fn args_come_from_stdin_and_files_as_they_are() {
    let shell = Shell::new();
    let from_stdin = shell.run_with(&["enqueue", "q", "k", "-", "--json"], b"\xff\x00 not json");
    assert_eq!(from_stdin.json()["args_base64"], "/wAgbm90IGpzb24=");
    let file = shell.write("args", "plain words");
    let from_file = shell.run(&["enqueue", "q", "k", "--args-file", &file, "--json"]);
    assert_eq!(from_file.json()["args"], "plain words");
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let deep = shell.run_with(&["enqueue", "q", "k", "-", "--json"], deep.as_bytes());
    assert_eq!(deep.code, 0, "{}", deep.err);
}

#[test]
fn what_is_wrong_is_said_with_exit_code_2_and_nothing_is_stored() {
    let shell = Shell::new();
    let wrong: [(&[&str], &str); 16] = [
        (&["enqueue", "q"], "KIND"),
        (
            &["enqueue", "no queue", "k"],
            "cannot be the name of a queue",
        ),
        (&["enqueue", "q", "k", "{oops"], "not JSON"),
        (&["enqueue", "q", "k", "--priority", "9"], "priority"),
        (&["enqueue", "q", "k", "--delay", "10"], "500ms"),
        (&["enqueue", "q", "k", "--at", "tomorrow"], "RFC 3339"),
        (
            &[
                "enqueue",
                "q",
                "k",
                "--delay",
                "1s",
                "--at",
                "2030-01-01T00:00:00Z",
            ],
            "cannot be used",
        ),
        (&["enqueue", "q", "k", "--meta", "novalue"], "KEY=VALUE"),
        (
            &["enqueue", "q", "k", "--traceparent", "00-zz"],
            "--traceparent",
        ),
        (&["enqueue", "q", "k", "--tag", ""], "tags"),
        (&["enqueue", "q", "k", "--store", "mysql:x"], "sqlite:PATH"),
        (
            &["enqueue", "q", "k", "--store", "mysql://localhost/x"],
            "`mysql:` names no store: write sqlite:PATH, postgres://USER@HOST/DATABASE, redis://",
        ),
        (
            &["enqueue", "q", "k", "--store", "foo:bar"],
            "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX",
        ),
        (
            &["enqueue", "q", "k", "--store", "/tmp/shop.db"],
            "`/tmp/shop.db` is a path: write sqlite:/tmp/shop.db",
        ),
        (
            &["enqueue", "q", "k", "--store", "shop.db"],
            "write sqlite:shop.db",
        ),
        (
            &["enqueue", "q", "k", "--store", "/tmp/12:30.db"],
            "write sqlite:/tmp/12:30.db",
        ),
    ];
    for (args, hint) in wrong {
        let answer = shell.run(args);
        assert_eq!(
            (answer.code, answer.out.as_str()),
            (2, ""),
            "{args:?}: {}",
            answer.err
        );
        assert!(answer.err.contains(hint), "{args:?}: {}", answer.err);
    }
    let queues = shell.run(&["queues", "list", "--json"]).json();
    assert_eq!(queues["queues"], serde_json::json!([]));
}

#[test]
fn a_unique_key_is_a_hit_and_with_other_args_an_error() {
    let shell = Shell::new();
    let first = shell.enqueue(&["q", "k", "1", "--unique-key", "u"]);
    let again = shell.run(&["enqueue", "q", "k", "1", "--unique-key", "u"]);
    assert_eq!((again.code, again.out.trim()), (0, first.as_str()));
    assert!(again.err.contains("there already"), "{}", again.err);
    let other = shell.run(&["enqueue", "q", "k", "2", "--unique-key", "u"]);
    assert_eq!((other.code, other.out.as_str()), (1, ""));
    assert!(other.err.contains(&first), "{}", other.err);
}

#[test]
fn what_became_of_a_unique_job_is_told() {
    let shell = Shell::new();
    let enqueue = |words: &[&str]| shell.run(&[&["enqueue", "q", "k"], words].concat());
    let cart = ["--unique", "cart", "--on-conflict", "replace", "--json"];
    let first = enqueue(&[&["1", "--delay", "1h"], &cart[..]].concat()).json();
    assert_eq!(
        (first["enqueued"].as_str(), &first["args"]),
        (Some("created"), &1.into())
    );
    assert_eq!(first["unique_scope"], "unfinished");
    let again = enqueue(&[&["2"], &cart[..]].concat());
    assert!(again.err.contains("new args"), "{}", again.err);
    let again = again.json();
    assert_eq!(
        (again["enqueued"].as_str(), &again["args"]),
        (Some("replaced"), &2.into())
    );
    assert_eq!(
        (&again["id"], &again["priority"]),
        (&first["id"], &2.into())
    );
    assert_eq!(again["available_at"], first["available_at"]);
    let sooner = enqueue(&[&["2", "--priority", "1", "--delay", "1m"], &cart[..]].concat());
    let sooner = sooner.json();
    assert_eq!(sooner["priority"], 1);
    assert_ne!(sooner["available_at"], first["available_at"]);
    let kept = enqueue(&[
        "3",
        "--unique-key",
        "cart",
        "--on-conflict",
        "keep",
        "--json",
    ]);
    let kept = kept.json();
    assert_eq!(
        (kept["enqueued"].as_str(), &kept["args"]),
        (Some("hit"), &2.into())
    );
    let refused = enqueue(&["3", "--unique-key", "cart"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("kept"), "{}", refused.err);
}

#[test]
fn a_window_and_a_start_end_a_unique_key() {
    let shell = Shell::new();
    let digest = ["q", "k", "[1]", "--unique-args", "--unique-for", "24h"];
    let id = shell.enqueue(&digest);
    let shown = shell.run(&["jobs", "show", &id]);
    assert!(shown.out.contains("(held until 2"), "{}", shown.out);
    shell.run(&["worker", "--queue", "q", "--drain", "--exec", "true"]);
    assert_eq!(
        shell.enqueue(&digest),
        id,
        "completed, and within its window"
    );
    let row = shell.run(&["jobs", "show", &id, "--json"]).json();
    assert_eq!(row["unique_scope"], "window");
    assert!(row["unique_until"].as_str() > row["enqueued_at"].as_str());
    shell.run(&["jobs", "retry", &id]);
    shell.run(&["jobs", "cancel", &id]);
    let shown = shell.run(&["jobs", "show", &id]);
    assert!(shown.out.contains("(free again)"), "{}", shown.out);
    assert_ne!(shell.enqueue(&digest), id);

    let start = [
        "q",
        "k",
        "2",
        "--unique-key",
        "s",
        "--unique-until",
        "start",
    ];
    let id = shell.enqueue(&start);
    let shown = shell.run(&["jobs", "show", &id]);
    assert!(
        shown.out.contains("s (held until the job starts)"),
        "{}",
        shown.out
    );
    let end = shell.enqueue(&["q", "k", "--unique-key", "e"]);
    let shown = shell.run(&["jobs", "show", &end]);
    assert!(
        shown.out.contains("e (held until the job is over)"),
        "{}",
        shown.out
    );
}

#[test]
fn words_about_a_unique_key_need_one_and_are_bounded() {
    let shell = Shell::new();
    let long = "k".repeat(201);
    let wrong: [(&[&str], &str); 7] = [
        (
            &["--on-conflict", "keep"],
            "--unique-key K or --unique-args",
        ),
        (&["--unique-for", "1h"], "--unique-args"),
        (&["--unique-until", "start"], "--unique-args"),
        (&["--unique-args", "--unique-for", "0s"], "366 days"),
        (&["--unique-args", "--unique-for", "876000h"], "366 days"),
        (&["--unique-key", &long], "200 bytes"),
        (
            &["--unique-args", "--on-conflict", "skip"],
            "reject, keep, replace",
        ),
    ];
    for (words, hint) in wrong {
        let answer = shell.run(&[&["enqueue", "q", "k"], words].concat());
        assert_eq!(
            (answer.code, &*answer.out),
            (2, ""),
            "{words:?}: {}",
            answer.err
        );
        assert!(answer.err.contains(hint), "{words:?}: {}", answer.err);
    }
}

#[test]
fn lines_that_were_there_already_are_counted() {
    let shell = Shell::new().with_store();
    let words = ["enqueue", "q", "k", "--lines", "-", "--unique-args"];
    let answer = shell.run_with(&words, b"1\n2\n1\n");
    assert_eq!(answer.err.trim(), "2 jobs enqueued, 1 there already.");
    let words = [&words[..], &["--on-conflict", "replace"]].concat();
    let answer = shell.run_with(&words, b"2\n3\n");
    assert_eq!(
        answer.err.trim(),
        "1 job enqueued, 1 waiting with new args."
    );
}

#[test]
fn lines_are_a_job_each_and_blank_ones_none() {
    let shell = Shell::new().with_store();
    let lines: String = (0..1200).map(|n| format!("{n}\n\n")).collect();
    let answer = shell.run_with(&["enqueue", "q", "k", "--lines", "-"], lines.as_bytes());
    assert_eq!((answer.code, answer.out.lines().count()), (0, 1200));
    assert_eq!(answer.err.trim(), "1200 jobs enqueued.");
}

#[test]
fn a_bad_line_is_named_and_the_lines_before_it_are_stored() {
    let shell = Shell::new();
    let file = shell.write("jobs.ndjson", "1\n\n2\n{bad\n5\n");
    let answer = shell.run(&["enqueue", "q", "k", "--lines", &file]);
    assert_eq!((answer.code, answer.out.lines().count()), (1, 2));
    assert!(
        answer.err.contains("line 4 of") && answer.err.contains("`{bad`"),
        "{}",
        answer.err
    );
    assert!(answer.err.contains("The 2 jobs"), "{}", answer.err);
    let missing = shell.run(&["enqueue", "q", "k", "--lines", "nowhere"]);
    assert_eq!(missing.code, 1);
    assert!(missing.err.contains("nowhere"), "{}", missing.err);
}

#[test]
fn a_mistake_is_named_where_it_stands() {
    let shell = Shell::new();
    let say = |args: &[&str], stdin: &[u8]| {
        let answer = shell.run_with(&[&["enqueue", "q", "k"], args].concat(), stdin);
        (answer.code, answer.err)
    };
    let (code, said) = say(&["--prioritty", "3"], b"");
    assert!(code == 2 && said.contains("'--priority'"), "{said}");
    let (code, said) = say(&["{\"a\": 1,\n \"b\": }"], b"");
    assert!(code == 2 && said.contains("line 2 column 7"), "{said}");
    let (code, said) = say(&["--lines", "-"], b"{\"a\": }\n");
    assert!(code == 1 && said.contains("line 1 of stdin"), "{said}");
    assert!(
        said.contains("at column 7)") && said.contains("Nothing is enqueued"),
        "{said}"
    );
    let (code, said) = say(&["--lines", "-"], b"1\n\n[\n2\n");
    assert!(code == 1 && said.contains("line 3 of stdin"), "{said}");
    assert!(
        said.contains("The job of the line before is enqueued"),
        "{said}"
    );
    assert_eq!(
        say(&["--lines", "-"], b""),
        (0, "0 jobs enqueued.\n".to_owned())
    );
    let lines: String = (0..100_000).map(|n| format!("{n}\n")).collect();
    let lines = lines.replace("\n77777\n", "\n{77777\n");
    let (code, said) = say(&["--lines", "-"], lines.as_bytes());
    assert!(code == 1 && said.contains("line 77778 of"), "{said}");
    assert!(
        said.contains("The 77777 jobs of the lines before"),
        "{said}"
    );
    let queues = shell.run(&["queues", "list", "--json"]).json();
    assert_eq!(queues["queues"][0]["available"], 77778);
}

#[test]
fn a_reader_that_goes_away_stops_no_enqueue() {
    let shell = Shell::new();
    let lines: String = (0..3000).map(|n| format!("{n}\n")).collect();
    let file = shell.write("lines", lines);
    let mut command = shell.command(&["enqueue", "q", "k", "--lines", &file]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = [0; 36];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let queues = shell.run(&["queues", "list", "--json"]).json();
    assert_eq!(queues["queues"][0]["available"], 3000);
}

#[test]
fn an_id_that_cannot_be_written_is_not_lost() {
    let shell = Shell::new().with_store();
    for json in [&[][..], &["--json"]] {
        let mut command = shell.command(&[&["enqueue", "q", "k"], json].concat());
        let full = std::fs::File::options().write(true).open("/dev/full");
        let answer = Answer::of(command.stdout(full.unwrap()).output().unwrap());
        assert_eq!(answer.code, 1);
        let jobs = shell.run(&["jobs", "list", "--json"]).json();
        let id = jobs["jobs"][0]["id"].as_str().unwrap();
        let said = format!("error: job {id} is stored all the same: stdout cannot");
        assert!(answer.err.starts_with(&said), "{}", answer.err);
    }
}

#[test]
fn a_store_that_cannot_be_opened_is_named() {
    let shell = Shell::new();
    let answer = shell.run(&["--store", "sqlite:/nowhere/at/all.db", "enqueue", "q", "k"]);
    assert!([1, 4].contains(&answer.code), "{}", answer.code);
    assert!(answer.err.contains("/nowhere/at/all.db"), "{}", answer.err);
    let text = shell.write(
        "text.db",
        "this is no database, and longer than its header would be. ".repeat(4),
    );
    let answer = shell.run(&["--store", &format!("sqlite:{text}"), "queues", "list"]);
    assert_eq!(answer.code, 1, "{}", answer.err);
}

#[test]
fn the_store_is_in_the_data_folder_unless_told_otherwise() {
    let shell = Shell::new().with("LONGSHORE_STORE", "");
    let mut command = shell.command(&["enqueue", "q", "k"]);
    command.env_remove("LONGSHORE_STORE");
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
    assert!(
        shell
            .folder
            .join(".local/share/longshore/longshore.db")
            .exists()
    );
    let mut command = shell.command(&["enqueue", "q", "k"]);
    command
        .env_remove("LONGSHORE_STORE")
        .env("XDG_DATA_HOME", shell.folder.join("data"));
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
    assert!(shell.folder.join("data/longshore/longshore.db").exists());
}

#[test]
fn a_job_with_a_chosen_id_is_stored_once() {
    let shell = Shell::new();
    let words = ["enqueue", "q", "k", "1", "--id", "outbox.17"];
    let first = shell.run(&words);
    assert_eq!(
        (first.code, first.out.trim()),
        (0, "outbox.17"),
        "{}",
        first.err
    );
    let again = shell.run(&words);
    assert_eq!((again.code, again.out.trim()), (0, "outbox.17"));
    assert!(again.err.contains("is there already"), "{}", again.err);
    // The id alone says which job it is.
    let other = shell.run(&["enqueue", "q", "k", "2", "--id", "outbox.17"]);
    assert_eq!(other.code, 0, "{}", other.err);
    assert_eq!(shell.job("outbox.17")["args"], 1);
    let lines = shell.run(&["enqueue", "q", "k", "--lines", "-", "--id", "x"]);
    assert_eq!(lines.code, 2, "{}", lines.err);
}
