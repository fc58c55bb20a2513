//! What a person should know about a story before looking at every row of it.

mod spent;

use std::time::Duration;

use longshore_core::Timestamp;
use longshore_instrument::table::name;

use crate::chart::{Chart, Content, Correction, Marks, Row};
use crate::critical::{CriticalPath, is_attempt, subject};
use crate::duration;
use crate::fold::{ManyForOne, many_for_one, template};
use crate::text::printable;

/// Most findings of a kind.
const MOST: usize = 3;

/// How long before its cause something may begin because one clock was read before the other.
const READ_LATER: Duration = Duration::from_millis(1);

/// Something that stands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind: a word for programs, such as `n_plus_one`.
    pub what: &'static str,
    /// In words for a person, with what to do where that is known.
    pub text: String,
    /// The row where it shows.
    pub row: Option<u32>,
}

/// What stands out in a chart, the gravest first. `path` is that of the chart, or of the job of it that
/// was asked for.
///
/// | `what` | it says that |
/// | --- | --- |
/// | `lost_lease` | the worker of an attempt vanished |
/// | `retries` | several attempts failed, and for what |
/// | `n_plus_one` | the same query was made again and again |
/// | `waited` | most of the time a job waited for a worker |
/// | `backed_off` | most of the time one waited to be tried again |
/// | `clock` | clocks of different machines disagree, and which one was corrected by how much |
/// | `missing_parents` | spans hang under others that were not received |
#[must_use]
pub fn findings(chart: &Chart, path: &CriticalPath) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(lost_leases(chart));
    found.extend(retries(chart));
    found.extend(queries(chart));
    found.extend(spent::spent(chart, path));
    found.extend(corrected(chart));
    found.extend(clocks(chart));
    found.extend(missing_parents(chart));
    found
}

fn numbered(chart: &Chart) -> impl Iterator<Item = (u32, &Row)> {
    (0_u32..).zip(chart.rows())
}

fn percent(part: Duration, whole: Duration) -> u128 {
    (part.as_nanos() * 100 + whole.as_nanos() / 2) / whole.as_nanos().max(1)
}

fn lost_leases(chart: &Chart) -> Option<Finding> {
    let is_lost = |row: &Row| {
        row.content == Content::LostLease
            || is_attempt(chart, row) && chart.error(row) == "lease_expired"
    };
    let (at, row) = numbered(chart).find(|(_, row)| is_lost(row))?;
    let attempt = printable(chart.detail(row), true);
    Some(Finding {
        what: "lost_lease",
        text: format!(
            "the worker of attempt {attempt} vanished: the process was killed, ran out of memory, or stood still for longer than its lease"
        ),
        row: Some(at),
    })
}

fn retries(chart: &Chart) -> Option<Finding> {
    let job = subject(chart)?;
    let failed =
        |row: &Row| row.job == job && is_attempt(chart, row) && row.marks.has(Marks::ERROR);
    let failed = || numbered(chart).filter(|(_, row)| failed(row));
    let count = failed().count();
    let (at, last) = failed().max_by_key(|(_, row)| row.start)?;
    if count < 2 {
        return None;
    }
    let error = chart.error(last);
    let same = failed().all(|(_, row)| row.error == last.error) && !error.is_empty();
    let error = printable(error, true);
    let text = match same {
        true => format!("{count} attempts failed, all with {error}"),
        false if error.is_empty() => format!("{count} attempts failed"),
        false => format!("{count} attempts failed, the last with {error}"),
    };
    let row = Some(at);
    Some(Finding {
        what: "retries",
        text,
        row,
    })
}

fn queries(chart: &Chart) -> impl Iterator<Item = Finding> {
    let name_of = |found: &ManyForOne| {
        let row = chart.row(found.first as usize);
        row.map_or("", |row| chart.name(row))
    };
    // The places where the same was asked for, as each attempt does, are one thing to mend.
    let mut asked: Vec<(ManyForOne, usize)> = Vec::new();
    for found in many_for_one(chart) {
        let template = template(name_of(&found));
        let is_known =
            |(first, _): &(ManyForOne, usize)| self::template(name_of(first)) == template;
        let known = asked.iter().position(is_known);
        if let Some((_, others)) = known.and_then(|at| asked.get_mut(at)) {
            *others += 1;
        } else if asked.len() < MOST {
            asked.push((found, 0));
        }
    }
    asked.into_iter().map(move |(found, others)| {
        let name = printable(name_of(&found), true);
        let (count, total) = (found.count, duration::format(found.total));
        let others = match others {
            0 => String::new(),
            1 => ", and likewise in another place".to_owned(),
            more => format!(", and likewise in {more} other places"),
        };
        Finding {
            what: "n_plus_one",
            text: format!(
                "{count} times `{name}` one after the other took {total}{others}: ask once for all of them"
            ),
            row: Some(found.first),
        }
    })
}

/// The clocks that were corrected.
fn corrected(chart: &Chart) -> Option<Finding> {
    let (first, others) = chart.corrections().split_first()?;
    let shown = others.iter().take(MOST - 1).map(Correction::words);
    let mut all = vec![first.words()];
    all.extend(shown);
    let beyond = chart.corrections().len() - all.len();
    if beyond > 0 {
        all.push(format!("{beyond} more"));
    }
    let row = numbered(chart).find(|(_, row)| row.marks.has(Marks::CORRECTED));
    Some(Finding {
        what: "clock",
        text: format!(
            "{}: by what was recorded, spans began before what caused them, or outlasted who waited for them",
            all.join(", ")
        ),
        row: row.map(|(at, _)| at),
    })
}

/// What began before its cause, by the clocks, and could not be corrected.
fn clocks(chart: &Chart) -> Option<Finding> {
    let early = |row: &Row, index: u32| -> Option<(Timestamp, Timestamp)> {
        let parent = chart
            .row(row.parent as usize)
            .filter(|_| row.parent != index)?;
        let caused = parent.content == Content::Span && row.content == Content::Span;
        let follows = !row.marks.has(Marks::ASYNC) || chart.name(row) == name::PROCESS;
        let before = caused && follows && parent.start.since(row.start) > READ_LATER;
        before.then_some((row.start, parent.start))
    };
    let all = numbered(chart).filter_map(|(at, row)| Some((at, early(row, at)?)));
    let (at, (begun, cause)) = all.max_by_key(|(_, (begun, cause))| cause.since(*begun))?;
    let by = duration::format(cause.since(begun));
    Some(Finding {
        what: "clock",
        text: format!(
            "a span began {by} before the one that caused it, and no correction of clocks mends that: the times that were recorded contradict each other"
        ),
        row: Some(at),
    })
}

fn missing_parents(chart: &Chart) -> Option<Finding> {
    let is_missing = |row: &Row| row.content == Content::Ghost && chart.name(row).is_empty();
    let mut missing = numbered(chart).filter(|(_, row)| is_missing(row));
    let (at, _) = missing.next()?;
    let text = match missing.count() {
        0 => {
            "a span that others hang under was not received: sampled out, not yet sent, or too old"
                .to_owned()
        }
        more => format!(
            "{} spans that others hang under were not received: sampled out, not yet sent, or too old",
            more + 1
        ),
    };
    let row = Some(at);
    Some(Finding {
        what: "missing_parents",
        text,
        row,
    })
}
