//! Metrics: what happened to how many jobs and how long it took, with the traces that are examples
//! of it, for Prometheus and whoever reads its formats.
//!
//! | to find | look in |
//! | --- | --- |
//! | which metrics there are | [`METRICS`] |
//! | what is measured, and where | `metrics/meters.rs` |
//! | how the series of a metric are found and bounded | `metrics/family.rs` |
//! | the formats | [`MetricsFormat`] |
//!
//! An exemplar stands for a trace that leaves: its flag is set because the sampler chose it or the
//! job is kept. It is attached when that is known, which is at the settle.

mod beside;
mod family;
mod health;
mod limited;
pub(crate) mod meters;
mod received;
mod requested;
mod series;
mod table;
mod text;

use std::sync::Arc;

pub use beside::{AnswerCounters, ArchiveCounters, ArchiveTally, Beside};
pub use received::{ReceivedItems, ReceiverCounters};
pub use table::{Label, METRICS, Metric, OTHER, Shape, metrics_reference};
pub use text::MetricsFormat;

use crate::counters::Tally;
use crate::sampler::HeadSampler;
use health::Surroundings;
use meters::Meters;
use text::Text;

/// The metrics of this process. Cheap to clone; made by
/// [`Telemetry::metrics`](crate::Telemetry::metrics).
#[derive(Clone, Debug)]
pub struct Metrics {
    meters: Arc<Meters>,
    tally: Arc<Tally>,
    backend: &'static str,
    head: Arc<HeadSampler>,
    logs: Option<(Arc<Tally>, &'static str)>,
}

impl Metrics {
    pub(crate) fn new(
        meters: Arc<Meters>,
        tally: Arc<Tally>,
        backend: &'static str,
        head: Arc<HeadSampler>,
    ) -> Self {
        Self {
            meters,
            tally,
            backend,
            head,
            logs: None,
        }
    }

    /// The same with those of log records, and what these are sent to.
    pub(crate) fn with_logs(self, tally: Arc<Tally>, backend: &'static str) -> Self {
        Self {
            logs: Some((tally, backend)),
            ..self
        }
    }

    /// All metrics as they stand now.
    #[must_use]
    pub fn encode(&self, format: MetricsFormat) -> String {
        self.encode_with(format, &Beside::default())
    }

    /// The same, with what other parts of the process counted.
    #[must_use]
    pub fn encode_with(&self, format: MetricsFormat, beside: &Beside) -> String {
        let mut text = Text::new(format);
        self.meters.write(&mut text);
        let queues = self.meters.queue_names().into_iter();
        let with_ratio = |queue: String| {
            let ratio = self.head.ratio(&queue);
            (queue, ratio)
        };
        let around = Surroundings {
            backend: self.backend,
            ratios: queues.map(with_ratio).collect(),
            redacted: &self.meters.redactor().counts(),
        };
        health::write(&mut text, &self.tally.snapshot(), &around);
        if let Some((tally, backend)) = &self.logs {
            health::write_logs(&mut text, &tally.snapshot(), backend);
        }
        beside::write(&mut text, beside);
        text.finish()
    }
}
