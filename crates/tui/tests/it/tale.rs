//! What happened in the shop, each as a trace and the record of its job.

use std::sync::Arc;
use std::time::Duration;

use longshore_api::job::Job;
use longshore_api::trace::{Finding, RelatedJob, Story, TimeSpent};
use longshore_core::{AttemptOutcome, JobState, Timestamp, TraceId};
use longshore_instrument::table::{self, name};
use longshore_instrument::{Attribute, AttributeValue, Resource, Span};
use longshore_trace::{Chart, TraceSummary};

use crate::shop::{self, CHARGE, NOW, STUCK};

/// A trace and the record of its job.
pub(crate) struct Tale {
    pub(crate) spans: Vec<Span>,
    pub(crate) record: longshore_core::Job,
    /// Those of other jobs in it.
    pub(crate) others: Vec<longshore_core::Job>,
}

/// All that happened in the shop.
pub(crate) fn tales() -> Vec<Tale> {
    let mut tales = vec![
        Tale {
            spans: shop::charge(),
            record: shop::charge_record(),
            others: Vec::new(),
        },
        Tale {
            spans: shop::stuck(),
            record: shop::stuck_record(),
            others: Vec::new(),
        },
        Tale {
            spans: shop::import(),
            record: shop::import_record(),
            others: Vec::new(),
        },
    ];
    tales.extend((0..40).map(|number| {
        let (spans, record) = shop::mail(number);
        Tale {
            spans,
            record,
            others: Vec::new(),
        }
    }));
    tales.sort_by_key(|tale| std::cmp::Reverse(tale.record.enqueued_at));
    tales
}

impl Tale {
    pub(crate) fn trace(&self) -> TraceId {
        self.spans[0].trace_id
    }

    /// Sets the clock of the machine that takes orders back by two seconds.
    pub(crate) fn skew(&mut self) {
        for span in &mut self.spans {
            if span.service() == Some("worker") {
                continue;
            }
            let attributes = vec![
                Attribute::new(
                    "service.name",
                    span.service().unwrap_or_default().to_owned(),
                ),
                Attribute::new("host.name", "node-1"),
            ];
            span.resource = Some(Arc::new(Resource { attributes }));
            let behind =
                |at: Timestamp| Timestamp::from_unix_nanos(at.unix_nanos() - 2_000_000_000);
            (span.start, span.end) = (behind(span.start), behind(span.end));
        }
    }

    /// Has the job that failed for good wait for another attempt, which is due.
    pub(crate) fn try_again(&mut self) {
        let record = &mut self.record;
        if record.state == JobState::Discarded {
            record.state = JobState::Available;
            record.finished_at = None;
            record.available_at = shop::ago(60_000);
            for attempt in &mut record.history {
                attempt.outcome = AttemptOutcome::Retried;
            }
        }
    }

    /// Changes what the order of the charge is called, and how long the stack of its last failure is.
    pub(crate) fn tell_more(&mut self, order: Option<&str>, frames: usize) {
        if self.record.id.as_str() != CHARGE.id {
            return;
        }
        if let Some(order) = order {
            let metadata = &mut self.record.metadata;
            metadata.insert("order".to_owned(), order.to_owned());
        }
        let events = self.spans.iter_mut().flat_map(|span| &mut span.events);
        let failures = events.filter(|event| event.name == table::EVENT_JOB_FAILED);
        let attributes = failures.flat_map(|event| &mut event.attributes);
        for stack in attributes.filter(|one| one.key == "exception.stacktrace") {
            let AttributeValue::String(text) = &stack.value else {
                continue;
            };
            let more = (1..=frames).map(|at| format!("\n    at src/frame_{at}.rs:{at}"));
            let text: String = std::iter::once(text.to_string()).chain(more).collect();
            stack.value = text.into();
        }
    }

    pub(crate) fn summary(&self) -> TraceSummary {
        TraceSummary::of(self.trace(), &self.spans)
    }

    pub(crate) fn job(&self) -> Job {
        Job::of(&self.record, &|text| text.to_owned())
    }

    pub(crate) fn story(&self, alone: bool) -> Story {
        let records = std::iter::once(&self.record).chain(&self.others);
        let jobs: Vec<longshore_core::Job> = records.cloned().collect();
        let chart = Chart::of(&self.spans, if alone { &[] } else { &jobs }, NOW);
        let time = |wanted: &str| {
            let rows = chart.rows().iter().filter(|row| chart.name(row) == wanted);
            rows.map(|row| row.end.since(row.start)).sum::<Duration>()
        };
        let critical = chart.rows().iter().enumerate().filter(|(_, row)| {
            let name = chart.name(row);
            name == name::DEQUEUE
                || name.starts_with("POST")
                || matches!(name, "back-off" | "scheduled")
                || name == "INSERT items"
        });
        let critical =
            critical.map(|(at, row)| (u32::try_from(at).unwrap(), row.end.since(row.start)));
        let selects = chart
            .rows()
            .iter()
            .position(|row| chart.name(row) == "SELECT order_items");
        let findings = selects.map(|row| Finding {
            what: "n_plus_one".to_owned(),
            text: "24 × SELECT order_items one after the other: ask once".to_owned(),
            row: u32::try_from(row).ok(),
        });
        let total = chart.end().since(chart.start());
        let (wait, run) = (time(name::DEQUEUE), time(name::PROCESS));
        let charge = self.trace() == CHARGE.trace_id();
        Story {
            time: TimeSpent {
                total,
                wait,
                run,
                back_off: time("back-off") + time("scheduled"),
                settle: time(name::SETTLE),
            },
            critical: critical.collect(),
            findings: findings.into_iter().collect(),
            job: Some(self.job()),
            related: charge
                .then(|| RelatedJob {
                    relation: "correlation".to_owned(),
                    id: STUCK.id.to_owned(),
                    kind: "ship".to_owned(),
                    queue: "orders".to_owned(),
                    state: "running".to_owned(),
                    trace_id: Some(STUCK.trace_id()),
                })
                .into_iter()
                .collect(),
            summary: self.summary(),
            chart,
            as_of: NOW,
        }
    }
}
