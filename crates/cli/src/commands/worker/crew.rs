//! The workers of one process, and the guard of their programs.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock as _, SystemClock};
use longshore_daemon::otlp::Receiver;
use longshore_queue::{Worker, WorkerError, WorkerOptions, WorkerReport};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::at_work::AtWork;
use super::guard::{Guard, GuardProcess};
use super::programs::Programs;
use super::{build, exec};
use crate::args;
use crate::session::Session;

/// Workers that are ready to run.
#[derive(Debug)]
pub(crate) struct Crew {
    workers: Vec<Worker>,
    receiver: Option<Receiver>,
    guard: Option<(Arc<Guard>, GuardProcess)>,
    at_work: AtWork,
    /// Most time that what runs has once they are asked to stop.
    grace: Duration,
}

impl Crew {
    /// Workers as their words and the settings say. Their guard starts now; they go on without it.
    ///
    /// # Errors
    /// A worker cannot be had as it was asked for.
    pub(crate) async fn new(session: &Session<'_>, args: &[args::Worker]) -> anyhow::Result<Self> {
        exec::sweep(SystemClock::new().now());
        let configured = session.config()?.duration("worker.lease");
        let leases = args.iter().filter_map(|args| args.lease.or(configured));
        // The lease of a killed worker has two thirds left or more; its programs have to be gone by
        // then.
        let grace = leases
            .map(|lease| lease / 3)
            .fold(exec::GRACE, Duration::min);
        let guard = match Guard::start(grace).await {
            Ok(started) => Some(started),
            Err(error) => {
                warn_of_guard(session, &format!("could not be started ({error})"));
                None
            }
        };
        let of_guard = || guard.as_ref().map(|(guard, _)| Arc::clone(guard));
        let programs = Programs::start(session).await?;
        let at_work = AtWork::default();
        let workers = args
            .iter()
            .map(|args| build(session, args, of_guard(), programs.clone(), at_work.clone()));
        let workers: anyhow::Result<Vec<Worker>> = workers.collect();
        Ok(Self {
            workers: workers?,
            receiver: programs.as_ref().map(Programs::receiver),
            guard,
            at_work,
            grace: grace_of(session)?,
        })
    }

    /// The jobs that run.
    pub(crate) fn at_work(&self) -> AtWork {
        self.at_work.clone()
    }

    /// What to say once they are asked to stop, if anything runs then.
    pub(crate) fn stopping(&self) -> impl Fn() -> Option<String> + use<> {
        let (at_work, grace) = (self.at_work(), self.grace);
        move || at_work.waited_for(grace)
    }

    /// What takes the spans of their programs, if anything does.
    pub(crate) fn receiver(&self) -> Option<Receiver> {
        self.receiver.clone()
    }

    /// Runs until `shutdown` resolves and everything is handed back, or until all workers have ended
    /// by themselves. If one cannot go on, the others are stopped too.
    ///
    /// # Errors
    /// A worker cannot go on.
    pub(crate) async fn run(
        self,
        session: &Session<'_>,
        shutdown: impl Future<Output = ()>,
    ) -> anyhow::Result<Vec<WorkerReport>> {
        let Self {
            workers,
            receiver,
            guard,
            ..
        } = self;
        // It ends with the last worker that runs programs.
        drop(receiver);
        let (guard, mut process) = guard.unzip();
        let ran = guarded(session, run_all(workers, shutdown), process.as_mut()).await;
        // Programs that were asked to stop are gone or killed within this time.
        let gone = exec::all_gone();
        let _in_time = tokio::time::timeout(exec::GRACE + Duration::from_millis(200), gone).await;
        if let Some((guard, process)) = guard.zip(process) {
            process.dismiss(&guard).await;
        }
        Ok(ran?)
    }
}

/// Most time between the call to stop and the end of the last program.
fn grace_of(session: &Session<'_>) -> anyhow::Result<Duration> {
    let usual = WorkerOptions::new();
    let configured = session.config()?.duration("worker.shutdown_grace");
    let grace = configured.unwrap_or(usual.shutdown_grace);
    Ok(grace.saturating_add(usual.stop_grace))
}

async fn run_all(
    workers: Vec<Worker>,
    shutdown: impl Future<Output = ()>,
) -> Result<Vec<WorkerReport>, WorkerError> {
    let stop = watch::Sender::new(false);
    let mut running = JoinSet::new();
    for worker in workers {
        let mut stopped = stop.subscribe();
        running.spawn(worker.run(async move {
            let _stopped = stopped.wait_for(|stop| *stop).await;
        }));
    }
    let mut reports = Vec::new();
    let mut failed = None;
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let ended = tokio::select! {
            biased;
            ended = running.join_next() => ended,
            () = &mut shutdown, if !*stop.borrow() => {
                stop.send_replace(true);
                continue;
            }
        };
        match ended {
            Some(Ok(Ok(report))) => reports.push(report),
            Some(Ok(Err(error))) => {
                stop.send_replace(true);
                failed.get_or_insert(error);
            }
            // Only a worker that panicked; its jobs go to others once their leases expire.
            Some(Err(_panicked)) => {}
            None => return failed.map_or(Ok(reports), Err),
        }
    }
}

/// Runs the workers, and says so if their guard ends before them.
async fn guarded<T>(
    session: &Session<'_>,
    run: impl Future<Output = T>,
    process: Option<&mut GuardProcess>,
) -> T {
    tokio::pin!(run);
    let Some(process) = process else {
        return run.await;
    };
    tokio::select! {
        biased;
        () = process.ended() => warn_of_guard(session, "has ended"),
        ran = &mut run => return ran,
    }
    run.await
}

fn warn_of_guard(session: &Session<'_>, what: &str) {
    session.output.warn(&format!(
        "the guard of the programs {what}: if this worker is killed with SIGKILL, its \
         programs go on"
    ));
}
