//! An object storage in this process, as strict as the providers are.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash as _, Hasher as _};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use longshore_core::{Clock, Timestamp};
use longshore_object::{
    Bounds, Change, Key, Landing, Listed, Object, Objects, Range, RequestError, Version,
};

use crate::watch::Watch;

#[derive(Clone, Debug)]
struct Stored {
    bytes: Bytes,
    modified: Timestamp,
}

impl Stored {
    /// As S3 does it: equal bytes have equal versions.
    fn version(&self) -> Version {
        let hash = self
            .bytes
            .iter()
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
        Version {
            e_tag: Some(format!("{hash:016x}")),
            number: None,
        }
    }
}

/// What all processes share.
pub(crate) struct Server {
    clock: Arc<dyn Clock>,
    objects: Mutex<BTreeMap<String, Stored>>,
    late: Mutex<Vec<Write>>,
    broken: Option<Broken>,
    watch: Watch,
    sent: Mutex<Sent>,
}

/// How many requests were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) put: u64,
    pub(crate) get: u64,
    pub(crate) list: u64,
    pub(crate) delete: u64,
    /// Of the PUTs, those that a condition refused.
    pub(crate) refused: u64,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

/// A request that changes something.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Create(String, Bytes),
    Replace(String, Bytes, Version),
    Delete(String),
}

impl Server {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            objects: Mutex::default(),
            late: Mutex::default(),
            broken: None,
            watch: Watch::default(),
            sent: Mutex::default(),
        }
    }

    /// The requests since this was asked last.
    pub(crate) fn take_sent(&self) -> Sent {
        std::mem::take(&mut *self.sent())
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn broken(clock: Arc<dyn Clock>, broken: Option<Broken>) -> Self {
        Self {
            broken,
            ..Self::new(clock)
        }
    }

    /// Requests that are still under way.
    pub(crate) fn late(&self) -> MutexGuard<'_, Vec<Write>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What must never happen and did.
    pub(crate) const fn watch(&self) -> &Watch {
        &self.watch
    }

    /// A hash of everything there is.
    pub(crate) fn state(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        for (key, stored) in &*self.objects() {
            (key, &stored.bytes, stored.modified).hash(&mut hasher);
        }
        format!("{:?}", self.late()).hash(&mut hasher);
        format!("{:?}", self.watch).hash(&mut hasher);
        self.clock.now().hash(&mut hasher);
        hasher.finish()
    }

    /// The content of an object, whoever asks.
    pub(crate) fn peek(&self, key: &Key) -> Option<(Bytes, Timestamp)> {
        let object = self.get(&key.to_string())?;
        Some((object.bytes, object.modified))
    }

    /// The keys of everything that begins so.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<Key> {
        let objects = self.objects();
        let keys = objects.keys().filter(|key| key.starts_with(prefix));
        keys.map(|key| key.parse().unwrap()).collect()
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Stored>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The write lands. Every one must stand in the table of keys.
    pub(crate) fn apply(&self, write: &Write) -> Landing {
        let (path, change) = match write {
            Write::Create(path, _) => (path, Change::Create),
            Write::Replace(path, ..) => (path, Change::Replace),
            Write::Delete(path) => (path, Change::Delete),
        };
        let key: Key = path.parse().unwrap();
        assert!(key.family().allows(change), "{change:?} of {path}");
        let modified = self.clock.now();
        let mut objects = self.objects();
        let free = |path| self.broken == Some(Broken::Create) || !objects.contains_key(path);
        let same = |path, version| {
            let current = objects.get(path).map(Stored::version);
            let any = self.broken == Some(Broken::Replace) && current.is_some();
            any || current.as_ref() == Some(version)
        };
        let bytes = match write {
            Write::Create(path, bytes) if free(path) => bytes,
            Write::Replace(path, bytes, version) if same(path, version) => bytes,
            Write::Create(..) | Write::Replace(..) => return Landing::Refused,
            Write::Delete(path) => {
                objects.remove(path);
                return Landing::Landed(Version::default());
            }
        };
        let bytes = bytes.clone();
        if let Key::Ledger { .. } = key {
            let is_there = |key: &Key| objects.contains_key(&key.to_string());
            let old = objects.get(path).map(|stored| &stored.bytes);
            self.watch.see(old, &bytes, is_there);
        }
        let modified = match &key {
            Key::Batch(batch) if self.broken == Some(Broken::Dates) => batch.name.stamp(),
            _ => modified,
        };
        let stored = Stored { bytes, modified };
        let version = stored.version();
        objects.insert(path.clone(), stored);
        Landing::Landed(version)
    }

    fn get(&self, path: &str) -> Option<Object> {
        let objects = self.objects();
        objects.get(path).map(|stored| Object {
            bytes: stored.bytes.clone(),
            version: stored.version(),
            modified: stored.modified,
        })
    }

    fn list(&self, range: Range<'_>) -> Vec<Listed> {
        let objects = self.objects();
        let from = range.after.filter(|after| *after > range.prefix);
        let from = match from {
            Some(after) => Bound::Excluded(after.to_owned()),
            None => Bound::Included(range.prefix.to_owned()),
        };
        let within = objects
            .range((from, Bound::Unbounded))
            .take_while(|(key, _)| {
                key.starts_with(range.prefix) && range.end.is_none_or(|end| key.as_str() < end)
            });
        let listed = within.map(|(key, stored)| Listed {
            key: key.clone(),
            modified: stored.modified,
            e_tag: stored.version().e_tag,
        });
        listed.take(range.limit).collect()
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    /// It lands and is answered.
    Answered,
    /// It lands, and the answer is lost.
    Unanswered,
    /// It never lands, and there is no answer.
    Swallowed,
    /// It lands at some later time, and there is no answer.
    Late,
}

/// A promise of the server, or of what is between it and us, that is broken on purpose: a test must
/// turn red.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A replace lands on any version.
    Replace,
    /// A create lands on what is there.
    Create,
    /// A listing shows what was there when it was asked for, not when it was answered. That alone
    /// does no harm.
    Listings,
    /// What is written late is dated as if it had come in time.
    Dates,
}

/// Where a process waits before each request until it is told what becomes of it.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    slot: Mutex<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    /// Not until the process is set up.
    is_closed: bool,
    waits: bool,
    is_write: bool,
    fate: Option<Fate>,
    /// Who is to look again once it is told.
    waker: Option<std::task::Waker>,
    /// What the process has seen so far: its state follows from it.
    seen: u64,
}

impl Gate {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the process waits, and if so whether to write.
    pub(crate) fn waiting(&self) -> Option<bool> {
        let slot = self.slot();
        (slot.waits && slot.fate.is_none()).then_some(slot.is_write)
    }

    pub(crate) fn close(&self) {
        self.slot().is_closed = true;
    }

    pub(crate) fn open(&self, fate: Fate) {
        let waker = {
            let mut slot = self.slot();
            slot.fate = Some(fate);
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn seen(&self) -> u64 {
        self.slot().seen
    }

    fn note(&self, answer: &impl fmt::Debug) {
        let mut hasher = std::hash::DefaultHasher::new();
        let mut slot = self.slot();
        (slot.seen, format!("{answer:?}")).hash(&mut hasher);
        slot.seen = hasher.finish();
    }

    async fn pass(&self, is_write: bool) -> Fate {
        {
            let mut slot = self.slot();
            if !slot.is_closed {
                return Fate::Answered;
            }
            slot.waits = true;
            slot.is_write = is_write;
        }
        std::future::poll_fn(|context| {
            let mut slot = self.slot();
            slot.waker = Some(context.waker().clone());
            match slot.fate.take() {
                Some(fate) => {
                    slot.waits = false;
                    std::task::Poll::Ready(fate)
                }
                None => std::task::Poll::Pending,
            }
        })
        .await
    }
}

/// The server as one process sees it.
#[derive(Debug)]
pub(crate) struct Actor {
    server: Arc<Server>,
    gate: Option<Arc<Gate>>,
    /// By how much its clock may be behind and ahead of the server's.
    clock: [Duration; 2],
    /// It waits before each request and before its answer.
    pauses: bool,
}

impl Actor {
    pub(crate) fn of(server: &Arc<Server>) -> Self {
        Self {
            server: Arc::clone(server),
            gate: None,
            clock: [Duration::ZERO; 2],
            pauses: false,
        }
    }

    pub(crate) fn gated(server: &Arc<Server>, gate: Arc<Gate>) -> Self {
        Self {
            gate: Some(gate),
            ..Self::of(server)
        }
    }

    /// The server as one sees it whose clock may be so much behind and ahead.
    pub(crate) fn with_clock(self, clock: [Duration; 2]) -> Self {
        Self { clock, ..self }
    }

    /// The server as one sees it whose calls can be given up between any two moments.
    pub(crate) fn with_pauses(self) -> Self {
        let pauses = true;
        Self { pauses, ..self }
    }

    async fn pause(&self) {
        if self.pauses {
            tokio::task::yield_now().await;
        }
    }

    /// Waits for a read to be answered.
    async fn read(&self) -> Result<(), RequestError> {
        match self.pass(false).await {
            Fate::Answered => Ok(()),
            Fate::Unanswered | Fate::Swallowed | Fate::Late => {
                self.note(&"no answer");
                Err(self.unavailable())
            }
        }
    }

    fn unavailable(&self) -> RequestError {
        RequestError::Unavailable {
            location: self.location(),
            message: "the test wanted it".to_owned(),
        }
    }

    async fn pass(&self, is_write: bool) -> Fate {
        self.pause().await;
        match &self.gate {
            Some(gate) => gate.pass(is_write).await,
            None => Fate::Answered,
        }
    }

    fn note(&self, answer: &impl fmt::Debug) {
        if let Some(gate) = &self.gate {
            // What it does next may depend on the time too.
            gate.note(&(answer, self.server.clock.now()));
        }
    }

    async fn write(&self, write: Write) -> Landing {
        match write {
            Write::Create(..) | Write::Replace(..) => self.server.sent().put += 1,
            Write::Delete(_) => self.server.sent().delete += 1,
        }
        let landing = match self.pass(true).await {
            Fate::Answered => self.server.apply(&write),
            Fate::Unanswered => {
                self.server.apply(&write);
                Landing::Unknown
            }
            Fate::Swallowed => Landing::Unknown,
            Fate::Late => {
                self.server.late().push(write);
                Landing::Unknown
            }
        };
        self.server.sent().refused += u64::from(landing == Landing::Refused);
        self.note(&landing);
        self.pause().await;
        landing
    }
}

#[async_trait]
impl Objects for Actor {
    fn system(&self) -> &'static str {
        "memory"
    }

    fn location(&self) -> String {
        "this process".to_owned()
    }

    fn bounds(&self) -> Bounds {
        let [behind, ahead] = self.clock;
        let now = self.server.clock.now();
        Bounds {
            least: now.before(behind),
            most: now.after(ahead),
        }
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, RequestError> {
        self.server.sent().get += 1;
        self.read().await?;
        let found = self.server.get(key);
        self.note(
            &found
                .as_ref()
                .map(|object| (&object.bytes, object.modified)),
        );
        Ok(found)
    }

    async fn create(&self, key: &str, bytes: Bytes) -> Result<Landing, RequestError> {
        Ok(self.write(Write::Create(key.to_owned(), bytes)).await)
    }

    async fn replace(
        &self,
        key: &str,
        bytes: Bytes,
        version: &Version,
    ) -> Result<Landing, RequestError> {
        let write = Write::Replace(key.to_owned(), bytes, version.clone());
        Ok(self.write(write).await)
    }

    async fn delete(&self, key: &str) -> Result<(), RequestError> {
        match self.write(Write::Delete(key.to_owned())).await {
            Landing::Unknown => Err(self.unavailable()),
            Landing::Landed(_) | Landing::Refused => Ok(()),
        }
    }

    async fn list(&self, range: Range<'_>) -> Result<Vec<Listed>, RequestError> {
        self.server.sent().list += 1;
        // What is answered late was listed early.
        let stale = self.server.list(range);
        self.read().await?;
        let listed = match self.server.broken {
            Some(Broken::Listings) => stale,
            _ => self.server.list(range),
        };
        self.note(&listed);
        Ok(listed)
    }
}
