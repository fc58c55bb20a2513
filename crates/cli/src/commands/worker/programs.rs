//! Where the programs of `--exec` send their spans: to a receiver of this process, which has them go
//! with their jobs.

use std::ffi::OsString;
use std::sync::Arc;

use longshore_core::{Job, SpanContext, SystemClock};
use longshore_daemon::otlp::{Receiver, ReceiverOptions};
use longshore_daemon::serve::{ServerOptions, serve};
use longshore_instrument::propagation;
use longshore_telemetry::Telemetry;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::session::Session;

/// Variables that say where spans are sent to. The first two are for traces alone and are stronger
/// than the others, which a person may have set for the metrics and logs of programs.
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const TRACES_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const HTTP: &str = "http/protobuf";
/// What a program is called, and the attributes among which that may be said too.
const SERVICE: &str = "OTEL_SERVICE_NAME";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// Whether the worker inherits a name that its programs inherit from it.
fn says_service(session: &Session<'_>) -> bool {
    session.inherits(SERVICE) || session.inherits(RESOURCE)
}

/// Tells programs of the receiver. It ends with the last of these.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    telemetry: Arc<Telemetry>,
    /// What stands in the environment of each program.
    environment: Arc<[(&'static str, OsString)]>,
    /// Whether nobody says what programs are called, so that it is to be said here.
    names: bool,
    receiver: Receiver,
    _task: Arc<Task>,
}

#[derive(Debug)]
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Programs {
    /// Starts a receiver on a free port of the loopback device. Nothing if jobs are not traced, or
    /// no port can be had; programs then have their context alone.
    pub(super) async fn start(session: &Session<'_>) -> anyhow::Result<Option<Self>> {
        let Some(telemetry) = session.shared_telemetry()? else {
            return Ok(None);
        };
        let Ok(listener) = TcpListener::bind("127.0.0.1:0").await else {
            session.output.warn(
                "no port of the loopback device is free: spans of programs are not joined to those \
                 of their jobs",
            );
            return Ok(None);
        };
        let url = format!("http://{}", listener.local_addr()?);
        let mut environment = vec![
            (TRACES_ENDPOINT, format!("{url}/v1/traces").into()),
            (TRACES_PROTOCOL, HTTP.into()),
        ];
        if !session.inherits(ENDPOINT) {
            environment.push((ENDPOINT, url.into()));
            environment.push((PROTOCOL, HTTP.into()));
        }
        let receiver = Receiver::of_programs(
            Arc::clone(&telemetry),
            ReceiverOptions::default(),
            Arc::new(SystemClock::new()),
        );
        let never = std::future::pending();
        let serving = serve(listener, receiver.router(), ServerOptions::default(), never);
        let task = tokio::spawn(serving).abort_handle();
        Ok(Some(Self {
            telemetry,
            environment: environment.into(),
            names: !says_service(session),
            receiver,
            _task: Arc::new(Task(task)),
        }))
    }

    /// What takes their spans.
    pub(super) fn receiver(&self) -> Receiver {
        self.receiver.clone()
    }

    /// What the program of a job is told.
    pub(super) fn environment(
        &self,
        job: &Job,
    ) -> impl Iterator<Item = (&'static str, OsString)> + '_ {
        let name = self.names.then(|| (SERVICE, job.kind.to_string().into()));
        self.environment.iter().cloned().chain(name)
    }

    /// The context for a program, whose headers say where the handler stands: one by which it makes
    /// spans that may leave in the end.
    pub(super) fn lend(&self, headers: &[(String, String)]) -> Option<SpanContext> {
        let header = |name: &str| {
            let header = headers.iter().find(|(known, _)| known == name);
            header.map(|(_, value)| value.as_str())
        };
        let context = propagation::extract(header).ok().flatten()?;
        Some(self.telemetry.lend(&context))
    }
}
