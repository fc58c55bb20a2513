//! What came of a comparison, as a page of Markdown.

use crate::compare::{AT_A_TIME, BATCHES, Outcome, Part, Run, WORKERS};
use crate::contestant::Contestant;
use crate::measure::{Samples, Table, Turns};
use crate::stage::Kind;

/// The tables of one server.
pub struct Page<'p> {
    pub kind: Kind,
    pub contestants: &'p [Contestant],
    pub turns: &'p Turns<Outcome>,
}

/// Where Longshore without tracing stands, and with all of it.
const OFF: usize = 0;
const ALL: usize = 2;

impl Page<'_> {
    /// The tables, below what the server and everyone else says of itself.
    pub fn print(&self, settings: &str, rounds: usize) {
        println!(
            "### {}\n\n{settings}. Rounds: {rounds}.\n",
            self.kind.name()
        );
        for (at, contestant) in self.contestants.iter().enumerate() {
            let mut said = Vec::new();
            match self.runs(at).next() {
                Some(run) => said.push(run.settings.clone()),
                None => said.push("**not measured**".to_owned()),
            }
            let whys = self.turns.runs(at).iter().flatten();
            let whys = whys.filter_map(|run| run.as_ref().err());
            said.extend(whys.last().map(|why| format!("at last: {why}")));
            println!("- {}: {}", contestant.name, said.join("; "));
        }
        println!();
        self.enqueue();
        for (at, workers) in WORKERS.into_iter().enumerate() {
            self.work(at, workers);
        }
        self.latency();
    }

    /// The runs of one that came to something.
    fn runs(&self, at: usize) -> impl Iterator<Item = &Run> {
        self.turns.runs(at).iter().flatten().flatten()
    }

    /// A figure, or a dash where there is none; the median alone, or with its quartiles.
    fn figure(&self, at: usize, cell: Cell, of: impl Fn(&Run) -> f64) -> String {
        let samples: Samples = self.runs(at).map(of).collect();
        match cell {
            _ if samples.median().is_nan() => "–".to_owned(),
            Cell::Median(digits) => samples.cell(digits),
            Cell::Spread(digits) => samples.spread(digits),
        }
    }

    /// A number that a server tells, or a dash if it does not.
    fn count(&self, at: usize, digits: usize, of: impl Fn(&Run) -> f64) -> String {
        match self.runs(at).any(|run| of(run) > 0.0) {
            true => self.figure(at, Cell::Median(digits), of),
            false => "–".to_owned(),
        }
    }

    /// By how much `ours` is ahead in a round.
    fn ahead(&self, ours: usize, at: usize, of: impl Fn(&Run) -> f64) -> String {
        let rounds = self.turns.runs(ours).iter().zip(self.turns.runs(at));
        let both = rounds.filter_map(|(ours, it)| came_to(ours).zip(came_to(it)));
        let samples: Samples = both.map(|(ours, it)| of(ours) / of(it)).collect();
        if at == ours || samples.median().is_nan() {
            return "–".to_owned();
        }
        samples.spread(2)
    }

    /// The names of the columns that each part of a run has, after `first`.
    fn columns(&self, first: &[&str]) -> Vec<String> {
        let requests = format!("{} each", self.kind.requests());
        let own = [
            "jobs/s",
            "µs CPU each, client",
            "server",
            "receiver of spans",
            "log bytes each",
            &requests,
            "no tracing, of it",
            "tracing 100 %, of it",
            "CPU of both, of no tracing's",
        ];
        let all = first.iter().chain(&own);
        all.map(|&column| column.to_owned()).collect()
    }

    /// And what stands in them.
    fn cells(&self, at: usize, of: impl Fn(&Run) -> Part) -> Vec<String> {
        let both = |run: &Run| of(run).client_us + of(run).server_us;
        let rate = |run: &Run| of(run).per_second;
        vec![
            self.figure(at, Cell::Spread(0), rate),
            self.figure(at, Cell::Median(1), |run| of(run).client_us),
            self.figure(at, Cell::Median(1), |run| of(run).server_us),
            self.figure(at, Cell::Median(1), |run| of(run).sink_us),
            self.count(at, 0, |run| of(run).logged),
            self.count(at, 2, |run| of(run).requests),
            self.ahead(OFF, at, rate),
            self.ahead(ALL, at, rate),
            self.ahead(at, OFF, both),
        ]
    }

    fn enqueue(&self) {
        let title = format!(
            "{}: enqueue, one caller, one call after the other",
            self.kind.name()
        );
        let columns = self.columns(&["in a call", "queue"]);
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let mut table = Table::new(title, &columns);
        for (size, (batch, _jobs)) in BATCHES.into_iter().enumerate() {
            for (at, contestant) in self.contestants.iter().enumerate() {
                let first = [batch.to_string(), contestant.name.to_owned()];
                let cells = self.cells(at, |run| run.enqueue[size]);
                table.row(first.into_iter().chain(cells).collect());
            }
        }
        table.print();
    }

    fn work(&self, size: usize, workers: usize) {
        let title = format!(
            "{}: no-op jobs, {workers} worker{} of {} jobs at a time",
            self.kind.name(),
            if workers == 1 {
                ""
            } else {
                "s, each a process,"
            },
            AT_A_TIME / workers,
        );
        let columns = self.columns(&["queue"]);
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let mut table = Table::new(title, &columns);
        for (at, contestant) in self.contestants.iter().enumerate() {
            let cells = self.cells(at, |run| run.work[size]);
            let first = [contestant.name.to_owned()];
            table.row(first.into_iter().chain(cells).collect());
        }
        table.print();
    }

    fn latency(&self) {
        let title = format!(
            "{}: from the call that enqueues to the handler in another process, idle",
            self.kind.name()
        );
        let columns = ["queue", "probes", "p50 ms", "p99 ms", "longest ms"];
        let mut table = Table::new(title, &columns);
        for (at, contestant) in self.contestants.iter().enumerate() {
            let waits = self.runs(at).flat_map(|run| run.waits_ms.iter().copied());
            let waits: Vec<f64> = waits.collect();
            let mut cells = vec![contestant.name.to_owned(), waits.len().to_string()];
            let waits: Samples = waits.into_iter().collect();
            cells.extend([0.5, 0.99, 1.0].map(|share| match waits.quantile(share) {
                value if value.is_nan() => "–".to_owned(),
                value => format!("{value:.2}"),
            }));
            table.row(cells);
        }
        table.print();
    }
}

fn came_to(outcome: &Outcome) -> Option<&Run> {
    outcome.as_ref()?.as_ref().ok()
}

/// How a figure is written, with so many digits.
#[derive(Clone, Copy)]
enum Cell {
    Median(usize),
    Spread(usize),
}
