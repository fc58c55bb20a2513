//! How source files are laid out, and where span names may stand.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use longshore_instrument::table;

/// Most lines of a file, its test module not counted.
const MAX_LINES: usize = 500;

/// Names that say nothing about what a module holds.
const VAGUE: [&str; 4] = ["utils", "common", "helpers", "misc"];

/// What the source files of the workspace break, one sentence each.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for folder in ["crates", "xtask"] {
        rust_files(&root.join(folder), &mut files)?;
    }
    files.sort();
    let mut problems = Vec::new();
    for file in files {
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let place = file.strip_prefix(root).unwrap_or(&file);
        problems.extend(problems_of(place, &text));
    }
    Ok(problems)
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            rust_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn problems_of(place: &Path, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let shown = place.display();
    if place.ends_with("mod.rs") {
        problems.push(format!(
            "{shown}: name the file for its module, `foo.rs` beside `foo/`"
        ));
    }
    let folders_and_stem = place.with_extension("");
    let vague = folders_and_stem
        .iter()
        .find(|part| VAGUE.iter().any(|name| part == name));
    if let Some(name) = vague {
        let name = name.display();
        problems.push(format!(
            "{shown}: `{name}` says nothing; name the module for its noun"
        ));
    }
    if is_test(place) {
        return problems;
    }
    let lines = shipped_lines(text);
    if lines > MAX_LINES {
        problems.push(format!(
            "{shown}: {lines} lines without tests, more than {MAX_LINES}; split it by noun"
        ));
    }
    if !place.starts_with("crates/instrument") {
        problems.extend(span_names(place, text, lines));
    }
    problems
}

/// Whether a file is there for tests or as an example, as a whole.
fn is_test(place: &Path) -> bool {
    place.starts_with("crates/testkit")
        || place
            .iter()
            .any(|part| part == "tests" || part == "examples" || part == "tests.rs")
}

/// The lines before the test module, which stands last in a file.
fn shipped_lines(text: &str) -> usize {
    text.lines()
        .position(|line| line == "#[cfg(test)]")
        .unwrap_or_else(|| text.lines().count())
}

fn span_names(place: &Path, text: &str, lines: usize) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, line) in text.lines().take(lines).enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for span in table::SPANS {
            if line.contains(&format!("\"{}\"", span.name)) {
                problems.push(format!(
                    "{}:{}: take the span name \"{}\" from longshore_instrument::table::name",
                    place.display(),
                    index + 1,
                    span.name
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(place: &str, text: &str) -> Vec<String> {
        problems_of(Path::new(place), text)
    }

    #[test]
    fn a_tidy_file_is_fine() {
        assert!(problems("crates/core/src/job.rs", "//! Jobs.\n").is_empty());
    }

    #[test]
    fn vague_and_nested_names_are_refused() {
        assert_eq!(problems("crates/core/src/job/mod.rs", "").len(), 1);
        assert_eq!(problems("crates/core/src/utils.rs", "").len(), 1);
        assert_eq!(problems("crates/core/tests/common/files.rs", "").len(), 1);
    }

    #[test]
    fn long_files_are_refused_but_tests_do_not_count() {
        let long = "fn f() {}\n".repeat(MAX_LINES + 1);
        assert_eq!(problems("crates/core/src/job.rs", &long).len(), 1);
        let tested = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert!(problems("crates/core/src/job.rs", &tested).is_empty());
        assert!(problems("crates/core/tests/job.rs", &long).is_empty());
    }

    #[test]
    fn span_names_live_in_instrument_and_in_tests() {
        let name = table::name::ENQUEUE;
        let text = format!("const NAME: &str = \"{name}\";\n");
        assert_eq!(problems("crates/queue/src/producer.rs", &text).len(), 1);
        assert!(problems("crates/instrument/src/table.rs", &text).is_empty());
        assert!(problems("crates/queue/tests/spans.rs", &text).is_empty());
        let comment = format!("// makes a \"{name}\"\n#[cfg(test)]\nmod tests {{\n{text}}}\n");
        assert!(problems("crates/queue/src/producer.rs", &comment).is_empty());
    }
}
