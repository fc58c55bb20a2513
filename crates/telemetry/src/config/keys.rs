//! The one table of settings.

use super::value::percent_decoded;

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Any text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number above zero.
    Count,
    /// A whole number, 0 for none at all.
    Limit,
    /// A number from 0 to 1.
    Ratio,
    /// A number with its unit, such as `500ms`, `30s`, `5m`, `1h`, `7d`.
    Duration,
    /// Words, separated by commas.
    Words,
    /// `key=value` pairs, separated by commas.
    Pairs,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Names of propagators, separated by commas.
    Propagators,
    /// The URL of an HTTP server, or its host and port.
    Url,
    /// The URL of an HTTP proxy, or its host and port; perhaps with a password.
    Proxy,
    /// Regular expressions, one a line; in a file also a list.
    Patterns,
    /// Rules that say which jobs' traces are kept; see [`crate::rule`].
    KeepRules,
    /// Rules that say which share of which jobs' traces is sampled; see [`crate::rule`].
    SamplingRules,
    /// Levels of log lines, for all or by module.
    LogFilter,
    /// A text that is never shown.
    Secret,
    /// The workers of a daemon, as JSON; in a file a list of tables. See [`super::ServeWorker`].
    Workers,
}

/// An environment variable that sets a key.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    reading: Reading,
}

/// How a variable's value becomes the key's.
#[derive(Clone, Copy, Debug)]
enum Reading {
    AsIs,
    /// `true` switches off.
    Inverted,
    /// Milliseconds without a unit.
    Millis,
    /// The level of the log lines of tracing itself.
    OwnLogLevel,
    /// A folder within the one that the variable names.
    Within(&'static str),
    /// `console` is our `stdout`.
    ExporterName,
    /// A sampler's name, which may settle the ratio.
    SamplerName,
    /// The ratio that a sampler's name stands for if nothing says more.
    SamplerDefault,
    /// One of the resource attributes.
    Resource(&'static str),
}

impl Variable {
    /// The value in the key's own form; `None` if the variable says nothing about this key.
    pub(super) fn read(&self, value: &str) -> Result<Option<String>, String> {
        let value = value.trim();
        Ok(match self.reading {
            Reading::AsIs => Some(value.to_owned()),
            Reading::Inverted => Some((!value.eq_ignore_ascii_case("true")).to_string()),
            Reading::Millis => Some(format!("{value}ms")),
            Reading::OwnLogLevel => {
                let level = match value.to_ascii_lowercase().as_str() {
                    "none" | "off" => "off".to_owned(),
                    level @ ("error" | "warn" | "info" | "debug" | "trace") => level.to_owned(),
                    _ => {
                        return Err(format!(
                            "`{value}` is none of error, warn, info, debug, trace, none"
                        ));
                    }
                };
                Some(format!("warn,longshore={level},opentelemetry={level}"))
            }
            Reading::Within(folder) => Some(format!("{}/{folder}", value.trim_end_matches('/'))),
            Reading::ExporterName if matches!(value, "console" | "logging") => {
                Some("stdout".to_owned())
            }
            Reading::ExporterName => Some(value.to_owned()),
            Reading::SamplerName => match value {
                "always_on" | "parentbased_always_on" => Some("1".to_owned()),
                "always_off" | "parentbased_always_off" => Some("0".to_owned()),
                "traceidratio" | "parentbased_traceidratio" => None,
                _ => return Err(unknown_sampler(value)),
            },
            // As OpenTelemetry has it, a ratio that is not stated is 1.
            Reading::SamplerDefault => {
                matches!(value, "traceidratio" | "parentbased_traceidratio").then(|| "1".to_owned())
            }
            Reading::Resource(wanted) => value.split(',').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                (name.trim() == wanted).then(|| percent_decoded(value.trim()))
            }),
        })
    }
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name, with the table it stands in.
    pub name: &'static str,
    /// Other names for it in a file.
    pub aliases: &'static [&'static str],
    /// What its value looks like.
    pub shape: Shape,
    /// Its value if nobody sets it; empty means that it depends, as `doc` says.
    pub default: &'static str,
    /// The variables that set it, each overriding the one before.
    pub variables: &'static [Variable],
    /// What it does.
    pub doc: &'static str,
}

impl Key {
    /// Whether a bad value is only worth a warning.
    #[must_use]
    pub fn is_telemetry(&self) -> bool {
        self.name.starts_with("telemetry.")
    }
}

const fn var(name: &'static str) -> Variable {
    read(name, Reading::AsIs)
}

const fn read(name: &'static str, reading: Reading) -> Variable {
    Variable { name, reading }
}

macro_rules! keys {
    ($($name:literal, $aliases:expr, $shape:expr, $default:literal, $variables:expr, $doc:literal;)*) => {
        /// Every setting.
        pub const KEYS: &[Key] = &[$(Key {
            name: $name,
            aliases: &$aliases,
            shape: $shape,
            default: $default,
            variables: &$variables,
            doc: $doc,
        },)*];
    };
}

keys! {
    "store", [], Shape::Text, "", [var("LONGSHORE_STORE")],
        "The URL of the store, such as `sqlite:jobs.db`, `postgres://user@host/database`, `redis://host:6379` or `s3://bucket/prefix`. If empty, an SQLite file in the user's data folder.";
    "trace_url", [], Shape::Text, "", [var("LONGSHORE_TRACE_URL")],
        "Where traces are opened in the tracing back end: an address with `{trace_id}` in it, or a preset such as `jaeger` or `tempo=https://grafana.example`. `longshore tui` goes there, and `longshore serve` tells it to those that connect. If empty, nowhere.";
    "worker.concurrency", [], Shape::Count, "", [var("LONGSHORE_WORKER_CONCURRENCY")],
        "How many jobs a worker runs at the same time. If empty, as many as there are processors.";
    "worker.lease", [], Shape::Duration, "30s", [var("LONGSHORE_WORKER_LEASE")],
        "How long a worker holds a job without a sign of life before others may take it.";
    "worker.timeout", [], Shape::Duration, "", [var("LONGSHORE_WORKER_TIMEOUT")],
        "How long an attempt may take, for jobs that do not say so themselves. If empty, any time.";
    "worker.shutdown_grace", [], Shape::Duration, "10s", [var("LONGSHORE_WORKER_SHUTDOWN_GRACE")],
        "How long running handlers may go on when the worker is told to stop.";
    "worker.metrics", [], Shape::Text, "", [var("LONGSHORE_WORKER_METRICS")],
        "Where a worker serves its metrics to Prometheus: `HOST:PORT`, or a port of this machine's loopback device. If empty, nowhere.";
    "serve.listen", [], Shape::Text, "127.0.0.1:7350", [var("LONGSHORE_SERVE_LISTEN")],
        "Where `longshore serve` answers: `HOST:PORT`, or a port of this machine's loopback device. Elsewhere than on the loopback device a token is needed.";
    "serve.token", [], Shape::Secret, "", [var("LONGSHORE_SERVE_TOKEN")],
        "The token that requests to `longshore serve` have to carry (`Authorization: Bearer TOKEN`), 16 characters or more. If empty, none is asked for, and this machine alone is answered.";
    "serve.read_token", [], Shape::Secret, "", [var("LONGSHORE_SERVE_READ_TOKEN")],
        "Another token, for looking alone.";
    "serve.otlp", [], Shape::Flag, "true", [var("LONGSHORE_SERVE_OTLP")],
        "Whether `longshore serve` takes spans and log records of other programs.";
    "serve.otlp_grpc", [], Shape::Text, "127.0.0.1:4317", [var("LONGSHORE_SERVE_OTLP_GRPC")],
        "Where it takes them by gRPC: `HOST:PORT`, or a port of the loopback device. If `off`, nowhere.";
    "serve.otlp_http", [], Shape::Text, "127.0.0.1:4318", [var("LONGSHORE_SERVE_OTLP_HTTP")],
        "Where it takes them by HTTP, in protobuf or JSON: `HOST:PORT`, or a port of the loopback device. If `off`, nowhere.";
    "serve.otlp_sync", [], Shape::Choice(&["system", "always"]), "system", [var("LONGSHORE_SERVE_OTLP_SYNC")],
        "When spans that were taken are forced onto the disk: when the `system` does, usually within half a minute, so that a power cut may take the last of them and `kill -9` none; or `always`, before their sender is answered.";
    "serve.tls_certificate", [], Shape::Text, "", [var("LONGSHORE_SERVE_TLS_CERTIFICATE")],
        "A PEM file with the certificate by which `longshore serve` shows itself, and those that signed it. If empty, TLS is not spoken.";
    "serve.tls_key", [], Shape::Text, "", [var("LONGSHORE_SERVE_TLS_KEY")],
        "A PEM file with the private key of that certificate, without a password.";
    "serve.workers", [], Shape::Workers, "", [],
        "The workers that run within `longshore serve`, each a table `[[serve.workers]]` with `queue` (a name or a list), `exec` (the program, as for `longshore worker`), and perhaps `concurrency`, `lease` and `timeout`.";
    "prune.completed_after", [], Shape::Duration, "7d", [var("LONGSHORE_PRUNE_COMPLETED_AFTER")],
        "How long jobs are kept after they were completed; a worker deletes those that are older. If empty, for ever.";
    "prune.completed_keep", [], Shape::Count, "100000", [var("LONGSHORE_PRUNE_COMPLETED_KEEP")],
        "How many completed jobs are kept, the newest; a worker deletes the others. If empty, all.";
    "prune.cancelled_after", [], Shape::Duration, "30d", [var("LONGSHORE_PRUNE_CANCELLED_AFTER")],
        "The same as `prune.completed_after` for cancelled jobs.";
    "prune.cancelled_keep", [], Shape::Count, "100000", [var("LONGSHORE_PRUNE_CANCELLED_KEEP")],
        "The same as `prune.completed_keep` for cancelled jobs.";
    "prune.discarded_after", [], Shape::Duration, "30d", [var("LONGSHORE_PRUNE_DISCARDED_AFTER")],
        "The same as `prune.completed_after` for discarded jobs.";
    "prune.discarded_keep", [], Shape::Count, "100000", [var("LONGSHORE_PRUNE_DISCARDED_KEEP")],
        "The same as `prune.completed_keep` for discarded jobs.";
    "trace_store.seal", [], Shape::Flag, "true", [var("LONGSHORE_TRACE_STORE_SEAL")],
        "Whether workers and `longshore serve` seal what is over in the span log as Parquet, in its folder `sealed`, and keep that within its bounds: one of them at a time. Else `longshore traces seal` does.";
    "trace_store.archive", [], Shape::Text, "", [var("LONGSHORE_TRACE_STORE_ARCHIVE")],
        "Where sealed files are copied to as well, `s3://BUCKET/PREFIX`; the variables of AWS (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL` …) say by whom and on which server. If empty, nowhere.";
    "trace_store.mebibytes", [], Shape::Count, "4096", [var("LONGSHORE_TRACE_STORE_MEBIBYTES")],
        "Most that the span log and what is sealed may hold together; beyond it the oldest that is sealed goes first, and that of kept traces last.";
    "trace_store.base_age", [], Shape::Duration, "7d", [var("LONGSHORE_TRACE_STORE_BASE_AGE")],
        "How long spans are kept that are sealed and of no kept trace. If empty, for ever.";
    "trace_store.kept_age", [], Shape::Duration, "30d", [var("LONGSHORE_TRACE_STORE_KEPT_AGE")],
        "The same for spans of kept traces.";
    "trace_store.pinned_age", [], Shape::Duration, "", [var("LONGSHORE_TRACE_STORE_PINNED_AGE")],
        "The same for spans of pinned traces.";
    "log.filter", [], Shape::LogFilter, "warn", [read("OTEL_LOG_LEVEL", Reading::OwnLogLevel), var("LONGSHORE_LOG")],
        "Which log lines a worker writes to stderr: a level (`error`, `warn`, `info`, `debug`, `trace` or `off`), or levels by module such as `info,longshore_queue=debug`.";
    "log.format", [], Shape::Choice(&["human", "json"]), "human", [var("LONGSHORE_LOG_FORMAT")],
        "What a log line looks like: `human`, or `json` with one object per line.";
    "telemetry.enabled", ["otel.enabled", "tracing.enabled"], Shape::Flag, "true",
        [read("OTEL_SDK_DISABLED", Reading::Inverted), var("LONGSHORE_TELEMETRY_ENABLED")],
        "Whether jobs are traced at all.";
    "telemetry.exporter", ["exporter", "otel.exporter", "tracing.exporter"],
        Shape::Choice(&["", "otlp", "jaeger", "cloudtrace", "file", "stdout", "none"]), "",
        [read("OTEL_TRACES_EXPORTER", Reading::ExporterName), var("LONGSHORE_TELEMETRY_EXPORTER")],
        "Where spans go: `otlp` (also spelled `jaeger`), `cloudtrace` (Google Cloud), `file` (OTLP in JSON), `stdout` or `none`. If empty, `otlp` where an endpoint is set, else `none`.";
    "telemetry.endpoint", ["otel.endpoint", "tracing.endpoint"], Shape::Url, "",
        [var("OTEL_EXPORTER_OTLP_ENDPOINT"), var("LONGSHORE_TELEMETRY_ENDPOINT")],
        "The base URL of the OTLP receiver; over HTTP, `/v1/traces` is added to it. If empty, port 4317 (gRPC) or 4318 (HTTP) of this machine.";
    "telemetry.traces_endpoint", [], Shape::Url, "",
        [var("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), var("LONGSHORE_TELEMETRY_TRACES_ENDPOINT")],
        "The URL to which spans are sent, used as it is; overrides `telemetry.endpoint`.";
    "telemetry.protocol", ["otel.protocol", "tracing.protocol"],
        Shape::Choice(&["", "grpc", "http/protobuf"]), "",
        [var("OTEL_EXPORTER_OTLP_PROTOCOL"), var("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), var("LONGSHORE_TELEMETRY_PROTOCOL")],
        "`grpc` or `http/protobuf`. If empty, `grpc` where the endpoint's port is 4317, else `http/protobuf`.";
    "telemetry.insecure", [], Shape::Flag, "false",
        [var("OTEL_EXPORTER_OTLP_INSECURE"), var("OTEL_EXPORTER_OTLP_TRACES_INSECURE"), var("LONGSHORE_TELEMETRY_INSECURE")],
        "Whether an endpoint that is given as host and port alone is spoken to without TLS.";
    "telemetry.certificate", [], Shape::Text, "",
        [var("OTEL_EXPORTER_OTLP_CERTIFICATE"), var("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"), var("LONGSHORE_TELEMETRY_CERTIFICATE")],
        "A PEM file with the authorities that may sign the receiver's certificate. If empty, those that this machine and browsers trust.";
    "telemetry.client_certificate", [], Shape::Text, "",
        [var("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"), var("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE"), var("LONGSHORE_TELEMETRY_CLIENT_CERTIFICATE")],
        "A PEM file with the certificate by which the receiver knows this process, for receivers that want one. It is read anew when a connection fails.";
    "telemetry.client_key", [], Shape::Text, "",
        [var("OTEL_EXPORTER_OTLP_CLIENT_KEY"), var("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"), var("LONGSHORE_TELEMETRY_CLIENT_KEY")],
        "A PEM file with the private key of that certificate, without a password.";
    "telemetry.https_proxy", [], Shape::Proxy, "",
        [var("ALL_PROXY"), var("all_proxy"), var("HTTPS_PROXY"), var("https_proxy"), var("LONGSHORE_TELEMETRY_HTTPS_PROXY")],
        "The HTTP proxy on the way to an `https` endpoint, such as `http://user:password@proxy:3128`; the password is never shown.";
    "telemetry.http_proxy", [], Shape::Proxy, "",
        [var("ALL_PROXY"), var("all_proxy"), var("HTTP_PROXY"), var("http_proxy"), var("LONGSHORE_TELEMETRY_HTTP_PROXY")],
        "The HTTP proxy on the way to an `http` endpoint.";
    "telemetry.no_proxy", [], Shape::Words, "",
        [var("NO_PROXY"), var("no_proxy"), var("LONGSHORE_TELEMETRY_NO_PROXY")],
        "Hosts, domains (with all below them) and networks such as `10.0.0.0/8` that are reached without a proxy; `*` for all.";
    "telemetry.headers", ["otel.headers", "tracing.headers"], Shape::Pairs, "",
        [var("OTEL_EXPORTER_OTLP_HEADERS"), var("OTEL_EXPORTER_OTLP_TRACES_HEADERS"), var("LONGSHORE_TELEMETRY_HEADERS")],
        "Headers sent with every export, such as an access token. Values may be percent-encoded.";
    "telemetry.timeout", [], Shape::Duration, "10s",
        [read("OTEL_EXPORTER_OTLP_TIMEOUT", Reading::Millis), read("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", Reading::Millis), var("LONGSHORE_TELEMETRY_TIMEOUT")],
        "How long one export may take, repetitions included.";
    "telemetry.compression", [], Shape::Choice(&["none", "gzip"]), "none",
        [var("OTEL_EXPORTER_OTLP_COMPRESSION"), var("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"), var("LONGSHORE_TELEMETRY_COMPRESSION")],
        "`gzip` or `none`.";
    "telemetry.service_name", ["otel.service_name", "tracing.service_name"], Shape::Text, "longshore",
        [var("K_SERVICE"), read("OTEL_RESOURCE_ATTRIBUTES", Reading::Resource("service.name")), var("OTEL_SERVICE_NAME"), var("LONGSHORE_TELEMETRY_SERVICE_NAME")],
        "`service.name` of all spans.";
    "telemetry.resource_attributes", ["otel.attributes", "tracing.attributes"], Shape::Pairs, "",
        [var("OTEL_RESOURCE_ATTRIBUTES"), var("LONGSHORE_TELEMETRY_RESOURCE_ATTRIBUTES")],
        "Further attributes of the process, on all spans.";
    "telemetry.environment", ["otel.environment", "tracing.environment"], Shape::Text, "development",
        [read("OTEL_RESOURCE_ATTRIBUTES", Reading::Resource("deployment.environment.name")), var("LONGSHORE_TELEMETRY_ENVIRONMENT")],
        "`deployment.environment.name`; `production` samples 1 % of new traces unless told otherwise, others all.";
    "telemetry.sampling_ratio", ["otel.sampling_ratio", "tracing.sample_rate", "tracing.sampling_ratio"], Shape::Ratio, "",
        [read("OTEL_TRACES_SAMPLER", Reading::SamplerDefault), var("OTEL_TRACES_SAMPLER_ARG"), read("OTEL_TRACES_SAMPLER", Reading::SamplerName), var("LONGSHORE_TELEMETRY_SAMPLING_RATIO")],
        "The share of new traces that is sampled where no rule says otherwise; a caller's decision is always followed. If empty, it depends on `telemetry.environment`.";
    "telemetry.sampling_rules", [], Shape::SamplingRules, "", [var("LONGSHORE_TELEMETRY_SAMPLING_RULES")],
        "The share for some jobs: rules such as `queue=mail kind=send_* -> 0.1; tenant=acme -> 1`; the first that fits counts. Conditions are `queue`, `kind`, `priority`, `tenant`, `namespace`, `route`; `*` stands for any text. Beneath a caller's span a rule can only lower.";
    "telemetry.spans_per_second", [], Shape::Count, "", [var("LONGSHORE_TELEMETRY_SPANS_PER_SECOND")],
        "A budget: the share of new traces follows the traffic of each queue so that all together make about so many spans a second in this process. `telemetry.sampling_ratio` then holds until a queue is known. If empty, the share is fixed.";
    "telemetry.keep", [], Shape::Flag, "true", [var("LONGSHORE_TELEMETRY_KEEP")],
        "Whether failed and slow jobs keep their whole trace although the sampler did not choose them.";
    "telemetry.keep_rules", [], Shape::KeepRules, "", [var("LONGSHORE_TELEMETRY_KEEP_RULES")],
        "Further jobs to keep, and what is slow for some: rules such as `queue=billing -> always; kind=report_* -> run>30s; tenant=acme -> wait>5s`. Conditions are `queue`, `kind`, `priority`, `tenant`, `namespace`; `*` stands for any text.";
    "telemetry.run_objective", [], Shape::Duration, "", [var("LONGSHORE_TELEMETRY_RUN_OBJECTIVE")],
        "An attempt that runs longer than this is slow. If empty, one that runs longer than 99.9 % of its queue and kind, once 1,000 have run.";
    "telemetry.wait_objective", [], Shape::Duration, "", [var("LONGSHORE_TELEMETRY_WAIT_OBJECTIVE")],
        "A job that is due for longer than this before a worker takes it is slow. If empty, none is.";
    "telemetry.keep_attempts", [], Shape::Count, "3", [var("LONGSHORE_TELEMETRY_KEEP_ATTEMPTS")],
        "A job that is claimed more often than this is kept, even if nothing fails.";
    "telemetry.trace_spans", [], Shape::Count, "1000", [var("LONGSHORE_TELEMETRY_TRACE_SPANS")],
        "Most spans of the application beneath one attempt; more are dropped and counted.";
    "telemetry.storage_spans", [], Shape::Flag, "true", [var("LONGSHORE_TELEMETRY_STORAGE_SPANS")],
        "Whether the requests that a store makes for a call, such as `INSERT longshore_job` or `S3 PutObject`, have spans of their own.";
    "telemetry.held_mebibytes", [], Shape::Count, "64", [var("LONGSHORE_TELEMETRY_HELD_MEBIBYTES")],
        "Most memory for spans of the application that wait until it is known whether their job is kept.";
    "telemetry.span_attributes", [], Shape::Limit, "128",
        [var("OTEL_ATTRIBUTE_COUNT_LIMIT"), var("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"), var("LONGSHORE_TELEMETRY_SPAN_ATTRIBUTES")],
        "Most attributes of one span; more are dropped, and the span says how many.";
    "telemetry.span_events", [], Shape::Limit, "128",
        [var("OTEL_SPAN_EVENT_COUNT_LIMIT"), var("LONGSHORE_TELEMETRY_SPAN_EVENTS")],
        "Most events of one span.";
    "telemetry.span_links", [], Shape::Limit, "128",
        [var("OTEL_SPAN_LINK_COUNT_LIMIT"), var("LONGSHORE_TELEMETRY_SPAN_LINKS")],
        "Most links of one span.";
    "telemetry.event_attributes", [], Shape::Limit, "128",
        [var("OTEL_ATTRIBUTE_COUNT_LIMIT"), var("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"), var("LONGSHORE_TELEMETRY_EVENT_ATTRIBUTES")],
        "Most attributes of one event.";
    "telemetry.link_attributes", [], Shape::Limit, "128",
        [var("OTEL_ATTRIBUTE_COUNT_LIMIT"), var("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"), var("LONGSHORE_TELEMETRY_LINK_ATTRIBUTES")],
        "Most attributes of one link.";
    "telemetry.propagators", [], Shape::Propagators, "tracecontext,baggage",
        [var("OTEL_PROPAGATORS"), var("LONGSHORE_TELEMETRY_PROPAGATORS")],
        "What travels between processes: `tracecontext`, `baggage`, or `none`. A job carries its trace context in any case; without `baggage`, none travels with it.";
    "telemetry.baggage_keys", ["otel.baggage_keys", "tracing.baggage_keys"], Shape::Words, "",
        [var("LONGSHORE_TELEMETRY_BAGGAGE_KEYS")],
        "The baggage that travels with a job; no other does.";
    "telemetry.span_log", [], Shape::Text, "", [var("LONGSHORE_TELEMETRY_SPAN_LOG")],
        "The folder in which spans are written down before they are exported, so that they survive an outage of the back end and the end of the process. Processes of one machine may share it. `off` for none: spans then wait in memory. If empty, the program `longshore` writes to `spans` in the user's data folder, and other programs to none.";
    "telemetry.span_log_mebibytes", [], Shape::Count, "1024", [var("LONGSHORE_TELEMETRY_SPAN_LOG_MEBIBYTES")],
        "Most that the span log may hold; beyond it the oldest go first, and those of kept traces last.";
    "telemetry.open_spans", [], Shape::Flag, "true", [var("LONGSHORE_TELEMETRY_OPEN_SPANS")],
        "Whether the span log says, once a second, what is open beneath attempts that run longer than that, so that they can be looked at while they run. It is never exported.";
    "telemetry.backlog_mebibytes", [], Shape::Count, "32", [var("LONGSHORE_TELEMETRY_BACKLOG_MEBIBYTES")],
        "Most memory for spans that wait for the back end, where there is no span log.";
    "telemetry.queue_size", [], Shape::Count, "32768",
        [var("OTEL_BSP_MAX_QUEUE_SIZE"), var("LONGSHORE_TELEMETRY_QUEUE_SIZE")],
        "How many spans may wait to be encoded; what does not fit is dropped and counted.";
    "telemetry.batch_size", [], Shape::Count, "512",
        [var("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"), var("LONGSHORE_TELEMETRY_BATCH_SIZE")],
        "How many spans are sent at once.";
    "telemetry.delay", [], Shape::Duration, "1s",
        [read("OTEL_BSP_SCHEDULE_DELAY", Reading::Millis), var("LONGSHORE_TELEMETRY_DELAY")],
        "How long a span waits for others to be sent with.";
    "telemetry.export_timeout", [], Shape::Duration, "30s",
        [read("OTEL_BSP_EXPORT_TIMEOUT", Reading::Millis), var("LONGSHORE_TELEMETRY_EXPORT_TIMEOUT")],
        "Another bound on the time one export may take; the lower of this and `telemetry.timeout` holds.";
    "telemetry.file", [], Shape::Text, "longshore-traces.jsonl", [var("LONGSHORE_TELEMETRY_FILE")],
        "The file that the exporter `file` appends to, one request of OTLP in JSON a line.";
    "telemetry.file_mebibytes", [], Shape::Count, "100", [var("LONGSHORE_TELEMETRY_FILE_MEBIBYTES")],
        "Most that this file and the one before it, which has `.1` at its end, hold together.";
    "telemetry.logs", [], Shape::Choice(&["none", "same", "otlp", "cloudtrace", "file", "stdout"]), "none",
        [read("OTEL_LOGS_EXPORTER", Reading::ExporterName), var("LONGSHORE_TELEMETRY_LOGS")],
        "Where log events go as OTLP log records, besides stderr: `otlp`, `cloudtrace`, `file` or `stdout` (OTLP in JSON), `same` as spans, or `none`. All that passes `log.filter` leaves, whatever is sampled.";
    "telemetry.logs_endpoint", [], Shape::Url, "",
        [var("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"), var("LONGSHORE_TELEMETRY_LOGS_ENDPOINT")],
        "The URL to which log records are sent, used as it is. If empty, `telemetry.endpoint`, to which `/v1/logs` is added over HTTP.";
    "telemetry.logs_protocol", [], Shape::Choice(&["", "grpc", "http/protobuf"]), "",
        [var("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL"), var("LONGSHORE_TELEMETRY_LOGS_PROTOCOL")],
        "The same as `telemetry.protocol`, for log records; if empty, that. Variables for traces alone, such as `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`, do not count for any of these.";
    "telemetry.logs_insecure", [], Shape::Flag, "",
        [var("OTEL_EXPORTER_OTLP_LOGS_INSECURE"), var("LONGSHORE_TELEMETRY_LOGS_INSECURE")],
        "The same as `telemetry.insecure`, for log records; if empty, that.";
    "telemetry.logs_certificate", [], Shape::Text, "",
        [var("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE"), var("LONGSHORE_TELEMETRY_LOGS_CERTIFICATE")],
        "The same as `telemetry.certificate`, for log records; if empty, that.";
    "telemetry.logs_client_certificate", [], Shape::Text, "",
        [var("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE"), var("LONGSHORE_TELEMETRY_LOGS_CLIENT_CERTIFICATE")],
        "The same as `telemetry.client_certificate`, for log records; if empty, that.";
    "telemetry.logs_client_key", [], Shape::Text, "",
        [var("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY"), var("LONGSHORE_TELEMETRY_LOGS_CLIENT_KEY")],
        "The same as `telemetry.client_key`, for log records; if empty, that.";
    "telemetry.logs_headers", [], Shape::Pairs, "",
        [var("OTEL_EXPORTER_OTLP_LOGS_HEADERS"), var("LONGSHORE_TELEMETRY_LOGS_HEADERS")],
        "The same as `telemetry.headers`, for log records; if empty, those.";
    "telemetry.logs_timeout", [], Shape::Duration, "",
        [read("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", Reading::Millis), var("LONGSHORE_TELEMETRY_LOGS_TIMEOUT")],
        "The same as `telemetry.timeout`, for log records; if empty, that.";
    "telemetry.logs_compression", [], Shape::Choice(&["", "none", "gzip"]), "",
        [var("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION"), var("LONGSHORE_TELEMETRY_LOGS_COMPRESSION")],
        "The same as `telemetry.compression`, for log records; if empty, that.";
    "telemetry.logs_export_timeout", [], Shape::Duration, "30s",
        [read("OTEL_BLRP_EXPORT_TIMEOUT", Reading::Millis), var("LONGSHORE_TELEMETRY_LOGS_EXPORT_TIMEOUT")],
        "Another bound on the time one export of log records may take; the lower of the two holds.";
    "telemetry.logs_file", [], Shape::Text, "longshore-logs.jsonl", [var("LONGSHORE_TELEMETRY_LOGS_FILE")],
        "The file that log records are appended to by the exporter `file`, within `telemetry.file_mebibytes` of its own.";
    "telemetry.logs_attributes", [], Shape::Limit, "128",
        [var("OTEL_ATTRIBUTE_COUNT_LIMIT"), var("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT"), var("LONGSHORE_TELEMETRY_LOGS_ATTRIBUTES")],
        "Most attributes of one log record; more are dropped, and the record says how many.";
    "telemetry.logs_attribute_length", [], Shape::Count, "",
        [var("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT"), var("LONGSHORE_TELEMETRY_LOGS_ATTRIBUTE_LENGTH")],
        "Most characters of a log record's body and values, if that is less than `telemetry.max_attribute_length`.";
    "telemetry.logs_disk_mebibytes", [], Shape::Count, "256", [var("LONGSHORE_TELEMETRY_LOGS_DISK_MEBIBYTES")],
        "Most that log records may take on disk, where there is a span log: they wait in its folder `logs`.";
    "telemetry.logs_backlog_mebibytes", [], Shape::Count, "16", [var("LONGSHORE_TELEMETRY_LOGS_BACKLOG_MEBIBYTES")],
        "Most memory for log records that wait for the back end, where there is no span log.";
    "telemetry.logs_queue_size", [], Shape::Count, "8192",
        [var("OTEL_BLRP_MAX_QUEUE_SIZE"), var("LONGSHORE_TELEMETRY_LOGS_QUEUE_SIZE")],
        "How many log records may wait to be encoded; what does not fit is dropped and counted.";
    "telemetry.logs_batch_size", [], Shape::Count, "512",
        [var("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"), var("LONGSHORE_TELEMETRY_LOGS_BATCH_SIZE")],
        "How many log records are sent at once.";
    "telemetry.logs_delay", [], Shape::Duration, "1s",
        [read("OTEL_BLRP_SCHEDULE_DELAY", Reading::Millis), var("LONGSHORE_TELEMETRY_LOGS_DELAY")],
        "How long a log record waits for others to be sent with.";
    "telemetry.google_project", [], Shape::Text, "",
        [var("GOOGLE_CLOUD_PROJECT"), var("GCP_PROJECT_ID"), read("OTEL_RESOURCE_ATTRIBUTES", Reading::Resource("gcp.project_id")), var("LONGSHORE_TELEMETRY_GOOGLE_PROJECT")],
        "The Google Cloud project that traces belong to (`gcp.project_id`). If empty, the one that the credentials or the metadata server name.";
    "telemetry.google_credentials", [], Shape::Text, "",
        [var("GOOGLE_APPLICATION_CREDENTIALS"), var("LONGSHORE_TELEMETRY_GOOGLE_CREDENTIALS")],
        "A file of Google credentials: a service account's key, or those of a user. If empty, what `gcloud auth application-default login` left in `telemetry.gcloud_folder`, else the account of the machine.";
    "telemetry.gcloud_folder", [], Shape::Text, "",
        [read("HOME", Reading::Within(".config/gcloud")), read("APPDATA", Reading::Within("gcloud")), var("CLOUDSDK_CONFIG"), var("LONGSHORE_TELEMETRY_GCLOUD_FOLDER")],
        "Where `gcloud` keeps its credentials.";
    "telemetry.google_token_url", [], Shape::Url, "", [var("LONGSHORE_TELEMETRY_GOOGLE_TOKEN_URL")],
        "Where tokens are asked for. If empty, where the credentials say, else `https://oauth2.googleapis.com/token`.";
    "telemetry.google_metadata_host", [], Shape::Text, "metadata.google.internal",
        [var("GCE_METADATA_HOST"), var("LONGSHORE_TELEMETRY_GOOGLE_METADATA_HOST")],
        "Host, and port if any, of the metadata server.";
    "telemetry.cloud_run_service", [], Shape::Text, "", [var("CLOUD_RUN_JOB"), var("K_SERVICE")],
        "The service of Cloud Run that this is (`faas.name`). If any of these three is set, spans say that they come from Cloud Run, and from which region and instance.";
    "telemetry.cloud_run_revision", [], Shape::Text, "", [var("CLOUD_RUN_EXECUTION"), var("K_REVISION")],
        "Its revision (`faas.version`).";
    "telemetry.cloud_run_configuration", [], Shape::Text, "", [var("K_CONFIGURATION")],
        "Its configuration.";
    "telemetry.redact_payloads", ["otel.redact_payloads", "tracing.redact_payloads", "tracing.security.redact_payloads"], Shape::Flag, "true",
        [var("LONGSHORE_TELEMETRY_REDACT_PAYLOADS")],
        "Whether attributes whose key says that they are args, bodies or results are hidden.";
    "telemetry.allowed_attributes", ["otel.allowed_attributes", "tracing.allowed_attributes", "tracing.security.allowed_attributes"], Shape::Words, "",
        [var("LONGSHORE_TELEMETRY_ALLOWED_ATTRIBUTES")],
        "The attributes that may leave, `*` standing for any text. If nobody sets it, every key; an empty list in a file lets nothing through.";
    "telemetry.blocked_attributes", ["otel.blocked_attributes", "tracing.blocked_attributes", "tracing.security.blocked_attributes"], Shape::Words, "",
        [var("LONGSHORE_TELEMETRY_BLOCKED_ATTRIBUTES")],
        "The attributes that never leave, `*` standing for any text.";
    "telemetry.redact_patterns", ["otel.redact_patterns", "tracing.redact_patterns", "tracing.security.redact_patterns"], Shape::Patterns, "",
        [var("LONGSHORE_TELEMETRY_REDACT_PATTERNS")],
        "What else to hide in any text. A pattern that is wrong is a warning, and no text leaves until it is mended.";
    "telemetry.max_attribute_length", ["otel.max_attribute_length", "tracing.max_attribute_length", "tracing.security.max_attribute_length"], Shape::Count, "1000",
        [var("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"), var("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"), var("LONGSHORE_TELEMETRY_MAX_ATTRIBUTE_LENGTH")],
        "Most characters of a value; what is longer is cut, after redaction.";
    "telemetry.sanitize_sql", ["otel.sanitize_sql", "tracing.sanitize_sql", "tracing.security.sanitize_sql"], Shape::Flag, "true",
        [var("LONGSHORE_TELEMETRY_SANITIZE_SQL")],
        "Whether statements lose their literals.";
}

/// Why a sampler of this name is not had, and what to use instead.
fn unknown_sampler(name: &str) -> String {
    let instead = match name {
        "jaeger_remote" | "parentbased_jaeger_remote" => {
            "sampling is not steered from afar; set `telemetry.sampling_rules` for rates by queue \
             and kind, or `telemetry.spans_per_second` for a rate that follows the traffic"
        }
        "xray" => {
            "sampling is not steered from afar; set `telemetry.sampling_rules` for rates by route \
             and tenant"
        }
        _ => "use parentbased_traceidratio, parentbased_always_on or parentbased_always_off",
    };
    format!("`{name}` is not a sampler known here: {instead}")
}

/// The key of this name or alias.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter()
        .find(|key| key.name == name || key.aliases.contains(&name))
}

/// The known key that is most like `name`, if any is at all like it.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    KEYS.iter()
        .flat_map(|key| key.aliases.iter().copied().chain([key.name]))
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, known)| known)
}
