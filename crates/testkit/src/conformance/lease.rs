//! Clauses L: leases and heartbeats.

use std::time::Duration;

use bytes::Bytes;
use longshore_core::{Beat, BeatAnswer, Claimed, JobState, LeaseToken};

use crate::harness::{Harness, complete, retry_at};

const MINUTE: Duration = Duration::from_secs(60);

/// L-1: a beat extends the lease, counted from the store's time and not from its old end.
pub async fn a_beat_extends_the_lease(h: &Harness) {
    let claimed = h.running("q").await;
    h.advance(Duration::from_secs(10));
    let until = h.now().after(MINUTE);
    let answers = h.store.heartbeat(&[beat(&claimed)]).await.unwrap();
    assert_eq!(answers, [BeatAnswer::Held(until)]);
    let mut expected = claimed.job.clone();
    expected.lease_expires_at = Some(until);
    assert_eq!(h.row(&claimed.job.id).await, expected);

    h.advance(MINUTE);
    assert!(h.store.rescue(10).await.unwrap().is_empty());
    assert!(h.store.heartbeat(&[]).await.unwrap().is_empty());
}

/// L-1: an expired lease that nobody took back still belongs to its holder, and can be extended.
pub async fn a_beat_after_expiry_revives_the_lease(h: &Harness) {
    let claimed = h.running("q").await;
    h.advance(MINUTE);
    let until = h.now().after(MINUTE);
    let answers = h.store.heartbeat(&[beat(&claimed)]).await.unwrap();
    assert_eq!(answers, [BeatAnswer::Held(until)]);
    assert!(h.store.rescue(10).await.unwrap().is_empty());
    h.settle(&claimed, complete()).await;
}

/// L-2: a lease that was settled or taken back, or that never was, is lost; the others of the
/// call are not harmed, and the job is left alone.
pub async fn beats_for_lost_leases_say_so(h: &Harness) {
    let settled = h.running("q").await;
    h.settle(&settled, retry_at(h.now())).await;
    let again = h.claim_one("q").await;
    assert_eq!(again.job.id, settled.job.id);
    let rescued = h.running("other").await;
    h.store.heartbeat(&[beat(&again)]).await.unwrap();
    h.advance(Harness::LEASE + Duration::from_secs(1));
    assert_eq!(h.store.rescue(10).await.unwrap().len(), 1);
    let mut never = beat(&again);
    never.job_id = h.unused_id("q").await;
    let mut forged = beat(&again);
    forged.token = LeaseToken::from_bits(12_345);

    let before = h.row(&rescued.job.id).await;
    let beats = [beat(&settled), beat(&rescued), never, forged, beat(&again)];
    let answers = h.store.heartbeat(&beats).await.unwrap();
    let held = BeatAnswer::Held(h.now().after(MINUTE));
    assert_eq!(answers[..4], [BeatAnswer::Lost; 4]);
    assert_eq!(answers[4], held);
    assert_eq!(h.row(&rescued.job.id).await, before);
}

/// L-3: a beat stores progress and checkpoint; one that brings none leaves them as they are.
pub async fn a_beat_stores_progress_and_checkpoint(h: &Harness) {
    let claimed = h.running("q").await;
    let checkpoint = Bytes::from_static(b"\0line 12\xff");
    let mut telling = beat(&claimed);
    telling.progress = Some(40);
    telling.checkpoint = Some(checkpoint.clone());
    for beat in [telling, beat(&claimed)] {
        h.store.heartbeat(&[beat]).await.unwrap();
        let row = h.row(&claimed.job.id).await;
        assert_eq!(row.progress, Some(40));
        assert_eq!(row.checkpoint.as_ref(), Some(&checkpoint));
    }
}

/// L-3: the next attempt finds the checkpoint of the one before, but not its progress; a job that
/// is over has neither.
pub async fn a_checkpoint_outlives_a_retry(h: &Harness) {
    let claimed = h.running("q").await;
    let mut telling = beat(&claimed);
    telling.progress = Some(40);
    telling.checkpoint = Some(Bytes::from_static(b"half"));
    h.store.heartbeat(&[telling]).await.unwrap();
    h.settle(&claimed, retry_at(h.now())).await;
    let next = h.claim_one("q").await;
    assert_eq!(next.job.checkpoint.as_deref(), Some(b"half".as_slice()));
    assert_eq!(next.job.progress, None);
    h.settle(&next, complete()).await;
    assert_eq!(h.row(&next.job.id).await.checkpoint, None);
}

/// L-4: the holder of a job that was asked to stop hears so with its next beat, and keeps its
/// lease.
pub async fn a_beat_hears_that_cancel_was_asked(h: &Harness) {
    let claimed = h.running("q").await;
    let state = h.cancel(&claimed.job.id).await.unwrap();
    assert_eq!(state, JobState::Running);
    let until = h.now().after(MINUTE);
    let answers = h.store.heartbeat(&[beat(&claimed)]).await.unwrap();
    assert_eq!(answers, [BeatAnswer::CancelRequested(until)]);
    assert_eq!(h.row(&claimed.job.id).await.lease_expires_at, Some(until));
}

fn beat(claimed: &Claimed) -> Beat {
    Beat {
        job_id: claimed.job.id.clone(),
        token: claimed.lease.token,
        extend_by: MINUTE,
        progress: None,
        checkpoint: None,
    }
}
