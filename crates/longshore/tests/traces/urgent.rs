//! Who goes first where one job runs at a time.

use std::sync::{Arc, Mutex};

use longshore::{Attempt, JobError, RawArgs, RawResult};
use longshore_core::Random;

use crate::world::{World, order};

/// The same number over and over.
#[derive(Debug)]
struct Fixed(u64);

impl Random for Fixed {
    fn next_u64(&self) -> u64 {
        self.0
    }
}

/// A worker begins anywhere in the count of which every eighth slot is for lower priorities: so the
/// first job of one in eight workers is not the most urgent one, and of all the others it is, also
/// under a limit that lets one job run at a time.
#[tokio::test(start_paused = true)]
async fn the_most_urgent_job_is_first_but_in_every_eighth_slot() {
    for turn in 0..16 {
        let world = World::new();
        world.limit(r#"{"concurrency":1}"#).await;
        for priority in [4, 3, 2, 1, 1, 2, 3, 4] {
            world.enqueue(order().priority(priority)).await;
        }
        let ran = Arc::new(Mutex::new(Vec::new()));
        let runs = ran.clone();
        let worker = world.worker().clock(world.clock().0, Arc::new(Fixed(turn)));
        let worker = worker.fallback(move |_: RawArgs, attempt: Attempt| {
            runs.lock().unwrap().push(attempt.job().priority.get());
            std::future::ready(Ok::<_, JobError>(RawResult(None)))
        });
        let worker = worker.concurrency(4).drain(true).build().unwrap();
        worker.run(std::future::pending()).await.unwrap();
        let ran = std::mem::take(&mut *ran.lock().unwrap());
        // The oldest of the lower ones is of the lowest priority.
        let mut expected = vec![1, 1, 2, 2, 3, 3, 4, 4];
        let low = expected.remove(7);
        expected.insert(usize::try_from(7 - turn % 8).unwrap(), low);
        assert_eq!(ran, expected, "turn {turn}");
    }
}
