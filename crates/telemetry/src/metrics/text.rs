//! Metrics as text, for Prometheus and those who read what it reads.

use std::fmt::{Display, Write};

use longshore_core::Timestamp;

use super::series::{Counter, Exemplar, Histogram};
use super::table::Metric;

/// The text formats of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsFormat {
    /// OpenMetrics 1.0, which has exemplars.
    OpenMetrics,
    /// The classic text format 0.0.4 of Prometheus, which has none.
    Classic,
}

impl MetricsFormat {
    /// The value of `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The format that a request with this `Accept` header likes best: OpenMetrics if it names
    /// that and nothing else more strongly, and the classic one for all who do not say.
    ///
    /// ```
    /// use longshore_telemetry::MetricsFormat;
    ///
    /// let prometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    /// assert_eq!(MetricsFormat::negotiate(prometheus), MetricsFormat::OpenMetrics);
    /// assert_eq!(MetricsFormat::negotiate("*/*"), MetricsFormat::Classic);
    /// ```
    #[must_use]
    pub fn negotiate(accept: &str) -> Self {
        let (mut open, mut classic) = (0.0, 0.0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut quality, mut version) = (1.0, None);
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                match name.trim() {
                    "q" => quality = value.trim().parse().unwrap_or(0.0),
                    "version" => version = Some(value.trim()),
                    _ => {}
                }
            }
            match (media.as_str(), version) {
                ("application/openmetrics-text", None | Some("1.0.0" | "0.0.1")) => {
                    open = f64::max(open, quality);
                }
                ("text/plain", None | Some("0.0.4")) => classic = f64::max(classic, quality),
                _ => {}
            }
        }
        if open > 0.0 && open >= classic {
            Self::OpenMetrics
        } else {
            Self::Classic
        }
    }
}

/// Writes metrics one after the other.
#[derive(Debug)]
pub(crate) struct Text {
    out: String,
    format: MetricsFormat,
}

/// A metric whose samples are being written.
#[derive(Debug)]
pub(crate) struct Samples<'a> {
    text: &'a mut Text,
    metric: &'static Metric,
}

impl Text {
    pub(crate) fn new(format: MetricsFormat) -> Self {
        Self {
            out: String::with_capacity(16 << 10),
            format,
        }
    }

    /// Begins a metric.
    pub(crate) fn metric(&mut self, metric: &'static Metric) -> Samples<'_> {
        let name = match self.format {
            MetricsFormat::OpenMetrics => metric.family(),
            MetricsFormat::Classic => metric.name,
        };
        self.line(format_args!("# TYPE {name} {}", metric.shape.as_str()));
        if let (MetricsFormat::OpenMetrics, Some(unit)) = (self.format, metric.unit()) {
            self.line(format_args!("# UNIT {name} {unit}"));
        }
        self.line(format_args!("# HELP {name} {}", metric.doc));
        Samples { text: self, metric }
    }

    pub(crate) fn finish(mut self) -> String {
        if self.format == MetricsFormat::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    fn line(&mut self, line: impl Display) {
        self.put(line);
        self.out.push('\n');
    }

    fn put(&mut self, what: impl Display) {
        // Writing to a String cannot fail.
        let _ = write!(self.out, "{what}");
    }
}

impl Samples<'_> {
    /// A single number.
    pub(crate) fn number(&mut self, labels: &[&str], value: impl Display) {
        self.sample("", labels, None, value, None);
    }

    pub(crate) fn counter(&mut self, labels: &[&str], counter: &Counter) {
        self.sample("", labels, None, counter.count(), counter.exemplar());
    }

    /// A histogram; nothing if nothing was measured.
    pub(crate) fn histogram(&mut self, labels: &[&str], histogram: &Histogram) {
        let reading = histogram.read();
        if reading.count == 0 {
            return;
        }
        for (bound, count, exemplar) in reading.buckets {
            self.sample("_bucket", labels, Some(bound), count, exemplar);
        }
        self.sample("_sum", labels, None, reading.sum, None);
        self.sample("_count", labels, None, reading.count, None);
    }

    fn sample(
        &mut self,
        suffix: &str,
        labels: &[&str],
        bound: Option<f64>,
        value: impl Display,
        exemplar: Option<Exemplar>,
    ) {
        self.text.put(self.metric.name);
        self.text.put(suffix);
        self.labels(labels, bound);
        self.text.put(format_args!(" {value}"));
        if let Some(exemplar) = exemplar.filter(|_| self.text.format == MetricsFormat::OpenMetrics)
        {
            self.exemplar(&exemplar);
        }
        self.text.out.push('\n');
    }

    fn labels(&mut self, values: &[&str], bound: Option<f64>) {
        let own = self.metric.labels.iter().map(|label| label.name);
        let own = own.zip(values.iter().copied());
        let own = own.filter(|(_, value)| !value.is_empty());
        let is_own = |name: &str| own.clone().any(|(own, _)| own == name);
        let fixed = self.metric.fixed.iter().copied();
        let fixed = fixed.filter(|(name, _)| !is_own(name));
        let mut before = '{';
        for (name, value) in fixed.chain(own.clone()) {
            self.text.put(format_args!("{before}{name}=\""));
            escape(value, &mut self.text.out);
            self.text.out.push('"');
            before = ',';
        }
        if let Some(bound) = bound {
            // Both formats want 1.0 rather than 1.
            match bound.is_finite() {
                true => self.text.put(format_args!("{before}le=\"{bound:?}\"")),
                false => self.text.put(format_args!("{before}le=\"+Inf\"")),
            }
            before = ',';
        }
        if before == ',' {
            self.text.out.push('}');
        }
    }

    /// Always with its time: without, Prometheus takes that of the scrape and stores it anew each
    /// time.
    fn exemplar(&mut self, exemplar: &Exemplar) {
        let (trace_id, span_id) = (exemplar.trace_id, exemplar.span_id);
        self.text.put(format_args!(
            " # {{trace_id=\"{trace_id}\",span_id=\"{span_id}\"}} {:?} {}",
            exemplar.value,
            Seconds(exemplar.at)
        ));
    }
}

/// A time in seconds since 1970, to the millisecond, which is what Prometheus keeps.
struct Seconds(Timestamp);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = self.0.unix_millis().max(0);
        write!(f, "{}.{:03}", millis / 1000, millis % 1000)
    }
}

fn escape(value: &str, out: &mut String) {
    for character in value.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use longshore_core::{SpanId, TraceId};

    use super::*;
    use crate::metrics::series::Series;
    use crate::metrics::table::{RECEIVED, RUN, SENT};

    #[test]
    fn the_format_is_the_one_asked_for() {
        use MetricsFormat::{Classic, OpenMetrics};
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,/;q=0.1";
        for (accept, expected) in [
            (prometheus_2, OpenMetrics),
            (prometheus_3, OpenMetrics),
            ("Application/OpenMetrics-Text", OpenMetrics),
            (
                "application/openmetrics-text; version=\"2.0.0\", */*",
                Classic,
            ),
            ("application/openmetrics-text;q=0", Classic),
            ("application/openmetrics-text;q=0.2,text/plain", Classic),
            ("text/html,*/*;q=0.8", Classic),
            ("", Classic),
            (";;==,q", Classic),
        ] {
            assert_eq!(MetricsFormat::negotiate(accept), expected, "{accept}");
        }
    }

    fn exemplar(value: f64) -> Exemplar {
        Exemplar {
            trace_id: TraceId::from_u128(0xabc),
            span_id: SpanId::from_u64(0xdef),
            value,
            at: Timestamp::from_unix_millis(1_700_000_000_042),
        }
    }

    fn written(format: MetricsFormat) -> String {
        let mut text = Text::new(format);
        let counter = Counter::default();
        counter.add(3, Some(exemplar(1.0)));
        let mut samples = text.metric(SENT);
        samples.counter(&["mail", "", "a \"b\"\\\n"], &counter);
        let histogram = Histogram::new(RUN);
        histogram.observe(Duration::from_millis(700), Some(exemplar(0.0)));
        let mut samples = text.metric(RUN);
        samples.histogram(&["mail", "send", "completed", ""], &histogram);
        samples.histogram(&["mail", "send", "lost", ""], &Histogram::new(RUN));
        text.metric(RECEIVED);
        text.finish()
    }

    #[test]
    fn openmetrics_has_exemplars_units_and_an_end() {
        let text = written(MetricsFormat::OpenMetrics);
        for line in [
            "# TYPE messaging_client_sent_messages counter",
            r#"messaging_client_sent_messages_total{messaging_system="longshore",messaging_operation_name="enqueue",messaging_destination_name="mail",error_type="a \"b\"\\\n"} 3 # {trace_id="00000000000000000000000000000abc",span_id="0000000000000def"} 1.0 1700000000.042"#,
            "# UNIT messaging_process_duration_seconds seconds",
            r#"messaging_process_duration_seconds_bucket{messaging_system="longshore",messaging_operation_name="process",messaging_destination_name="mail",longshore_job_kind="send",longshore_job_outcome="completed",le="0.5"} 0"#,
            r#"messaging_process_duration_seconds_bucket{messaging_system="longshore",messaging_operation_name="process",messaging_destination_name="mail",longshore_job_kind="send",longshore_job_outcome="completed",le="0.75"} 1 # {trace_id="00000000000000000000000000000abc",span_id="0000000000000def"} 0.7 1700000000.042"#,
            r#"messaging_process_duration_seconds_bucket{messaging_system="longshore",messaging_operation_name="process",messaging_destination_name="mail",longshore_job_kind="send",longshore_job_outcome="completed",le="1.0"} 1"#,
            r#"messaging_process_duration_seconds_bucket{messaging_system="longshore",messaging_operation_name="process",messaging_destination_name="mail",longshore_job_kind="send",longshore_job_outcome="completed",le="+Inf"} 1"#,
            r#"messaging_process_duration_seconds_sum{messaging_system="longshore",messaging_operation_name="process",messaging_destination_name="mail",longshore_job_kind="send",longshore_job_outcome="completed"} 0.7"#,
            r#"messaging_process_duration_seconds_count{messaging_system="longshore",messaging_operation_name="process",messaging_destination_name="mail",longshore_job_kind="send",longshore_job_outcome="completed"} 1"#,
        ] {
            assert!(text.lines().any(|own| own == line), "{line}\n{text}");
        }
        assert!(!text.contains("lost"), "what was never measured is absent");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn the_classic_format_has_none_of_them() {
        let text = written(MetricsFormat::Classic);
        assert!(text.starts_with("# TYPE messaging_client_sent_messages_total counter\n"));
        assert!(text.contains("le=\"0.75\"} 1\n"));
        for absent in ["trace_id", "# UNIT", "# EOF"] {
            assert!(!text.contains(absent), "{absent}\n{text}");
        }
    }
}
