//! What happens, told while it does: server-sent events.
//!
//! One task looks, once a second while anybody listens, and tells all listeners what changed. A
//! listener that does not keep up is told that it missed something, and looks anew.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use longshore_api::queue::Queue;
use longshore_api::trace::TracesQuery;
use longshore_api::{ApiError, Backend as _};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use crate::local::LocalBackend;

/// How often is looked.
const EVERY: Duration = Duration::from_secs(1);

/// How often a listener hears that the daemon is there, if nothing else happens.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Most listeners.
const MOST: usize = 64;

/// Most events that wait for a listener.
const WAITING: usize = 64;

/// Most traces of one look.
const TRACES: usize = 200;

/// Something that happened.
#[derive(Clone, Debug)]
struct Happened {
    kind: &'static str,
    data: Arc<str>,
}

/// Where listeners come together.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    /// The task that looks, as long as anybody listens.
    hub: Arc<Mutex<Weak<Hub>>>,
    ended: watch::Sender<bool>,
}

/// What all listeners share.
#[derive(Debug)]
struct Hub {
    sender: broadcast::Sender<Happened>,
    task: tokio::task::AbortHandle,
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Live {
    pub(crate) fn new() -> Self {
        Self {
            hub: Arc::default(),
            ended: watch::Sender::new(false),
        }
    }

    /// Ends what every listener hears, so that their connections do not keep a daemon from
    /// stopping.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Events for one more listener.
    pub(crate) fn listen(
        &self,
        backend: &LocalBackend,
    ) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<>>, ApiError> {
        let hub = self.hub(backend);
        if hub.sender.receiver_count() >= MOST {
            return Err(ApiError::Unavailable(format!(
                "{MOST} programs listen already: end one of them"
            )));
        }
        let listener = Listener {
            heard: hub.sender.subscribe(),
            ended: self.ended.subscribe(),
            _hub: hub,
        };
        let events = futures_util::stream::unfold(listener, Listener::next);
        let alive = KeepAlive::new().interval(HEARTBEAT).text("alive");
        Ok(Sse::new(events).keep_alive(alive))
    }

    fn hub(&self, backend: &LocalBackend) -> Arc<Hub> {
        let mut shared = self.hub.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hub) = shared.upgrade() {
            return hub;
        }
        let sender = broadcast::Sender::new(WAITING);
        let task = tokio::spawn(look(backend.clone(), sender.clone())).abort_handle();
        let hub = Arc::new(Hub { sender, task });
        *shared = Arc::downgrade(&hub);
        hub
    }
}

/// Somebody who listens.
struct Listener {
    heard: broadcast::Receiver<Happened>,
    ended: watch::Receiver<bool>,
    /// Keeps the task going.
    _hub: Arc<Hub>,
}

impl Listener {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        let happened = tokio::select! {
            _ = self.ended.wait_for(|ended| *ended) => return None,
            happened = self.heard.recv() => happened,
        };
        let event = match happened {
            Ok(happened) => Event::default().event(happened.kind).data(&*happened.data),
            Err(RecvError::Lagged(missed)) => Event::default()
                .event("gap")
                .data(json!({ "missed": missed }).to_string()),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok(event), self))
    }
}

/// Looks and tells, until nobody listens.
async fn look(backend: LocalBackend, sender: broadcast::Sender<Happened>) {
    let mut queues = HashMap::new();
    let mut since: Option<String> = None;
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let events = [
            changed_queues(&backend, &mut queues).await,
            changed_traces(&backend, &mut since).await,
        ];
        for happened in events.into_iter().flatten() {
            // Whoever listens next begins anew.
            let _unheard = sender.send(happened);
        }
    }
}

/// The queues whose counts changed.
async fn changed_queues(
    backend: &LocalBackend,
    known: &mut HashMap<String, Queue>,
) -> Option<Happened> {
    let queues = match backend.queues().await {
        Ok(queues) => queues,
        Err(error) => return failed(&error),
    };
    let is_news = |queue: &&Queue| {
        let old = known.get(&queue.queue);
        // The time of the look is no news.
        old.is_none_or(|old| {
            Queue {
                as_of: queue.as_of,
                ..old.clone()
            } != **queue
        })
    };
    let news: Vec<&Queue> = queues.iter().filter(is_news).collect();
    let happened = (!news.is_empty()).then(|| told("queues", &json!({ "queues": news })));
    *known = queues
        .into_iter()
        .map(|queue| (queue.queue.clone(), queue))
        .collect();
    happened
}

/// The traces that changed since the last look.
async fn changed_traces(backend: &LocalBackend, since: &mut Option<String>) -> Option<Happened> {
    let query = TracesQuery {
        limit: Some(if since.is_some() { TRACES } else { 1 }),
        changed_since: since.clone(),
        ..TracesQuery::default()
    };
    match backend.traces(&query).await {
        Ok(page) => {
            let is_first = since.is_none();
            *since = Some(page.as_of);
            let news = !is_first && !page.traces.is_empty();
            news.then(|| told("traces", &json!({ "traces": page.traces })))
        }
        // Where no traces are kept there is nothing to tell of them.
        Err(ApiError::NotFound(_)) => None,
        Err(ApiError::Conflict(_)) => {
            *since = None;
            Some(told("gap", &json!({ "missed": null })))
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &ApiError) -> Option<Happened> {
    let data = serde_json::to_string(error).ok()?;
    Some(Happened {
        kind: "trouble",
        data: data.into(),
    })
}

fn told(kind: &'static str, data: &serde_json::Value) -> Happened {
    Happened {
        kind,
        data: data.to_string().into(),
    }
}
