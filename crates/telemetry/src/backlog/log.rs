//! The backlog in a span log.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longshore_core::{Clock, Random, Timestamp};
use longshore_spanlog::{
    AppendError, Class, Compression, Frame, FrameHeader, Holdings, Kind, LogError, Policy,
    Position, Recent, Scope, Shipping, Writer, WriterId, WriterOptions, survey, sweep_if_due,
};

use super::between::Between;
use super::{Handed, Mark, Parcel, Refused, Stage};
use crate::counters::{DropReason, Tally};
use crate::open_spans::OpenFrame;

/// How often the folder is brought within its bounds.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Flags of a frame: its body begins with the number of a hold.
const HELD: u8 = 1;
const RELEASED: u8 = 2;
/// The flag of a frame that was written where nothing was exported: it is for those who look at it
/// on this machine, also if somebody exports later.
const LOCAL: u8 = 0x80;
/// Bytes of that number.
const NUMBER: usize = 8;
/// Most bytes of what was written that are held for the exporter of this process too, so that it
/// need not read them back.
const RECENT_BYTES: usize = 4 << 20;
/// Most bytes of a parcel: what most receivers take.
pub(super) const MAX_BYTES: usize = (4 << 20) - NUMBER;

/// Where the span log is and how much it may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanLogSettings {
    /// Its folder, which processes of this machine may share.
    pub folder: PathBuf,
    /// What the folder may hold.
    pub policy: Policy,
}

impl SpanLogSettings {
    /// What lies in the folder.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn holdings(&self) -> Result<Holdings, LogError> {
        survey(&self.folder, |header| header.flags & LOCAL == 0)
    }
}

/// The end that this process appends to.
#[derive(Debug)]
pub(crate) struct LogInlet {
    writer: Writer,
    /// What it wrote last, if somebody exports it.
    recent: Option<Recent>,
    between: Arc<Between>,
    policy: Policy,
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    next_sweep: Duration,
    /// Whether anybody exports: if not, what retention deletes is no loss.
    is_exported: bool,
    /// Bytes and spans that were written.
    written: (u64, u64),
    /// What the bodies of its frames are.
    kind: Kind,
    tally: Arc<Tally>,
}

impl LogInlet {
    pub(crate) fn open(
        settings: &SpanLogSettings,
        is_exported: bool,
        clock: Arc<dyn Clock>,
        random: &dyn Random,
        tally: Arc<Tally>,
    ) -> Result<Self, LogError> {
        let options = WriterOptions {
            max_frame_bytes: MAX_BYTES + NUMBER,
            ..WriterOptions::default()
        };
        let mut writer = Writer::open(&settings.folder, options, Arc::clone(&clock), random)?;
        Ok(Self {
            recent: is_exported.then(|| writer.remember(RECENT_BYTES)),
            writer,
            between: Arc::default(),
            policy: Policy {
                unshipped_flags: LOCAL,
                ..settings.policy
            },
            folder: settings.folder.clone(),
            next_sweep: clock.monotonic(),
            clock,
            is_exported,
            written: (0, 0),
            kind: Kind::SPANS,
            tally,
        })
    }

    /// The same for another kind of telemetry.
    pub(crate) fn holding(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// The other end.
    pub(crate) fn outlet(&self) -> LogOutlet {
        LogOutlet::open(self)
    }

    pub(crate) fn append(&mut self, parcel: &Parcel) -> Result<(), Refused> {
        self.look_after_the_folder()?;
        // What is held is written again once it is released, and waits for nobody before.
        let for_good = if matches!(parcel.stage, Stage::Held(_)) {
            0
        } else {
            parcel.spans
        };
        let unread = if self.is_exported { for_good } else { 0 };
        // Before the reader can have it, who takes it off again.
        self.between.written(unread);
        self.write(parcel)
            .inspect_err(|_refused| self.between.left(unread))?;
        self.tally.logged(for_good);
        self.press();
        Ok(())
    }

    /// Makes it anew if it was removed, and counts what went with it.
    fn look_after_the_folder(&mut self) -> Result<(), Refused> {
        match self.writer.revive() {
            Ok(false) => {}
            Ok(true) => {
                let lost = self.between.removed();
                self.tally.dropped(DropReason::LogError, lost);
            }
            Err(error) => {
                return Err(Refused {
                    reason: DropReason::LogError,
                    what: error.to_string(),
                });
            }
        }
        Ok(())
    }

    fn write(&mut self, parcel: &Parcel) -> Result<(), Refused> {
        let (flags, number) = match parcel.stage {
            Stage::Final => (0, None),
            Stage::Held(number) => (HELD, Some(number)),
            Stage::Released(number) => (RELEASED, Some(number)),
        };
        let header = FrameHeader {
            kind: self.kind,
            class: parcel.class,
            compression: Compression::None,
            flags: if self.is_exported {
                flags
            } else {
                flags | LOCAL
            },
            spans: u32::try_from(parcel.spans).unwrap_or(u32::MAX),
            first: parcel.times.0,
            last: parcel.times.1,
        };
        let appended = match number {
            None => self.put(&header, &parcel.body),
            Some(number) => {
                let body = [number.to_le_bytes().as_slice(), &parcel.body].concat();
                self.put(&header, &body)
            }
        };
        appended.map(|()| {
            self.written.0 += as_u64(parcel.body.len());
            self.written.1 += as_u64(parcel.spans);
        })
    }

    /// Writes down what is open. Nobody exports it.
    pub(crate) fn append_open(&mut self, frame: &OpenFrame, now: Timestamp) -> Result<(), Refused> {
        self.look_after_the_folder()?;
        let header = FrameHeader {
            kind: Kind::OPEN,
            class: Class::Base,
            compression: Compression::None,
            flags: LOCAL,
            spans: u32::try_from(frame.spans).unwrap_or(u32::MAX),
            first: frame.first.unwrap_or(now),
            last: now,
        };
        self.put(&header, &frame.body)
    }

    fn put(&mut self, header: &FrameHeader, body: &[u8]) -> Result<(), Refused> {
        match self.writer.append(header, body) {
            // Readers have what the disk did not confirm.
            Ok(_) | Err(AppendError::Sync { .. }) => Ok(()),
            Err(error) => Err(Refused {
                reason: match &error {
                    AppendError::TooLarge { .. } => DropReason::TooLarge,
                    AppendError::Full { .. } => DropReason::DiskFull,
                    AppendError::Io { .. } | AppendError::Sync { .. } => DropReason::LogError,
                },
                what: error.to_string(),
            }),
        }
    }

    /// Says how much of the folder waits for the back end, by what a span takes on average.
    fn press(&self) {
        if !self.is_exported {
            return;
        }
        let (bytes, spans) = self.written;
        let waiting = self.tally.waiting().saturating_mul(bytes / spans.max(1));
        let used = usize::try_from(waiting).unwrap_or(usize::MAX);
        let room = usize::try_from(self.policy.max_bytes).unwrap_or(usize::MAX);
        self.tally.pressure.in_backlog(used, room);
    }

    pub(crate) fn tick(&mut self) {
        self.press();
        if let Err(error) = self.writer.tick() {
            tracing::debug!(target: "longshore", "the span log: {error}");
        }
        let now = self.clock.monotonic();
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP_EVERY;
        // Half of it, so that the one who swept last is not late for the next time.
        let every = SWEEP_EVERY / 2;
        match sweep_if_due(&self.folder, &self.policy, self.clock.now(), every) {
            Ok(swept) if self.is_exported => {
                let lost = Class::ALL.map(|class| swept.unshipped.of(class).spans);
                let lost = usize::try_from(lost.iter().sum::<u64>()).unwrap_or(usize::MAX);
                self.between.left(lost);
                self.tally.dropped(DropReason::Retention, lost);
            }
            Ok(_nothing_is_lost) => {}
            Err(error) => {
                tracing::debug!(target: "longshore", "the span log cannot be tidied: {error}");
            }
        }
    }
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The end that the exporter reads: what this process wrote, and what dead ones left.
#[derive(Debug)]
pub(crate) struct LogOutlet {
    shipping: Shipping,
    /// What is exported; frames of other kinds are passed over.
    kind: Kind,
    own: WriterId,
    between: Arc<Between>,
    /// Removals of the folder that were taken note of.
    removals: u64,
    /// What was held and not released yet, by writer and number: in parts, if it is large.
    held: BTreeMap<(WriterId, u64), Vec<Handed>>,
    /// Frames that were read, in order, for each writer and class: a position may move only past
    /// what is dealt with.
    under_way: BTreeMap<(WriterId, Class), VecDeque<(Position, bool)>>,
}

impl LogOutlet {
    fn open(inlet: &LogInlet) -> Self {
        let (own, between) = (inlet.writer.id(), Arc::clone(&inlet.between));
        let mut shipping = Shipping::open(&inlet.folder, Some(own), Scope::Orphans);
        if let Some(recent) = &inlet.recent {
            shipping = shipping.with_recent(recent.clone());
        }
        let mut outlet = Self {
            shipping,
            kind: inlet.kind,
            own,
            removals: between.removals(),
            between,
            held: BTreeMap::new(),
            under_way: BTreeMap::new(),
        };
        outlet.tick();
        outlet
    }

    pub(crate) fn next(&mut self) -> Option<Handed> {
        let handed = self.read()?;
        if handed.is_own {
            self.between.left(handed.spans);
        }
        Some(handed)
    }

    fn read(&mut self) -> Option<Handed> {
        let removals = self.between.removals();
        if removals != self.removals {
            self.removals = removals;
            // The file that is open was removed, and its spans are counted as lost.
            self.shipping.rewind();
            self.held.clear();
            self.under_way.clear();
        }
        loop {
            match self.shipping.next_frame() {
                Ok(Some(frame)) => {
                    if let Some(handed) = self.sort(frame) {
                        return Some(handed);
                    }
                }
                Ok(None) => return self.orphaned(),
                Err(error) => {
                    tracing::debug!(target: "longshore", "the span log cannot be read: {error}");
                    return None;
                }
            }
        }
    }

    /// Gives back what is to be exported of a frame.
    fn sort(&mut self, frame: Frame) -> Option<Handed> {
        let end = frame.end;
        let writer = end.file.writer();
        let lane = (writer, frame.header.class);
        self.under_way
            .entry(lane)
            .or_default()
            .push_back((end, false));
        let spans = usize::try_from(frame.header.spans).unwrap_or(usize::MAX);
        let body = Bytes::from(frame.body);
        let is_own = writer == self.own;
        let handed = |body| Handed {
            body,
            spans,
            is_own,
            mark: Mark::Log(end),
        };
        if frame.header.flags & LOCAL != 0 {
            self.delivered(end);
            return None;
        }
        match numbered(frame.header.flags, &body) {
            Some((HELD, number, body)) => {
                let parts = self.held.entry((writer, number)).or_default();
                parts.push(handed(body));
                None
            }
            Some((_released, number, body)) => {
                let superseded = self.held.remove(&(writer, number));
                for part in superseded.into_iter().flatten() {
                    self.dealt_with(part.mark);
                }
                if spans == 0 {
                    self.delivered(end);
                    return None;
                }
                Some(handed(body))
            }
            None if frame.header.kind == self.kind
                && frame.header.compression == Compression::None =>
            {
                Some(handed(body))
            }
            // From a version that knows more.
            None => {
                self.delivered(end);
                None
            }
        }
    }

    /// What a dead process held and never released, once all that it wrote is read.
    fn orphaned(&mut self) -> Option<Handed> {
        let own = self.own;
        let mut orphans = self.held.iter_mut();
        let (key, parts) = orphans.find(|((writer, _), _)| *writer != own)?;
        let (key, part) = (*key, parts.remove(0));
        if parts.is_empty() {
            self.held.remove(&key);
        }
        Some(part)
    }

    pub(crate) fn dealt_with(&mut self, mark: Mark) {
        if let Mark::Log(end) = mark {
            self.delivered(end);
        }
    }

    fn delivered(&mut self, end: Position) {
        let lane = (end.file.writer(), end.file.class());
        let Some(under_way) = self.under_way.get_mut(&lane) else {
            return;
        };
        for (position, done) in under_way.iter_mut() {
            if *position == end {
                *done = true;
            }
        }
        while let Some((position, true)) = under_way.front().copied() {
            under_way.pop_front();
            self.shipping.delivered(position);
        }
    }

    pub(crate) fn save(&mut self) {
        if let Err(error) = self.shipping.save() {
            tracing::debug!(target: "longshore", "the exporter's position cannot be stored: {error}");
        }
    }

    pub(crate) fn tick(&mut self) {
        match self.shipping.claim() {
            Ok(claimed) => {
                for writer in claimed.finished {
                    self.under_way.retain(|(of, _), _| *of != writer);
                }
            }
            Err(error) => {
                tracing::debug!(target: "longshore", "the span log's folder cannot be read: {error}");
            }
        }
    }
}

/// The flag, the number of the hold and the spans of a frame that was held or released.
fn numbered(flags: u8, body: &Bytes) -> Option<(u8, u64, Bytes)> {
    if !matches!(flags, HELD | RELEASED) {
        return None;
    }
    let (number, _) = body.split_first_chunk::<NUMBER>()?;
    Some((flags, u64::from_le_bytes(*number), body.slice(NUMBER..)))
}

#[cfg(test)]
mod tests;
