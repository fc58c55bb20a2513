//! Ids that are typed in part.

use crate::shell::Shell;
use crate::terminal::Terminal;

const BEGIN: &str = "019ed6a2-5d3c-7b1e-8f00-";

/// Two jobs whose ids begin alike, as those do that are made within a minute.
fn alike(shell: &Shell) -> [String; 2] {
    let made = Shell::new().enqueue(&["q", "k"]);
    [("pack", "a"), ("send", "b")].map(|(kind, digit)| {
        let id = format!("{}{}", &made[..24], digit.repeat(12));
        shell.enqueue(&["q", kind, "--id", &id])
    })
}

#[test]
fn as_much_of_an_id_as_tells_it_from_others_is_enough_everywhere() {
    let shell = Shell::new();
    let [first, second] = alike(&shell);
    let part = &first[..30];
    assert_eq!(shell.job(part)["kind"], "pack");
    for verb in ["cancel", "retry", "discard"] {
        let done = shell.run(&["jobs", verb, part]);
        assert!(done.out.starts_with(&first), "{verb}: {done:?}");
    }
    let story = shell.run(&["traces", "show", part, "--json"]).json();
    assert_eq!(story["job"]["id"], first.as_str());
    let trace = story["summary"]["trace_id"].as_str().unwrap();
    let by_trace = shell.run(&["traces", "show", &trace[..12], "--json"]);
    assert_eq!(by_trace.json()["summary"]["trace_id"], trace);
    assert_eq!(shell.job(&second[..26])["kind"], "send");
}

#[test]
fn of_ids_that_begin_alike_all_are_listed_and_nothing_is_done() {
    let shell = Shell::new();
    let ids = alike(&shell);
    let part = &ids[0][..20];
    for call in [
        &["jobs", "show", part][..],
        &["jobs", "cancel", &ids[0], part],
        &["traces", "show", part],
    ] {
        let answer = shell.run(call);
        assert_eq!(answer.code, 2, "{call:?}: {}", answer.err);
        for said in ["2 ids begin with", &ids[0], &ids[1], "q/pack", "q/send"] {
            assert!(answer.err.contains(said), "{call:?}: {}", answer.err);
        }
    }
    assert_eq!(shell.job(&ids[0])["state"], "available");
}

#[test]
fn what_nobody_has_is_not_there() {
    let shell = Shell::new();
    shell.enqueue(&["q", "k"]);
    for id in ["order-17", "12345678", BEGIN] {
        let answer = shell.run(&["jobs", "show", id]);
        assert_eq!(answer.code, 1, "{id}: {}", answer.err);
        assert!(answer.err.contains(id), "{}", answer.err);
    }
    // A whole id that somebody chose is found, whatever it looks like.
    let chosen = shell.enqueue(&["q", "k", "--id", "12345678"]);
    assert_eq!(shell.job(&chosen)["id"], "12345678");
}

#[test]
fn a_job_is_opened_on_the_terminal_by_its_id() {
    let shell = Shell::new();
    let id = shell.enqueue(&["q", "pack"]);
    for id in [id.as_str(), &id[..28]] {
        let line = format!("'{}' tui {id}", env!("CARGO_BIN_EXE_longshore"));
        let mut terminal = Terminal::start(&shell, 160, &line);
        terminal.wait_for("queue.enqueue");
        assert_eq!(terminal.end_with("qqq").code, 0);
    }
}
