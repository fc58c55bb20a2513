//! Jobs as the SQLite store keeps them, with values damaged.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use longshore_core::{
    ClaimRequest, ErrorKind, JobFilter, JobId, NewJob, Outcome, PruneRequest, Settlement, Store,
    StoreError, Timestamp, WorkerId,
};
use longshore_sqlite::rusqlite::Connection;
use longshore_sqlite::rusqlite::types::Value;
use longshore_sqlite::{SqliteOptions, SqliteStore};

const COLUMNS: [(&str, bool); 26] = [
    ("id", true),
    ("queue", true),
    ("kind", true),
    ("priority", false),
    ("state", false),
    ("attempt", false),
    ("claim", false),
    ("max_attempts", false),
    ("enqueued_at", false),
    ("available_at", false),
    ("first_available_at", false),
    ("finished_at", false),
    ("lease_token", false),
    ("lease_expires_at", false),
    ("claimed_at", false),
    ("worker", true),
    ("progress", false),
    ("cancel_requested", false),
    ("timeout", false),
    ("unique_key", true),
    ("unique_hash", false),
    ("unique_for", false),
    ("outside", false),
    ("envelope", true),
    ("keep", true),
    ("history", true),
];

struct World {
    store: SqliteStore,
    conn: Connection,
    runtime: tokio::runtime::Runtime,
}

fn world() -> &'static Mutex<World> {
    static WORLD: OnceLock<Mutex<World>> = OnceLock::new();
    WORLD.get_or_init(|| {
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let folder = folder.join(format!("longshore-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("jobs.db");
        let store = SqliteStore::open(SqliteOptions::at(&file)).unwrap();
        Mutex::new(World {
            store,
            conn: Connection::open(&file).unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        })
    })
}

fn told<T>(answer: Result<T, StoreError>) -> Option<T> {
    match answer {
        Ok(value) => Some(value),
        Err(error) => {
            let bad = [ErrorKind::Internal, ErrorKind::Unavailable].contains(&error.kind());
            assert!(!bad, "{error}");
            None
        }
    }
}

/// A job whose columns hold anything: each method answers, and says what is corrupt.
///
/// The input is a list of a column's number, a length and that many bytes.
pub fn rows(data: &[u8]) {
    // A panic of an input before is that input's finding.
    let world = world().lock().unwrap_or_else(PoisonError::into_inner);
    let World {
        store,
        conn,
        runtime,
    } = &*world;
    conn.execute_batch(
        "DELETE FROM longshore_job; DELETE FROM longshore_blob; DELETE FROM longshore_queue",
    )
    .unwrap();
    let (id, other): (JobId, JobId) = ("a-job".parse().unwrap(), "other".parse().unwrap());
    let queue = || "q".parse().unwrap();
    let new = |id: &JobId| NewJob::new(id.clone(), queue(), "k".parse().unwrap(), "{}");
    runtime.block_on(async {
        told(store.enqueue(vec![new(&id), new(&other)]).await);
        damage(conn, data);
        told(store.get(&id).await);
        told(store.list(&JobFilter::default(), None, 9).await);
        for stats in told(store.queue_stats().await).unwrap_or_default() {
            let _bounded = stats.unfinished();
        }
        told(store.promote(9).await);
        told(store.rescue(9).await);
        let (worker, lease) = (WorkerId::new("fuzz"), Duration::from_secs(30));
        let request = ClaimRequest::new(worker, vec![queue()], 9, lease);
        for claimed in told(store.claim(&request).await).unwrap_or_default() {
            let settlement = Settlement {
                job_id: claimed.job.id,
                token: claimed.lease.token,
                outcome: Outcome::Complete { result: None },
                follow_ups: Vec::new(),
                keep: None,
                span: None,
            };
            told(store.settle(vec![settlement]).await);
        }
        told(store.cancel(std::slice::from_ref(&id)).await);
        told(store.retry_now(std::slice::from_ref(&id)).await);
        told(store.prune(&PruneRequest::before(Timestamp::MAX, 9)).await);
    });
}

fn damage(conn: &Connection, mut data: &[u8]) {
    while let Some(([column, length], rest)) = data.split_first_chunk::<2>() {
        let length = usize::from(*length).min(rest.len());
        let (bytes, rest) = rest.split_at(length);
        data = rest;
        let Some((name, is_text)) = COLUMNS.get(usize::from(*column) % COLUMNS.len()) else {
            return;
        };
        let value = if *column >= 250 {
            Value::Null
        } else if *is_text {
            Value::Blob(bytes.to_vec())
        } else {
            let mut number = [0; 8];
            for (slot, byte) in number.iter_mut().zip(bytes) {
                *slot = *byte;
            }
            Value::Integer(i64::from_le_bytes(number))
        };
        let cast = if *is_text { "CAST(?1 AS TEXT)" } else { "?1" };
        let sql = format!("UPDATE longshore_job SET {name} = {cast} WHERE id = 'a-job'");
        // Some damage the schema itself refuses.
        let _refused = conn.execute(&sql, [value]);
    }
}
