//! What unique keys cost whoever enqueues, beside jobs without one.

use anyhow::{Result, bail};
use longshore_core::{Enqueued, NewJob, OnConflict, Store, UniqueKey, UniqueScope};

use crate::Folder;
use crate::direct::new_jobs;
use crate::measure::{Scale, Stopwatch, Table, Turns};
use crate::store::open;

const JOBS: usize = 20_000;
const BATCH: usize = 100;

/// What the jobs of a run come with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    None,
    New(UniqueScope),
    /// Every key is taken before the clock starts.
    Taken(OnConflict),
}

#[derive(Debug)]
struct Run {
    jobs_per_second: f64,
    cpu_us: f64,
}

/// The store called directly by one caller, `BATCH` jobs a call.
pub async fn rows(folder: &Folder, scale: Scale) -> Result<()> {
    let window = UniqueScope::Window(std::time::Duration::from_secs(3600));
    let variants = [
        ("no keys", Keys::None),
        (
            "new keys, until the job is over",
            Keys::New(UniqueScope::Unfinished),
        ),
        (
            "new keys, until the job starts",
            Keys::New(UniqueScope::Waiting),
        ),
        ("new keys, for an hour", Keys::New(window)),
        ("all keys taken, kept", Keys::Taken(OnConflict::Keep)),
        (
            "all keys taken, args replaced",
            Keys::Taken(OnConflict::Replace { priority: false }),
        ),
    ];
    let turns = Turns::take(variants.len(), scale.rounds(5), async |variant| {
        let keys = variants.get(variant).map_or(Keys::None, |(_, keys)| *keys);
        run(&*open(&folder.fresh())?, keys).await
    })
    .await?;
    let mut table = Table::new(
        "Unique keys: enqueuing to the SQLite store, 100 jobs a call",
        &[
            "what",
            "jobs/s",
            "µs CPU a job",
            "jobs, of those without keys",
        ],
    );
    for (variant, (name, _)) in variants.iter().enumerate() {
        table.row(vec![
            (*name).to_owned(),
            turns.of(variant, |run| run.jobs_per_second).cell(0),
            turns.of(variant, |run| run.cpu_us).cell(1),
            turns.ratio(variant, 0, |run| run.jobs_per_second).spread(2),
        ]);
    }
    table.print();
    Ok(())
}

async fn run(store: &dyn Store, keys: Keys) -> Result<Run> {
    if let Keys::Taken(_) = keys {
        enqueue(store, Keys::New(UniqueScope::Unfinished), "created").await?;
    }
    let expected = match keys {
        Keys::None | Keys::New(_) => "created",
        Keys::Taken(OnConflict::Replace { .. }) => "replaced",
        Keys::Taken(_) => "hit",
    };
    let watch = Stopwatch::start();
    enqueue(store, keys, expected).await?;
    Ok(Run {
        jobs_per_second: watch.per_second(JOBS),
        cpu_us: watch.cpu_us(JOBS),
    })
}

async fn enqueue(store: &dyn Store, keys: Keys, expected: &str) -> Result<()> {
    for first in (0..JOBS).step_by(BATCH) {
        let mut jobs = new_jobs(store, BATCH.min(JOBS - first)).await?;
        for (number, job) in jobs.iter_mut().enumerate() {
            give_key(job, keys, first + number);
        }
        for answer in store.enqueue(jobs).await? {
            let what = answer.as_ref().map_or("refused", Enqueued::as_str);
            if what != expected {
                bail!("a job was {what} and not {expected}: {answer:?}");
            }
        }
    }
    Ok(())
}

fn give_key(job: &mut NewJob, keys: Keys, number: usize) {
    let scope = match keys {
        Keys::None => return,
        Keys::New(scope) => scope,
        Keys::Taken(on_conflict) => {
            job.on_conflict = on_conflict;
            UniqueScope::Unfinished
        }
    };
    let key = UniqueKey::new(format!("order-{number}"), &job.kind, &job.args);
    job.unique_key = Some(key.with_scope(scope));
}
