//! Runs a program for every attempt: args on stdin, result on stdout, progress and a checkpoint in
//! files.
//!
//! The program and all it starts are one process group. The group is stopped when the attempt
//! is: SIGTERM, then SIGKILL after [`GRACE`]. Nothing of it outlives the attempt, not even what a
//! program that succeeded left in the background.

mod group;
mod leftover;
mod pipes;
mod report;

use std::ffi::OsString;
use std::future::Future;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longshore_core::{Baggage, Job};
use longshore_instrument::propagation;
use longshore_queue::{Attempt, JobError, RawResult};
use rustix::process::Pid;
use tokio::process::{Child, Command};

use super::guard::Guard;
use super::programs::Programs;
use crate::exit::Usage;
use group::Group;
use pipes::{Head, Tail};
use report::Report;

pub(crate) use group::{GRACE, all_gone, stop_group};
pub(super) use leftover::sweep;

/// How long to go on reading after the program ended: a process that it left behind may hold its
/// stdout open for ever.
const LINGER: Duration = Duration::from_millis(250);

/// Exit code of a program that wants its job discarded (`EX_DATAERR`).
const DISCARD: i32 = 65;
/// Exit code of a program that wants its job retried, without it being an error (`EX_TEMPFAIL`).
const TRY_AGAIN: i32 = 75;

/// Environment variables that tell a program of its job and trace.
const TOLD: [&str; 9] = [
    "LONGSHORE_JOB_ID",
    "LONGSHORE_QUEUE",
    "LONGSHORE_KIND",
    "LONGSHORE_ATTEMPT",
    report::PROGRESS,
    report::CHECKPOINT,
    "TRACEPARENT",
    "TRACESTATE",
    "BAGGAGE",
];

/// A program as a person wrote it, for `sh -c`.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    text: Arc<str>,
    guard: Option<Arc<Guard>>,
    /// Where its spans go, if they go anywhere.
    programs: Option<Programs>,
}

/// How a program ended and what it said.
#[derive(Debug)]
struct Ended {
    status: ExitStatus,
    stdout: Head,
    stderr: Tail,
}

impl Program {
    /// A program of this text, whose runs the guard is told of.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn new(
        text: &str,
        guard: Option<Arc<Guard>>,
        programs: Option<Programs>,
    ) -> Result<Self, Usage> {
        if text.trim().is_empty() {
            return Err(Usage(
                "--exec needs a program, such as --exec 'wc -w'".to_owned(),
            ));
        }
        let text = text.into();
        Ok(Self {
            text,
            guard,
            programs,
        })
    }

    /// Runs it for an attempt, until it ends or has to stop.
    ///
    /// # Errors
    /// What its end means for the job.
    pub(crate) async fn handle(
        &self,
        args: Bytes,
        attempt: &Attempt,
    ) -> Result<RawResult, JobError> {
        let mut report = open_report(attempt.job())?;
        let mut environment = told(attempt.job());
        for (name, path) in report.iter().flat_map(Report::variables) {
            environment.push((name, path.as_os_str().to_owned()));
        }
        environment.extend(self.trace_of(attempt));
        let child = self.start(&environment).map_err(|error| {
            JobError::retry("spawn", format!("`sh` could not be started: {error}"))
        })?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok());
        let leader = leader.and_then(Pid::from_raw);
        let registered = leader.zip(self.guard.as_ref());
        let registered = registered.map(|(leader, guard)| guard.register(leader));
        let group = Group::led_by(leader, registered);
        let ended = {
            let run = followed(until_end(child, args), report.as_mut(), attempt);
            tokio::pin!(run);
            tokio::select! {
                ended = &mut run => {
                    group.stop_in_background();
                    Some(ended)
                }
                () = attempt.cancelled() => {
                    // Polled on, so that the program is reaped and its pipes do not fill up.
                    tokio::join!(group.stop(), async { (&mut run).await.ok() });
                    None
                }
            }
        };
        let complaint = report.and_then(|report| report.end(attempt));
        let Some(ended) = ended else {
            return Err(JobError::cancel("the program was stopped"));
        };
        let ended = ended
            .map_err(|error| JobError::retry("wait", format!("the program was lost: {error}")))?;
        if ended.status.success()
            && let Some(bytes) = ended.stdout.cut_from()
        {
            warn_of_cut(attempt.job(), bytes);
        }
        verdict(ended, complaint)
    }

    /// What a program is told of its place in a trace, and of where its own spans go.
    fn trace_of(&self, attempt: &Attempt) -> Vec<(&'static str, OsString)> {
        let mut headers: Vec<(String, String)> = Vec::new();
        attempt.inject(|name, value| headers.push((name.to_owned(), value.to_owned())));
        let mut told = Vec::new();
        if let Some(programs) = &self.programs {
            told.extend(programs.environment(attempt.job()));
            if let Some(context) = programs.lend(&headers) {
                headers.retain(|(name, _)| name == propagation::BAGGAGE);
                let lent = &mut headers;
                propagation::inject(&context, &Baggage::default(), |name, value| {
                    lent.push((name.to_owned(), value.to_owned()));
                });
            }
        }
        told.extend(headers.into_iter().filter_map(|(name, value)| {
            let name = match name.as_str() {
                propagation::TRACEPARENT => "TRACEPARENT",
                propagation::TRACESTATE => "TRACESTATE",
                propagation::BAGGAGE => "BAGGAGE",
                _ => return None,
            };
            Some((name, value.into()))
        }));
        told
    }

    fn start(&self, environment: &[(&'static str, OsString)]) -> std::io::Result<Child> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(&*self.text).process_group(0);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // What this worker itself inherited is about another span.
        for name in TOLD {
            command.env_remove(name);
        }
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.spawn()
    }
}

/// The files of an attempt. A worker that may write no temporary files runs its programs without
/// them, unless there is a checkpoint: a program must not take it that there was none.
fn open_report(job: &Job) -> Result<Option<Report>, JobError> {
    match Report::open(job.checkpoint.as_deref()) {
        Ok(report) => Ok(Some(report)),
        Err(_) if job.checkpoint.is_none() => Ok(None),
        Err(error) => Err(JobError::retry(
            "checkpoint_unreadable",
            format!(
                "the job's checkpoint cannot be handed to the program, since no file can be written \
                 in {}: {error}; point TMPDIR to a folder where that is possible",
                std::env::temp_dir().display()
            ),
        )),
    }
}

/// Runs to the end, and hands on meanwhile what the program says of itself.
async fn followed<T>(
    run: impl Future<Output = T>,
    report: Option<&mut Report>,
    attempt: &Attempt,
) -> T {
    let Some(report) = report else {
        return run.await;
    };
    tokio::select! {
        biased;
        ended = run => ended,
        never = report.follow(attempt) => match never {},
    }
}

/// A job is completed by its program, whatever that printed; but nobody is to take a part for all.
fn warn_of_cut(job: &Job, bytes: u64) {
    let most = Job::MAX_RESULT_BYTES;
    tracing::warn!(
        job.id = %job.id,
        "the result was cut: of the {bytes} bytes that the program wrote to stdout the first \
         {most} are stored; keep long results elsewhere and print a reference"
    );
}

fn told(job: &Job) -> Vec<(&'static str, OsString)> {
    vec![
        ("LONGSHORE_JOB_ID", job.id.to_string().into()),
        ("LONGSHORE_QUEUE", job.queue.to_string().into()),
        ("LONGSHORE_KIND", job.kind.to_string().into()),
        ("LONGSHORE_ATTEMPT", job.attempt.to_string().into()),
    ]
}

/// Feeds and reads the program until it ends.
async fn until_end(mut child: Child, args: Bytes) -> std::io::Result<Ended> {
    let (mut stdout, mut stderr) = (Head::default(), Tail::default());
    let (stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let status = {
        let pipes = async {
            tokio::join!(
                pipes::feed(stdin, &args),
                stdout.read(out),
                stderr.read(err)
            );
        };
        tokio::pin!(pipes);
        tokio::select! {
            () = &mut pipes => child.wait().await?,
            status = child.wait() => {
                let _still_open = tokio::time::timeout(LINGER, &mut pipes).await;
                status?
            }
        }
    };
    Ok(Ended {
        status,
        stdout,
        stderr,
    })
}

/// What the end of a program means for its job. Its last words, and a complaint about its
/// checkpoint, are the message, which is redacted wherever it leaves the store.
fn verdict(ended: Ended, complaint: Option<String>) -> Result<RawResult, JobError> {
    let mut said = ended.stderr.into_text();
    if let Some(complaint) = complaint {
        said = format!("{said}\n{complaint}").trim_start().to_owned();
    }
    match (ended.status.code(), ended.status.signal()) {
        (Some(0), _) => Ok(RawResult(ended.stdout.into_result())),
        (Some(DISCARD), _) => Err(JobError::discard("exit_65", said)),
        (Some(TRY_AGAIN), _) => Err(JobError::not_yet("try_again", said)),
        (Some(code), _) => Err(JobError::retry(format!("exit_{code}"), said)),
        (None, Some(number)) => Err(JobError::retry(format!("signal_{number}"), said)),
        (None, None) => Err(JobError::retry("exit_unknown", said)),
    }
}
