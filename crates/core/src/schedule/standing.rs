//! How a schedule stands, and what it does next: a pure decision.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CatchUp, Schedule};
use crate::id::JobId;
use crate::time::Timestamp;

/// A store's clock that is set back by more than this makes a schedule look for its next tick
/// anew; by less, it waits until the clock has come so far again.
const SET_BACK: Duration = Duration::from_secs(3_600);

/// How a schedule stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// When it was added, or given another timetable; `@every` counts from here. Whole seconds.
    pub since: Timestamp,
    /// The next tick that nobody has dealt with; `None` if there is none any more. It is stored,
    /// so that all workers mean the same one, whatever each knows of time zones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// The store's time when `next` was found.
    pub as_of: Timestamp,
    /// The tick that fired last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// The `traceparent` of that firing, if it was traced: the next one links to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_trace: Option<String>,
    /// How many ticks have fired.
    #[serde(default)]
    pub fired: u64,
    /// How many passed without a job since no worker was there in time. Of a long gap in a cron
    /// expression, no more than 10,000 are counted.
    #[serde(default)]
    pub missed: u64,
    /// How many passed without a job since the one before was unfinished.
    #[serde(default)]
    pub held: u64,
    /// Whether it rests: ticks pass and are not caught up.
    #[serde(default)]
    pub paused: bool,
}

/// A schedule and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// What is to be enqueued, and when.
    #[serde(flatten)]
    pub schedule: Schedule,
    /// How it stands.
    pub standing: Standing,
}

/// What a schedule does now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The ticks that fire, oldest first.
    pub ticks: Vec<Timestamp>,
    /// How many are passed over before them.
    pub missed: u64,
    /// The first tick that is left for later.
    pub next: Option<Timestamp>,
}

impl Scheduled {
    /// A schedule that is added at `now`, the store's time. Its first tick is later than that.
    #[must_use]
    pub fn new(schedule: Schedule, now: Timestamp) -> Self {
        let since = whole_second(now);
        let mut added = Self {
            schedule,
            standing: Standing {
                since,
                next: None,
                as_of: now,
                last: None,
                last_trace: None,
                fired: 0,
                missed: 0,
                held: 0,
                paused: false,
            },
        };
        added.look_anew(now);
        added
    }

    /// Takes another definition at `now`. What has happened stays; the next tick stays if the
    /// timetable and the zone do, else ticks of the old ones that did not fire are forgotten.
    pub fn redefine(&mut self, schedule: Schedule, now: Timestamp) {
        let same_ticks =
            self.schedule.timetable == schedule.timetable && self.schedule.zone == schedule.zone;
        let added = Self::new(schedule, now);
        if !same_ticks {
            self.standing.since = added.standing.since;
            self.standing.next = added.standing.next;
            self.standing.as_of = now;
        }
        self.schedule = added.schedule;
    }

    /// Rests from now on. Whether that changes anything.
    pub fn pause(&mut self) -> bool {
        !std::mem::replace(&mut self.standing.paused, true)
    }

    /// Goes on with the first tick after `now`. Whether that changes anything.
    pub fn resume(&mut self, now: Timestamp) -> bool {
        let changes = std::mem::take(&mut self.standing.paused);
        if changes {
            self.look_anew(now);
        }
        changes
    }

    /// When there is something to do: the next tick and its jitter. `None` while it rests or has
    /// no tick left.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        let next = self.standing.next.filter(|_| !self.standing.paused)?;
        Some(next.after(self.schedule.offset()))
    }

    /// Which ticks fire at `now`, the store's time, at most `room` of them.
    #[must_use]
    pub fn due(&self, now: Timestamp, room: usize) -> Due {
        let waits = Due {
            ticks: Vec::new(),
            missed: 0,
            next: self.standing.next,
        };
        let by = now.before(self.schedule.offset());
        let pending = self.standing.next.filter(|next| *next <= by);
        let Some(first) = pending.filter(|_| !self.standing.paused && room > 0) else {
            return waits;
        };
        let Schedule {
            timetable,
            zone,
            catch_up,
            ..
        } = &self.schedule;
        let since = self.standing.since;
        let most = match catch_up {
            CatchUp::Skip | CatchUp::One => 1,
            CatchUp::All(most) => usize::from(*most),
        };
        let mut ticks = Vec::from(timetable.latest((first, by), most, zone, since));
        if *catch_up == CatchUp::Skip {
            ticks.retain(|tick| by.since(*tick) <= CatchUp::GRACE);
        }
        let next = match ticks.get(room) {
            Some(left) => Some(*left),
            None => self.next_after(by),
        };
        let from = ticks.first().copied();
        let end = from.or_else(|| Some(by.after(Duration::from_nanos(1))));
        let missed = end.map_or(0, |end| timetable.count((first, end), zone, since));
        ticks.truncate(room);
        Due {
            ticks,
            missed,
            next,
        }
    }

    /// Notes that what was due at `now` is dealt with.
    pub fn settle(&mut self, due: &Due, now: Timestamp) {
        self.standing.missed = self.standing.missed.saturating_add(due.missed);
        self.standing.next = due.next;
        self.standing.as_of = now;
    }

    /// If the store's clock was set back far since the next tick was found, finds it anew: it might
    /// lie as far ahead as the clock once did. Ticks that fired already are hits when they fire
    /// again. Whether there was anything to do.
    pub fn mend(&mut self, now: Timestamp) -> bool {
        let is_set_back = self.standing.as_of > now.after(SET_BACK);
        if is_set_back {
            self.look_anew(now);
        }
        is_set_back
    }

    /// The id of the job of a tick.
    #[must_use]
    pub fn job_id(&self, tick: Timestamp) -> JobId {
        self.schedule.job_id(tick)
    }

    /// The next `count` ticks from `now` on, without their jitter; none while it rests.
    #[must_use]
    pub fn upcoming(&self, count: usize) -> Vec<Timestamp> {
        let first = self.standing.next.filter(|_| !self.standing.paused);
        let next = |at: &Timestamp| self.next_after(*at);
        std::iter::successors(first, next).take(count).collect()
    }

    fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let Schedule {
            timetable, zone, ..
        } = &self.schedule;
        timetable.next_after(after, zone, self.standing.since)
    }

    fn look_anew(&mut self, now: Timestamp) {
        // `@every` counts from a time that must have been.
        self.standing.since = self.standing.since.min(whole_second(now));
        self.standing.next = self.next_after(now);
        self.standing.as_of = now;
    }
}

/// The second that a time lies in: ticks are whole seconds, and so are the ids of their jobs.
const fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_unix_millis(at.unix_millis().div_euclid(1000) * 1000)
}
