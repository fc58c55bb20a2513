//! Which jobs a claim may choose among: those of the entries with which the lines of its queues
//! begin, as many as it needs.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use longshore_core::waiting::{Line as JobLine, Waiting};
use longshore_core::{ClaimRequest, ErrorKind, JobState, Kind, QueueName, StoreError, Timestamp};

use super::ObjectStore;
use super::claim::waiting;
use super::index::Entry;
use super::lines::Known;
use super::load::At;
use super::turns::Turns;
use crate::batch_key::{BatchKey, BatchName, Line};
use crate::key::Key;
use crate::ledger::Standing;
use crate::mutation::Mutation;
use crate::queues::Queue;

/// A job that may be claimed: the number of its place, and its index.
pub(super) type Number = (usize, u16);

/// Where jobs lie that may be claimed.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// A batch of which it is known what waits.
    Seen(At),
    /// One of which there is no more than its entry in a listing.
    Unseen(BatchKey),
}

/// What a claim chooses among.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    pub(super) due: Waiting<Number>,
    pub(super) places: Vec<Place>,
    /// An entry that could not be read. Others can be claimed from all the same.
    pub(super) failed: Option<StoreError>,
}

/// How far the search for jobs has come.
struct Search<'c> {
    request: &'c ClaimRequest,
    turns: &'c Turns,
    now: Timestamp,
    /// Most batches that are still to be read.
    looks: usize,
    found: Candidates,
}

impl Search<'_> {
    /// Whether no more counts than priority and due time.
    const fn is_plain(&self) -> bool {
        self.request.quotas.is_empty() && self.request.spread.is_none()
    }
}

/// How many jobs of a line were found, and how many of them come before all others.
#[derive(Default)]
struct Tally {
    certain: usize,
    /// The due times of the others, the earliest first.
    open: BinaryHeap<Reverse<Timestamp>>,
}

impl Tally {
    fn found(&self) -> usize {
        self.certain + self.open.len()
    }

    /// The entries that follow are due from `due` on.
    fn go_on(&mut self, due: Timestamp) {
        while self.open.peek().is_some_and(|Reverse(first)| *first <= due) {
            self.open.pop();
            self.certain += 1;
        }
    }
}

impl ObjectStore {
    /// Most batches that a claim reads to find out what they have.
    const MAX_READS: usize = 100;
    /// Most pages of a line that a claim looks at.
    const MAX_PAGES: usize = 4;

    /// The lines of these queues, if nobody paused them, or of all.
    pub(super) async fn lines_of(
        &self,
        queues: Option<&[QueueName]>,
    ) -> Result<Vec<Line>, StoreError> {
        let known = self.queues().await?;
        let asked = |queue: &&Queue| match queues {
            Some(queues) => !queue.paused && queues.contains(&queue.name),
            None => true,
        };
        let asked = known.all().iter().filter(asked);
        Ok(asked.flat_map(Queue::lines).collect())
    }

    pub(super) async fn candidates(
        &self,
        request: &ClaimRequest,
        turns: &Turns,
    ) -> Result<Candidates, StoreError> {
        let mut lines = self.lines_of(Some(&request.queues)).await?;
        lines.sort_by_key(|line| (line.queue, line.priority, turns.order(line.shard)));
        let mut search = Search {
            request,
            turns,
            now: self.bounds().middle(),
            looks: Self::MAX_READS,
            found: Candidates::default(),
        };
        // The shards of one queue and priority are one line to the claim.
        let mut last = None;
        let mut need = 0;
        for line in lines {
            let of = (line.queue, line.priority);
            if last != Some(of) {
                (last, need) = (Some(of), request.limit);
            }
            if need > 0 || !search.is_plain() {
                let found = self.search_line(line, need, &mut search).await?;
                need = need.saturating_sub(found);
            }
        }
        Ok(search.found)
    }

    /// Adds what a line has, if possible as much as is needed; how much that was.
    async fn search_line(
        &self,
        line: Line,
        need: usize,
        search: &mut Search<'_>,
    ) -> Result<usize, StoreError> {
        let (least, most) = (self.tuning.poll_least, self.tuning.poll_most);
        for _ in 0..Self::MAX_PAGES {
            let page = self.due_in(line, Known::InTime).await?;
            let last = page.entries.last().map(|entry| entry.key.clone());
            let mut tally = Tally::default();
            if search.is_plain() && self.lines.wants_marks(line) {
                self.mark_taken(line, &page.entries, search.now).await?;
            }
            let entries = self.in_turn(page.entries, search);
            let is_sorted = search.turns.of() == 1;
            for entry in entries {
                let due = entry.due().unwrap_or_default();
                tally.go_on(time_of(due));
                let certain = if is_sorted {
                    tally.certain
                } else {
                    tally.found()
                };
                if search.is_plain() && certain >= need {
                    break;
                }
                self.offer(&entry, search, &mut tally).await?;
            }
            let is_idle = tally.found() == 0;
            if page.is_fresh {
                self.lines.rate(line, least, most, !is_idle);
            }
            let Some(last) = last.filter(|_| is_idle && page.is_cut) else {
                return Ok(tally.found());
            };
            self.lines.pass_over(line, &last, search.now);
        }
        Ok(0)
    }

    /// Entries in the order in which this worker goes for them: of the first that may have jobs, its
    /// own. Only of the first, so that none waits for a worker that is not there any more.
    fn in_turn(&self, entries: Vec<Entry>, search: &Search<'_>) -> Vec<Entry> {
        let of = search.turns.of();
        if of == 1 {
            return entries;
        }
        let mut window = 16 * of;
        let rank = |entry: &Entry| {
            if !self.may_have_jobs(entry, search.now) {
                return 0;
            }
            window = window.saturating_sub(1);
            match entry.at().is_some_and(|at| search.turns.is_own(at.name, 0)) {
                _ if window == 0 => 2,
                true => 0,
                false => 1,
            }
        };
        let ranks: Vec<u8> = entries.iter().map(rank).collect();
        let mut ranked: Vec<(u8, Entry)> = ranks.into_iter().zip(entries).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, entry)| entry).collect()
    }

    /// Adds the jobs of an entry that wait and are due.
    async fn offer(
        &self,
        entry: &Entry,
        search: &mut Search<'_>,
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        let Some(at) = entry.at() else {
            return Ok(());
        };
        if self.trusted(at, search.now).is_none() {
            if let Some(key) = self.unseen(entry, search) {
                return self.add_unseen(key, search, tally).await;
            }
            let cell = self.cells.of(at.name);
            if search.looks == 0 || cell.was_missed(search.now, Self::TRUSTED_FOR) {
                return Ok(());
            }
            search.looks -= 1;
            if cell.was_taken(search.now, Self::TRUSTED_FOR) && self.is_busy(at, search.now).await?
            {
                cell.miss(search.now);
                return Ok(());
            }
        }
        let met = match self.meet_entry(entry, false).await {
            Ok(met) => met,
            Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
            // An object that cannot be read keeps nobody from the others.
            Err(error) => {
                search.found.failed.get_or_insert(error);
                return Ok(());
            }
        };
        let Some((at, state)) = met else {
            return Ok(());
        };
        let place = search.found.places.len();
        for (index, row) in waiting(&state) {
            if row.due <= search.now {
                search.found.due.insert(row.line(), row.due, (place, index));
                tally.open.push(Reverse(row.due));
            }
        }
        search.found.places.push(Place::Seen(at));
        Ok(())
    }

    /// Whether others have every job of a batch that is due. Their ledger alone says so.
    async fn is_busy(&self, at: At, now: Timestamp) -> Result<bool, StoreError> {
        let Some((ledger, ..)) = self.get_ledger(at).await? else {
            return Ok(false);
        };
        let is_busy = |standing: &Standing| match standing {
            Standing::AsEnqueued => false,
            Standing::Absent => true,
            Standing::Changed(row) => match row.state {
                JobState::Running => true,
                state => state.is_waiting() && row.available_at.is_some_and(|due| due > now),
            },
        };
        Ok(ledger.generation > 0 && ledger.standings.iter().all(is_busy))
    }

    /// Finds out by listings which of these entries have a ledger, and so belong to others.
    async fn mark_taken(
        &self,
        line: Line,
        entries: &[Entry],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let names = entries.iter().filter_map(|entry| match &entry.key {
            Key::Batch(key) => Some(key.name),
            _ => None,
        });
        let unknown: BTreeSet<BatchName> = names
            .filter(|name| self.cells.known(*name).is_none())
            .collect();
        let (Some(first), Some(last)) = (unknown.first(), unknown.last()) else {
            return Ok(());
        };
        let end = format!("l/{}/{last}~", line.shard);
        // Before the first of them, which ends in a number.
        let mut after = Some(format!("l/{}/{:032x}", line.shard, first.uuid()));
        for _ in 0..Self::MAX_PAGES {
            let (ledgers, next) = self
                .list_ledgers(line.shard, after.as_deref(), &end)
                .await?;
            let names = ledgers.iter().map(|ledger| ledger.at.name);
            for name in names.filter(|name| unknown.contains(name)) {
                self.cells.of(name).take(now);
            }
            if next.is_none() {
                break;
            }
            after = next;
        }
        Ok(())
    }

    /// The batch of an entry of which nothing is known, if jobs can be claimed from it unseen: all of
    /// them are alike to the claim, and surely due.
    fn unseen(&self, entry: &Entry, search: &Search<'_>) -> Option<BatchKey> {
        let Key::Batch(key) = &entry.key else {
            return None;
        };
        let is_known = self.cells.known(key.name).is_some();
        let is_due = key.due < BatchKey::due_millis(search.now);
        let is_void = key.name.is_void(entry.modified) && !Mutation::NoVoid.is_on();
        let is_others = || {
            let cell = self.cells.of(key.name);
            cell.was_missed(search.now, Self::TRUSTED_FOR)
                || cell.was_taken(search.now, Self::TRUSTED_FOR)
        };
        (search.is_plain() && !is_known && is_due && !is_void && !is_others()).then_some(*key)
    }

    async fn add_unseen(
        &self,
        key: BatchKey,
        search: &mut Search<'_>,
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        let queues = self.queues().await?;
        let queue = queues
            .all()
            .iter()
            .find(|queue| queue.code == key.line.queue);
        // A claim that asks for no kind does not mind which one it is.
        let (Some(queue), Ok(kind)) = (queue, "unseen".parse::<Kind>()) else {
            return Ok(());
        };
        let line = JobLine {
            queue: queue.name.clone(),
            tenant: String::new(),
            kind,
            priority: key.line.priority,
        };
        let (due, place) = (key.due_at(), search.found.places.len());
        for index in 0..key.name.jobs() {
            search.found.due.insert(line.clone(), due, (place, index));
            tally.open.push(Reverse(due));
        }
        search.found.places.push(Place::Unseen(key));
        Ok(())
    }

    /// Whether a job of these queues waits and is due, as far as is known.
    pub(super) async fn is_any_due(&self, queues: &[QueueName]) -> Result<bool, StoreError> {
        let (least, most) = (self.tuning.poll_least, self.tuning.poll_most);
        for line in self.lines_of(Some(queues)).await? {
            let page = self.due_in(line, Known::InTime).await?;
            let now = self.bounds().middle();
            let found = page
                .entries
                .iter()
                .any(|entry| self.may_have_jobs(entry, now));
            if page.is_fresh {
                self.lines.rate(line, least, most, found);
            }
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn may_have_jobs(&self, entry: &Entry, now: Timestamp) -> bool {
        let Some(at) = entry.at() else {
            return false;
        };
        match self.trusted(at, now) {
            Some(state) => waiting(&state).any(|(_, row)| row.due <= now),
            None => !self.cells.of(at.name).was_missed(now, Self::TRUSTED_FOR),
        }
    }
}

fn time_of(millis: u64) -> Timestamp {
    Timestamp::from_unix_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}
