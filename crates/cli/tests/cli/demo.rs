//! `demo`.

use crate::shell::Shell;

#[test]
fn the_demo_ends_with_a_summary_and_a_waterfall() {
    let shell = Shell::new();
    let folder = shell.path("shop");
    let answer = shell.run(&["demo", "--folder", &folder, "--orders", "12"]);
    assert_eq!(answer.code, 0, "{}", answer.err);
    for part in [
        "charge_card",
        "print_label",
        "queue.dequeue",
        "job.process",
        "bank_timeout",
        "back-off",
    ] {
        assert!(answer.out.contains(part), "{part} in {}", answer.out);
    }
    assert!(!answer.out.contains('\x1b'));
    assert!(answer.err.contains("What to type next"));
    let again = shell.run(&["demo", "--folder", &folder]);
    assert_eq!(again.code, 2);
}

#[test]
fn what_the_demo_says_to_type_next_works() {
    let shell = Shell::new();
    let folder = shell.path("shop");
    let demo = shell.run(&["demo", "--folder", &folder, "--orders", "6"]);
    let commands: Vec<&str> = demo
        .err
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .collect();
    let commands: Vec<&str> = commands
        .into_iter()
        // Needs a terminal.
        .filter(|line| !line.starts_with(' ') && !line.ends_with(" tui"))
        .collect();
    assert!(commands.len() >= 6, "{}", demo.err);
    let ran = std::process::Command::new("sh")
        .args(["-e", "-c", &commands.join("\n")])
        .env("HOME", &shell.folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
}

#[test]
fn the_summary_as_json() {
    let shell = Shell::new();
    let folder = shell.path("shop");
    let summary = shell
        .run(&["demo", "--folder", &folder, "--orders", "5", "--json"])
        .json();
    assert_eq!(
        (&summary["jobs"], &summary["groups"][0]["discarded"]),
        (&21.into(), &1.into())
    );
}
