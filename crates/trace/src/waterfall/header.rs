//! The lines above the rows: what happened, and where the time went.

use std::time::Duration;

use longshore_instrument::table::name;

use super::Drawing;
use crate::chart::{Chart, Content, Marks, Row};
use crate::critical::{CriticalPath, is_attempt, is_wait, subject};
use crate::duration;
use crate::story::Summary;
use crate::summary::TraceSummary;
use crate::text::{Line, Style, fit, printable, width};

impl Drawing<'_> {
    pub(super) fn header(&self) -> Vec<Line> {
        let summary = &self.waterfall.summary;
        let (mark, verdict, style) = self.verdict(summary);
        let verdict = format!("{mark} {}", printable(verdict, self.glyphs.unicode));
        let rest = self.rest(summary);
        let right = width(&verdict) + width(&rest);
        let mut first = Line::new(self.width);
        self.subject(summary, &mut first);
        let mut lines = Vec::new();
        if first.used() + 2 + right <= self.width {
            first.pad_to(self.width - right);
            first.push(&verdict, style);
            first.push(&rest, Style::Plain);
            lines.push(first);
        } else {
            let mut second = Line::new(self.width);
            second.push(&verdict, style);
            second.push(&rest, Style::Plain);
            lines.extend([first, second]);
        }
        lines.extend(self.shares(summary));
        lines
    }

    fn subject(&self, summary: &Summary<'_>, line: &mut Line) {
        let more = self.glyphs.more();
        let kind = printable(summary.kind, self.glyphs.unicode);
        line.push(&fit(&kind, self.width, more), Style::Bold);
        if let Some(queue) = summary.queue {
            let queue = format!("  queue {}", printable(queue, self.glyphs.unicode));
            let room = self.width.saturating_sub(line.used());
            line.push(&fit(&queue, room, more), Style::Dim);
        }
    }

    fn verdict<'t>(&self, summary: &Summary<'t>) -> (&'static str, &'t str, Style) {
        let failed = (self.glyphs.pick("✗", "x"), Style::Error);
        let fine = (self.glyphs.pick("✓", "+"), Style::Good);
        let open = (self.glyphs.pick("○", "o"), Style::Dim);
        let running = (self.glyphs.pick("▸", ">"), Style::Attempt);
        let ((mark, style), word) = match summary.outcome {
            _ if self.waterfall.running => (running, "running"),
            Some(outcome) if summary.failed => (failed, outcome),
            Some("completed") => (fine, "completed"),
            Some(outcome) => (open, outcome),
            None if summary.failed => (failed, "failed"),
            None if summary.queue.is_some() => (open, "no attempt yet"),
            None => (fine, "no error"),
        };
        (mark, word, style)
    }

    fn rest(&self, summary: &Summary<'_>) -> String {
        let dot = self.glyphs.pick("·", "-");
        let total = self.glyphs.duration(&duration::format(summary.total));
        match summary.attempts {
            0 => format!(" {dot} {total}"),
            1 => format!(" {dot} 1 attempt {dot} {total}"),
            many => format!(" {dot} {many} attempts {dot} {total}"),
        }
    }

    /// Where the time of the job went, and which trace this is: in as few lines as they fit.
    fn shares(&self, summary: &Summary<'_>) -> Vec<Line> {
        let parts = [
            ("the job itself", self.own_time(summary)),
            ("waited", summary.waited),
            ("ran", summary.ran),
            ("backed off", summary.backed_off),
        ];
        let dot = format!(" {} ", self.glyphs.pick("·", "-"));
        let mut lines: Vec<Line> = Vec::new();
        for (word, time) in parts.into_iter().filter(|(_, time)| !time.is_zero()) {
            let text = self.glyphs.duration(&duration::format(time));
            let text = format!("{word} {text}");
            match lines.last_mut() {
                Some(line) if line.used() + width(&dot) + width(&text) <= self.width => {
                    line.push(&dot, Style::Dim);
                    line.push(&text, Style::Dim);
                }
                _ => lines.push(self.dim(&text)),
            }
        }
        if let Some(trace) = self.chart().traces().first() {
            let trace = format!("trace {trace}");
            match lines.last_mut() {
                Some(line) if line.used() + 3 + width(&trace) <= self.width => {
                    line.push_right(self.width, &trace, Style::Dim);
                }
                _ => lines.push(self.dim(&trace)),
            }
        }
        lines
    }

    /// How long the job itself took, if there are others and what is shown is another time: what it
    /// enqueued may go on. Nothing if it is the same but for a hundredth.
    fn own_time(&self, summary: &Summary<'_>) -> Duration {
        let chart = self.chart();
        // The first one stands for none.
        let job = subject(chart).filter(|_| chart.jobs().len() > 2);
        if job.is_none() {
            return Duration::ZERO;
        }
        let own = job.map_or(Duration::ZERO, |job| {
            CriticalPath::of_job(chart, job).total()
        });
        match summary.total.abs_diff(own).saturating_mul(100) > summary.total {
            true => own,
            false => Duration::ZERO,
        }
    }

    fn dim(&self, text: &str) -> Line {
        let mut line = Line::new(self.width);
        line.push(&fit(text, self.width, self.glyphs.more()), Style::Dim);
        line
    }
}

/// What a chart comes down to: the summary of its spans, and what the record of its job adds.
pub(super) fn summary<'a>(chart: &'a Chart, of: &'a TraceSummary) -> Summary<'a> {
    let job = subject(chart);
    let rows = || {
        let rows = chart.rows().iter();
        rows.filter(move |row| job.is_some_and(|job| row.job == job))
    };
    let sum = |fits: &dyn Fn(&Row) -> bool| {
        let each = rows().filter(|row| fits(row));
        let each = each.map(|row| row.end.since(row.start));
        each.fold(Duration::ZERO, Duration::saturating_add)
    };
    let attempts = rows().filter(|row| is_attempt(chart, row));
    let last = attempts.clone().max_by_key(|row| (row.start, row.end));
    let enqueue = rows().find(|row| chart.name(row) == name::ENQUEUE);
    let kind = of.kind.as_deref();
    let kind = kind.or_else(|| enqueue.map(|row| chart.detail(row)));
    let first = chart.row(0).map_or("", |row| chart.name(row));
    let name = Some(of.name.as_str()).filter(|name| !name.is_empty());
    let counted = u32::try_from(attempts.count()).unwrap_or(u32::MAX);
    Summary {
        kind: kind.or(name).unwrap_or(first),
        queue: of.queue.as_deref(),
        job_id: last.or(enqueue).and_then(|row| chart.job(row)),
        outcome: of.outcome.as_deref(),
        failed: last.map_or(of.failed, |row| row.marks.has(Marks::ERROR)),
        attempts: of.attempts.max(counted),
        waited: sum(&|row| is_wait(chart, row)),
        ran: sum(&|row| is_attempt(chart, row)),
        backed_off: sum(&|row| row.content == Content::BackOff),
        total: chart.end().since(chart.start()),
    }
}
