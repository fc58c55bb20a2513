//! A line between an exporter and its receiver that a test breaks.
//!
//! [`FaultyLine`] listens on a free port of the loopback interface and carries bytes to a receiver
//! and back, unless it is told otherwise. It knows nothing of what it carries; for answers such as
//! 503 see [`Behaviour`](crate::collector::Behaviour).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use longshore_core::Random;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

use crate::SeededRandom;
use crate::port::bound;

/// Bytes that are carried at once.
const CHUNK: usize = 16 << 10;
/// Connections that wait to be accepted.
const WAITING: u32 = 64;

/// What is wrong with the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Nobody listens: connections are refused.
    Refused,
    /// Connections are accepted, what they say is swallowed, and no answer comes.
    BlackHole,
    /// So many bytes at a time get through in each direction, with a pause after them.
    Slow {
        /// Bytes at a time, at least one.
        bytes: usize,
        /// The pause after them.
        pause: Duration,
    },
    /// The connection is reset once so many bytes of what the exporter says were carried.
    ResetRequest(usize),
    /// The connection is reset once so many bytes of the answers were carried. With 0, the
    /// receiver gets whole requests, and the exporter never hears of it.
    ResetAnswer(usize),
    /// Each connection is reset at a place of its own, in what either side says, as the seed has
    /// it; one in four is left alone.
    Erratic {
        /// What the places follow from.
        seed: u64,
    },
}

/// A line to a receiver. Dropping it closes it.
///
/// ```
/// use longshore_testkit::collector::Collector;
/// use longshore_testkit::faulty_line::{Fault, FaultyLine};
/// let collector = Collector::start()?;
/// let line = FaultyLine::to(collector.address())?;
/// line.set(Fault::Refused);
/// assert!(std::net::TcpStream::connect(line.address()).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct FaultyLine {
    address: SocketAddr,
    fault: Option<watch::Sender<Fault>>,
    state: watch::Receiver<Fault>,
    connections: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl FaultyLine {
    /// A line to a receiver, on a thread of its own.
    ///
    /// # Errors
    /// If no port can be bound, or no thread started.
    pub fn to(receiver: SocketAddr) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _within = runtime.enter();
            bound((Ipv4Addr::LOCALHOST, 0).into())?.listen(WAITING)?
        };
        let address = listener.local_addr()?;
        let (fault, wanted) = watch::channel(Fault::None);
        let (told, state) = watch::channel(Fault::None);
        let connections = Arc::new(AtomicU64::new(0));
        let operator = Operator {
            address,
            receiver,
            wanted,
            told,
            connections: Arc::clone(&connections),
        };
        let thread = std::thread::Builder::new()
            .name("faulty-line".to_owned())
            .spawn(move || runtime.block_on(operator.run(listener)))?;
        Ok(Self {
            address,
            fault: Some(fault),
            state,
            connections,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Breaks or mends it. Connections that are open are reset, and once this returns the next one
    /// meets the fault.
    pub fn set(&self, fault: Fault) {
        let Some(sender) = &self.fault else { return };
        sender.send_replace(fault);
        let mut state = self.state.clone();
        // The thread may have ended with an error: then nothing gets through in any case.
        while *state.borrow_and_update() != fault && state.has_changed().is_ok() {
            std::thread::yield_now();
        }
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for FaultyLine {
    fn drop(&mut self) {
        self.fault = None;
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Who works the line.
struct Operator {
    address: SocketAddr,
    receiver: SocketAddr,
    wanted: watch::Receiver<Fault>,
    told: watch::Sender<Fault>,
    connections: Arc<AtomicU64>,
}

impl Operator {
    /// Runs until the line is dropped.
    async fn run(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        loop {
            let fault = *self.wanted.borrow_and_update();
            // Kept while nobody listens, so that nobody else can.
            let mut reserved = None;
            if fault == Fault::Refused {
                listener = None;
                reserved = self.reserved().await;
            } else if listener.is_none() {
                let socket = self.reserved().await;
                listener = socket.and_then(|socket| socket.listen(WAITING).ok());
            }
            self.told.send_replace(fault);
            let changed = match &listener {
                Some(listener) => self.accept(listener, fault).await,
                None => self.wanted.clone().changed().await.is_ok(),
            };
            drop(reserved);
            if !changed {
                return;
            }
        }
    }

    /// The port again, which may take a moment after it was listened at.
    async fn reserved(&self) -> Option<TcpSocket> {
        for _try in 0..1000 {
            if let Ok(socket) = bound(self.address) {
                return Some(socket);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        None
    }

    /// Serves connections until another fault is wanted; false if none ever will be.
    async fn accept(&self, listener: &TcpListener, fault: Fault) -> bool {
        let mut wanted = self.wanted.clone();
        // Dropped at the end, and with it all tasks.
        let mut carried = tokio::task::JoinSet::new();
        let random = match fault {
            Fault::Erratic { seed } => SeededRandom::new(seed),
            _ => SeededRandom::new(0),
        };
        let going_on = loop {
            tokio::select! {
                changed = wanted.changed() => break changed.is_ok(),
                accepted = listener.accept() => {
                    let Ok((stream, _peer)) = accepted else { continue };
                    self.connections.fetch_add(1, Ordering::SeqCst);
                    carried.spawn(carry(stream, self.receiver, of_connection(fault, &random)));
                }
                Some(_ended) = carried.join_next() => {}
            }
        };
        carried.shutdown().await;
        going_on
    }
}

/// What one connection meets.
fn of_connection(fault: Fault, random: &SeededRandom) -> Fault {
    if !matches!(fault, Fault::Erratic { .. }) {
        return fault;
    }
    let place = usize::try_from(random.next_u64() % 40_000).unwrap_or_default();
    match random.next_u64() % 4 {
        0 => Fault::None,
        1 => Fault::ResetAnswer(place % 200),
        _ => Fault::ResetRequest(place),
    }
}

/// Carries one connection to its end.
async fn carry(stream: TcpStream, receiver: SocketAddr, fault: Fault) {
    // Whichever way it ends, the peer hears of it at once, as a reset.
    let _best_effort = stream.set_zero_linger();
    let _best_effort = stream.set_nodelay(true);
    if fault == Fault::BlackHole {
        let (mut from, _to) = stream.into_split();
        let mut buffer = vec![0; CHUNK];
        while from.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        return;
    }
    let Ok(behind) = TcpStream::connect(receiver).await else {
        return;
    };
    let _best_effort = behind.set_nodelay(true);
    let (from_exporter, to_exporter) = stream.into_split();
    let (from_receiver, to_receiver) = behind.into_split();
    let (of_request, of_answer) = match fault {
        Fault::ResetRequest(bytes) => (Some(bytes), None),
        Fault::ResetAnswer(bytes) => (None, Some(bytes)),
        _ => (None, None),
    };
    // The first direction that ends takes the other one with it.
    tokio::select! {
        () = one_way(from_exporter, to_receiver, of_request, fault) => {}
        () = one_way(from_receiver, to_exporter, of_answer, fault) => {}
    }
}

/// Carries one direction until it ends, or so many bytes were carried.
async fn one_way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    limit: Option<usize>,
    fault: Fault,
) {
    let (at_once, pause) = match fault {
        Fault::Slow { bytes, pause } => (bytes.clamp(1, CHUNK), pause),
        _ => (CHUNK, Duration::ZERO),
    };
    let mut left = limit.unwrap_or(usize::MAX);
    let mut buffer = vec![0; at_once];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let carried = read.min(left);
        let bytes = buffer.get(..carried).unwrap_or_default();
        if to.write_all(bytes).await.is_err() {
            return;
        }
        left -= carried;
        if left == 0 {
            return;
        }
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}
