//! Where the claims of this process begin to look.
//!
//! While some transaction is old, the server cannot clean up what ran since, and whoever begins at
//! the beginning of a line passes over all of it. So once that takes long, claims begin at a mark:
//! the place in the line that the claims of this process had reached a moment before. What comes
//! to lie before the mark late, since its transaction took longer than that moment, is found by the
//! claim that looks from the beginning once a second.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A claim that chose for longer than this, and [`SLOW_FOR_EACH`] job, passed over too much.
const SLOW: Duration = Duration::from_millis(5);
const SLOW_FOR_EACH: Duration = Duration::from_micros(50);
/// Marks are older than this: what was not there yet, or locked, when a claim passed it by, is met
/// again by the claims of this long.
const AGE: Duration = Duration::from_millis(250);
/// How often one claim looks from the beginning.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The part of the time that such claims may take, as how many times longer the others last.
const LOOK_SHARE: u32 = 9;
/// Most queues that have marks; whoever has more begins anew with them.
const MAX_QUEUES: usize = 1000;

/// A place in a line: due time, then seq.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) due: i64,
    pub(crate) seq: i64,
}

impl Position {
    /// Before every job.
    pub(crate) const BEGINNING: Self = Self {
        due: i64::MIN,
        seq: i64::MIN,
    };
}

/// The marks of all lines: a line for each queue and priority.
#[derive(Debug, Default)]
pub(crate) struct Marks(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    aged_at: Option<Instant>,
    /// Counts how often a mark was moved back: what claims that began before that have reached
    /// says nothing any more.
    moved_back: u64,
    /// Those in which looking from the beginning is slow; in all others each claim does.
    queues: HashMap<String, Queue>,
}

#[derive(Debug)]
struct Queue {
    /// When a claim is to look from the beginning again.
    look_at: Instant,
    marks: [Mark; 4],
}

/// How far a line was looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    /// Where claims begin.
    begin: Position,
    /// What becomes that once it is old enough.
    next: Position,
    /// How far claims have come.
    reached: Position,
}

impl Mark {
    const NONE: Self = Self {
        begin: Position::BEGINNING,
        next: Position::BEGINNING,
        reached: Position::BEGINNING,
    };
}

const NONE: [Mark; 4] = [Mark::NONE; 4];

/// Where a claim begins.
#[derive(Debug)]
pub(crate) struct Begin {
    moved_back: u64,
    /// For each queue the places of priorities 1 to 4; `None`: everywhere at the beginning.
    pub(crate) at: Option<Vec<Position>>,
}

/// What a claim saw.
#[derive(Debug)]
pub(crate) struct Seen {
    /// How long it took to choose.
    pub(crate) took: Duration,
    /// How many jobs were chosen.
    pub(crate) jobs: usize,
    /// Of each queue the place after which nothing was looked at, if anything was, by priority.
    pub(crate) reached: HashMap<String, [Option<Position>; 4]>,
}

impl Marks {
    /// Where a claim of these queues begins.
    pub(crate) fn begin(&self, queues: &[&str], now: Instant) -> Begin {
        let mut lines = self.lines();
        let moved_back = lines.moved_back;
        let is_due = |queue: &&str| {
            let queue = lines.queues.get(*queue);
            queue.is_none_or(|queue| queue.look_at <= now)
        };
        let at = match queues.iter().any(is_due) {
            true => {
                // This claim looks; the others go on meanwhile.
                lines.look_in(queues, now + LOOK_EVERY);
                None
            }
            false => Some(lines.positions(queues)),
        };
        lines.age(now);
        Begin { moved_back, at }
    }

    /// The place from which to look whether anything waits in these queues, for priorities 1 to 4
    /// of each.
    pub(crate) fn peek(&self, queues: &[&str]) -> Vec<Position> {
        self.lines().positions(queues)
    }

    /// Takes note of what a claim of these queues saw.
    pub(crate) fn end(&self, queues: &[&str], begin: &Begin, seen: Seen, now: Instant) {
        let mut lines = self.lines();
        if begin.at.is_some() {
            if lines.moved_back == begin.moved_back {
                lines.reach(seen.reached, |_mark, _at| false);
            }
            return;
        }
        let jobs = u32::try_from(seen.jobs).unwrap_or(u32::MAX);
        if seen.took <= SLOW + SLOW_FOR_EACH.saturating_mul(jobs) {
            lines.forget(queues);
            return;
        }
        let look_at = now + LOOK_EVERY.max(seen.took.saturating_mul(LOOK_SHARE));
        lines.remember(queues, look_at);
        lines.aged_at.get_or_insert(now);
        lines.reach(seen.reached, |mark, at| at < mark.begin);
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        // Marks are only where to begin: any are right.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn positions(&self, queues: &[&str]) -> Vec<Position> {
        let marks = queues
            .iter()
            .map(|queue| self.queues.get(*queue).map_or(&NONE, |queue| &queue.marks));
        marks.flatten().map(|mark| mark.begin).collect()
    }

    fn look_in(&mut self, queues: &[&str], look_at: Instant) {
        for queue in queues {
            if let Some(queue) = self.queues.get_mut(*queue) {
                queue.look_at = look_at;
            }
        }
    }

    fn remember(&mut self, queues: &[&str], look_at: Instant) {
        for queue in queues {
            if self.queues.len() >= MAX_QUEUES && !self.queues.contains_key(*queue) {
                self.queues.clear();
                self.moved_back += 1;
            }
            let marks = NONE;
            let queue = self.queues.entry((*queue).to_owned());
            queue.or_insert(Queue { look_at, marks });
        }
        self.look_in(queues, look_at);
    }

    fn forget(&mut self, queues: &[&str]) {
        for queue in queues {
            if self.queues.remove(*queue).is_some() {
                self.moved_back += 1;
            }
        }
    }

    /// Makes marks of what was reached long enough ago.
    fn age(&mut self, now: Instant) {
        let aged_at = *self.aged_at.get_or_insert(now);
        if now < aged_at + AGE {
            return;
        }
        self.aged_at = Some(now);
        let queues = self.queues.values_mut();
        for mark in queues.flat_map(|queue| &mut queue.marks) {
            mark.begin = mark.next;
            mark.next = mark.reached;
        }
    }

    /// Moves marks on, or back to where `is_back` says so.
    fn reach(
        &mut self,
        reached: HashMap<String, [Option<Position>; 4]>,
        is_back: fn(&Mark, Position) -> bool,
    ) {
        for (queue, positions) in reached {
            let Some(queue) = self.queues.get_mut(&queue) else {
                continue;
            };
            for (mark, at) in queue.marks.iter_mut().zip(positions) {
                let Some(at) = at else { continue };
                if is_back(mark, at) {
                    (mark.begin, mark.next, mark.reached) = (at, at, at);
                    self.moved_back += 1;
                }
                mark.reached = mark.reached.max(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(due: i64) -> Position {
        Position { due, seq: 7 }
    }

    fn seen(took: Duration, due: i64) -> Seen {
        Seen {
            took,
            jobs: 1,
            reached: HashMap::from([("q".to_owned(), [None, Some(at(due)), None, None])]),
        }
    }

    const LONG: Duration = Duration::from_millis(50);

    fn second(begin: &Begin) -> Option<Position> {
        begin.at.as_ref().map(|positions| positions[1])
    }

    #[test]
    fn claims_begin_at_the_beginning_while_that_is_quick() {
        let (marks, now) = (Marks::default(), Instant::now());
        for due in 1..5 {
            let begin = marks.begin(&["q"], now + AGE * 9);
            assert!(begin.at.is_none());
            marks.end(&["q"], &begin, seen(SLOW, due), now);
        }
        assert_eq!(marks.peek(&["q", "r"]), [Position::BEGINNING; 8]);
    }

    #[test]
    fn what_was_reached_is_a_mark_only_once_a_claim_came_after_its_age() {
        let (marks, now) = (Marks::default(), Instant::now());
        let begin = marks.begin(&["q"], now);
        marks.end(&["q"], &begin, seen(LONG, 10), now);
        let begin = marks.begin(&["q"], now);
        assert_eq!(second(&begin), Some(Position::BEGINNING));
        marks.end(&["q"], &begin, seen(LONG, 20), now);
        let begun = |after: u32| second(&marks.begin(&["q"], now + AGE * after));
        // Whoever begins as the marks grow older still looks at what was not old enough before.
        assert_eq!(begun(1), Some(Position::BEGINNING));
        assert_eq!(begun(2), Some(Position::BEGINNING));
        assert_eq!(begun(2), Some(at(20)));
        assert_eq!(marks.peek(&["q"])[1], at(20));
        assert_eq!(marks.peek(&["q"])[2], Position::BEGINNING);
    }

    #[test]
    fn one_claim_a_second_looks_from_the_beginning_and_moves_marks_back() {
        let (marks, now) = (Marks::default(), Instant::now());
        let begin = marks.begin(&["q"], now);
        marks.end(&["q"], &begin, seen(LONG, 10), now);
        for step in 1..4 {
            marks.begin(&["q"], now + AGE * step);
        }
        let soon = now + LOOK_EVERY;
        let looks = marks.begin(&["q"], soon);
        let other = marks.begin(&["q"], soon);
        assert_eq!((second(&looks), second(&other)), (None, Some(at(10))));
        marks.end(&["q"], &looks, seen(LONG, 3), soon);
        assert_eq!(second(&marks.begin(&["q"], soon)), Some(at(3)));
        // What this one reached had begun behind what was found.
        marks.end(&["q"], &other, seen(LONG, 99), soon);
        for step in 1..4 {
            marks.begin(&["q"], soon + AGE * step);
        }
        assert_eq!(marks.peek(&["q"])[1], at(3));
    }

    #[test]
    fn looks_take_a_bounded_part_of_the_time_and_end_marks_once_they_are_quick() {
        let (marks, now) = (Marks::default(), Instant::now());
        let begin = marks.begin(&["q"], now);
        let took = Duration::from_secs(2);
        marks.end(&["q"], &begin, seen(took, 10), now);
        assert!(marks.begin(&["q"], now + took * 8).at.is_some());
        let begin = marks.begin(&["q"], now + took * LOOK_SHARE);
        assert!(begin.at.is_none());
        marks.end(&["q"], &begin, seen(SLOW, 11), now);
        assert!(marks.begin(&["q"], now).at.is_none());
        assert!(marks.begin(&["q"], now).at.is_none());
    }

    #[test]
    fn each_queue_is_looked_through_in_its_time_whoever_looks_elsewhere() {
        let (marks, now) = (Marks::default(), Instant::now());
        for queue in ["q", "r"] {
            let begin = marks.begin(&[queue], now);
            marks.end(&[queue], &begin, seen(LONG, 10), now);
        }
        let soon = now + LOOK_EVERY;
        assert!(marks.begin(&["r"], soon).at.is_none());
        assert!(marks.begin(&["q", "r"], soon).at.is_none());
        assert!(marks.begin(&["q", "r"], soon).at.is_some());
        assert!(marks.begin(&["q", "new"], soon).at.is_none());
    }

    #[test]
    fn marks_are_bounded() {
        let (marks, now) = (Marks::default(), Instant::now());
        for queue in 0..2 * MAX_QUEUES {
            let queue = queue.to_string();
            let begin = marks.begin(&[&queue], now);
            marks.end(&[&queue], &begin, seen(LONG, 1), now);
        }
        assert!(marks.lines().queues.len() <= MAX_QUEUES);
    }
}
