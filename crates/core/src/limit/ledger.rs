//! What is held against one limit: permits, who waits for one, and the bucket of tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::bucket::Bucket;
use super::rate::Rate;
use crate::time::Timestamp;

/// How long a holder keeps what it does not use while others wait.
const QUANTUM: Duration = Duration::from_secs(1);
/// How long one who waits is remembered without asking again.
const WAITS: Duration = Duration::from_secs(3);
/// When one who was refused may ask again.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Most that are remembered as waiting.
const MAX_WAITING: usize = 256;

/// The limit that a ledger keeps to, and the time.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Most permits that may be out.
    pub concurrency: Option<u32>,
    /// How tokens come.
    pub rate: Option<&'a Rate>,
    /// The store's time.
    pub now: Timestamp,
    /// By how much that may be off between two who read it.
    pub clock_error: Duration,
}

/// What one holder has and wants. Not *give me more* but *this is what I need*, so that asking
/// twice does no harm.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The holder's name: of one run of a worker, never of two.
    pub holder: &'a str,
    /// Permits that its jobs have.
    pub used: u32,
    /// How many it would like to hold, those it uses included.
    pub wanted: u32,
    /// For how long.
    pub term: Duration,
    /// Tokens that it wants.
    pub tokens: u32,
    /// Tokens that it did not use.
    pub tokens_back: u32,
}

/// What a holder has after it asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// How many permits it holds in all. Fewer than it uses if its entry had expired and others
    /// have them now: then it must stop jobs.
    pub permits: u32,
    /// How long it holds them from now on, at least.
    pub holds_for: Duration,
    /// How many tokens it got.
    pub tokens: u32,
    /// After how long asking again may bring what it did not get.
    pub ask_again_in: Option<Duration>,
}

/// What is held against one limit.
///
/// Permits that have not expired are never more than the limit, unless the limit was lowered
/// while more were in use; those stay with their jobs until they end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    holders: BTreeMap<String, Holder>,
    /// In the order in which they came.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    waiting: Vec<Waiting>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<Bucket>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    permits: u32,
    since: Timestamp,
    until: Timestamp,
    term_ms: u64,
    #[serde(flatten)]
    other: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    holder: String,
    until: Timestamp,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl Ledger {
    /// Gives a holder what it may have. The ledger changes only if what it says changes, or an
    /// entry is soon to expire; so one who asks in vain writes nothing.
    pub fn ask(&mut self, terms: &Terms<'_>, ask: &Ask<'_>) -> Granted {
        self.expire(terms);
        let (permits, unmet) = match terms.concurrency {
            Some(limit) => self.permits(limit, terms, ask),
            None => {
                self.holders.remove(ask.holder);
                self.waiting.retain(|waiting| waiting.holder != ask.holder);
                (0, false)
            }
        };
        let entry = self.holders.get(ask.holder);
        let mut granted = Granted {
            permits,
            holds_for: entry.map_or(Duration::ZERO, |holder| holder.until.since(terms.now)),
            tokens: 0,
            ask_again_in: unmet.then_some(ASK_AGAIN),
        };
        match terms.rate {
            Some(rate) => self.tokens(rate, terms.now, ask, &mut granted),
            None => self.bucket = None,
        }
        granted
    }

    /// Whether nothing has to be remembered.
    #[must_use]
    pub fn is_idle(&self, now: Timestamp) -> bool {
        self.holders.is_empty()
            && self.waiting.is_empty()
            && self.other.is_empty()
            && self.bucket.is_none_or(|bucket| bucket.is_full(now))
    }

    /// How many permits are out.
    #[must_use]
    pub fn permits_out(&self, terms: &Terms<'_>) -> u32 {
        let valid = |holder: &&Holder| !holder.has_expired(terms);
        let permits = self.holders.values().filter(valid);
        permits.fold(0, |sum, holder| sum.saturating_add(holder.permits))
    }

    /// How many hold permits.
    #[must_use]
    pub fn holders(&self, terms: &Terms<'_>) -> usize {
        let valid = |holder: &&Holder| !holder.has_expired(terms);
        self.holders.values().filter(valid).count()
    }

    /// How many tokens there are.
    #[must_use]
    pub fn tokens_left(&self, rate: &Rate, now: Timestamp) -> u32 {
        self.bucket.unwrap_or_default().tokens(rate, now)
    }

    /// Forgets what has expired. An end later than any that could have been written now is the
    /// trace of a clock that was set back, and is moved to the latest that can be: its holder was
    /// granted no longer than its term, and that before now.
    fn expire(&mut self, terms: &Terms<'_>) {
        self.holders.retain(|_, holder| {
            let latest = terms.now.after(holder.term()).after(terms.clock_error);
            holder.until = holder.until.min(latest);
            holder.since = holder.since.min(terms.now);
            !holder.has_expired(terms)
        });
        let latest = terms.now.after(WAITS).after(terms.clock_error);
        self.waiting.retain_mut(|waiting| {
            waiting.until = waiting.until.min(latest);
            waiting.until.after(terms.clock_error) >= terms.now
        });
    }

    /// The permits that a holder has from now on, and whether it waits for more.
    fn permits(&mut self, limit: u32, terms: &Terms<'_>, ask: &Ask<'_>) -> (u32, bool) {
        let mine = self.holders.remove(ask.holder);
        let had = mine.as_ref().map_or(0, |holder| holder.permits);
        let others = self.holders.values();
        let others = others.fold(0u32, |sum, holder| sum.saturating_add(holder.permits));
        let room = limit.saturating_sub(others);
        let share = self.share(limit, ask.holder);
        let held_long = mine
            .as_ref()
            .is_some_and(|holder| terms.now.since(holder.since) >= QUANTUM);
        let others_wait = self
            .waiting
            .iter()
            .any(|waiting| waiting.holder != ask.holder);
        let ahead = self.ahead_of(ask.holder);
        let growth = room.saturating_sub(ahead);
        let allowed = match others_wait {
            false => growth,
            true if held_long => growth.max(had.min(room)).min(share),
            true => growth.max(had.min(room)),
        };
        // What jobs use stays with them, also if the limit is lower now.
        let granted = ask.wanted.min(allowed).max(had.min(ask.used));
        let unmet = granted < ask.wanted;
        let waits = unmet && granted < share.max(1) && granted <= ask.used;
        self.note_waiting(ask.holder, waits, terms.now);
        if granted > 0 {
            let holder = Holder::granted(mine, granted, terms.now, ask.term);
            self.holders.insert(ask.holder.to_owned(), holder);
        }
        (granted, unmet)
    }

    /// What each would have if all who hold or wait had the same.
    fn share(&self, limit: u32, asking: &str) -> u32 {
        let waiting = self.waiting.iter();
        let waiting = waiting.map(|waiting| waiting.holder.as_str());
        let waiting = waiting.filter(|name| !self.holders.contains_key(*name));
        let others = self.holders.len() + waiting.filter(|name| *name != asking).count();
        limit / u32::try_from(others + 1).unwrap_or(u32::MAX)
    }

    /// For how many who came earlier a permit is set aside.
    fn ahead_of(&self, holder: &str) -> u32 {
        let mut waiting = self.waiting.iter();
        let ahead = waiting.position(|waiting| waiting.holder == holder);
        u32::try_from(ahead.unwrap_or(self.waiting.len())).unwrap_or(u32::MAX)
    }

    fn note_waiting(&mut self, holder: &str, waits: bool, now: Timestamp) {
        if !waits {
            self.waiting.retain(|waiting| waiting.holder != holder);
            return;
        }
        let until = now.after(WAITS);
        let mut entries = self.waiting.iter_mut();
        if let Some(entry) = entries.find(|waiting| waiting.holder == holder) {
            if entry.until < now.after(WAITS / 2) {
                entry.until = until;
            }
        } else if self.waiting.len() < MAX_WAITING {
            self.waiting.push(Waiting {
                holder: holder.to_owned(),
                until,
                other: Map::new(),
            });
        }
    }

    fn tokens(&mut self, rate: &Rate, now: Timestamp, ask: &Ask<'_>, granted: &mut Granted) {
        let mut bucket = self.bucket.unwrap_or_default();
        bucket.give_back(rate, now, ask.tokens_back);
        granted.tokens = bucket.take(rate, now, ask.tokens);
        if granted.tokens < ask.tokens {
            let next = bucket.next_at(rate, now).since(now);
            granted.ask_again_in = granted.ask_again_in.max(Some(next));
        }
        if bucket != self.bucket.unwrap_or_default() {
            self.bucket = Some(bucket);
        }
    }
}

impl Holder {
    /// An entry for what was granted now. One that says the same and lasts long enough stays as it
    /// is, so that nothing needs to be written.
    fn granted(before: Option<Self>, permits: u32, now: Timestamp, term: Duration) -> Self {
        let term_ms = u64::try_from(term.as_millis()).unwrap_or(u64::MAX);
        match before {
            Some(before)
                if before.permits == permits
                    && before.term_ms == term_ms
                    && before.until >= now.after(term - term / 8) =>
            {
                before
            }
            before => Self {
                permits,
                since: before.as_ref().map_or(now, |before| before.since),
                until: now.after(term),
                term_ms,
                other: before.map(|before| before.other).unwrap_or_default(),
            },
        }
    }

    const fn term(&self) -> Duration {
        Duration::from_millis(self.term_ms)
    }

    fn has_expired(&self, terms: &Terms<'_>) -> bool {
        self.until.after(terms.clock_error) < terms.now
    }
}

#[cfg(test)]
mod tests;
