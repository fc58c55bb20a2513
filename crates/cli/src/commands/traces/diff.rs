//! `longshore traces diff`.

use std::path::Path;
use std::time::Duration;

use longshore_api::Backend;
use longshore_api::trace::{Diff as Answer, DiffQuery, DiffSide, TracesQuery};
use longshore_trace::diff::PlaceName;

use crate::args::traces::Diff;
use crate::exit::Exit;
use crate::output::Paint;
use crate::session::Session;
use crate::store_file::quoted;
use crate::table::{Align, Table};
use crate::view::Purpose;
use crate::{named, text, view};

/// Most places that are shown.
const PLACES: usize = 20;

pub(super) async fn run(session: &Session<'_>, args: Diff) -> anyhow::Result<Exit> {
    let view = view::open(session, &args.view, Purpose::Look)?;
    let query = DiffQuery {
        before: side(view.as_ref(), args.before).await?,
        after: side(view.as_ref(), args.after).await?,
        all_stores: args.view.all_stores,
    };
    let diff = view.diff(&query).await?;
    if args.json {
        session.output.json(&diff)?;
        return Ok(Exit::Done);
    }
    let output = session.output;
    output.data(&output.paint(Paint::Bold, &head(&diff)))?;
    let [before, after] = diff.lengths();
    output.data(&format!("before: {before}"))?;
    output.data(&format!("after:  {after}"))?;
    let names = PlaceName::of(diff.rows.iter().map(|row| row.path.as_slice()));
    let verdict = match unfinished(view.as_ref(), &query).await {
        Some(unfinished) => unfinished,
        None => diff.verdict(&names, "The second", query.of_groups()),
    };
    output.data(&verdict)?;
    output.data("")?;
    for line in table(&diff, &names).lines(output.data_columns()) {
        output.data(&line)?;
    }
    if let Some(bound) = bound(&query, &diff) {
        output.talk(&bound);
    }
    if let Some(caution) = caution(&query, &diff) {
        output.talk(caution);
    }
    let left_out = diff.rows.len().saturating_sub(PLACES);
    if left_out > 0 {
        let places = text::counted(left_out, "more place");
        output.talk(&format!("{places} of less weight: --json has all"));
    }
    output.talk(&tip(&query));
    Ok(Exit::Done)
}

/// What to look at next.
fn tip(query: &DiffQuery) -> String {
    match &query.after {
        DiffSide::Trace(trace) => {
            format!("The second one, span by span: longshore traces show {trace}")
        }
        DiffSide::Search(search) => {
            let search = quoted("", Path::new(search));
            format!("The slowest of them: longshore traces list --sort duration {search}")
        }
    }
}

/// An id, or how one begins, is a trace; all else is a search.
async fn side(view: &dyn Backend, text: String) -> anyhow::Result<DiffSide> {
    Ok(match named::trace(view, &text).await? {
        Some(trace) => DiffSide::Trace(trace),
        None => DiffSide::Search(text),
    })
}

/// Which of two traces is not over, in place of a verdict: what it will take is not known.
async fn unfinished(view: &dyn Backend, query: &DiffQuery) -> Option<String> {
    let standings = [
        ("The first", standing(view, &query.before).await),
        ("The second", standing(view, &query.after).await),
    ];
    let open = standings.into_iter();
    let open =
        open.filter_map(|(name, standing)| Some(format!("{name} is not over: {}", standing?)));
    let open: Vec<String> = open.collect();
    (!open.is_empty()).then(|| {
        let open = open.join(". ");
        format!("{open}. What it took is known once it is over; this is how far it is")
    })
}

/// How a trace stands that is not over.
async fn standing(view: &dyn Backend, side: &DiffSide) -> Option<String> {
    let DiffSide::Trace(trace) = side else {
        return None;
    };
    let query = TracesQuery {
        search: format!("trace~{trace}"),
        limit: Some(1),
        all_stores: true,
        ..TracesQuery::default()
    };
    let mut traces = view.traces(&query).await.ok()?.traces;
    traces.retain(|one| one.trace_id == *trace);
    let so_far = super::list::so_far(view, &traces).await.remove(trace);
    let is_open = traces.first().is_some_and(|trace| trace.open > 0);
    match so_far {
        Some(so_far) => (!so_far.is_over).then_some(so_far.standing),
        None => is_open.then(|| "running".to_owned()),
    }
}

fn head(diff: &Answer) -> String {
    let traces = |count| text::counted(count, "trace");
    let (before, after) = (traces(diff.before), traces(diff.after));
    let delta = signed(diff.delta_nanos);
    let range = diff
        .delta_range_nanos
        .map(|(least, most)| (signed(least), signed(most)));
    let range = range.map_or(String::new(), |(least, most)| {
        format!(" ({least} to {most})")
    });
    format!("{before} before, {after} after: {delta}{range}")
}

/// That a search found as many traces as are compared at most, so that there may be more.
fn bound(query: &DiffQuery, diff: &Answer) -> Option<String> {
    let sides = [(&query.before, diff.before), (&query.after, diff.after)];
    let is_full = |(side, traces): &(&DiffSide, usize)| {
        matches!(side, DiffSide::Search(_)) && *traces >= DiffSide::MOST
    };
    sides.iter().any(is_full).then(|| {
        format!(
            "of a search, the newest {} traces are compared at most: `since:` and `until:` choose \
             others",
            DiffSide::MOST
        )
    })
}

/// Why the figures may say less than they seem to.
fn caution(query: &DiffQuery, diff: &Answer) -> Option<&'static str> {
    match diff.delta_range_nanos {
        None if query.of_groups() => {
            Some("how much of it is chance cannot be told: that takes 10 traces on each side")
        }
        Some((least, most)) if least <= 0 && most >= 0 => {
            Some("that may be chance: groups that do not differ at all could look like this")
        }
        None | Some(_) => None,
    }
}

fn table(diff: &Answer, names: &[PlaceName]) -> Table {
    let left = |name| (name, Align::Left);
    let right = |name| (name, Align::Right);
    let mut table = Table::new(&[
        left("PLACE"),
        right("EXPLAINS"),
        right("MORE"),
        right("BEFORE"),
        right("AFTER"),
        right("TIMES"),
        right("ERRORS"),
    ]);
    let rows = diff.rows.get(..PLACES).unwrap_or(&diff.rows);
    for (row, name) in rows.iter().zip(names) {
        table.row([
            name.to_string(),
            row.share(),
            signed(row.delta_nanos),
            text::duration(row.critical_before),
            text::duration(row.critical_after),
            changed(row.count_before, row.count_after),
            changed(row.errors_before, row.errors_after),
        ]);
    }
    table
}

/// A difference of time with its sign.
fn signed(nanos: i64) -> String {
    let sign = if nanos < 0 { '-' } else { '+' };
    format!(
        "{sign}{}",
        text::duration(Duration::from_nanos(nanos.unsigned_abs()))
    )
}

/// Hundredths before and after; once if nothing changed.
fn changed(before: u64, after: u64) -> String {
    let shown = |hundredths: u64| match hundredths % 100 {
        0 => (hundredths / 100).to_string(),
        rest => format!("{}.{rest:02}", hundredths / 100),
    };
    match before == after {
        true => shown(before),
        false => format!("{} → {}", shown(before), shown(after)),
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::TraceId;

    use super::*;

    fn answer((before, after): (usize, usize), delta: i64, range: Option<(i64, i64)>) -> Answer {
        Answer {
            before,
            after,
            duration_before: Duration::from_secs(1),
            duration_after: Duration::from_secs(1),
            job_before: None,
            job_after: None,
            kind: None,
            delta_nanos: delta,
            delta_range_nanos: range,
            rows: Vec::new(),
        }
    }

    #[test]
    fn differences_are_signed_and_counts_in_hundredths() {
        assert_eq!(signed(-1_500_000), "-1.5 ms");
        assert_eq!(signed(0), "+0 µs");
        assert_eq!(
            (changed(100, 100), changed(100, 250)),
            ("1".into(), "1 → 2.50".into())
        );
        assert_eq!(signed(2_000_000_000), "+2.0 s");
    }

    #[test]
    fn that_no_more_traces_are_compared_is_said() {
        let search = DiffSide::Search("kind=charge".to_owned());
        let trace = DiffSide::Trace(TraceId::from_u128(1));
        let said = |before: &DiffSide, traces| {
            let diff = answer((traces, 1), 0, None);
            let (before, after) = (before.clone(), trace.clone());
            let all_stores = false;
            bound(
                &DiffQuery {
                    before,
                    after,
                    all_stores,
                },
                &diff,
            )
        };
        assert!(said(&search, 200).unwrap().contains("newest 200 traces"));
        assert_eq!(said(&search, 199), None);
        assert_eq!(said(&trace, 200), None);
    }

    #[test]
    fn what_may_be_chance_is_said() {
        let search = || DiffSide::Search("kind=charge".to_owned());
        let trace = || DiffSide::Trace(TraceId::from_u128(1));
        let said = |before: DiffSide, range| {
            let diff = answer((40, 12), 410_000_000, range);
            let after = search();
            let all_stores = false;
            let query = DiffQuery {
                before,
                after,
                all_stores,
            };
            (head(&diff), caution(&query, &diff))
        };
        let (clear, nothing) = said(search(), Some((350_000_000, 470_000_000)));
        assert_eq!(
            clear,
            "40 traces before, 12 traces after: +410.0 ms (+350.0 ms to +470.0 ms)"
        );
        assert_eq!(nothing, None);
        let (_, chance) = said(search(), Some((-1, 470_000_000)));
        assert!(chance.unwrap().contains("may be chance"));
        let (few, too_few) = said(trace(), None);
        assert_eq!(few, "40 traces before, 12 traces after: +410.0 ms");
        assert!(too_few.unwrap().contains("10 traces"));
    }
}
