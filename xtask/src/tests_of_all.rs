//! The whole test suite, as one command for people and for CI. The real input (a part of
//! `/usr/share/doc` through `worker --exec`) is one of the tests of `crates/cli`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::{self, heading};

/// How many tests, examples and scripts passed and failed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
}

/// Runs everything, prints what every part prints, and the sum at the end.
pub(crate) fn run() -> Result<()> {
    let root = run::workspace_root()?;
    let mut count = Count::default();

    heading("unit, integration and documentation tests, every feature");
    // What fails early is no reason not to hear of the rest.
    let all = [
        "test",
        "--workspace",
        "--all-features",
        "--locked",
        "--no-fail-fast",
    ];
    cargo_test(&root, &all, &mut count)?;
    // Before the next build replaces them.
    run_examples(&root, &mut count)?;

    heading("the façade without OpenTelemetry");
    let bare = [
        "test",
        "-p",
        "longshore",
        "--no-default-features",
        "--features",
        "sqlite",
        "--locked",
    ];
    cargo_test(&root, &bare, &mut count)?;

    heading("every decoder, on its corpus and on random input");
    let target = run::target(&root);
    let target = target.to_string_lossy();
    let manifest = ["--manifest-path", "fuzz/Cargo.toml"];
    let shared = ["--target-dir", &*target];
    // Not locked: what the product newly depends on need not be written down twice.
    let fuzz = [&["test"][..], &manifest, &shared].concat();
    cargo_test(&root, &fuzz, &mut count)?;

    heading("other queues: apalis, and PGMQ's table on PostgreSQL");
    let manifest = ["--manifest-path", "examples/Cargo.toml", "--workspace"];
    // Not locked, for the same reason.
    let others = [&["test"][..], &manifest, &shared].concat();
    cargo_test(&root, &others, &mut count)?;

    println!(
        "\ntest result: ok. {} passed; {} failed",
        count.passed, count.failed
    );
    Ok(())
}

/// Runs every example, as `cargo test` has just built it.
fn run_examples(root: &Path, count: &mut Count) -> Result<()> {
    let folder = root.join("crates/longshore/examples");
    let target = run::target(root);
    for name in examples(&folder)? {
        heading(&format!("example {name}"));
        let program = target.join("debug/examples").join(&name);
        run::succeed(run::command(root, &program.to_string_lossy(), &[]))?;
        count.passed += 1;
    }
    Ok(())
}

/// The names of the examples in `folder`, in the order of their numbers.
fn examples(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(
                path.file_stem()
                    .map(|stem| stem.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort();
    Ok(names)
}

/// Runs `cargo test`, passing its output on line by line while adding up its summaries.
fn cargo_test(root: &Path, arguments: &[&str], count: &mut Count) -> Result<()> {
    let mut command = run::command(root, "cargo", arguments);
    let (status, seen) = watched(&mut command)?;
    count.passed += seen.passed;
    count.failed += seen.failed;
    if !status {
        bail!("cargo {} failed", arguments.join(" "));
    }
    if seen == Count::default() {
        bail!("cargo {} ran no test at all", arguments.join(" "));
    }
    Ok(())
}

fn watched(command: &mut Command) -> Result<(bool, Count)> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let mut seen = Count::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.context("cannot read what cargo prints")?;
            if let Some(summary) = summary(&line) {
                seen.passed += summary.passed;
                seen.failed += summary.failed;
            }
            println!("{line}");
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    Ok((status.success(), seen))
}

/// Reads a line like `test result: ok. 3 passed; 0 failed; 0 ignored; …`.
fn summary(line: &str) -> Option<Count> {
    let rest = line.strip_prefix("test result: ")?;
    let (_, numbers) = rest.split_once(". ")?;
    let number = |word: &str| {
        numbers
            .split("; ")
            .find_map(|part| part.strip_suffix(word)?.trim().parse().ok())
    };
    Some(Count {
        passed: number("passed")?,
        failed: number("failed")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_read() {
        let line = "test result: ok. 12 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(
            summary(line),
            Some(Count {
                passed: 12,
                failed: 1
            })
        );
        assert_eq!(summary("test result: odd"), None);
        assert_eq!(summary("test a ... ok"), None);
    }
}
