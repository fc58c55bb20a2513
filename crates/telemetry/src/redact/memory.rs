//! What was found out about short texts, which come again and again: keys are few, and so are the
//! names of queues and kinds; a job's id stands on each of its spans.
//!
//! Each thread remembers for itself, so that no lock is in the way, and for one redactor at a time.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Plan;

/// Most bytes of a text that is remembered.
const LONGEST: usize = 48;
/// How many texts of a kind are remembered; a program that makes up others goes the long way for
/// them.
const SLOTS: usize = 128;

/// Tells redactors apart, whose policies differ.
#[derive(Debug)]
pub(super) struct Memory(u64);

impl Default for Memory {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Memory {
    /// The plan for a key that holds nothing to hide itself, if it is remembered.
    #[inline]
    pub(super) fn plan(&self, key: &str) -> Option<Plan> {
        KEYS.with_borrow(|keys| keys.of(self.0, key))
    }

    pub(super) fn note_plan(&self, key: &str, plan: Plan) {
        KEYS.with_borrow_mut(|keys| keys.note(self.0, key, plan));
    }

    /// Whether it is remembered that a text under a key that says nothing has nothing to hide.
    #[inline]
    pub(super) fn is_plain(&self, text: &str) -> bool {
        TEXTS.with_borrow(|texts| texts.of(self.0, text)).is_some()
    }

    pub(super) fn note_plain(&self, text: &str) {
        TEXTS.with_borrow_mut(|texts| texts.note(self.0, text, ()));
    }
}

thread_local! {
    static KEYS: RefCell<Slots<Plan>> = const { RefCell::new(Slots::EMPTY) };
    static TEXTS: RefCell<Slots<()>> = const { RefCell::new(Slots::EMPTY) };
}

/// Texts and what is known of each. A text stands in one of two places; of those that share them the
/// last two are there.
struct Slots<T> {
    redactor: u64,
    slots: [Slot<T>; SLOTS],
}

#[derive(Clone, Copy)]
struct Slot<T> {
    bytes: [u8; LONGEST],
    /// 0 for none: an empty text has no need to be remembered.
    length: u8,
    known: Option<T>,
}

impl<T: Copy> Slots<T> {
    const EMPTY: Self = Self {
        redactor: 0,
        slots: [Slot {
            bytes: [0; LONGEST],
            length: 0,
            known: None,
        }; SLOTS],
    };

    #[inline]
    fn of(&self, redactor: u64, text: &str) -> Option<T> {
        if text.len() > LONGEST || self.redactor != redactor {
            return None;
        }
        let place = place(text.as_bytes());
        let at = |place: usize| {
            let slot = self.slots.get(place).filter(|slot| slot.is(text))?;
            slot.known
        };
        at(place).or_else(|| at(place ^ 1))
    }

    fn note(&mut self, redactor: u64, text: &str, known: T) {
        let (Ok(length), true) = (u8::try_from(text.len()), text.len() <= LONGEST) else {
            return;
        };
        if self.redactor != redactor {
            *self = Self::EMPTY;
            self.redactor = redactor;
        }
        let mut bytes = [0; LONGEST];
        for (to, from) in bytes.iter_mut().zip(text.as_bytes()) {
            *to = *from;
        }
        let place = place(text.as_bytes());
        let slot = Slot {
            bytes,
            length,
            known: Some(known),
        };
        let Some(at) = self.slots.get_mut(place) else {
            return;
        };
        let before = std::mem::replace(at, slot);
        if let Some(other) = self.slots.get_mut(place ^ 1) {
            *other = before;
        }
    }
}

impl<T> Slot<T> {
    #[inline]
    fn is(&self, text: &str) -> bool {
        usize::from(self.length) == text.len()
            && self.bytes.get(..text.len()) == Some(text.as_bytes())
    }
}

/// Where a text belongs, by its length and the bytes at both ends.
#[inline]
fn place(text: &[u8]) -> usize {
    let (first, last) = match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => {
            let join = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
            (text.iter().fold(0, join), 0)
        }
    };
    let mixed = (first ^ last.rotate_left(29) ^ text.len() as u64).wrapping_mul(FACTOR);
    usize::try_from(mixed >> 57).unwrap_or(0) % SLOTS
}

/// An odd number whose bits are spread evenly.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::key::KeyClass;

    const PLAN: Plan = Plan {
        refused: None,
        class: KeyClass::Secret,
        safe: false,
    };

    #[test]
    fn what_is_remembered_is_bounded_and_told_apart_to_the_last_byte() {
        let memory = Memory::default();
        let long = "k".repeat(LONGEST + 1);
        memory.note_plan(&long, PLAN);
        memory.note_plan("", PLAN);
        for number in 0..10 * SLOTS {
            memory.note_plan(&format!("some.key-{number}.name"), PLAN);
        }
        let last = format!("some.key-{}.name", 10 * SLOTS - 1);
        assert!(memory.plan(&last).is_some());
        assert!(
            memory.plan("some.key-0.name").is_none(),
            "others came since"
        );
        for other in [&long, "some.key-12x9.name", &last[1..], &format!("{last}s")] {
            assert!(memory.plan(other).is_none(), "{other}");
        }
    }

    #[test]
    fn two_texts_that_share_a_place_are_both_there() {
        let memory = Memory::default();
        let all: Vec<String> = (0..20 * SLOTS)
            .map(|number| format!("job-{number}"))
            .collect();
        let shares = |other: &&String| place(other.as_bytes()) == place(all[0].as_bytes());
        let second = all[1..].iter().find(shares).unwrap();
        memory.note_plain(&all[0]);
        memory.note_plain(second);
        assert!(memory.is_plain(&all[0]) && memory.is_plain(second));
    }

    #[test]
    fn what_one_redactor_found_says_nothing_to_another() {
        let (one, other) = (Memory::default(), Memory::default());
        one.note_plain("mail");
        assert!(one.is_plain("mail"));
        assert!(!other.is_plain("mail"));
        other.note_plain("post");
        assert!(
            !one.is_plain("mail"),
            "a thread remembers for one at a time"
        );
        assert!(!one.is_plain("post"));
    }
}
