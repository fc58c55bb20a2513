//! What is exported: spans and log records go the same way, each kind on threads of its own.

use longshore_spanlog::Kind;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

/// A kind of telemetry that leaves by OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Logs,
}

impl Signal {
    /// What it is called as a whole.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "log records",
        }
    }

    /// What it is counted in.
    pub(crate) const fn items(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Logs => "log records",
        }
    }

    /// What it is written to disk as.
    pub(crate) const fn frames(self) -> Kind {
        match self {
            Self::Traces => Kind::SPANS,
            Self::Logs => Kind::LOGS,
        }
    }

    /// The names of the threads that write it down and export it.
    pub(crate) const fn threads(self) -> [&'static str; 2] {
        match self {
            Self::Traces => ["longshore-spans", "longshore-export"],
            // Linux shows fifteen characters.
            Self::Logs => ["longshore-logs", "longshore-logex"],
        }
    }

    /// The setting that names the file of the exporter `file`.
    pub(crate) const fn file_key(self) -> &'static str {
        match self {
            Self::Traces => "telemetry.file",
            Self::Logs => "telemetry.logs_file",
        }
    }

    /// An export request as a line of OTLP in JSON.
    ///
    /// # Errors
    /// It is none, which only a damaged span log can bring about.
    pub(crate) fn json_line(self, request: &[u8]) -> Result<Vec<u8>, String> {
        let unreadable = |error: &dyn std::fmt::Display| format!("not {}: {error}", self.items());
        let line = match self {
            Self::Traces => ExportTraceServiceRequest::decode(request)
                .map(|request| serde_json::to_vec(&request)),
            Self::Logs => ExportLogsServiceRequest::decode(request)
                .map(|request| serde_json::to_vec(&request)),
        };
        let mut line = line
            .map_err(|error| unreadable(&error))?
            .map_err(|error| unreadable(&error))?;
        line.push(b'\n');
        Ok(line)
    }
}
