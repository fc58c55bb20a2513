//! Whether the links of documents lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What the documents break, one sentence for each link that leads nowhere.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ] {
        files.push(root.join(name));
    }
    markdown_files(&root.join("docs"), &mut files)?;
    files.sort();
    let mut problems = Vec::new();
    for file in files {
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let folder = file.parent().unwrap_or(root);
        let place = file.strip_prefix(root).unwrap_or(&file).display();
        for target in targets(&text) {
            if !folder.join(target).exists() {
                problems.push(format!("{place}: {target} leads nowhere"));
            }
        }
    }
    Ok(problems)
}

fn markdown_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            markdown_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
    Ok(())
}

/// The files that links lead to, without the place in them. Code is no link.
fn targets(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (index, part) in text.split("```").enumerate() {
        if index % 2 == 1 {
            continue;
        }
        for after in part.split("](").skip(1) {
            let Some((target, _)) = after.split_once(')') else {
                continue;
            };
            let target = target.split('#').next().unwrap_or_default();
            let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !target.is_empty() && !is_elsewhere && !target.contains(char::is_whitespace) {
                found.push(target);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run;

    #[test]
    fn links_are_found_outside_of_code() {
        let text = "[a](b.md#c) [d](https://e.org) [f](#g)\n```\nx[0](y)\n```\n[h](../i)";
        assert_eq!(targets(text), ["b.md", "../i"]);
    }

    #[test]
    fn every_link_leads_somewhere() {
        let problems = check(&run::workspace_root().unwrap()).unwrap();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }

    #[test]
    fn every_yes_of_ours_leads_to_a_test_or_an_example() {
        let root = run::workspace_root().unwrap();
        for name in ["README.md", "docs/comparison.md"] {
            let text = fs::read_to_string(root.join(name)).unwrap();
            let table = text.split("| | Longshore |").nth(1).unwrap();
            let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
            let ours: Vec<&str> = rows
                .map(|row| row.split('|').nth(2).unwrap().trim())
                .collect();
            assert!(ours.len() > 10, "{name}");
            for cell in ours.into_iter().filter(|cell| *cell != "–") {
                let linked = cell.starts_with("[✓](");
                let shows = ["/tests/", "/conformance/", "/examples/"];
                assert!(
                    linked && shows.iter().any(|part| cell.contains(part)),
                    "{name}: {cell}"
                );
            }
        }
    }
}
