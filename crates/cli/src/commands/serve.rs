//! `longshore serve`: the daemon, the receiver of spans and the workers of an installation in one
//! process.

mod plan;
mod welcome;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use longshore_core::{Clock as _, SystemClock, SystemRandom, Timestamp};
use longshore_daemon::otlp::{JournalOptions, Receiver, ReceiverOptions};
use longshore_daemon::serve::{ServerOptions, Tls, serve_within};
use longshore_daemon::{AppState, LocalBackend, LocalOptions, Tracing, app};
use longshore_instrument::Measured;
use longshore_queue::Worker;
use longshore_spanlog::SyncPolicy;
use longshore_telemetry::Redactor;
use longshore_telemetry::metrics::ArchiveTally;
use longshore_tracestore::{TraceStore, TraceStoreOptions};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::worker::{Crew, asked_to_stop};
use crate::address::listen;
use crate::args::serve::Serve;
use crate::exit::Exit;
use crate::session::Session;
use crate::upkeep;
use plan::Plan;
use welcome::Welcome;

/// The ports that everybody who speaks OTLP knows, and ours.
const PORT: u16 = 7350;
const OTLP_GRPC: u16 = 4317;
const OTLP_HTTP: u16 = 4318;

pub(crate) async fn run(session: &Session<'_>, args: Serve) -> anyhow::Result<Exit> {
    let clock = SystemClock::new();
    let started_at = clock.now();
    let plan = Plan::new(session.config()?, &args)?;
    let receiver = start_receiver(session, &plan)?;
    let doors = Doors::open(&plan, receiver.is_some()).await?;
    let state = state(session, &plan, &doors, receiver.clone(), started_at)?;
    session.start_logs()?;
    let crew = match plan.workers.is_empty() {
        true => None,
        false => Some(Crew::new(session, &plan.workers).await?),
    };
    let state = match crew.as_ref().and_then(Crew::receiver) {
        Some(of_programs) => state.counting(of_programs),
        None => state,
    };
    let stop = watch::Sender::new(false);
    let welcome = Welcome::new(&plan, &doors)?;
    let servers = Servers::start(doors, state, receiver, &plan, &stop);
    // Whoever has read that it answers may ask it to stop.
    let at_work = crew.as_ref().map(Crew::at_work);
    let asked = asked_to_stop(at_work.unwrap_or_default())?;
    welcome.say(session, args.json)?;
    let ran = work(session, crew, asked, &stop).await;
    stop.send_replace(true);
    if !servers.ended().await {
        session
            .output
            .warn("some requests were not answered in time and were broken off");
    }
    ran?;
    session.output.talk("Stopped.");
    Ok(Exit::Done)
}

/// Runs the workers, or at least what they do beside their jobs, until a person or the system asks
/// to stop. Once they are asked, `stop` says so to everybody else.
async fn work(
    session: &Session<'_>,
    crew: Option<Crew>,
    asked: impl Future<Output = ()>,
    stop: &watch::Sender<bool>,
) -> anyhow::Result<()> {
    let stopping = crew.as_ref().map(Crew::stopping);
    let asked = async {
        asked.await;
        let waited_for = stopping.and_then(|waited_for| waited_for());
        let idle = || "Stopping; a second signal stops at once.".to_owned();
        session.output.talk(&waited_for.unwrap_or_else(idle));
        stop.send_replace(true);
    };
    let Some(crew) = crew else {
        let mut builder = Worker::builder(session.store()?).prune(session.prune_policy()?);
        if let Some(recorder) = session.recorder()? {
            builder = builder.recorder(recorder);
        }
        builder.maintenance().run(asked).await;
        return Ok(());
    };
    crew.run(session, asked).await.map(|_reports| ())
}

/// Where the daemon listens.
#[derive(Debug)]
struct Doors {
    main: TcpListener,
    otlp: Vec<TcpListener>,
    /// Which of these is for which protocol, by its place.
    grpc: Option<usize>,
    http: Option<usize>,
}

impl Doors {
    /// Listens; for spans of other programs only if they are taken.
    async fn open(plan: &Plan, takes_spans: bool) -> anyhow::Result<Self> {
        let main = listen("--listen", &plan.listen, PORT).await?;
        plan.check("--listen", main.local_addr()?)?;
        let mut doors = Self {
            main,
            otlp: Vec::new(),
            grpc: None,
            http: None,
        };
        if !takes_spans {
            return Ok(doors);
        }
        if let Some(address) = &plan.otlp_grpc {
            doors.grpc = Some(doors.add(plan, "--otlp-grpc", address, OTLP_GRPC).await?);
        }
        if let Some(address) = &plan.otlp_http {
            doors.http = Some(doors.add(plan, "--otlp-http", address, OTLP_HTTP).await?);
        }
        Ok(doors)
    }

    /// Where it listens.
    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let all = std::iter::once(&self.main).chain(&self.otlp);
        all.filter_map(|listener| listener.local_addr().ok())
    }

    async fn add(
        &mut self,
        plan: &Plan,
        flag: &str,
        address: &str,
        port: u16,
    ) -> anyhow::Result<usize> {
        let listener = listen(flag, address, port).await.map_err(|error| {
            let hint = "--no-otlp does without";
            match error.is::<crate::exit::Usage>() {
                true => error,
                false => anyhow::anyhow!("{error}; {hint}"),
            }
        })?;
        plan.check(flag, listener.local_addr()?)?;
        self.otlp.push(listener);
        Ok(self.otlp.len() - 1)
    }
}

/// What takes spans of others, if there is a span log to put them into.
fn start_receiver(session: &Session<'_>, plan: &Plan) -> anyhow::Result<Option<Receiver>> {
    if !plan.takes_otlp() {
        return Ok(None);
    }
    let settings = session.config()?.telemetry();
    let Some(log) = session.span_log()? else {
        let why = match settings.enabled {
            true => "there is no span log to put them into: set telemetry.span_log to a folder",
            false => "telemetry is off, and with it the span log to put them into",
        };
        session.output.warn(&format!(
            "spans of other programs are not taken, since {why}"
        ));
        return Ok(None);
    };
    let journal = JournalOptions {
        folder: log.folder,
        policy: log.policy,
        sync: match plan.syncs_always {
            true => SyncPolicy::Always,
            false => SyncPolicy::Never,
        },
    };
    // A pattern that is wrong was warned of with the settings.
    let (redactor, _warned) = Redactor::new(&settings.redaction);
    let clock = Arc::new(SystemClock::new());
    let options = ReceiverOptions::default();
    let receiver = Receiver::start(journal, Arc::new(redactor), options, clock)
        .context("spans of other programs cannot be taken; --no-otlp does without")?;
    let receiver = receiver.with_access(plan.access.clone());
    Ok(Some(match session.shared_telemetry()? {
        Some(telemetry) => receiver.with_telemetry(telemetry),
        None => receiver,
    }))
}

/// The traces of this machine, if they are written down, and how far their copies are.
#[derive(Default)]
struct Traces {
    store: Option<Arc<TraceStore>>,
    copies: Vec<ArchiveTally>,
}

/// The traces of this machine, if they are written down, kept within bounds from now on.
fn start_traces(session: &Session<'_>) -> anyhow::Result<Traces> {
    let Some(log) = session.span_log()? else {
        return Ok(Traces::default());
    };
    let options = TraceStoreOptions::new(log.folder);
    let store = Arc::new(TraceStore::open(options).context("the traces cannot be read")?);
    let copies = upkeep::of_store(session, &store)?;
    let of_reader = Arc::clone(&store);
    let read = move || {
        // What cannot be read now is tried again, and said, when somebody asks.
        let _tried_again = of_reader.refresh_all();
    };
    // On a thread of its own, since nothing need wait for it when the daemon stops.
    std::thread::Builder::new()
        .name("longshore-traces".to_owned())
        .spawn(read)?;
    let store = Some(store);
    Ok(Traces { store, copies })
}

/// What the daemon's answers are made of.
fn state(
    session: &Session<'_>,
    plan: &Plan,
    doors: &Doors,
    receiver: Option<Receiver>,
    started_at: Timestamp,
) -> anyhow::Result<AppState> {
    let clock = Arc::new(SystemClock::new());
    // Before anything else asks for telemetry, since jobs can be measured without being traced.
    let metrics = session.metrics()?;
    let recorder = session.recorder()?;
    let traces = start_traces(session)?;
    let options = LocalOptions {
        recorder: recorder.clone(),
        redactor: session.new_redactor()?,
        traces: traces.store,
        store_name: session.store_name()?,
        trace_url: session.trace_url()?,
        archive: upkeep::archive_url(session),
        clock: Arc::clone(&clock) as _,
        ..LocalOptions::default()
    };
    let store = session.store()?;
    if let Some((meters, counts)) = session.meters()?.zip(store.request_counts()) {
        meters.measure(&Measured::Requests(&counts));
    }
    let backend = LocalBackend::new(Arc::clone(&store), options);
    let mut state = AppState::new(store, Arc::clone(&clock) as _)
        .with_backend(backend)
        .with_metrics(metrics)
        .copying(traces.copies)
        .with_access(plan.access.clone());
    if let Some(recorder) = recorder {
        let tracing = Tracing::new(recorder, clock, Arc::new(SystemRandom));
        state = state.with_tracing(tracing.of_daemon(started_at, doors.main.local_addr()?));
    }
    if let Some(receiver) = receiver {
        state = state.with_receiver(receiver);
    }
    Ok(state)
}

/// The tasks that answer.
#[derive(Debug)]
struct Servers(JoinSet<bool>);

impl Servers {
    fn start(
        doors: Doors,
        state: AppState,
        receiver: Option<Receiver>,
        plan: &Plan,
        stop: &watch::Sender<bool>,
    ) -> Self {
        let mut tasks = JoinSet::new();
        let (live, mut stopped) = (state.clone(), stop.subscribe());
        tasks.spawn(async move {
            let _stopped = stopped.wait_for(|stop| *stop).await;
            live.end_live();
            true
        });
        let mut answer = |listener: TcpListener, router: axum::Router, tls: Option<Tls>| {
            let mut stopped = stop.subscribe();
            let stopped = async move {
                let _stopped = stopped.wait_for(|stop| *stop).await;
            };
            tasks.spawn(serve_within(
                tls,
                listener,
                router,
                ServerOptions::default(),
                stopped,
            ));
        };
        answer(doors.main, app(state), plan.tls.clone());
        if let Some(receiver) = receiver {
            for listener in doors.otlp {
                answer(listener, receiver.router(), plan.tls.clone());
            }
        }
        Self(tasks)
    }

    /// Whether every request was answered, once all have ended.
    async fn ended(mut self) -> bool {
        let mut all = true;
        while let Some(ended) = self.0.join_next().await {
            all &= ended.unwrap_or(false);
        }
        all
    }
}
