//! Spans that were looked for in a trace.

use std::collections::HashMap;

use longshore_trace::Chart;
use longshore_trace::chart::Row;

/// What was looked for, and the rows of the chart that say it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FoundSpans {
    text: String,
    rows: Vec<usize>,
}

impl FoundSpans {
    /// The rows whose name, kind, service, job or error has a text in it, in whatever case.
    pub(crate) fn of(chart: &Chart, text: &str) -> Self {
        let needle = text.to_lowercase();
        let says = |said: &str| said.to_lowercase().contains(&needle);
        // Names and services repeat: each is looked at once.
        let mut names: HashMap<u32, bool> = HashMap::new();
        let mut services: HashMap<u32, bool> = HashMap::new();
        let mut jobs: HashMap<u32, bool> = HashMap::new();
        let mut hits = |row: &Row| {
            let texts = [
                (row.name, chart.name(row)),
                (row.detail, chart.detail(row)),
                (row.error, chart.error(row)),
            ];
            let mut texts = texts.into_iter();
            let named = texts.any(|(at, said)| *names.entry(at).or_insert_with(|| says(said)));
            let service = || says(chart.service(row));
            let job = || chart.job(row).is_some_and(says);
            named
                || *services.entry(row.service).or_insert_with(service)
                || *jobs.entry(row.job).or_insert_with(job)
        };
        let rows = chart.rows().iter().enumerate();
        let rows = rows.filter(|(_, row)| !text.is_empty() && hits(row));
        Self {
            rows: rows.map(|(at, _)| at).collect(),
            text: text.to_owned(),
        }
    }

    /// The same text in a trace that was read again.
    pub(crate) fn again(&self, chart: &Chart) -> Self {
        Self::of(chart, &self.text)
    }

    /// What was looked for; empty if nothing was.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// How many rows there are.
    pub(crate) const fn len(&self) -> usize {
        self.rows.len()
    }

    /// The next one after a row, or the one before; from the last it goes on to the first.
    pub(crate) fn next(&self, row: usize, down: bool) -> Option<usize> {
        let (after, before) = (
            self.rows.partition_point(|found| *found <= row),
            self.rows.partition_point(|found| *found < row),
        );
        let at = match down {
            true => after,
            false => before.checked_sub(1).unwrap_or(usize::MAX),
        };
        let around = if down {
            self.rows.first()
        } else {
            self.rows.last()
        };
        self.rows.get(at).or(around).copied()
    }
}
