//! Jobs changed by filter, pruned, and grouped by what went wrong; queues stopped and started.

use serde_json::Value;

use crate::shell::Shell;
use crate::terminal::{on_terminal, plain};

/// Three jobs that fail in two ways, one that completes, and two that wait.
fn some_failures() -> Shell {
    let shell = Shell::new();
    for n in 1..=3 {
        let n = n.to_string();
        let body = format!("\"order {n} of ann{n}@example.com\"");
        shell.enqueue(&["q", "charge", &body, "--max-attempts", "1", "--tag", "bad"]);
    }
    shell.enqueue(&["q", "welcome"]);
    let answer = shell.drain(
        "case $LONGSHORE_KIND in charge) read body; \
         case $body in *2*) echo \"at x.rs:1: bank said no\" >&2; exit 65;; esac; \
         echo \"no card for $body\" >&2; exit 7;; esac",
    );
    assert_eq!(answer.code, 3, "{}", answer.err);
    shell.enqueue(&["q", "welcome"]);
    shell.enqueue(&["other", "welcome"]);
    shell
}

fn count(page: &Value) -> usize {
    page["jobs"].as_array().unwrap().len()
}

#[test]
fn jobs_are_changed_by_filter_after_a_dry_run() {
    let shell = some_failures();
    let dry = shell
        .run(&["jobs", "retry", "--queue", "q", "--dry-run", "--json"])
        .json();
    assert_eq!((&dry["matched"], &dry["changed"]), (&3.into(), &0.into()));
    assert_eq!(dry["examples"].as_array().unwrap().len(), 3);
    let shown = shell.run(&["jobs", "retry", "--queue", "q", "--dry-run"]);
    assert_eq!(shown.out.lines().count(), 4, "{}", shown.out);
    assert_eq!(shown.err, "This would retry 3 jobs. Nothing was changed.\n");
    // It was stored by another run of the program, which takes longer.
    assert!(!shown.out.contains(" 0 µs"), "{}", shown.out);
    let discarded = ["jobs", "list", "--state", "discarded", "--json"];
    assert_eq!(count(&shell.run(&discarded).json()), 3);

    let some = ["jobs", "retry", "--error", "no card", "--json"];
    let done = shell.run(&some).json();
    assert_eq!((&done["matched"], &done["changed"]), (&2.into(), &2.into()));
    assert_eq!(count(&shell.run(&discarded).json()), 1);
    let again = shell.run(&some);
    assert_eq!((again.code, &again.json()["changed"]), (0, &0.into()));
    let discard = shell.run(&["jobs", "discard", "--kind", "welcome"]);
    assert_eq!(discard.out, "2 jobs discarded\n");
    let cancel = shell.run(&["jobs", "cancel", "--enqueued-after", "1h", "--tag", "bad"]);
    assert_eq!(cancel.out, "2 jobs cancelled\n");
    let none = shell.run(&["jobs", "cancel", "--queue", "q", "--dry-run"]);
    let said = "No job matches, so there is nothing to cancel.\n";
    assert_eq!((none.code, &*none.out, &*none.err), (0, "", said));
}

#[test]
fn a_change_needs_ids_or_a_filter_that_makes_sense() {
    let shell = Shell::new();
    let id = shell.enqueue(&["q", "k"]);
    let cases: [(&[&str], &str); 6] = [
        (&["cancel"], "say which jobs to cancel"),
        (&["cancel", &id, "--queue", "q"], "not both"),
        (
            &["cancel", &id, "--dry-run"],
            "--dry-run goes with a filter",
        ),
        (
            &["cancel", "--state", "completed"],
            "nothing to cancel in jobs that are completed",
        ),
        (
            &["retry", "--state", "running"],
            "nothing to retry in jobs that are running",
        ),
        (
            &["discard", "--enqueued-before", "soon"],
            "a time ago such as 90s",
        ),
    ];
    for (words, said) in cases {
        let answer = shell.run(&[&["jobs"], words].concat());
        assert_eq!(answer.code, 2, "{words:?}: {}", answer.err);
        assert!(answer.err.contains(said), "{words:?}: {}", answer.err);
    }
    assert_eq!(shell.job(&id)["state"], "available");
}

#[test]
fn a_terminal_is_asked_before_more_than_one_job_is_changed() {
    let shell = Shell::new();
    let ids = [shell.enqueue(&["q", "k"]), shell.enqueue(&["q", "k"])];
    for columns in [60, 80, 120] {
        let asked = on_terminal(&shell, columns, "jobs cancel --queue q");
        assert_eq!(asked.code, 2, "{}", asked.out);
        assert!(
            asked.out.contains("This would cancel 2 jobs."),
            "{}",
            asked.out
        );
        assert!(
            asked.out.contains("add --yes to cancel them all"),
            "{}",
            asked.out
        );
        assert!(ids.iter().all(|id| asked.out.contains(id)), "{}", asked.out);
    }
    assert_eq!(shell.job(&ids[0])["state"], "available");
    let done = on_terminal(&shell, 80, "jobs cancel --queue q --yes");
    assert_eq!(done.code, 0, "{}", done.out);
    assert!(done.out.contains("2 jobs cancelled"), "{}", done.out);
    // One alone needs no asking.
    on_terminal(&shell, 80, &format!("jobs retry {}", ids[0]));
    let one = on_terminal(&shell, 80, "jobs discard --queue q");
    assert!(one.out.contains("1 job discarded"), "{}", one.out);
    let none = on_terminal(&shell, 80, "jobs discard --queue q");
    let said = "No job matches, so there is nothing to discard.";
    assert_eq!(
        (none.code, plain(&none.out).contains(said)),
        (0, true),
        "{}",
        none.out
    );
    assert!(!none.out.contains(" 0 "), "{}", none.out);
}

#[test]
fn listings_find_by_age_and_error() {
    let shell = some_failures();
    let found = |words: &[&str]| {
        let all = [&["jobs", "list", "--json"], words].concat();
        count(&shell.run(&all).json())
    };
    assert_eq!(found(&["--error", "bank said"]), 1);
    assert_eq!(found(&["--error-class", "exit_7"]), 2);
    assert_eq!(found(&["--enqueued-after", "1h"]), 6);
    assert_eq!(found(&["--enqueued-before", "1h"]), 0);
    assert_eq!(found(&["--enqueued-before", "2100-01-01T00:00:00Z"]), 6);
}

#[test]
fn failures_that_are_alike_are_one() {
    let shell = some_failures();
    let found = shell.run(&["jobs", "failures", "--json"]).json();
    let failures = found["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 2, "{found}");
    let (card, bank) = (&failures[0], &failures[1]);
    assert_eq!((&card["attempts"], &card["jobs"]), (&2.into(), &2.into()));
    assert_eq!(card["message"], "no card for \"…\"");
    assert_eq!(card["class"], "exit_7");
    assert_eq!(bank["place"], "x.rs:1");
    let last = bank["last_job"].as_str().unwrap();
    assert_eq!(shell.job(last)["state"], "discarded");
    assert_eq!(shell.job(last)["trace"]["trace_id"], bank["last_trace"]);
    let one = shell.run(&["jobs", "failures", "--limit", "1"]);
    assert!(one.out.starts_with("2 × charge exit_7\n"), "{}", one.out);
    assert!(!one.out.contains("ann1"), "{}", one.out);
    assert!(one.err.contains("1 more kind"), "{}", one.err);
    for columns in [60, 80, 120] {
        let answer = on_terminal(&shell, columns, "jobs failures");
        assert!(answer.out.contains(last), "{}", answer.out);
        let shown = plain(answer.out.rsplit("\r\x1b[2K").next().unwrap());
        for line in shown.lines() {
            assert!(line.chars().count() <= columns, "{columns}: {line}");
        }
    }
    let none = shell.run(&["jobs", "failures", "--queue", "other"]);
    assert_eq!(none.err, "No attempt failed among the jobs that match.\n");
}

#[test]
fn jobs_that_are_over_are_deleted() {
    let shell = some_failures();
    let usual = shell.run(&["jobs", "prune"]);
    assert_eq!(usual.out, "0 jobs deleted\n");
    let words = ["jobs", "prune", "--state", "discarded", "--keep", "1"];
    let dry = shell
        .run(&[&words[..], &["--dry-run", "--json"]].concat())
        .json();
    assert_eq!(
        (&dry["jobs"], &dry["states"]["discarded"]),
        (&2.into(), &2.into())
    );
    let asked = on_terminal(&shell, 80, "jobs prune --keep 0");
    assert_eq!(asked.code, 2, "{}", asked.out);
    assert!(asked.out.contains("add --yes"), "{}", asked.out);
    let done = shell.run(&[&words[..], &["--json"]].concat()).json();
    assert_eq!((&done["jobs"], &done["states"]), (&2.into(), &Value::Null));
    let rest = shell.run(&["jobs", "prune", "--older-than", "0s"]);
    assert_eq!(rest.out, "2 jobs deleted\n");
    assert_eq!(count(&shell.run(&["jobs", "list", "--json"]).json()), 2);
    let wrong = shell.run(&["jobs", "prune", "--state", "running", "--keep", "0"]);
    assert_eq!(wrong.code, 2);
    let over = "completed, cancelled, discarded";
    assert!(wrong.err.contains(over), "{}", wrong.err);
}

#[test]
fn a_worker_prunes_as_the_settings_say() {
    let shell = Shell::new().with("LONGSHORE_PRUNE_COMPLETED_KEEP", "1");
    for _ in 0..3 {
        shell.enqueue(&["q", "k"]);
    }
    assert_eq!(shell.drain("true").code, 0);
    let dry = shell.run(&["jobs", "prune", "--dry-run"]);
    assert!(dry.out.contains("completed "), "{}", dry.out);
    assert!(dry.err.contains("would delete 2 jobs"), "{}", dry.err);
}

#[test]
fn who_paused_a_queue_and_why_is_told_until_it_goes_on() {
    let shell = Shell::new().with("USER", "ann");
    let job = shell.enqueue(&["mail", "k"]);
    let wrong = shell.run(&["queues", "pause", "mail", "--reason", "two\nlines"]);
    assert_eq!((wrong.code, wrong.out.as_str()), (2, ""), "{}", wrong.err);
    let before = shell.run(&["queues", "list", "--json"]).json();
    assert_eq!(
        (
            &before["queues"][0]["paused"],
            &before["queues"][0]["pause"]
        ),
        (&false.into(), &Value::Null)
    );

    let why = "the bank is \u{202e}down";
    assert_eq!(
        shell
            .run(&["queues", "pause", "mail", "--reason", why])
            .code,
        0
    );
    let list = shell.run(&["queues", "list", "--json"]).json();
    let pause = &list["queues"][0]["pause"];
    assert_eq!(pause["reason"], why);
    assert!(pause["by"].as_str().unwrap().starts_with("ann@"), "{pause}");
    let doctor = shell.run(&["doctor"]).out;
    for said in [
        shell.run(&["queues", "list"]).out,
        shell.run(&["jobs", "show", &job]).out,
        doctor.split_whitespace().collect::<Vec<_>>().join(" "),
    ] {
        let told = said.contains(" ago by ann@") && said.contains(": the bank is ·down");
        assert!(told, "{said}");
    }
    assert_eq!(shell.run(&["queues", "resume", "mail"]).code, 0);
    let after = shell.run(&["queues", "list"]).out;
    assert!(!after.contains("ann@"), "{after}");
    assert!(!shell.run(&["jobs", "show", &job]).out.contains("paused"));
}

#[test]
fn queues_are_paused_resumed_and_drained() {
    let shell = Shell::new();
    shell.enqueue(&["q", "k"]);
    let waits = shell.run(&["queues", "drain", "q", "--timeout", "10ms", "--json"]);
    assert_eq!((waits.code, &waits.json()["waiting"]), (1, &1.into()));
    let said = shell.run(&["queues", "drain", "q", "--timeout", "10ms"]);
    assert!(said.err.contains("1 waiting, 0 running"), "{}", said.err);

    assert_eq!(shell.run(&["queues", "pause", "q"]).out, "q paused\n");
    let paused = shell.run(&["queues", "drain", "q"]);
    assert_eq!(paused.code, 0, "{}", paused.err);
    assert!(paused.err.contains("not waited for"), "{}", paused.err);
    assert!(shell.run(&["queues", "list"]).out.contains("q (paused)"));
    let resumed = shell.run(&["queues", "resume", "q", "--json"]).json();
    assert_eq!(
        (&resumed["queue"], &resumed["paused"]),
        (&"q".into(), &false.into())
    );
    assert_eq!(shell.drain("true").code, 0);
    let drained = shell.run(&["queues", "drain", "q", "--json"]).json();
    assert_eq!(
        (&drained["drained"], &drained["running"]),
        (&true.into(), &0.into())
    );
    let unknown = shell.run(&["queues", "pause", "nowhere"]);
    assert!(
        unknown
            .err
            .contains("No job was ever in a queue nowhere: it is made, and rests until"),
        "{}",
        unknown.err
    );
    let queues = shell.run(&["queues", "list"]).out;
    assert!(queues.contains("nowhere (paused)"), "{queues}");
}
