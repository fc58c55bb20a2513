//! The list of queues: their numbers, which stand in keys and ids, and where their jobs may lie.

use bytes::Bytes;
use longshore_core::{Priority, QueueName};

use crate::batch_key::{Line, QueueCode};
use crate::format::{Format, FormatError};
use crate::message::{QueueMessage, QueuesMessage};

/// A queue of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: QueueName,
    /// Its number, for ever.
    pub code: QueueCode,
    /// How many shards it has. Never fewer than before.
    pub shards: u16,
    /// The priorities that its jobs have had, one bit each from that of priority 1. A priority is
    /// noted before its first job, and never taken out, so that a queue with one priority costs one
    /// listing.
    pub priorities: u8,
    /// Whether nobody may claim from it.
    pub paused: bool,
}

impl Queue {
    /// Whether jobs have had this priority.
    #[must_use]
    pub const fn has(&self, priority: Priority) -> bool {
        self.priorities & bit(priority) != 0
    }

    /// The lines in which its jobs may wait.
    pub fn lines(&self) -> impl Iterator<Item = Line> {
        let priorities = Priority::ALL.into_iter();
        let used = priorities.filter(|priority| self.has(*priority));
        let (queue, shards) = (self.code, self.shards);
        used.flat_map(move |priority| {
            (0..shards).map(move |shard| Line {
                queue,
                shard,
                priority,
            })
        })
    }
}

const fn bit(priority: Priority) -> u8 {
    1 << (priority.get() - 1)
}

/// Every queue that has had jobs or was paused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// Random at every write, so that no two versions are equal.
    pub writer: u64,
    queues: Vec<Queue>,
}

impl Queues {
    /// Most queues of a store.
    pub const MAX: usize = 100_000;

    /// The queue of this name.
    #[must_use]
    pub fn get(&self, name: &QueueName) -> Option<&Queue> {
        self.queues.iter().find(|queue| queue.name == *name)
    }

    /// Every queue, in the order of their numbers.
    #[must_use]
    pub fn all(&self) -> &[Queue] {
        &self.queues
    }

    /// Notes that jobs of this queue have this priority, if they do; `true` if that was new.
    pub fn note(&mut self, name: &QueueName, priority: Option<Priority>) -> bool {
        let bits = priority.map_or(0, bit);
        if let Some(queue) = self.queues.iter_mut().find(|queue| queue.name == *name) {
            let is_new = queue.priorities | bits != queue.priorities;
            queue.priorities |= bits;
            return is_new;
        }
        let code = self
            .queues
            .last()
            .map_or(1, |last| last.code.saturating_add(1));
        self.queues.push(Queue {
            name: name.clone(),
            code,
            shards: 1,
            priorities: bits,
            paused: false,
        });
        true
    }

    /// Gives a queue that is noted so many shards, if it has fewer; `true` if it had.
    pub fn widen(&mut self, name: &QueueName, shards: u16) -> bool {
        let queue = self.queues.iter_mut().find(|queue| queue.name == *name);
        queue.is_some_and(|queue| {
            let had = queue.shards;
            queue.shards = had.max(shards);
            queue.shards > had
        })
    }

    /// Stops or allows claims from a queue; `true` if that was new.
    pub fn pause(&mut self, name: &QueueName, paused: bool) -> bool {
        let is_new = self.note(name, None);
        let queue = self.queues.iter_mut().find(|queue| queue.name == *name);
        let changed =
            queue.is_some_and(|queue| std::mem::replace(&mut queue.paused, paused) != paused);
        is_new || changed
    }

    /// The object.
    ///
    /// # Errors
    /// There are too many.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        let queues = self.queues.iter().map(|queue| QueueMessage {
            name: queue.name.as_str().to_owned(),
            code: queue.code,
            shards: queue.shards.into(),
            priorities: queue.priorities.into(),
            paused: queue.paused,
        });
        Format::QUEUES.seal(&QueuesMessage {
            writer: self.writer,
            queues: queues.collect(),
        })
    }

    /// Reads an object.
    ///
    /// # Errors
    /// It is none, a newer one, or damaged.
    pub fn decode(bytes: &Bytes) -> Result<Self, FormatError> {
        let message: QueuesMessage = Format::QUEUES.open(bytes)?;
        let damaged = || FormatError::damaged("a queue cannot be read");
        let mut queues: Vec<Queue> = Vec::with_capacity(message.queues.len());
        for queue in message.queues {
            let rises = queues.last().is_none_or(|last| last.code < queue.code);
            if !rises || queue.shards == 0 || queue.priorities > 15 {
                return Err(damaged());
            }
            queues.push(Queue {
                name: queue.name.parse().map_err(|_ignored| damaged())?,
                code: queue.code,
                shards: queue.shards.try_into().map_err(|_ignored| damaged())?,
                priorities: queue.priorities.try_into().map_err(|_ignored| damaged())?,
                paused: queue.paused,
            });
        }
        let writer = message.writer;
        Ok(Self { writer, queues })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_keeps_its_number_and_its_priorities() {
        let (one, two): (QueueName, QueueName) = ("a".parse().unwrap(), "b/c".parse().unwrap());
        let mut queues = Queues::default();
        assert!(queues.note(&one, Some(Priority::LAST)));
        assert!(!queues.note(&one, Some(Priority::LAST)));
        assert!(queues.pause(&two, true));
        assert!(!queues.pause(&two, true));
        assert!(queues.note(&one, Some(Priority::FIRST)));
        let codes: Vec<QueueCode> = queues.all().iter().map(|queue| queue.code).collect();
        assert_eq!(codes, [1, 2]);
        let lines: Vec<String> = queues.all()[0]
            .lines()
            .map(|line| line.to_string())
            .collect();
        assert_eq!(lines, ["1/0/1", "1/0/4"]);
        assert_eq!(queues.get(&two).unwrap().lines().count(), 0);
        let read = Queues::decode(&queues.encode().unwrap());
        assert_eq!(read, Ok(queues));
    }
}
