//! The settings of telemetry, resolved.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use longshore_spanlog::Policy;

use super::{Config, GoogleSettings, LogSettings, google, value};
use crate::backlog::SpanLogSettings;
use crate::keep::{KeepRule, KeepSettings};
use crate::limits::SpanLimits;
use crate::processor::SpanProcessor;
use crate::redact::RedactionPolicy;
use crate::rule::Rules;
use crate::sampler::{self, Threshold};

/// Where spans go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exporter {
    /// To an OTLP receiver.
    Otlp,
    /// To Google Cloud, by OTLP with a token.
    CloudTrace,
    /// To a file, as OTLP in JSON with one request per line.
    File,
    /// To standard output, one readable line per span.
    Stdout,
    /// Nowhere.
    None,
}

/// What is carried between processes by the propagators of `opentelemetry::global`. A job carries
/// its trace context in any case: without it there is no trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Propagators {
    /// `traceparent` and `tracestate`.
    pub trace_context: bool,
    /// `baggage`; without it, none travels with jobs either.
    pub baggage: bool,
}

/// How spans travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP with protobuf bodies.
    HttpProtobuf,
}

/// An OTLP receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The URL that requests go to.
    pub url: String,
    /// The protocol spoken there.
    pub protocol: Protocol,
}

/// The files by which the exporter and an OTLP receiver know each other; all are PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// The authorities that may sign the receiver's certificate, and no others; if none, those of
    /// this machine and of the web.
    pub certificate: Option<PathBuf>,
    /// The certificate, and those between it and its authority, by which the receiver knows this
    /// process.
    pub client_certificate: Option<PathBuf>,
    /// The private key of that certificate.
    pub client_key: Option<PathBuf>,
}

impl TlsSettings {
    fn from_config(config: &Config) -> Self {
        let path = |key| {
            let path = config.text(key);
            (!path.is_empty()).then(|| PathBuf::from(path))
        };
        Self {
            certificate: path("telemetry.certificate"),
            client_certificate: path("telemetry.client_certificate"),
            client_key: path("telemetry.client_key"),
        }
    }
}

/// Where the exporter `file` writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// The file; the one before it has `.1` at its end.
    pub path: PathBuf,
    /// Most bytes of both together.
    pub max_bytes: u64,
}

/// The proxies between this process and an OTLP receiver; all texts are empty where there is none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxySettings {
    /// The proxy to `https` receivers, as `http://user:password@host:port`.
    pub https: String,
    /// The proxy to `http` receivers.
    pub http: String,
    /// Hosts, domains and networks that are reached without a proxy, separated by commas.
    pub no_proxy: String,
}

impl ProxySettings {
    fn from_config(config: &Config) -> Self {
        Self {
            https: config.text("telemetry.https_proxy").to_owned(),
            http: config.text("telemetry.http_proxy").to_owned(),
            no_proxy: config.text("telemetry.no_proxy").to_owned(),
        }
    }

    /// Whether a proxy is itself spoken to by TLS.
    pub(crate) fn is_secure(&self) -> bool {
        [&self.https, &self.http]
            .iter()
            .any(|url| url.starts_with("https://"))
    }
}

impl fmt::Debug for ProxySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxySettings")
            .field("https", &value::without_password(&self.https))
            .field("http", &value::without_password(&self.http))
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

/// What [`Telemetry::init`](crate::Telemetry::init) needs to know.
#[derive(Clone, Debug)]
pub struct TelemetrySettings {
    /// Whether jobs are traced at all.
    pub enabled: bool,
    /// Where spans go.
    pub exporter: Exporter,
    /// The OTLP receiver.
    pub endpoint: Endpoint,
    /// The certificates of exports to an `https` endpoint.
    pub tls: TlsSettings,
    /// The proxies on the way to the receiver.
    pub proxy: ProxySettings,
    /// Headers of every export.
    pub headers: Vec<(String, String)>,
    /// The most that one export may take, repetitions included.
    pub timeout: Duration,
    /// Whether bodies are compressed with gzip.
    pub gzip: bool,
    /// `service.name`.
    pub service_name: String,
    /// `deployment.environment.name`.
    pub environment: String,
    /// Further resource attributes.
    pub resource_attributes: Vec<(String, String)>,
    /// The share of new traces that is sampled where no rule says otherwise.
    pub sampling_ratio: f64,
    /// The share for some jobs.
    pub sampling_rules: Rules<Threshold>,
    /// As many spans as new traces may make each second; if any, the share follows from it.
    pub spans_per_second: Option<f64>,
    /// What may leave, and what stands in the place of the rest.
    pub redaction: RedactionPolicy,
    /// What the application makes of spans before they are redacted, in this order.
    pub processors: Vec<Arc<dyn SpanProcessor>>,
    /// Which jobs' traces are kept whatever the sampler said.
    pub keep: KeepSettings,
    /// Whether the requests that stores make for the engine's calls have spans.
    pub storage_spans: bool,
    /// Most user spans beneath one attempt.
    pub trace_spans: usize,
    /// Most bytes of user spans that are held until it is known whether their jobs are kept.
    pub held_bytes: usize,
    /// Account and place in Google Cloud.
    pub google: GoogleSettings,
    /// The file of the exporter `file`.
    pub file: FileSettings,
    /// What one span may carry.
    pub limits: SpanLimits,
    /// What is carried between processes.
    pub propagators: Propagators,
    /// The baggage that travels with jobs.
    pub baggage_keys: Vec<String>,
    /// Where spans are written down until they are exported, and for those who look at them on
    /// this machine; without it they wait in memory.
    pub span_log: Option<SpanLogSettings>,
    /// Whether the span log says which spans of attempts that run long are open.
    pub open_spans: bool,
    /// Most bytes of encoded spans that wait for export in memory.
    pub backlog_bytes: usize,
    /// Most spans that wait to be written down.
    pub queue_size: usize,
    /// Most spans in one export.
    pub batch_size: usize,
    /// How long a span waits for others.
    pub delay: Duration,
    /// How log events leave as OTLP log records; nothing if they do not.
    pub logs: Option<LogSettings>,
}

const GOOGLE_ENDPOINT: &str = "https://telemetry.googleapis.com";
const TRACES_PATH: &str = "/v1/traces";
const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

impl TelemetrySettings {
    /// The same settings with another processor, asked after those they have.
    #[must_use]
    pub fn with_processor(mut self, processor: impl SpanProcessor + 'static) -> Self {
        self.processors.push(Arc::new(processor));
        self
    }

    pub(super) fn from_config(config: &Config) -> Self {
        let text = |key| config.text(key);
        let has_endpoint =
            !text("telemetry.endpoint").is_empty() || !text("telemetry.traces_endpoint").is_empty();
        let exporter = match text("telemetry.exporter") {
            "otlp" | "jaeger" => Exporter::Otlp,
            "cloudtrace" => Exporter::CloudTrace,
            "file" => Exporter::File,
            "stdout" => Exporter::Stdout,
            "" if has_endpoint => Exporter::Otlp,
            _ => Exporter::None,
        };
        let environment = text("telemetry.environment").to_owned();
        let carried = |name| value::words(text("telemetry.propagators")).any(|word| word == name);
        let propagators = Propagators {
            trace_context: carried("tracecontext"),
            baggage: carried("baggage"),
        };
        let mut resource_attributes = value::pairs(text("telemetry.resource_attributes"));
        resource_attributes.extend(google::attributes(config, &resource_attributes));
        let duration = |key, default| config.duration(key).unwrap_or(default);
        let export_timeout = duration("telemetry.export_timeout", Duration::from_secs(30));
        let batch_size = config.count("telemetry.batch_size").unwrap_or(512);
        let queue_size = config.count("telemetry.queue_size").unwrap_or(32_768);
        Self {
            enabled: config.flag("telemetry.enabled"),
            exporter,
            endpoint: endpoint(exporter, &Receiver::of_traces(config)),
            tls: TlsSettings::from_config(config),
            proxy: ProxySettings::from_config(config),
            headers: value::pairs(text("telemetry.headers")),
            timeout: duration("telemetry.timeout", Duration::from_secs(10)).min(export_timeout),
            gzip: text("telemetry.compression") == "gzip",
            service_name: text("telemetry.service_name").to_owned(),
            sampling_ratio: text("telemetry.sampling_ratio")
                .parse()
                .unwrap_or_else(|_empty| sampler::default_ratio(&environment)),
            environment,
            redaction: RedactionPolicy::from_config(config),
            // Rules that cannot be read were warned of when the value was checked.
            sampling_rules: Rules::parse(text("telemetry.sampling_rules"), sampler::parse_ratio)
                .unwrap_or_default(),
            spans_per_second: text("telemetry.spans_per_second").parse().ok(),
            processors: Vec::new(),
            keep: keep(config),
            storage_spans: config.flag("telemetry.storage_spans"),
            trace_spans: config.count("telemetry.trace_spans").unwrap_or(1000),
            held_bytes: config.count("telemetry.held_mebibytes").unwrap_or(64) << 20,
            resource_attributes,
            google: GoogleSettings::from_config(config),
            file: file(config),
            limits: limits(config),
            propagators,
            baggage_keys: value::words(text("telemetry.baggage_keys"))
                .filter(|_key| propagators.baggage)
                .map(str::to_owned)
                .collect(),
            span_log: span_log(config),
            open_spans: config.flag("telemetry.open_spans"),
            backlog_bytes: config.count("telemetry.backlog_mebibytes").unwrap_or(32) << 20,
            queue_size,
            batch_size: batch_size.min(queue_size),
            delay: duration("telemetry.delay", Duration::from_secs(1)),
            logs: LogSettings::from_config(config, exporter),
        }
    }
}

fn limits(config: &Config) -> SpanLimits {
    let limit = |key| config.text(key).parse().unwrap_or(128);
    SpanLimits {
        attributes: limit("telemetry.span_attributes"),
        events: limit("telemetry.span_events"),
        links: limit("telemetry.span_links"),
        event_attributes: limit("telemetry.event_attributes"),
        link_attributes: limit("telemetry.link_attributes"),
        value_length: config
            .count("telemetry.max_attribute_length")
            .unwrap_or(1000),
    }
}

pub(super) fn file(config: &Config) -> FileSettings {
    let mebibytes = config.count("telemetry.file_mebibytes").unwrap_or(100);
    FileSettings {
        path: config.text("telemetry.file").into(),
        max_bytes: u64::try_from(mebibytes)
            .unwrap_or(u64::MAX)
            .saturating_mul(1 << 20),
    }
}

fn span_log(config: &Config) -> Option<SpanLogSettings> {
    let folder = config.text("telemetry.span_log");
    let mebibytes = config.count("telemetry.span_log_mebibytes").unwrap_or(1024);
    (!folder.is_empty() && folder != "off").then(|| SpanLogSettings {
        folder: folder.into(),
        policy: Policy {
            max_bytes: u64::try_from(mebibytes)
                .unwrap_or(u64::MAX)
                .saturating_mul(1 << 20),
            ..Policy::default()
        },
    })
}

fn keep(config: &Config) -> KeepSettings {
    // Rules that cannot be read were warned of when the value was checked.
    let rules = Rules::parse(config.text("telemetry.keep_rules"), KeepRule::parse);
    KeepSettings {
        enabled: config.flag("telemetry.keep"),
        run_objective: config.duration("telemetry.run_objective"),
        wait_objective: config.duration("telemetry.wait_objective"),
        attempts: config
            .count("telemetry.keep_attempts")
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(3),
        rules: rules.unwrap_or_default(),
    }
}

/// What is said of an OTLP receiver; texts are empty where nothing is.
pub(super) struct Receiver<'a> {
    /// The URL for one signal.
    pub(super) own: &'a str,
    /// The URL for all of them.
    pub(super) base: &'a str,
    pub(super) protocol: &'a str,
    pub(super) is_insecure: bool,
    /// Where the signal goes over HTTP.
    pub(super) path: &'static str,
    pub(super) grpc_path: &'static str,
}

impl<'a> Receiver<'a> {
    fn of_traces(config: &'a Config) -> Self {
        Self {
            own: config.text("telemetry.traces_endpoint"),
            base: config.text("telemetry.endpoint"),
            protocol: config.text("telemetry.protocol"),
            is_insecure: config.flag("telemetry.insecure"),
            path: TRACES_PATH,
            grpc_path: GRPC_PATH,
        }
    }
}

/// The rules of the OTLP specification: the endpoint for one signal is used as it is, the path of
/// the signal is added to the general one, and gRPC knows only scheme, host and port.
pub(super) fn endpoint(exporter: Exporter, receiver: &Receiver<'_>) -> Endpoint {
    let base = match receiver.base {
        "" if exporter == Exporter::CloudTrace => GOOGLE_ENDPOINT,
        base => base,
    };
    // Without a scheme it is TLS, unless that is switched off.
    let with_scheme = |url: &str| match url {
        "" => String::new(),
        url if url.contains("://") => url.to_owned(),
        url if receiver.is_insecure => format!("http://{url}"),
        url => format!("https://{url}"),
    };
    let (own, base) = (&with_scheme(receiver.own), &with_scheme(base));
    let given = if own.is_empty() { base } else { own };
    let uri: hyper::Uri = given.parse().unwrap_or_default();
    let protocol = match receiver.protocol {
        "grpc" => Protocol::Grpc,
        "" if uri.port_u16() == Some(4317) => Protocol::Grpc,
        _ => Protocol::HttpProtobuf,
    };
    let path = receiver.path;
    let url = match protocol {
        Protocol::Grpc => {
            let scheme = uri.scheme_str().unwrap_or("http");
            let authority = uri
                .authority()
                .map_or("localhost:4317", |host| host.as_str());
            format!("{scheme}://{authority}{}", receiver.grpc_path)
        }
        Protocol::HttpProtobuf if given.is_empty() => format!("http://localhost:4318{path}"),
        Protocol::HttpProtobuf if own.is_empty() => {
            // A base that names a signal already is what many write; it cannot be meant to be added
            // to that.
            let base = base.trim_end_matches('/');
            let base = base.strip_suffix(TRACES_PATH).unwrap_or(base);
            let base = base.strip_suffix(path).unwrap_or(base);
            format!("{}{path}", base.trim_end_matches('/'))
        }
        Protocol::HttpProtobuf => given.to_owned(),
    };
    Endpoint { url, protocol }
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self::from_config(&Config::default())
    }
}
