//! Every key that `--json` prints is documented.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::shell::Shell;

const DOCUMENT: &str = include_str!("../../../../docs/cli.md");

/// The keys of all objects in a value, except where users choose them.
fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                found.insert(key.clone());
                if !["metadata", "args", "result"].contains(&key.as_str()) {
                    keys(value, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

#[test]
fn every_key_is_documented_and_every_answer_is_one_line() {
    let shell = Shell::new();
    let id = shell.enqueue(&["q", "k"]);
    let failing = shell.enqueue(&["q", "k", "--max-attempts", "1"]);
    let mut found = BTreeSet::new();
    let copied = format!("sqlite:{}", shell.path("copied.db"));
    let commands: [&[&str]; 28] = [
        &["enqueue", "q", "k", "{\"a\":\n1}", "--json"],
        &[
            "worker", "--queue", "q", "--drain", "--exec", "exit 65", "--json",
        ],
        &["jobs", "show", &failing, "--json"],
        &["jobs", "list", "--json"],
        &["jobs", "list", "--queue", "nowhere", "--json"],
        &["jobs", "cancel", &id, "--json"],
        &["jobs", "cancel", "nobody", "--json"],
        &["jobs", "retry", &failing, "--json"],
        &["jobs", "discard", &id, "--json"],
        &[
            "jobs",
            "retry",
            "--state",
            "discarded",
            "--dry-run",
            "--json",
        ],
        &["jobs", "failures", "--json"],
        &["jobs", "prune", "--keep", "9", "--dry-run", "--json"],
        &["queues", "list", "--json"],
        &["workers", "--json"],
        &["schedule", "add", "s", "@daily", "q", "k", "--json"],
        &["schedule", "list", "--json"],
        &["schedule", "trigger", "s", "--json"],
        &["schedule", "remove", "s", "--json"],
        &["queues", "pause", "q", "--json"],
        &["queues", "list", "--json"],
        &["queues", "resume", "q", "--json"],
        &["kinds", "list", "--json"],
        &["queues", "drain", "q", "--json", "--timeout", "1ms"],
        &["config", "show", "--json"],
        &["config", "check", "--json"],
        &["doctor", "--json"],
        &["store", "copy", &shell.store(), &copied, "--json"],
        &["demo", "--orders", "2", "--folder", "shop", "--json"],
    ];
    for args in commands {
        let answer = shell.run(args);
        assert_eq!(answer.out.lines().count(), 1, "{args:?}: {}", answer.out);
        keys(&answer.json(), &mut found);
    }
    let unknown = found
        .iter()
        .filter(|key| !DOCUMENT.contains(&format!("`{key}`")));
    assert_eq!(unknown.collect::<Vec<_>>(), [""; 0]);
    assert!(found.len() > 80, "{}", found.len());
}
