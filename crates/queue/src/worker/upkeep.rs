//! Maintenance without a worker.

use super::{Background, Shared, Worker, maintenance, marks};
use std::sync::Arc;

/// Promotes, rescues and prunes jobs and has schedules fire, as every worker does beside its jobs.
/// For a process that runs no jobs, such as a daemon on a machine of its own; more than one at a
/// time does no harm. Make one with [`WorkerBuilder::maintenance`](super::WorkerBuilder::maintenance).
///
/// ```
/// use std::sync::Arc;
/// use longshore_core::Store;
/// use longshore_queue::Worker;
///
/// async fn keep_in_order(store: Arc<dyn Store>, asked_to_stop: impl Future<Output = ()>) {
///     Worker::builder(store).maintenance().run(asked_to_stop).await;
/// }
/// ```
#[derive(Debug)]
pub struct Maintenance {
    worker: Worker,
}

impl Maintenance {
    pub(super) const fn new(worker: Worker) -> Self {
        Self { worker }
    }

    /// Goes on until `shutdown` resolves. Dropping the future stops at once, which loses nothing.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let shared = &self.worker.shared;
        let tasks = Background(chores(shared));
        shutdown.await;
        drop(tasks);
        let noted = shared.marks.flush(&shared.producer);
        let _out_of_time = tokio::time::timeout(shared.options.lease, noted).await;
    }
}

/// What goes on beside the jobs of a worker.
pub(super) fn chores(shared: &Arc<Shared>) -> Vec<tokio::task::JoinHandle<()>> {
    vec![
        tokio::spawn(marks::run(Arc::clone(shared))),
        tokio::spawn(maintenance::batches::run(Arc::clone(shared))),
        tokio::spawn(maintenance::cron::run(Arc::clone(shared))),
        tokio::spawn(maintenance::promoter::run(Arc::clone(shared))),
        tokio::spawn(maintenance::pruner::run(Arc::clone(shared))),
        tokio::spawn(maintenance::register::run(Arc::clone(shared))),
        tokio::spawn(maintenance::rescuer::run(Arc::clone(shared))),
    ]
}
