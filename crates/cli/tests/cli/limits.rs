//! `limits` and `kinds`.

use crate::shell::Shell;

#[test]
fn limits_are_set_listed_and_removed() {
    let shell = Shell::new().with_store();
    let none = shell.run(&["limits", "list"]);
    assert!(
        none.out.is_empty() && none.err.contains("Nothing is limited"),
        "{}",
        none.err
    );
    let set = shell.run(&[
        "limits",
        "set",
        "queue:mail",
        "--concurrency",
        "5",
        "--fair",
    ]);
    assert_eq!(set.out, "queue:mail: 5 at once, tenants take turns\n");
    let set = shell.run(&[
        "limits",
        "set",
        "queue:mail",
        "--rate",
        "100/m",
        "--burst",
        "10",
        "--json",
    ]);
    let set = set.json();
    assert_eq!(
        (&set["concurrency"], &set["rate"]["burst"]),
        (&5.into(), &10.into())
    );
    assert_eq!(
        shell
            .run(&["limits", "set", "tenants", "--concurrency", "2"])
            .code,
        0
    );
    let list = shell.run(&["limits", "list", "--json"]).json();
    assert_eq!(list["limits"].as_array().unwrap().len(), 2);
    assert_eq!(list["limits"][0]["scope"], "queue:mail");
    assert_eq!(list["limits"][0]["permits_held"], 0);
    let table = shell.run(&["limits", "list"]).out;
    assert!(table.contains("starts 100/1m, burst 10"), "{table}");
    let removed = shell.run(&["limits", "remove", "queue:mail", "rate", "fair"]);
    assert_eq!(removed.out, "queue:mail: 5 at once\n");
    let removed = shell.run(&["limits", "remove", "queue:mail"]);
    assert_eq!(removed.out, "queue:mail is not limited\n");
    let nothing = shell.run(&["limits", "remove", "queue:mail"]);
    assert!(nothing.err.contains("no such limit"), "{}", nothing.err);
}

#[test]
fn a_limit_that_makes_no_sense_is_bad_usage_and_says_what_would() {
    let shell = Shell::new();
    for (words, says) in [
        (&["limits", "set", "queue:mail"][..], "--concurrency 5"),
        (
            &["limits", "set", "mail", "--concurrency", "5"],
            "queue:NAME",
        ),
        (
            &["limits", "set", "queue:mail", "--concurrency", "0"],
            "pause it",
        ),
        (&["limits", "set", "kind:a", "--length", "5"], "for queues"),
        (&["limits", "set", "queue:mail", "--rate", "fast"], "10/s"),
        (&["limits", "set", "queue:mail", "--burst", "5"], "--rate"),
    ] {
        let answer = shell.run(words);
        assert_eq!(answer.code, 2, "{words:?}: {}", answer.err);
        assert!(answer.err.contains(says), "{words:?}: {}", answer.err);
    }
}

#[test]
fn a_full_queue_refuses_with_its_length_and_what_to_do() {
    let shell = Shell::new();
    shell.run(&["limits", "set", "queue:q", "--length", "2"]);
    shell.enqueue(&["q", "k"]);
    shell.enqueue(&["q", "k"]);
    let refused = shell.run(&["enqueue", "q", "k"]);
    assert_eq!(refused.code, 4);
    assert!(
        refused
            .err
            .contains("`q` is full: it has 2 unfinished jobs"),
        "{}",
        refused.err
    );
    shell.enqueue(&["other", "k"]);
}

#[test]
fn kinds_that_rest_are_listed_with_who_and_why() {
    let shell = Shell::new().with_store().with("USER", "ann");
    let none = shell.run(&["kinds", "list"]);
    assert_eq!(
        (none.out.as_str(), none.err.as_str()),
        ("", "No kind is paused.\n")
    );
    let limit = ["limits", "set", "kind:fast", "--concurrency", "5"];
    assert_eq!(shell.run(&limit).code, 0);
    let pause = ["kinds", "pause", "call_bank", "--reason", "pays twice"];
    assert_eq!(shell.run(&pause).code, 0);
    let list = shell.run(&["kinds", "list"]).out;
    assert_eq!(list.lines().count(), 2, "{list}");
    let line = list.lines().last().unwrap();
    let told =
        line.starts_with("call_bank") && line.contains("ann@") && line.contains("pays twice");
    assert!(told, "{line}");
    let list = shell.run(&["kinds", "list", "--json"]).json();
    assert_eq!(list["kinds"][0]["pause"]["reason"], "pays twice");
    let job = shell.enqueue(&["orders", "call_bank"]);
    for said in [shell.run(&["jobs", "show", &job]), shell.run(&["doctor"])] {
        let said: Vec<&str> = said.out.split_whitespace().collect();
        assert!(said.join(" ").contains(": pays twice"), "{said:?}");
    }
    assert_eq!(shell.run(&["kinds", "resume", "call_bank"]).code, 0);
    let list = shell.run(&["kinds", "list", "--json"]).json();
    assert_eq!(list["kinds"].as_array().unwrap().len(), 0);
}

#[test]
fn a_paused_kind_waits() {
    let shell = Shell::new().with_store();
    assert_eq!(shell.run(&["kinds", "pause", "slow"]).out, "slow paused\n");
    let slow = shell.enqueue(&["q", "slow"]);
    let id = shell.enqueue(&["q", "quick"]);
    let waiting = shell.run(&["jobs", "show", &slow]).out;
    let why = "held back: the kind was paused";
    assert!(waiting.contains(why), "{waiting}");
    let list = shell.run(&["limits", "list"]).out;
    assert!(
        list.contains("kind:slow") && list.contains("paused"),
        "{list}"
    );
    assert_eq!(
        shell.run(&["kinds", "resume", "slow", "--json"]).json()["paused"],
        false
    );
    let drained = shell.drain("true");
    assert_eq!(drained.code, 0, "{}", drained.err);
    assert_eq!(shell.job(&id)["state"], "completed");
}

/// Three processes on one file, and programs that look how many of them run.
#[test]
fn a_limit_holds_across_processes() {
    let shell = Shell::new();
    shell.run(&["limits", "set", "queue:q", "--concurrency", "2"]);
    for _ in 0..12 {
        shell.enqueue(&["q", "k"]);
    }
    let folder = shell.path("running");
    std::fs::create_dir_all(&folder).unwrap();
    // Each counts those at work beside it, and says so as its result.
    let script = shell.write(
        "look.sh",
        format!("mkdir {folder}/$$ && ls {folder} | wc -l && sleep 0.2 && rmdir {folder}/$$"),
    );
    let program = format!("sh {script}");
    let words = [
        "worker",
        "--queue",
        "q",
        "--drain",
        "--concurrency",
        "4",
        "--exec",
        &program,
    ];
    std::thread::scope(|scope| {
        let workers = [(); 3].map(|()| scope.spawn(|| shell.run(&words)));
        for worker in workers {
            let ended = worker.join().unwrap();
            assert_eq!(ended.code, 0, "{}", ended.err);
        }
    });
    let jobs = shell
        .run(&["jobs", "list", "--queue", "q", "--json"])
        .json();
    let jobs = jobs["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 12);
    for job in jobs {
        let shown = job["result"].to_string();
        let digits = shown.chars().filter(char::is_ascii_digit);
        let at_work: u64 = digits.collect::<String>().parse().unwrap();
        assert!((1..=2).contains(&at_work), "{at_work} ran at once");
        assert_eq!(job["attempt"], 1);
    }
}
