//! Stores that are not there: who only looks makes none, and hears where stores are.

use crate::shell::Shell;
use crate::terminal::typing;

/// What only looks, or changes what is there.
const CALLS: [&[&str]; 15] = [
    &["jobs", "list"],
    &["jobs", "show", "x"],
    &["jobs", "failures"],
    &["jobs", "retry", "x"],
    &["jobs", "prune", "--dry-run"],
    &["queues", "list"],
    &["queues", "pause", "q"],
    &["batches", "list"],
    &["schedule", "list"],
    &["limits", "list"],
    &["kinds", "list"],
    &["workers"],
    &["traces", "list"],
    &["traces", "show", "4bf92f3577b34da6a3ce929d0e0e4736"],
    &["traces", "diff", "error", "ok"],
];

#[test]
fn who_only_looks_makes_no_store_and_hears_which_there_are() {
    let shell = Shell::new();
    let (store, shop) = (shell.path("jobs.db"), shell.path("shop.db"));
    let made = shell.run(&["enqueue", "q", "k", "--store", &format!("sqlite:{shop}")]);
    assert_eq!(made.code, 0, "{}", made.err);
    shell.write("notes.db", "no store");
    shell.write("longshore.toml", "");
    for call in CALLS {
        let answer = shell.run(call);
        assert_eq!(answer.code, 2, "{call:?}: {}", answer.err);
        // What is said makes the store that is named, whoever copies it.
        let makes = format!("`longshore --store sqlite:{store} enqueue QUEUE KIND`");
        for part in [store.as_str(), shop.as_str(), &makes] {
            assert!(answer.err.contains(part), "{call:?}: {}", answer.err);
        }
        assert!(!answer.err.contains("notes.db"), "{}", answer.err);
    }
    let screen = typing(&shell, 200, "tui", "");
    assert_eq!(screen.code, 2, "{}", screen.out);
    let doctor = shell.run(&["doctor"]);
    assert_eq!(doctor.code, 2, "{}", doctor.out);
    let leads = format!("try: export LONGSHORE_STORE=sqlite:{shop}");
    assert!(doctor.out.contains(&leads), "{}", doctor.out);
    assert!(!shell.folder.join("jobs.db").exists());
    // A file without content is none either, and stays as it is.
    shell.write("jobs.db", "");
    assert_eq!(shell.run(&["jobs", "list"]).code, 2);
    assert_eq!(std::fs::read(&store).unwrap(), b"");
}

#[test]
fn who_puts_the_first_job_into_a_store_makes_it_and_says_so_once() {
    let shell = Shell::new();
    let said = format!("Made the store {}.", shell.path("jobs.db"));
    let first = shell.run(&["enqueue", "q", "k"]);
    assert_eq!((first.code, first.err.trim_end()), (0, said.as_str()));
    let second = shell.run(&["enqueue", "q", "k"]);
    assert_eq!((second.code, second.err.as_str()), (0, ""));
    let shell = Shell::new();
    let worker = shell.drain("true");
    let made = worker.err.matches("Made the store ").count();
    assert_eq!((worker.code, made), (0, 1), "{}", worker.err);
}

#[test]
fn before_the_first_job_it_is_said_how_to_begin() {
    let shell = Shell::new().with("LONGSHORE_STORE", "sqlite:");
    let answer = shell.run(&["jobs", "list"]);
    assert_eq!(answer.code, 2);
    for part in ["no store yet", "longshore demo", "longshore enqueue"] {
        assert!(answer.err.contains(part), "{}", answer.err);
    }
    let doctor = shell.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "{}", doctor.out);
    assert!(doctor.out.contains("no store yet"), "{}", doctor.out);
    assert!(!shell.folder.join(".local").exists());
}

/// What only looks at a store on a server makes none, and says which there are; what puts something
/// into it says that it is new, once. `beside` is said of it, and `other` is a store that is there.
pub(crate) fn a_mistyped_name_makes_no_store(shell: Shell, url: &str, beside: &str, other: &str) {
    let shell = shell.with("LONGSHORE_STORE", url);
    for call in CALLS {
        let answer = shell.run(call);
        assert_eq!(answer.code, 2, "{call:?}: {}", answer.err);
        assert!(
            answer.err.contains("there is no store at"),
            "{}",
            answer.err
        );
        assert!(answer.err.contains(beside), "{call:?}: {}", answer.err);
    }
    let screen = typing(&shell, 200, "tui", "");
    assert_eq!(screen.code, 2, "{}", screen.out);
    for (from, to, code) in [(url, other, 2), (other, url, 0)] {
        let copy = shell.run(&["store", "copy", from, to, "--dry-run"]);
        assert_eq!(copy.code, code, "{}", copy.err);
    }
    // Before the first job nothing is wrong.
    let doctor = shell.run(&["doctor"]);
    assert!(doctor.out.contains("warning  store"), "{}", doctor.out);
    assert!(doctor.out.contains(beside), "{}", doctor.out);
    let first = shell.run(&["enqueue", "q", "k"]);
    assert_eq!(first.code, 0, "{}", first.err);
    assert!(first.err.contains("Making a store"), "{}", first.err);
    assert!(first.err.contains(beside), "{}", first.err);
    let second = shell.run(&["enqueue", "q", "k"]);
    assert!(!second.err.contains("Making a store"), "{}", second.err);
    let jobs = shell.run(&["jobs", "list", "--ids"]);
    assert_eq!(jobs.out.lines().count(), 2, "{}", jobs.out);
}
