//! Several requests at once.

use std::future::Future;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

/// What each of these futures gives, in their order; at most `most` of them are under way at once.
pub(super) async fn all<F: Future>(most: usize, futures: Vec<F>) -> Vec<F::Output> {
    let mut answers: Vec<Option<F::Output>> = Vec::new();
    answers.resize_with(futures.len(), || None);
    let numbered = |(place, future): (usize, F)| async move { (place, future.await) };
    let mut waiting = futures.into_iter().enumerate().map(numbered);
    let mut running: FuturesUnordered<_> = waiting.by_ref().take(most.max(1)).collect();
    while let Some((place, answer)) = running.next().await {
        if let Some(slot) = answers.get_mut(place) {
            *slot = Some(answer);
        }
        running.extend(waiting.next());
    }
    answers.into_iter().flatten().collect()
}
