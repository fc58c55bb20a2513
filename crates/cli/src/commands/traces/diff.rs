//! `longshore traces diff`.

use std::time::Duration;

use longshore_api::trace::{Diff as Answer, DiffQuery, DiffRow, DiffSide};
use longshore_core::TraceId;

use crate::args::traces::Diff;
use crate::exit::Exit;
use crate::output::Paint;
use crate::session::Session;
use crate::table::{Align, Table};
use crate::view::Purpose;
use crate::{text, view};

/// Most places that are shown.
const PLACES: usize = 20;

pub(super) async fn run(session: &Session<'_>, args: Diff) -> anyhow::Result<Exit> {
    let view = view::open(session, &args.view, Purpose::Look)?;
    let query = DiffQuery {
        before: side(args.before),
        after: side(args.after),
    };
    let diff = view.diff(&query).await?;
    if args.json {
        session.output.json(&diff)?;
        return Ok(Exit::Done);
    }
    let output = session.output;
    output.data(&output.paint(Paint::Bold, &head(&diff)))?;
    for line in table(&diff).lines(output.data_columns()) {
        output.data(&line)?;
    }
    let left_out = diff.rows.len().saturating_sub(PLACES);
    if left_out > 0 {
        let places = text::counted(left_out, "place");
        output.talk(&format!("{places} that explain less: --json has all"));
    }
    Ok(Exit::Done)
}

/// A trace id is a trace; all else is a search.
fn side(text: String) -> DiffSide {
    match TraceId::from_hex(&text.trim().to_ascii_lowercase()) {
        Some(trace) => DiffSide::Trace(trace),
        None => DiffSide::Search(text),
    }
}

fn head(diff: &Answer) -> String {
    let traces = |count| text::counted(count, "trace");
    let (before, after) = (traces(diff.before), traces(diff.after));
    format!(
        "{before} before, {after} after: {}",
        signed(diff.delta_nanos)
    )
}

fn table(diff: &Answer) -> Table {
    let left = |name| (name, Align::Left);
    let right = |name| (name, Align::Right);
    let mut table = Table::new(&[
        left("PLACE"),
        right("EXPLAINS"),
        right("OWN TIME"),
        right("BEFORE"),
        right("AFTER"),
        right("TIMES"),
        right("ERRORS"),
    ]);
    for row in diff.rows.iter().take(PLACES) {
        table.row([
            place(row),
            format!("{} %", row.explains_percent),
            signed(difference(row.self_before, row.self_after)),
            text::duration(row.self_before),
            text::duration(row.self_after),
            changed(row.count_before, row.count_after),
            changed(row.errors_before, row.errors_after),
        ]);
    }
    table
}

/// The place, by the last two of its path.
fn place(row: &DiffRow) -> String {
    let from = row.path.len().saturating_sub(2);
    let last = row.path.get(from..).unwrap_or_default();
    last.join(" › ")
}

fn difference(before: Duration, after: Duration) -> i64 {
    let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    nanos(after).saturating_sub(nanos(before))
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
    use super::*;

    #[test]
    fn differences_are_signed_and_counts_in_hundredths() {
        assert_eq!(signed(-1_500_000), "-1.5 ms");
        assert_eq!(signed(0), "+0 µs");
        assert_eq!(
            (changed(100, 100), changed(100, 250)),
            ("1".into(), "1 → 2.50".into())
        );
        let slower = difference(Duration::from_secs(1), Duration::from_secs(3));
        assert_eq!(signed(slower), "+2.0 s");
    }

    #[test]
    fn an_id_is_a_trace_and_all_else_a_search() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(
            side(id.to_owned()),
            DiffSide::Trace(TraceId::from_hex(id).unwrap())
        );
        let search = "kind=charge since:1h";
        assert_eq!(side(search.to_owned()), DiffSide::Search(search.to_owned()));
    }
}
