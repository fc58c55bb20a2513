//! The thread that writes: it gathers the calls that arrive together into one transaction and
//! answers them once that is durable.
//!
//! A call is run again, alone, if the group it was in failed as a whole; so one call that fills
//! the disk does not take its neighbours with it, and calls are functions that can be repeated.
//!
//! A file that SQLite finds damaged, or that was deleted or replaced, is written to no more: what
//! would be acknowledged then could be lost.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::round_trip::Request;
use longshore_core::{Clock, ErrorKind, Random, StoreError, Timestamp};
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot};

use crate::counts::Counts;
use crate::error::{about, copy, end_request, from_sqlite, is_damage, named};
use crate::identity::Identity;
use crate::log::LogKeeper;
use crate::options::SqliteOptions;
use crate::wake::{Wake, data_version};

/// Calls that may wait for the writer; more callers wait for room.
const MAX_QUEUED: usize = 1024;
/// Longest a group holds the file's lock before other processes get their turn.
const MAX_GROUP_TIME: Duration = Duration::from_millis(5);
/// Most calls of a group, whatever the clock says.
const MAX_GROUP_CALLS: usize = 256;
/// How long the file is left alone between groups while other processes write too: longer than
/// [`BUSY_POLL`], so that they see it free.
const TURN_FOR_OTHERS: Duration = Duration::from_micros(300);
/// How often a writer that waits for another process looks again.
const BUSY_POLL: Duration = Duration::from_micros(100);

/// What a call writes with.
pub(crate) struct Write<'c> {
    pub(crate) conn: &'c Connection,
    pub(crate) now: Timestamp,
    pub(crate) random: &'c dyn Random,
    pub(crate) counts: Counts,
    /// Set if a job may have become due.
    pub(crate) wakes: bool,
}

/// A call on its way, whatever its answer.
trait Call: Send {
    /// Its turn has come, perhaps once more.
    fn begin(&mut self, clock: &dyn Clock);
    /// Runs it; says whether it may be committed.
    fn run(&mut self, write: &mut Write<'_>) -> bool;
    /// The error that is its answer, if it is one.
    fn failure(&self) -> Option<&StoreError>;
    /// Makes its answer an error.
    fn fail(&mut self, error: StoreError);
    /// Gives the answer to the caller.
    fn answer(self: Box<Self>);
}

struct Pending<T, F> {
    work: F,
    answer: Result<T, StoreError>,
    /// The reading of the clock when it was handed over, if anyone wants to know how it went.
    asked: Option<Duration>,
    course: Course,
    caller: oneshot::Sender<(Result<T, StoreError>, Course)>,
}

/// How it went with a call.
#[derive(Clone, Copy, Debug, Default)]
struct Course {
    /// How long it waited for its first turn.
    waited: Duration,
    /// How many turns it had.
    turns: u32,
}

impl<T, F> Call for Pending<T, F>
where
    T: Send,
    F: FnMut(&mut Write<'_>) -> Result<T, StoreError> + Send,
{
    fn begin(&mut self, clock: &dyn Clock) {
        if let Some(asked) = self.asked.filter(|_| self.course.turns == 0) {
            self.course.waited = clock.monotonic().saturating_sub(asked);
        }
        self.course.turns += 1;
    }

    fn run(&mut self, write: &mut Write<'_>) -> bool {
        self.answer = (self.work)(write);
        self.answer.is_ok()
    }

    fn failure(&self) -> Option<&StoreError> {
        self.answer.as_ref().err()
    }

    fn fail(&mut self, error: StoreError) {
        self.answer = Err(error);
    }

    fn answer(self: Box<Self>) {
        // A caller who gave up waiting will repeat the call and find it done.
        let _gone = self.caller.send((self.answer, self.course));
    }
}

/// Hands calls to the thread that writes.
#[derive(Clone)]
pub(crate) struct Writer {
    path: Arc<PathBuf>,
    clock: Arc<dyn Clock>,
    calls: mpsc::Sender<Box<dyn Call>>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(
        conn: Connection,
        options: &SqliteOptions,
        identity: Identity,
        wake: Arc<Wake>,
    ) -> Result<Self, StoreError> {
        let (calls, queue) = mpsc::channel(MAX_QUEUED);
        let path = Arc::new(options.path.clone());
        let clock = Arc::clone(&options.clock);
        let mut thread = Thread {
            path: Arc::clone(&path),
            conn,
            identity,
            log: LogKeeper::new(),
            ended: OnceCell::new(),
            clock: Arc::clone(&options.clock),
            random: Arc::clone(&options.random),
            busy_timeout: options.busy_timeout,
            wake,
            queue,
            last_end: Duration::ZERO,
            seen: None,
        };
        std::thread::Builder::new()
            .name("longshore-sqlite-write".to_owned())
            .spawn(move || {
                while let Some(call) = thread.queue.blocking_recv() {
                    thread.group(call);
                }
            })
            .map_err(|error| {
                StoreError::new(ErrorKind::Unavailable, "no thread could be started")
                    .with_source(error)
            })?;
        Ok(Self { path, clock, calls })
    }

    /// Runs `work`, for which `request` stands, in a group; gives back its answer once the group is
    /// durable.
    pub(crate) async fn call<T, F>(&self, mut request: Request, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Write<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let asked = request.is_watched().then(|| self.clock.monotonic());
        let (answer, course) = match self.answer(work, asked).await {
            Ok(answered) => answered,
            Err(error) => (Err(error), Course::default()),
        };
        request.waited(course.waited);
        let request = request.repeats(course.turns.saturating_sub(1));
        end_request(request, &answer);
        answer.map_err(|error| about(&self.path, error))
    }

    async fn answer<T, F>(
        &self,
        work: F,
        asked: Option<Duration>,
    ) -> Result<(Result<T, StoreError>, Course), StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Write<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let call = Box::new(Pending {
            work,
            answer: Err(stopped()),
            asked,
            course: Course::default(),
            caller,
        });
        self.calls.send(call).await.map_err(|_ignored| stopped())?;
        answer.await.map_err(|_ignored| stopped())
    }
}

fn stopped() -> StoreError {
    StoreError::new(
        ErrorKind::Unavailable,
        "the thread that writes to the store has stopped: open the store again",
    )
}

struct Thread {
    path: Arc<PathBuf>,
    conn: Connection,
    identity: Identity,
    log: LogKeeper,
    /// Why nothing may be written any more.
    ended: OnceCell<StoreError>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    busy_timeout: Duration,
    wake: Arc<Wake>,
    queue: mpsc::Receiver<Box<dyn Call>>,
    last_end: Duration,
    seen: Option<i64>,
}

impl Thread {
    /// Runs `first` and what has arrived since as one transaction.
    fn group(&mut self, first: Box<dyn Call>) {
        self.let_others_in();
        let Some((first, mut wakes)) = self.open(first) else {
            return;
        };
        let mut calls = vec![first];
        let started = self.clock.monotonic();
        while calls.len() < MAX_GROUP_CALLS
            && self.ended.get().is_none()
            && self.clock.monotonic().saturating_sub(started) < MAX_GROUP_TIME
            && let Ok(mut call) = self.queue.try_recv()
        {
            wakes |= self.step(call.as_mut());
            calls.push(call);
            if self.conn.is_autocommit() {
                // SQLite gave up the whole transaction: a full disk, or one that fails.
                return self.one_by_one(calls);
            }
        }
        match self.commit() {
            Ok(()) => self.done(calls, wakes),
            Err(_) if calls.len() > 1 => self.one_by_one(calls),
            Err(error) => answer_all(calls, Some(&error)),
        }
    }

    /// Opens a transaction with its first call, which needs no savepoint; says whether it may
    /// have made a job due. A call that fails is answered, and nothing is open.
    fn open(&self, mut call: Box<dyn Call>) -> Option<(Box<dyn Call>, bool)> {
        if let Err(error) = self.begin() {
            answer_all(vec![call], Some(&error));
            return None;
        }
        let wakes = self.run(call.as_mut());
        if wakes.is_none() {
            if !self.conn.is_autocommit() {
                let _rolled_back = self.execute("ROLLBACK");
            }
            call.answer();
            return None;
        }
        wakes.map(|wakes| (call, wakes))
    }

    /// Runs each call in a transaction of its own.
    fn one_by_one(&mut self, calls: Vec<Box<dyn Call>>) {
        for call in calls {
            let Some((call, wakes)) = self.open(call) else {
                continue;
            };
            match self.commit() {
                Ok(()) => self.done(vec![call], wakes),
                Err(error) => answer_all(vec![call], Some(&error)),
            }
        }
    }

    /// Runs a call within a savepoint; says whether it may have made a job due.
    fn step(&self, call: &mut dyn Call) -> bool {
        if let Err(error) = self.execute("SAVEPOINT call") {
            call.fail(error);
            return false;
        }
        let wakes = self.run(call);
        if self.conn.is_autocommit() {
            return false;
        }
        if wakes.is_none()
            && let Err(error) = self.execute("ROLLBACK TO call")
        {
            call.fail(error);
        }
        if let Err(error) = self.execute("RELEASE call") {
            call.fail(error);
        }
        wakes.unwrap_or(false)
    }

    /// Runs a call; says whether it may have made a job due, or `None` if it failed.
    fn run(&self, call: &mut dyn Call) -> Option<bool> {
        call.begin(&*self.clock);
        let mut write = Write {
            conn: &self.conn,
            now: self.clock.now(),
            random: &*self.random,
            counts: Counts::default(),
            wakes: false,
        };
        let good = call.run(&mut write);
        let Write { counts, wakes, .. } = write;
        if !good {
            if let Some(error) = call.failure() {
                self.note(error);
            }
            return None;
        }
        match counts.flush(&self.conn) {
            Ok(()) => Some(wakes),
            Err(error) => {
                call.fail(error);
                None
            }
        }
    }

    /// Takes the file's lock, looking often while another process has it: it does so for
    /// milliseconds only, and SQLite's own way of waiting looks too seldom to get a turn.
    fn begin(&self) -> Result<(), StoreError> {
        self.may_go_on()?;
        let mut waited = Duration::ZERO;
        loop {
            let begun = self
                .conn
                .prepare_cached("BEGIN IMMEDIATE")
                .and_then(|mut statement| statement.execute([]));
            let busy = |error: &rusqlite::Error| {
                error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
            };
            match begun {
                Err(error) if busy(&error) && waited < self.busy_timeout => {
                    std::thread::park_timeout(BUSY_POLL);
                    waited += BUSY_POLL;
                }
                begun => {
                    return begun.map(drop).map_err(|error| self.refused(error));
                }
            }
        }
    }

    fn commit(&self) -> Result<(), StoreError> {
        if let Err(gone) = self.identity.check() {
            let _known_already = self.ended.set(gone);
        }
        let committed = self.may_go_on().and_then(|()| self.execute("COMMIT"));
        if committed.is_err() && !self.conn.is_autocommit() {
            // Nothing of the group may linger in the next one.
            let _rolled_back = self.execute("ROLLBACK");
        }
        committed
    }

    /// Remembers that the file is damaged, if that is what an error says.
    fn note(&self, error: &StoreError) {
        if is_damage(error) {
            let _known_already = self.ended.set(named(&self.path, error));
        }
    }

    fn refused(&self, error: rusqlite::Error) -> StoreError {
        let error = from_sqlite(error);
        self.note(&error);
        named(&self.path, &error)
    }

    fn may_go_on(&self) -> Result<(), StoreError> {
        self.ended.get().map_or(Ok(()), |error| Err(copy(error)))
    }

    fn done(&mut self, calls: Vec<Box<dyn Call>>, wakes: bool) {
        answer_all(calls, None);
        if wakes {
            self.wake.notify();
        }
        self.log.look(&self.conn, &self.identity);
        self.last_end = self.clock.monotonic();
    }

    /// Leaves the file alone for a moment if another process wrote to it between our groups and
    /// would have to fight for it.
    fn let_others_in(&mut self) {
        let version = data_version(&self.conn).ok();
        let shared = self.seen.is_some() && version != self.seen;
        self.seen = version;
        let idle = self.clock.monotonic().saturating_sub(self.last_end);
        if shared && idle < TURN_FOR_OTHERS {
            std::thread::park_timeout(TURN_FOR_OTHERS);
        }
    }

    fn execute(&self, sql: &'static str) -> Result<(), StoreError> {
        self.conn
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .map_err(|error| self.refused(error))
    }
}

fn answer_all(calls: Vec<Box<dyn Call>>, failure: Option<&StoreError>) {
    for mut call in calls {
        if let Some(error) = failure {
            call.fail(copy(error));
        }
        call.answer();
    }
}
