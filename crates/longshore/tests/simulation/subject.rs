//! The stores that are simulated, and the way to them that makes a run the same every time.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use longshore::sqlite::Durability;
use longshore::{MemoryStore, SqliteOptions, SqliteStore, Store, StoreError};
use longshore_core::{Clock, Random};
use longshore_testkit::way::{Around, Effect, Way};

use crate::clock::SimulatedClock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The memory store with its own `wait`.
    Memory,
    /// The memory store, its calls one at a time.
    MemoryInTurn,
    /// The SQLite store on a file of its own, its calls one at a time.
    SqliteInTurn,
}

/// A fresh store, and its folder if it has one.
pub(crate) struct Subject {
    pub(crate) store: Arc<dyn Store>,
    _folder: Option<Folder>,
}

impl Subject {
    pub(crate) fn open(kind: Kind, clock: &Arc<SimulatedClock>, random: Arc<dyn Random>) -> Self {
        let (store, folder) = match kind {
            Kind::Memory => (memory(clock.clone(), random), None),
            Kind::MemoryInTurn => (InTurn::to(memory(clock.clone(), random), clock), None),
            Kind::SqliteInTurn => {
                let (sqlite, folder) = sqlite(clock.clone(), random);
                (InTurn::to(sqlite, clock), Some(folder))
            }
        };
        Self {
            store,
            _folder: folder,
        }
    }
}

pub(crate) fn memory(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Store> {
    Arc::new(MemoryStore::with(clock, random))
}

pub(crate) fn sqlite(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> (Arc<dyn Store>, Folder) {
    let folder = Folder::new();
    // Nothing here survives the machine anyway.
    let options = SqliteOptions::at(folder.0.join("jobs.db"))
        .with_durability(Durability::Relaxed)
        .with_clock(clock)
        .with_random(random);
    (Arc::new(SqliteStore::open(options).unwrap()), folder)
}

/// Runs each call to its end before anything else happens, on whatever threads the store has.
#[derive(Debug)]
struct InTurn(Arc<SimulatedClock>);

impl InTurn {
    fn to(store: Arc<dyn Store>, clock: &Arc<SimulatedClock>) -> Arc<dyn Store> {
        Arc::new(Around::through(store, Self(clock.clone())))
    }
}

impl Way for InTurn {
    async fn carry<T: Send + 'static>(
        &self,
        _method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        // The store's threads are outside the runtime; let them see its time.
        self.0.monotonic();
        wait_for(effect)
    }

    async fn rest(&self, _hint: impl Future<Output = ()> + Send, timeout: Duration) {
        tokio::time::sleep(timeout).await;
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait_for<T>(effect: impl Future<Output = T>) -> T {
    // Within one poll of a task the runtime's budget for it is never renewed.
    let mut effect = pin!(tokio::task::unconstrained(effect));
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match effect.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// A folder that goes when it is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("longshore-simulation-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}
