//! A process that can die between any two polls of its tasks.

use std::collections::BTreeSet;
use std::fmt::{self, Debug};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use longshore::StoreError;
use longshore_core::{Clock, Settlement};
use longshore_testkit::way::{Effect, Way};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{JoinHandle, yield_now};

use crate::clock::SimulatedClock;
use crate::echo::EchoingStore;
use crate::points::Dies;

/// How much time passes when no task has anything to do.
const STEP: Duration = Duration::from_millis(10);

/// The longest life: who is not done by then never will be.
pub(crate) const LIFETIME: Duration = Duration::from_secs(60);

/// Where a store call stands while its task waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    NotBegun,
    DoneNotAnswered,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotBegun => "not begun",
            Self::DoneNotAnswered => "done, not answered",
        })
    }
}

/// The store calls that are under way, by the name of their method.
pub(crate) type UnderWay = BTreeSet<(&'static str, Stage)>;

/// How the life of a process ended.
pub(crate) struct End {
    /// How many points it passed.
    pub(crate) points: u64,
    /// The calls under way when it died; `None` if it lived to its end.
    pub(crate) died: Option<UnderWay>,
}

/// What becomes of the process's work when it dies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Death {
    /// All of its tasks are gone at once.
    OfProcess,
    /// Its future is dropped; the process lives on, and must not hear of it again.
    OfFuture,
}

/// Runs `life` until it is over, or has passed so many points. A point is the moment after one
/// task was polled: nothing that the process does can be cut short elsewhere.
pub(crate) fn live(
    life: impl Future<Output = ()> + Send + 'static,
    clock: &SimulatedClock,
    way: &Stepped,
    dies: Dies,
) -> End {
    // One task, then the driver and the future below, and so on.
    let runtime = runtime(1);
    runtime.block_on(async {
        clock.enter();
        let life = tokio::spawn(tokio::time::timeout(LIFETIME, life));
        let mut pulse = Pulse::start();
        let mut points = 0;
        let die_at = dies.map(|(point, _)| point);
        let died = poll_fn(|context| {
            context.waker().wake_by_ref();
            if pulse.was_it(context) {
                return Poll::Pending;
            }
            if life.is_finished() {
                return Poll::Ready(None);
            }
            if die_at == Some(points) {
                return Poll::Ready(Some(way.under_way()));
            }
            points += 1;
            Poll::Pending
        });
        let died = died.await;
        match (&died, dies) {
            (None, _) => life
                .await
                .unwrap()
                .expect("jobs are left that nobody can finish"),
            (Some(_), Some((_, Death::OfFuture))) => {
                pulse.stop();
                drop_and_listen(life, way).await;
            }
            (Some(_), _) => {}
        }
        // The next process goes on at this time.
        clock.monotonic();
        End { points, died }
    })
}

async fn drop_and_listen<T: Debug>(life: JoinHandle<T>, way: &Stepped) {
    life.abort();
    assert!(life.await.unwrap_err().is_cancelled());
    let begun = way.begun.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let tasks = Handle::current().metrics().num_alive_tasks();
    assert_eq!(tasks, 0, "tasks outlived their future");
    let later = way.begun.load(Ordering::SeqCst);
    assert_eq!(begun, later, "a dropped future called its store");
}

/// A runtime of virtual time that looks after its main future and its timers after so many polls.
pub(crate) fn runtime(polls: u32) -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .event_interval(polls)
        .build()
        .unwrap()
}

/// A task that is always ready. Between two of its turns every other ready task has had one; if
/// none has, it is time to let time pass.
struct Pulse {
    beat: Arc<AtomicBool>,
    others: bool,
    task: JoinHandle<()>,
}

impl Pulse {
    fn start() -> Self {
        let beat = Arc::new(AtomicBool::new(false));
        let beating = beat.clone();
        let task = tokio::spawn(poll_fn(move |context| {
            beating.store(true, Ordering::SeqCst);
            context.waker().wake_by_ref();
            Poll::Pending
        }));
        Self {
            beat,
            others: true,
            task,
        }
    }

    fn stop(&self) {
        self.task.abort();
    }

    /// Whether the last task polled was this one.
    fn was_it(&mut self, context: &mut Context<'_>) -> bool {
        if !self.beat.swap(false, Ordering::SeqCst) {
            self.others = true;
            return false;
        }
        if !std::mem::take(&mut self.others) {
            // Its first poll moves the clock; the rest would only yield.
            let _moved = pin!(tokio::time::advance(STEP)).poll(context);
        }
        true
    }
}

/// The way from a process to its store: it gives way before and after the effect of every call,
/// so that the process can die there.
#[derive(Clone, Debug)]
pub(crate) struct Stepped {
    calls: Arc<Mutex<Vec<(&'static str, Stage)>>>,
    begun: Arc<AtomicU64>,
    echo: Arc<EchoingStore>,
}

impl Stepped {
    /// Settles are remembered by `echo` as they are sent, whether or not they arrive.
    pub(crate) fn new(echo: Arc<EchoingStore>) -> Self {
        Self {
            calls: Arc::default(),
            begun: Arc::default(),
            echo,
        }
    }

    fn under_way(&self) -> UnderWay {
        self.lock().iter().copied().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(&'static str, Stage)>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pause(&self, method: &'static str, stage: Stage) {
        let _under_way = Entry::new(self, method, stage);
        yield_now().await;
    }
}

/// Takes itself off the list, also if its call is dropped.
struct Entry<'a>(&'a Stepped, (&'static str, Stage));

impl<'a> Entry<'a> {
    fn new(way: &'a Stepped, method: &'static str, stage: Stage) -> Self {
        way.lock().push((method, stage));
        Self(way, (method, stage))
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut calls = self.0.lock();
        if let Some(at) = calls.iter().position(|call| *call == self.1) {
            calls.remove(at);
        }
    }
}

impl Way for Stepped {
    async fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.pause(method, Stage::NotBegun).await;
        let answer = effect.await;
        self.pause(method, Stage::DoneNotAnswered).await;
        answer
    }

    fn hear(&self, settlements: &[Settlement]) {
        self.echo.way().remember(settlements);
    }
}
