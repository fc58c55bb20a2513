//! Patterns of the user.

use regex::{Regex, RegexBuilder};

use super::mark;
use super::rule::Rule;
use super::scan::Hit;

/// Most patterns.
const MOST: usize = 100;
/// Most bytes of one.
const LONGEST: usize = 1_000;
/// Most bytes of a compiled one.
const LARGEST: usize = 1 << 20;

/// The patterns, ready for use; or none, if one of them is wrong.
#[derive(Debug)]
pub(super) enum Patterns {
    Ready(Vec<Regex>),
    /// What the wrong one was to hide is not known, so everything is hidden.
    Broken,
}

/// The pattern, or what is wrong with it and how to mend it.
pub(crate) fn compiled(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > LONGEST {
        return Err(format!("a pattern has more than {LONGEST} bytes; split it"));
    }
    RegexBuilder::new(pattern)
        .size_limit(LARGEST)
        .build()
        .map_err(|error| {
            let last = error.to_string();
            let said = last
                .lines()
                .last()
                .unwrap_or("")
                .trim_start_matches("error: ");
            format!("`{pattern}` is not a regular expression: {said}")
        })
}

/// All patterns, and what is wrong with them.
pub(crate) fn problems(patterns: &[String]) -> Vec<String> {
    let mut problems: Vec<String> = patterns.iter().filter_map(|p| compiled(p).err()).collect();
    if patterns.len() > MOST {
        problems.push(format!(
            "there are more than {MOST} patterns; join some with `|`"
        ));
    }
    problems
}

impl Patterns {
    pub(super) fn new(patterns: &[String]) -> Self {
        if !problems(patterns).is_empty() {
            return Self::Broken;
        }
        Self::Ready(patterns.iter().filter_map(|p| compiled(p).ok()).collect())
    }

    /// What of a text the patterns hide, from left to right.
    pub(super) fn find(&self, text: &str) -> Vec<Hit> {
        let rule = Rule::Pattern;
        let mut hits = Vec::new();
        match self {
            Self::Ready(patterns) if patterns.is_empty() => {}
            Self::Ready(patterns) => {
                for (from, to) in between_marks(text) {
                    let piece = text.get(from..to).unwrap_or_default();
                    let found = patterns.iter().flat_map(|pattern| pattern.find_iter(piece));
                    let found = found.filter(|found| !found.is_empty());
                    hits.extend(found.map(|found| Hit {
                        start: from + found.start(),
                        end: from + found.end(),
                        rule,
                    }));
                }
                joined(&mut hits);
            }
            Self::Broken if text.is_empty() || mark::is_mark(text) => {}
            Self::Broken => hits.push(Hit {
                start: 0,
                end: text.len(),
                rule,
            }),
        }
        hits
    }
}

/// The pieces of a text that are no marks.
fn between_marks(text: &str) -> Vec<(usize, usize)> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices('[') {
        let Some(length) = text.get(at..).and_then(mark::end) else {
            continue;
        };
        pieces.push((start, at));
        start = at + length;
    }
    pieces.push((start, text.len()));
    pieces
}

/// Hits that overlap become one.
fn joined(hits: &mut Vec<Hit>) {
    hits.sort_unstable_by_key(|hit| hit.start);
    hits.dedup_by(|later, earlier| {
        let overlaps = later.start < earlier.end;
        if overlaps {
            earlier.end = earlier.end.max(later.end);
        }
        overlaps
    });
}
