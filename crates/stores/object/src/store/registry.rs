//! The list of queues, as this process last read it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore_core::{Place, QueueName, StoreError, Timestamp};

use super::{ObjectStore, restless};
use crate::key::Key;
use crate::objects::{Landing, Version};
use crate::queues::Queues;

/// What is known of the list, and since when.
#[derive(Debug, Default)]
pub(super) struct Registry(Mutex<Option<(Arc<Queues>, Timestamp)>>);

impl Registry {
    /// For how long a list that was read is good enough: a pause is heeded within this time.
    const FRESH: Duration = Duration::from_secs(5);

    fn known(&self, now: Timestamp) -> Option<Arc<Queues>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (queues, read_at) = known.as_ref()?;
        (now.since(*read_at) < Self::FRESH).then(|| Arc::clone(queues))
    }

    fn learn(&self, queues: &Arc<Queues>, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((Arc::clone(queues), now));
    }
}

impl ObjectStore {
    /// The list of queues, at most some seconds old.
    pub(super) async fn queues(&self) -> Result<Arc<Queues>, StoreError> {
        let now = self.bounds().least;
        if let Some(queues) = self.registry.known(now) {
            return Ok(queues);
        }
        let (queues, _) = self.read_queues().await?;
        let queues = Arc::new(queues);
        self.registry.learn(&queues, now);
        Ok(queues)
    }

    /// The list with these places in it: noted before the first job lies in one.
    pub(super) async fn queues_with(&self, places: &[Place]) -> Result<Arc<Queues>, StoreError> {
        let queues = self.queues().await?;
        let shards = self.tuning.shards;
        let is_noted = |place: &Place| {
            let queue = queues.get(&place.queue);
            queue.is_some_and(|queue| queue.has(place.priority) && queue.shards >= shards)
        };
        if places.iter().all(is_noted) {
            return Ok(queues);
        }
        self.change_queues(|queues| {
            let new = places.iter().map(|place| {
                let is_new = queues.note(&place.queue, Some(place.priority));
                queues.widen(&place.queue, shards) || is_new
            });
            // Every place is noted, whether one before it was new or not.
            new.fold(false, |any, new| any | new)
        })
        .await
    }

    /// Stops or allows claims from a queue.
    pub(super) async fn set_paused(
        &self,
        queue: &QueueName,
        paused: bool,
    ) -> Result<(), StoreError> {
        self.change_queues(|queues| queues.pause(queue, paused))
            .await?;
        Ok(())
    }

    async fn change_queues(
        &self,
        change: impl Fn(&mut Queues) -> bool + Send + Sync,
    ) -> Result<Arc<Queues>, StoreError> {
        let key = Key::Queues;
        for _ in 0..Self::TRIES {
            let now = self.bounds().least;
            let (mut queues, version) = self.read_queues().await?;
            // What was not answered is seen in the list that is read after it.
            let mut is_there = !change(&mut queues);
            if !is_there {
                queues.writer = self.token();
                let bytes = queues.encode().map_err(|error| error.of(&key))?;
                let path = key.to_string();
                let landing = match &version {
                    None => self.objects.create(&path, bytes).await?,
                    Some(version) => self.objects.replace(&path, bytes, version).await?,
                };
                is_there = matches!(landing, Landing::Landed(_));
            }
            if is_there {
                let queues = Arc::new(queues);
                self.registry.learn(&queues, now);
                return Ok(queues);
            }
        }
        Err(restless(&key))
    }

    async fn read_queues(&self) -> Result<(Queues, Option<Version>), StoreError> {
        let key = Key::Queues;
        let Some(object) = self.objects.get(&key.to_string()).await? else {
            return Ok((Queues::default(), None));
        };
        let queues = Queues::decode(&object.bytes).map_err(|error| error.of(&key))?;
        Ok((queues, Some(object.version)))
    }
}
