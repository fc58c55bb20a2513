//! What keeps a job that is due from being run, as far as the lists of queues and workers tell.

use longshore_api::job::Job;
use longshore_api::worker::Worker;
use longshore_core::Timestamp;

use crate::page::ago;
use crate::state::State;

/// Whether a job could run now and does not.
pub(crate) fn is_due(job: &Job, now: Timestamp) -> bool {
    job.finished_at.is_none() && job.state != "running" && job.available_at <= now
}

/// Why nobody has a job that is due; nothing if that is not known.
pub(crate) fn of(state: &State, job: &Job) -> Option<String> {
    let queues = &state.queues.list;
    let queue = queues.items().iter().find(|queue| queue.queue == job.queue);
    let paused = queue.filter(|queue| queue.paused && queues.problem.is_none());
    if let Some(queue) = paused {
        let Some(pause) = &queue.pause else {
            return Some("the queue is paused".to_owned());
        };
        let part = |before: &str, text: &Option<String>| {
            let text = text.as_deref();
            text.map_or_else(String::new, |text| format!("{before}{text}"))
        };
        let (by, reason) = (part(" by ", &pause.by), part(": ", &pause.reason));
        let since = ago(state.now, pause.since);
        return Some(format!("the queue was paused {since} ago{by}{reason}"));
    }
    let listed = state.workers.items.as_ref();
    let workers = listed.filter(|_| state.workers.problem.is_none())?;
    let served = workers.iter().any(|worker| may_take(worker, job));
    let (queue, kind) = (&job.queue, &job.kind);
    Some(match served {
        false => format!("no worker that is seen takes {kind} from {queue}"),
        true => "workers are busy, or a limit is full: see `longshore jobs show`".to_owned(),
    })
}

/// Whether a worker that is there takes such jobs. Of long lists only the beginning is known.
fn may_take(worker: &Worker, job: &Job) -> bool {
    let queue = worker.more_queues > 0 || worker.queues.contains(&job.queue);
    let any = worker.kinds.is_empty() || worker.more_kinds > 0;
    worker.state == "running" && queue && (any || worker.kinds.contains(&job.kind))
}
