//! Round trips: the requests that a store makes for a call, to whatever has its jobs.
//!
//! Whoever calls a store and wants to know what it asks for [`watch`]es the call, and [`take`]s the
//! round trips when there is a span to put them under. A store says at the one place where it sends
//! requests that one [`begin`]s and how it ends. Nothing of this travels through the contract: what
//! is noted lies in a slot that is the current one while the watched call is being polled. Work that
//! a store hands to another task or thread is noted by the task that waits for it.
//!
//! Where nobody watches, to begin costs the look into the slot, and to end nothing.
//!
//! ```
//! use std::pin::pin;
//! use std::sync::Arc;
//! use longshore_core::round_trip::{self, Answer, Server, Target};
//! use longshore_core::SystemClock;
//!
//! # async fn example(server: Arc<Server>) {
//! let clock: Arc<dyn longshore_core::Clock> = Arc::new(SystemClock::new());
//! let call = pin!(async {
//!     let request = round_trip::begin(&server, "INSERT", || Target::Collection("job"));
//!     // Here it is sent, and answered.
//!     request.end(Answer::Good);
//!     round_trip::take()
//! });
//! let seen = round_trip::watch(Some(&clock), call).await;
//! assert_eq!(seen.list.len(), 1);
//! # }
//! ```

use std::borrow::Cow;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock::Clock;

/// What a store sends its requests to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// `db.system.name`, or the like of what is no database: `sqlite`, `postgresql`, `redis`,
    /// `aws.s3`.
    pub system: &'static str,
    /// The database or bucket, if it has a name.
    pub namespace: Option<String>,
    /// Its host, as it was asked for.
    pub address: Option<String>,
    /// Its port.
    pub port: Option<u16>,
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nothing of its own: `COMMIT`, or a connection.
    Nothing,
    /// A table.
    Collection(&'static str),
    /// A function of the server.
    Procedure(&'static str),
    /// An object, by its key; for a listing, what the keys begin with.
    Object(String),
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done.
    Good,
    /// Its condition did not hold, so that nothing was done: someone else was first. Stores on
    /// conditional writes live on such answers, so this is no failure.
    Refused,
    /// It failed, or nobody knows.
    Failed {
        /// `error.type`: the server's code, or a word such as `timeout`.
        class: Cow<'static, str>,
        /// The server's code, if it gave one: an SQLSTATE, the prefix of an error of Redis, the
        /// status of HTTP.
        code: Option<String>,
    },
}

impl Answer {
    /// A failure of which the server said nothing.
    #[must_use]
    pub const fn failed(class: &'static str) -> Self {
        Self::Failed {
            class: Cow::Borrowed(class),
            code: None,
        }
    }

    /// A failure to which the server gave this code.
    #[must_use]
    pub fn code(code: impl Into<String>) -> Self {
        let code = code.into();
        Self::Failed {
            class: Cow::Owned(code.clone()),
            code: Some(code),
        }
    }

    /// Whether the request failed, or nobody knows.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }
}

/// One request and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundTrip {
    /// What it went to.
    pub server: Arc<Server>,
    /// What was asked for, as the server names it: `INSERT`, `FCALL`, `PutObject`.
    pub operation: &'static str,
    /// What it was about.
    pub target: Target,
    /// How many jobs, leases or documents it concerned; 0 if that is not known before.
    pub items: usize,
    /// How often the store made it before, and it was taken back since others were in the way.
    pub repeats: u32,
    /// When it began, from the beginning of the watch.
    pub began: Duration,
    /// How long it waited for a connection or for whoever writes, before it was sent.
    pub waited: Duration,
    /// From its beginning to its answer, the wait included.
    pub took: Duration,
    /// What came of it.
    pub answer: Answer,
}

/// The round trips of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoundTrips {
    /// In the order of their ends. If there were too many, the first ones and the last.
    pub list: Vec<RoundTrip>,
    /// How many more there were.
    pub dropped: u32,
}

impl RoundTrips {
    /// Most round trips that are remembered of a call.
    pub const MAX: usize = 64;

    fn push(&mut self, trip: RoundTrip) {
        if self.list.len() >= Self::MAX {
            self.dropped = self.dropped.saturating_add(1);
            self.list.pop();
        }
        self.list.push(trip);
    }

    /// How many requests there were, those that are not remembered included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.list.len().saturating_add(self.dropped as usize)
    }

    /// How many of those that are remembered failed.
    #[must_use]
    pub fn failures(&self) -> usize {
        let failed = self.list.iter().filter(|trip| trip.answer.is_failure());
        failed.count()
    }
}

/// A watch over a call.
#[derive(Debug)]
struct Watch {
    clock: Arc<dyn Clock>,
    /// The reading of the clock when it began.
    origin: Duration,
    /// Since when the next request has been waited for.
    waits: Option<Duration>,
    trips: RoundTrips,
}

thread_local! {
    /// The watch over the call that is being polled.
    static CURRENT: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// Does something with the current watch, if there is one.
fn with_current<T>(act: impl FnOnce(&mut Watch) -> T) -> Option<T> {
    let look = |slot: &RefCell<Option<Watch>>| slot.try_borrow_mut().ok()?.as_mut().map(act);
    CURRENT.try_with(look).ok().flatten()
}

/// Puts another watch into the slot; gives back the one that was there.
fn swap(watch: Option<Watch>) -> Option<Watch> {
    let put = |slot: &RefCell<Option<Watch>>| {
        let mut slot = slot.try_borrow_mut().ok()?;
        std::mem::replace(&mut *slot, watch)
    };
    CURRENT.try_with(put).ok().flatten()
}

/// A poll of a watched call: its watch is the current one, also if the poll panics.
struct Within<'w> {
    own: &'w mut Option<Watch>,
    outer: Option<Watch>,
}

impl<'w> Within<'w> {
    fn enter(own: &'w mut Option<Watch>) -> Self {
        let outer = swap(own.take());
        Self { own, outer }
    }
}

impl Drop for Within<'_> {
    fn drop(&mut self) {
        *self.own = swap(self.outer.take());
    }
}

/// A call with its own watch, or with none.
#[derive(Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct Watched<F> {
    own: Option<Watch>,
    /// Whether what is noted goes to whoever watches around it.
    is_open: bool,
    call: F,
}

impl<F: Future + Unpin> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { own, is_open, call } = &mut *self;
        let _within = (!*is_open).then(|| Within::enter(own));
        Pin::new(call).poll(context)
    }
}

/// Runs a call, and has the requests noted that stores make for it, until somebody [`take`]s them
/// from within. A watch within a watch has what is made within it for itself. Without a clock the
/// call runs as it is.
pub fn watch<F: Future + Unpin>(clock: Option<&Arc<dyn Clock>>, call: F) -> Watched<F> {
    let own = clock.map(|clock| Watch {
        clock: Arc::clone(clock),
        origin: clock.monotonic(),
        waits: None,
        trips: RoundTrips::default(),
    });
    let is_open = own.is_none();
    Watched { own, is_open, call }
}

/// Runs a part of a call of which nothing is to be noted, since no span will tell of it.
pub const fn unwatched<F: Future + Unpin>(part: F) -> Watched<F> {
    Watched {
        own: None,
        is_open: false,
        call: part,
    }
}

/// What was noted since the watch began or this was last called; nothing if nobody watches.
#[must_use]
pub fn take() -> RoundTrips {
    with_current(|watch| std::mem::take(&mut watch.trips)).unwrap_or_default()
}

/// Begins a request; `target` is asked for if somebody watches.
pub fn begin(
    server: &Arc<Server>,
    operation: &'static str,
    target: impl FnOnce() -> Target,
) -> Request {
    let times = with_current(|watch| {
        let now = watch.clock.monotonic();
        let waits = watch.waits.take();
        (waits.unwrap_or(now), waits.map(|_| now))
    });
    Request(times.map(|(began, sent)| Begun {
        server: Arc::clone(server),
        operation,
        target: target(),
        items: 0,
        repeats: 0,
        began,
        sent,
        waited: None,
    }))
}

/// A request under way. One that is dropped has had no answer: whoever waited for it gave up.
#[must_use = "a request that is dropped counts as one without an answer"]
#[derive(Debug)]
pub struct Request(Option<Begun>);

#[derive(Debug)]
struct Begun {
    server: Arc<Server>,
    operation: &'static str,
    target: Target,
    items: usize,
    repeats: u32,
    began: Duration,
    sent: Option<Duration>,
    waited: Option<Duration>,
}

impl Request {
    /// Whether somebody watches.
    #[must_use]
    pub const fn is_watched(&self) -> bool {
        self.0.is_some()
    }

    /// It concerns so many jobs, leases or documents.
    pub const fn of(mut self, items: usize) -> Self {
        if let Some(begun) = &mut self.0 {
            begun.items = items;
        }
        self
    }

    /// It was made so often before, and taken back.
    pub const fn repeats(mut self, repeats: u32) -> Self {
        if let Some(begun) = &mut self.0 {
            begun.repeats = repeats;
        }
        self
    }

    /// It has what it waited for, and is sent now.
    pub fn sent(&mut self) {
        if let Some(begun) = &mut self.0 {
            begun.sent = with_current(|watch| watch.clock.monotonic());
        }
    }

    /// It waited so long before it was sent, as whoever sent it says.
    pub const fn waited(&mut self, waited: Duration) {
        if let Some(begun) = &mut self.0 {
            begun.waited = Some(waited);
        }
    }

    /// Ends it.
    pub fn end(mut self, answer: Answer) {
        if let Some(begun) = self.0.take() {
            begun.note(answer);
        }
    }

    /// It was none of its own, such as the wait for a connection: the next request waited so long.
    pub fn into_next(mut self) {
        if let Some(begun) = self.0.take() {
            with_current(|watch| watch.waits = Some(begun.began));
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Some(begun) = self.0.take() {
            begun.note(Answer::failed("no_answer"));
        }
    }
}

impl Begun {
    fn note(self, answer: Answer) {
        with_current(|watch| {
            let took = watch.clock.monotonic().saturating_sub(self.began);
            let until_sent = self.sent.map(|sent| sent.saturating_sub(self.began));
            let waited = self.waited.or(until_sent).unwrap_or_default();
            watch.trips.push(RoundTrip {
                server: self.server,
                operation: self.operation,
                target: self.target,
                items: self.items,
                repeats: self.repeats,
                began: self.began.saturating_sub(watch.origin),
                waited: waited.min(took),
                took,
                answer,
            });
        });
    }
}

#[cfg(test)]
mod tests;
