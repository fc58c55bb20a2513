//! Hearing of new jobs: the functions publish the name of a queue whose first job is sooner than
//! before. Who cannot hear looks again after a moment.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use longshore_core::QueueName;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::sync::broadcast;
use tokio::task::AbortHandle;

use crate::options::RedisOptions;
use crate::server;

/// How often who cannot hear looks.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long to wait before another try to listen.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
/// How often the server is asked whether it is still there, and how long it may take.
const STILL_THERE: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(5);
/// Names that may wait for a slow listener; who misses one is woken anyway.
const BACKLOG: usize = 64;

/// The ear of a store, shared by all who wait.
pub(crate) struct Wake {
    heard: broadcast::Sender<Arc<str>>,
    is_listening: Arc<AtomicBool>,
    /// It ends with the runtime of the call that began it.
    task: Mutex<Option<AbortHandle>>,
}

impl Wake {
    pub(crate) fn new() -> Self {
        Self {
            heard: broadcast::Sender::new(BACKLOG),
            is_listening: Arc::default(),
            task: Mutex::default(),
        }
    }

    /// Begins to listen, if nobody does.
    pub(crate) fn listen(&self, options: &RedisOptions) -> Listener {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_none_or(AbortHandle::is_finished) {
            let (heard, is_listening) = (self.heard.clone(), Arc::clone(&self.is_listening));
            let listens = tokio::spawn(listen(options.clone(), heard, is_listening));
            *task = Some(listens.abort_handle());
        }
        Listener {
            heard: self.heard.subscribe(),
            is_listening: Arc::clone(&self.is_listening),
        }
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task {
            task.abort();
        }
    }
}

/// One who waits.
pub(crate) struct Listener {
    heard: broadcast::Receiver<Arc<str>>,
    is_listening: Arc<AtomicBool>,
}

impl Listener {
    /// Returns when one of these queues was named, or after `most`, or sooner while nobody hears.
    pub(crate) async fn heard(mut self, queues: &[QueueName], most: Duration) {
        let most = match self.is_listening.load(Ordering::Acquire) {
            true => most,
            false => most.min(LOOK_AGAIN),
        };
        let named = async {
            while let Ok(name) = self.heard.recv().await {
                // The empty name stands for all.
                if name.is_empty() || queues.iter().any(|queue| queue.as_str() == &*name) {
                    return;
                }
            }
        };
        // Running out of time is an ordinary end of a wait.
        let _elapsed = tokio::time::timeout(most, named).await;
    }
}

/// Says that nobody listens any more, however the task ends.
struct Listening<'a> {
    heard: &'a broadcast::Sender<Arc<str>>,
    is_listening: &'a AtomicBool,
}

impl<'a> Listening<'a> {
    fn begin(heard: &'a broadcast::Sender<Arc<str>>, is_listening: &'a AtomicBool) -> Self {
        is_listening.store(true, Ordering::Release);
        // What was published before is for those who wait to look for.
        let _nobody_waits = heard.send(Arc::from(""));
        Self {
            heard,
            is_listening,
        }
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.is_listening.store(false, Ordering::Release);
        // Who waits is to look at shorter intervals from now on.
        let _nobody_waits = self.heard.send(Arc::from(""));
    }
}

/// Passes on what the server publishes, for as long as the store is open.
async fn listen(
    options: RedisOptions,
    heard: broadcast::Sender<Arc<str>>,
    is_listening: Arc<AtomicBool>,
) {
    loop {
        if let Ok(Some((sink, stream))) = tokio::time::timeout(PATIENCE, subscribe(&options)).await
        {
            let _listening = Listening::begin(&heard, &is_listening);
            pass_on(sink, stream, &heard).await;
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

async fn subscribe(options: &RedisOptions) -> Option<(PubSubSink, PubSubStream)> {
    let info = server::find(options).await.ok()?;
    let client = options.tls.client(&info).ok()?;
    let mut pubsub = client.get_async_pubsub().await.ok()?;
    let channel = format!("{}wake", options.key_prefix());
    pubsub.subscribe(channel).await.ok()?;
    Some(pubsub.split())
}

async fn pass_on(
    mut sink: PubSubSink,
    mut stream: PubSubStream,
    heard: &broadcast::Sender<Arc<str>>,
) {
    loop {
        match tokio::time::timeout(STILL_THERE, stream.next()).await {
            Ok(Some(message)) => {
                let name = String::from_utf8_lossy(message.get_payload_bytes());
                let _nobody_waits = heard.send(Arc::from(&*name));
            }
            Ok(None) => return,
            Err(_silence) => {
                let ping = tokio::time::timeout(PATIENCE, sink.ping::<redis::Value>());
                if !matches!(ping.await, Ok(Ok(_))) {
                    return;
                }
            }
        }
    }
}
