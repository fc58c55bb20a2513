//! Waking those who wait for jobs: in this process at once, in others by `NOTIFY`.
//!
//! A notification takes a lock of the whole database while its transaction commits. So none is
//! part of an enqueue: one task sends them, at most one in a short while, after the jobs are there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::options::Pooler;
use crate::session::Session;
use crate::statement::one;

/// Shortest time between two notifications.
const DEBOUNCE: Duration = Duration::from_millis(5);
/// After how much silence the listening connection is tried.
const SILENCE: Duration = Duration::from_secs(10);
/// How long it takes until a lost connection is tried again, at first and at most.
const BACKOFF: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(5)];

/// Who waits in this process, and whether others are heard.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    /// Those who wait here.
    here: Notify,
    /// That others are to be told.
    others: Notify,
    listens: AtomicBool,
}

impl Wake {
    /// Wakes everyone.
    pub(crate) fn tell(&self) {
        self.here.notify_waiters();
        self.others.notify_one();
    }

    /// What resolves with the next word of new jobs.
    pub(crate) fn word(&self) -> tokio::sync::futures::Notified<'_> {
        self.here.notified()
    }

    /// Whether new jobs of other processes are heard of.
    pub(crate) fn listens(&self) -> bool {
        self.listens.load(Ordering::Relaxed)
    }
}

/// The tasks that tell and listen. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Messengers(Vec<JoinHandle<()>>);

impl Messengers {
    /// Starts them on the runtime that this is called on.
    pub(crate) fn start(session: &Arc<Session>, wake: &Arc<Wake>) -> Self {
        let mut tasks = vec![tokio::spawn(tell_others(
            Arc::clone(session),
            Arc::clone(wake),
        ))];
        if session.options.pooler == Pooler::None {
            tasks.push(tokio::spawn(listen(Arc::clone(session), Arc::clone(wake))));
        }
        Self(tasks)
    }
}

impl Drop for Messengers {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

async fn tell_others(session: Arc<Session>, wake: Arc<Wake>) {
    let channel = session.context.channel();
    loop {
        wake.others.notified().await;
        // Who is not told looks for itself in a while.
        let _lost = notify(&session, &channel).await;
        tokio::time::sleep(DEBOUNCE).await;
    }
}

async fn notify(session: &Session, channel: &str) -> Result<(), longshore_core::StoreError> {
    let sql = &session.context.sql;
    session
        .bounded(async {
            let mut held = session.hold().await?;
            let done = one(held.conn(), sql.query(&sql.tell).bind(channel)).await;
            held.release(done.map(drop), sql).await
        })
        .await
}

/// Says that nobody listens any more, however the task ends.
struct Listening<'a>(&'a Wake);

impl<'a> Listening<'a> {
    fn begin(wake: &'a Wake) -> Self {
        wake.listens.store(true, Ordering::Relaxed);
        // What was said before is not heard, so everyone looks once.
        wake.here.notify_waiters();
        Self(wake)
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.0.listens.store(false, Ordering::Relaxed);
        // Who waits is to look at shorter intervals from now on.
        self.0.here.notify_waiters();
    }
}

async fn listen(session: Arc<Session>, wake: Arc<Wake>) {
    let [least, most] = BACKOFF;
    let mut backoff = least;
    loop {
        // A server that answers no more must not be waited for for ever.
        let connecting = tokio::time::timeout(session.options.timeout, connect(&session));
        if let Ok(Ok(listener)) = connecting.await {
            backoff = least;
            hear(&session, &wake, listener).await;
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(most);
    }
}

async fn connect(session: &Session) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(session.pool()).await?;
    listener.ignore_pool_close_event(true);
    let channel = session.context.channel();
    listener
        .listen_all([channel.as_str(), &own(&channel)])
        .await?;
    Ok(listener)
}

/// The channel on which a process tries its own connection.
fn own(channel: &str) -> String {
    format!("{channel}_{}", std::process::id())
}

/// Wakes everyone at each word, until the connection is lost.
async fn hear(session: &Session, wake: &Wake, mut listener: PgListener) {
    let channel = session.context.channel();
    let _listening = Listening::begin(wake);
    let mut is_tried = false;
    loop {
        match tokio::time::timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(word))) => {
                is_tried = false;
                if word.channel() == channel {
                    wake.here.notify_waiters();
                }
            }
            Ok(Ok(None) | Err(_)) => return,
            // Nothing was heard, not even what we said ourselves: nobody is there any more.
            Err(_silence) if is_tried => return,
            Err(_silence) => {
                is_tried = true;
                let _lost = notify(session, &own(&channel)).await;
            }
        }
    }
}
