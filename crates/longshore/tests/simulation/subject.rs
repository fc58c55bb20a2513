//! The stores that are simulated, and the way to them that makes a run the same every time.

use std::any::Any;
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
use tokio::runtime::Handle;

use crate::clock::SimulatedClock;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// The memory store with its own `wait`.
    Memory,
    /// The memory store, its calls one at a time.
    MemoryInTurn,
    /// The SQLite store on a file of its own, its calls one at a time.
    SqliteInTurn,
    /// A store on a server, its calls one at a time.
    ServedInTurn(Served),
}

/// How a fresh store on a server is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    pub(crate) open: fn(Arc<dyn Clock>, Arc<dyn Random>) -> Opened,
    /// Where its connections live.
    pub(crate) runtime: fn() -> &'static Handle,
    /// At how many points a crash is tried.
    pub(crate) points: u64,
}

/// A store, and what goes with it.
pub(crate) type Opened = (Arc<dyn Store>, Guard);

/// What goes with a store.
pub(crate) type Guard = Box<dyn Any + Send + Sync>;

impl Kind {
    /// Every so manieth of so many points is tried, unless a variable says otherwise: what a server
    /// is asked takes long.
    pub(crate) fn step(self, points: u64) -> usize {
        let step = self.served().map_or(1, |served| points / served.points);
        usize::try_from(step).unwrap().max(1)
    }

    /// How a store on a server is opened.
    pub(crate) const fn served(self) -> Option<Served> {
        match self {
            Self::Memory | Self::MemoryInTurn | Self::SqliteInTurn => None,
            Self::ServedInTurn(served) => Some(served),
        }
    }
}

/// A fresh store, and what goes with it.
pub(crate) struct Subject {
    pub(crate) store: Arc<dyn Store>,
    _guard: Guard,
}

impl Subject {
    pub(crate) fn open(kind: Kind, clock: &Arc<SimulatedClock>, random: Arc<dyn Random>) -> Self {
        let (store, guard): (_, Guard) = match kind {
            Kind::Memory => (memory(clock.clone(), random), Box::new(())),
            Kind::MemoryInTurn => {
                let memory = memory(clock.clone(), random);
                (InTurn::to(memory, clock.clone(), None), Box::new(()))
            }
            Kind::SqliteInTurn => {
                let (sqlite, folder) = sqlite(clock.clone(), random);
                (InTurn::to(sqlite, clock.clone(), None), Box::new(folder))
            }
            Kind::ServedInTurn(served) => served_in_turn(served, clock.clone(), random),
        };
        Self {
            store,
            _guard: guard,
        }
    }
}

pub(crate) fn served_in_turn(
    served: Served,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> (Arc<dyn Store>, Guard) {
    let (store, guard) = (served.open)(clock.clone(), random);
    (InTurn::to(store, clock, Some((served.runtime)())), guard)
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
struct InTurn {
    clock: Arc<dyn Clock>,
    /// Where calls run that have connections.
    runtime: Option<&'static Handle>,
}

impl InTurn {
    fn to(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        runtime: Option<&'static Handle>,
    ) -> Arc<dyn Store> {
        Arc::new(Around::through(store, Self { clock, runtime }))
    }
}

impl Way for InTurn {
    async fn carry<T: Send + 'static>(
        &self,
        _method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        // The store's threads are outside the runtime; let them see its time.
        self.clock.monotonic();
        match self.runtime {
            Some(runtime) => within(runtime, effect),
            None => wait_for(effect),
        }
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

/// Runs something to its end that needs this runtime's connections and timers.
pub(crate) fn within<T>(runtime: &Handle, effect: impl Future<Output = T>) -> T {
    let _entered = runtime.enter();
    wait_for(effect)
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
