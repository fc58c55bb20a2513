//! The settings of log records.

use std::time::Duration;

use longshore_spanlog::Policy;

use super::telemetry::{Receiver, endpoint};
use super::{Config, Endpoint, Exporter, FileSettings, TelemetrySettings, TlsSettings, value};
use crate::backlog::SpanLogSettings;

/// The folder within that of the span log. Log records have one of their own, so that a process
/// that exports none, or knows of none, leaves them to those that do.
const FOLDER: &str = "logs";

const GRPC_PATH: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// How log events leave as OTLP log records. What is said for all OTLP holds for them too, unless
/// there is something for logs alone; what is said for traces alone does not.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSettings {
    /// Where they go; never [`Exporter::None`].
    pub exporter: Exporter,
    /// The OTLP receiver.
    pub endpoint: Endpoint,
    /// The certificates of exports to an `https` endpoint.
    pub tls: TlsSettings,
    /// Headers of every export.
    pub headers: Vec<(String, String)>,
    /// The most that one export may take.
    pub timeout: Duration,
    /// Whether bodies are compressed with gzip.
    pub gzip: bool,
    /// The file of the exporter `file`.
    pub file: FileSettings,
    /// Most attributes of one record.
    pub attributes: u32,
    /// Most characters of a body or value; never more than what redaction allows.
    pub value_length: usize,
    /// Most bytes of records on disk, where there is a span log: they wait in its folder `logs`.
    pub disk_bytes: u64,
    /// Most bytes of records that wait for export in memory, where there is none.
    pub backlog_bytes: usize,
    /// Most records that wait to be written down.
    pub queue_size: usize,
    /// Most records in one export.
    pub batch_size: usize,
    /// How long a record waits for others.
    pub delay: Duration,
}

impl LogSettings {
    /// Nothing if log records stay here. `spans` is where spans go.
    pub(super) fn from_config(config: &Config, spans: Exporter) -> Option<Self> {
        let exporter = match config.text("telemetry.logs") {
            "otlp" => Exporter::Otlp,
            "cloudtrace" => Exporter::CloudTrace,
            "file" => Exporter::File,
            "stdout" => Exporter::Stdout,
            "same" if spans != Exporter::None => spans,
            _ => return None,
        };
        let text = |own: &str, shared: &str| match config.text(own) {
            "" => config.shared(shared).to_owned(),
            own => own.to_owned(),
        };
        let path = |own, shared| {
            let path = text(own, shared);
            (!path.is_empty()).then(|| path.into())
        };
        let duration = |text: &str, default| value::parse_duration(text).unwrap_or(default);
        let timeout = text("telemetry.logs_timeout", "telemetry.timeout");
        let export_timeout = config.text("telemetry.logs_export_timeout");
        let count = |key, default| config.count(key).unwrap_or(default);
        let mebibytes = |key, default| count(key, default) << 20;
        let queue_size = count("telemetry.logs_queue_size", 8192);
        let receiver = Receiver {
            own: config.text("telemetry.logs_endpoint"),
            base: config.shared("telemetry.endpoint"),
            protocol: &text("telemetry.logs_protocol", "telemetry.protocol"),
            is_insecure: text("telemetry.logs_insecure", "telemetry.insecure") == "true",
            path: "/v1/logs",
            grpc_path: GRPC_PATH,
        };
        Some(Self {
            exporter,
            endpoint: endpoint(exporter, &receiver),
            tls: TlsSettings {
                certificate: path("telemetry.logs_certificate", "telemetry.certificate"),
                client_certificate: path(
                    "telemetry.logs_client_certificate",
                    "telemetry.client_certificate",
                ),
                client_key: path("telemetry.logs_client_key", "telemetry.client_key"),
            },
            headers: value::pairs(&text("telemetry.logs_headers", "telemetry.headers")),
            timeout: duration(&timeout, Duration::from_secs(10))
                .min(duration(export_timeout, Duration::from_secs(30))),
            gzip: text("telemetry.logs_compression", "telemetry.compression") == "gzip",
            file: FileSettings {
                path: config.text("telemetry.logs_file").into(),
                ..super::telemetry::file(config)
            },
            attributes: config
                .text("telemetry.logs_attributes")
                .parse()
                .unwrap_or(128),
            value_length: config
                .count("telemetry.logs_attribute_length")
                .unwrap_or(usize::MAX),
            disk_bytes: u64::try_from(mebibytes("telemetry.logs_disk_mebibytes", 256))
                .unwrap_or(u64::MAX),
            backlog_bytes: mebibytes("telemetry.logs_backlog_mebibytes", 16),
            queue_size,
            batch_size: count("telemetry.logs_batch_size", 512).min(queue_size),
            delay: duration(config.text("telemetry.logs_delay"), Duration::from_secs(1)),
        })
    }
}

impl TelemetrySettings {
    /// The same settings as they are for log records, if these leave.
    pub(crate) fn for_logs(&self) -> Option<Self> {
        let logs = self.logs.clone()?;
        let span_log = self.span_log.as_ref().map(|log| SpanLogSettings {
            folder: log.folder.join(FOLDER),
            policy: Policy {
                max_bytes: logs.disk_bytes,
                ..log.policy
            },
        });
        Some(Self {
            exporter: logs.exporter,
            endpoint: logs.endpoint,
            tls: logs.tls,
            headers: logs.headers,
            timeout: logs.timeout,
            gzip: logs.gzip,
            file: logs.file,
            span_log,
            backlog_bytes: logs.backlog_bytes,
            queue_size: logs.queue_size,
            batch_size: logs.batch_size,
            delay: logs.delay,
            ..self.clone()
        })
    }
}
