//! The thread that appends what came to the span log. A request is answered after its frame is
//! there: from then on it survives the end of this process, however it ends.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use longshore_core::{Clock, SystemRandom, Timestamp};
use longshore_spanlog::{
    AppendError, Class, Compression, FrameHeader, Kind, LogError, Policy, SyncPolicy, Writer,
    WriterOptions, sweep_if_due,
};
use tokio::sync::oneshot;

use super::body::Share;
use super::refusal::Refusal;

/// The flag of frames that are for those who look at them on this machine, and that nobody exports.
const LOCAL: u8 = 0x80;
/// The folder of log records within that of spans.
const LOGS: &str = "logs";
/// How often files are closed that are old, and what is due is forced onto the disk.
const TICK: Duration = Duration::from_secs(1);
/// How often the folder is brought within its bounds.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Most frames that are written before those who wait for them are answered.
const GROUP: usize = 64;

/// Where spans and log records are written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalOptions {
    /// The folder of the span log; other processes may write to it too.
    pub folder: PathBuf,
    /// What the folder may hold.
    pub policy: Policy,
    /// When what was written is forced onto the disk. With [`SyncPolicy::Always`] requests that
    /// come together wait for the disk together.
    pub sync: SyncPolicy,
}

/// What came in one request, ready to be written down.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) kind: Kind,
    pub(super) body: Bytes,
    pub(super) items: usize,
    pub(super) times: (Timestamp, Timestamp),
    /// The memory that it takes until it is written.
    pub(super) _share: Share,
}

struct Order {
    parcel: Parcel,
    done: oneshot::Sender<Result<(), Refusal>>,
}

/// The way to the thread; it ends with the last parcel after this is dropped.
#[derive(Debug)]
pub(super) struct Journal {
    orders: Option<Sender<Order>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Journal {
    /// Opens the log and starts the thread.
    pub(super) fn start(options: JournalOptions, clock: Arc<dyn Clock>) -> Result<Self, LogError> {
        let shelf = Shelf::open(options, clock)?;
        let (orders, taken) = channel();
        let run = move || shelf.run(&taken);
        let thread = std::thread::Builder::new().name("longshore-otlp".to_owned());
        // A system without threads to spare says so to the first request.
        let thread = thread.spawn(run).ok();
        Ok(Self {
            orders: Some(orders),
            thread: Mutex::new(thread),
        })
    }

    /// Writes a parcel down.
    pub(super) async fn put(&self, parcel: Parcel) -> Result<(), Refusal> {
        let (done, answer) = oneshot::channel();
        let gone = || Refusal::Unwritable("the thread that writes has ended".to_owned());
        let orders = self.orders.as_ref().ok_or_else(gone)?;
        orders
            .send(Order { parcel, done })
            .map_err(|_ended| gone())?;
        answer.await.map_err(|_ended| gone())?
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.orders = None;
        let thread = self
            .thread
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // It writes what is left, which is bounded, and closes its files.
            let _panicked = thread.join().is_err();
        }
    }
}

/// What the thread works with.
struct Shelf {
    spans: Lane,
    /// Opened with the first log record.
    logs: Option<Lane>,
    options: JournalOptions,
    clock: Arc<dyn Clock>,
}

/// One folder and its writer.
struct Lane {
    writer: Writer,
    folder: PathBuf,
    next_sweep: Duration,
}

impl Lane {
    fn open(folder: &Path, sync: SyncPolicy, clock: &Arc<dyn Clock>) -> Result<Self, LogError> {
        let options = WriterOptions {
            max_frame_bytes: longshore_spanlog::MAX_BODY_BYTES,
            // Once for a group, instead of once for a frame.
            sync: match sync {
                SyncPolicy::Always => SyncPolicy::Never,
                other => other,
            },
            ..WriterOptions::default()
        };
        Ok(Self {
            writer: Writer::open(folder, options, Arc::clone(clock), &SystemRandom)?,
            folder: folder.to_owned(),
            next_sweep: clock.monotonic(),
        })
    }

    fn append(&mut self, parcel: &Parcel) -> Result<(), Refusal> {
        let unwritable = |what: String| Refusal::Unwritable(what);
        self.writer
            .revive()
            .map_err(|error| unwritable(error.to_string()))?;
        let header = FrameHeader {
            kind: parcel.kind,
            class: Class::Base,
            compression: Compression::None,
            flags: LOCAL,
            spans: u32::try_from(parcel.items).unwrap_or(u32::MAX),
            first: parcel.times.0,
            last: parcel.times.1,
        };
        match self.writer.append(&header, &parcel.body) {
            Ok(_position) => Ok(()),
            Err(AppendError::TooLarge { limit, .. }) => Err(Refusal::TooLarge(limit)),
            Err(error) => Err(unwritable(error.to_string())),
        }
    }

    fn tick(&mut self, policy: &Policy, clock: &dyn Clock) {
        if let Err(error) = self.writer.tick() {
            tracing::warn!(target: "longshore", "the span log: {error}");
        }
        let now = clock.monotonic();
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP_EVERY;
        // Half of it, so that the one who swept last is not late for the next time.
        if let Err(error) = sweep_if_due(&self.folder, policy, clock.now(), SWEEP_EVERY / 2) {
            tracing::debug!(target: "longshore", "the span log cannot be tidied: {error}");
        }
    }
}

impl Shelf {
    fn open(options: JournalOptions, clock: Arc<dyn Clock>) -> Result<Self, LogError> {
        Ok(Self {
            spans: Lane::open(&options.folder, options.sync, &clock)?,
            logs: None,
            options,
            clock,
        })
    }

    /// Writes until nobody can send any more.
    fn run(mut self, orders: &Receiver<Order>) {
        let mut written = Vec::new();
        loop {
            match orders.recv_timeout(TICK) {
                Ok(order) => self.group(order, orders, &mut written),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let policy = self.policy();
            self.spans.tick(&policy, &*self.clock);
            if let Some(logs) = &mut self.logs {
                logs.tick(&policy, &*self.clock);
            }
        }
    }

    /// Writes an order and those that wait with it, then answers all.
    fn group(
        &mut self,
        first: Order,
        orders: &Receiver<Order>,
        written: &mut Vec<oneshot::Sender<Result<(), Refusal>>>,
    ) {
        let mut next = Some(first);
        while let Some(Order { parcel, done }) = next.take() {
            match self.append(&parcel) {
                Ok(()) => written.push(done),
                Err(refusal) => {
                    let _nobody_waits = done.send(Err(refusal));
                }
            }
            if written.len() < GROUP {
                next = orders.try_recv().ok();
            }
        }
        let outcome = self.sync();
        for done in written.drain(..) {
            let _nobody_waits = done.send(outcome.clone());
        }
    }

    fn append(&mut self, parcel: &Parcel) -> Result<(), Refusal> {
        if parcel.kind != Kind::LOGS {
            return self.spans.append(parcel);
        }
        if self.logs.is_none() {
            let folder = self.options.folder.join(LOGS);
            let lane = Lane::open(&folder, self.options.sync, &self.clock);
            self.logs = Some(lane.map_err(|error| Refusal::Unwritable(error.to_string()))?);
        }
        self.logs
            .as_mut()
            .map_or(Ok(()), |logs| logs.append(parcel))
    }

    /// Forces a group onto the disk, where that is asked for.
    fn sync(&mut self) -> Result<(), Refusal> {
        if self.options.sync != SyncPolicy::Always {
            return Ok(());
        }
        let lanes = [Some(&mut self.spans), self.logs.as_mut()];
        for lane in lanes.into_iter().flatten() {
            let synced = lane.writer.sync();
            synced.map_err(|error| Refusal::Unwritable(error.to_string()))?;
        }
        Ok(())
    }

    fn policy(&self) -> Policy {
        Policy {
            unshipped_flags: LOCAL,
            ..self.options.policy
        }
    }
}
