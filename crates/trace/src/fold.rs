//! Siblings that look alike: what is drawn as one row, and queries that should be one.

use std::collections::HashMap;
use std::time::Duration;

use longshore_core::Timestamp;
use longshore_instrument::table::name;

use crate::chart::{Chart, Content, Marks, Row};

/// Fewest siblings that are folded, or that are many queries for one.
pub const FEWEST: usize = 5;

/// Consecutive siblings of one name that are drawn as one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fold {
    /// The first of them.
    pub first: usize,
    /// The index after the last one's descendants.
    pub end: usize,
    /// How many there are.
    pub count: usize,
    /// How long half of them took at most.
    pub p50: Duration,
    /// How long the longest took.
    pub max: Duration,
}

/// The siblings from the row at `first` on, if they are at least [`FEWEST`] that look alike: the same
/// name and service, ended, and nothing that is always shown, such as attempts and what hangs by a
/// link.
#[must_use]
pub fn fold(chart: &Chart, first: usize) -> Option<Fold> {
    if run(chart, first).take(FEWEST).count() < FEWEST {
        return None;
    }
    let mut took: Vec<Duration> = Vec::new();
    let mut end = first;
    for (at, row) in run(chart, first) {
        took.push(row.end.since(row.start));
        end = chart.after(at).unwrap_or(end);
    }
    let count = took.len();
    let (_, p50, _) = took.select_nth_unstable((count - 1) / 2);
    let p50 = *p50;
    let max = took.into_iter().max().unwrap_or_default();
    Some(Fold {
        first,
        end,
        count,
        p50,
        max,
    })
}

fn run(chart: &Chart, first: usize) -> impl Iterator<Item = (usize, &Row)> {
    let fits = |row: &Row| {
        let special = [Marks::OPEN, Marks::LINKED, Marks::CUT_LOOSE];
        let shown = special.iter().any(|mark| row.marks.has(*mark));
        row.content == Content::Span && !shown && chart.name(row) != name::PROCESS
    };
    let start = chart.row(first).filter(|row| fits(row));
    let alike = move |row: &&Row| {
        let look = |row: &Row| (row.name, row.detail, row.service, row.depth);
        fits(row) && start.is_some_and(|start| look(start) == look(row))
    };
    std::iter::successors(start.map(|row| (first, row)), move |(at, _)| {
        let next = chart.after(*at)?;
        Some((next, chart.row(next).filter(alike)?))
    })
}

/// A name without what tells one call from the next: numbers and long hexadecimal ids become `?`.
///
/// ```
/// use longshore_trace::fold::template;
/// assert_eq!(template("GET /orders/4711/items"), "GET /orders/?/items");
/// assert_eq!(template("SELECT 019b2c00-0000-7000-8000-000000000001"), "SELECT ?");
/// assert_eq!(template("s3.put v2"), "s3.put v2");
/// ```
#[must_use]
pub fn template(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || "_-".contains(c);
        let end = rest.find(|c| is_word(c) != is_word(first));
        let (word, tail) = rest.split_at(end.unwrap_or(rest.len()));
        let digits = word.chars().filter(char::is_ascii_digit).count();
        let hexadecimal = word.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        let number = digits > 0 && word.chars().all(|c| c.is_ascii_digit());
        let id = digits > 0 && hexadecimal && word.len() >= 8;
        out.push_str(if number || id { "?" } else { word });
        rest = tail;
    }
    out
}

/// Queries to a database that were made one after the other where one would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManyForOne {
    /// The first of them.
    pub first: u32,
    /// What made them.
    pub parent: u32,
    /// How many.
    pub count: usize,
    /// How long they took together.
    pub total: Duration,
}

/// Longest that queries in a row may take together without being worth a word.
const BEARABLE: Duration = Duration::from_millis(50);

/// Where the same query was made again and again by one row: at least [`FEWEST`] times, each after
/// the one before had ended, for more than 50 ms or a third of what that row took.
#[must_use]
pub fn many_for_one(chart: &Chart) -> Vec<ManyForOne> {
    struct Seen {
        found: ManyForOne,
        until: Timestamp,
    }
    let mut templates: HashMap<u32, String> = HashMap::new();
    let mut groups: HashMap<(u32, u32, String), Seen> = HashMap::new();
    for (row, index) in chart.rows().iter().zip(0_u32..) {
        if row.parent == index || !is_query(chart, row) {
            continue;
        }
        let template = templates.entry(row.name);
        let template = template.or_insert_with(|| template_of(chart, row));
        let group = (row.parent, row.service, template.clone());
        let seen = groups.entry(group).or_insert_with(|| Seen {
            found: ManyForOne {
                first: index,
                parent: row.parent,
                count: 0,
                total: Duration::ZERO,
            },
            until: row.start,
        });
        if row.start >= seen.until {
            seen.found.count += 1;
            let took = row.end.since(row.start);
            seen.found.total = seen.found.total.saturating_add(took);
            seen.until = row.end;
        }
    }
    let matters = |found: &ManyForOne| {
        let parent = chart.row(found.parent as usize);
        let took = parent.map_or(Duration::ZERO, |row| row.end.since(row.start));
        found.count >= FEWEST && (found.total > BEARABLE || found.total.saturating_mul(3) > took)
    };
    let found = groups.into_values().map(|seen| seen.found);
    let mut found: Vec<ManyForOne> = found.filter(matters).collect();
    found.sort_by_key(|found| (std::cmp::Reverse(found.total), found.first));
    found
}

fn template_of(chart: &Chart, row: &Row) -> String {
    template(chart.name(row))
}

fn is_query(chart: &Chart, row: &Row) -> bool {
    let verbs = ["SELECT ", "INSERT ", "UPDATE ", "DELETE "];
    let named = || verbs.iter().any(|verb| chart.name(row).starts_with(verb));
    row.content == Content::Span && (row.marks.has(Marks::DATABASE) || named())
}
