//! Clauses T and P: the store's clock, and jobs whose time comes.

use std::time::Duration;

use longshore_core::JobState;

use crate::harness::Harness;

/// T-1: the store's time is that of the clock it was built with.
pub async fn now_is_the_clock_it_was_given(h: &Harness) {
    assert_eq!(h.store.now().await.unwrap(), h.now());
    h.advance(Duration::from_secs(3600));
    assert_eq!(h.store.now().await.unwrap(), h.now());
}

/// P-1: a waiting job is shown as available once it is due, whether promoted or not, and promoting
/// it changes nothing else.
pub async fn a_waiting_job_is_available_when_due(h: &Harness) {
    let scheduled = h.job_in(JobState::Scheduled).await;
    let retryable = h.job_in(JobState::Retryable).await;
    h.store.promote(100).await.unwrap();
    assert_eq!(h.row(&scheduled).await.state, JobState::Scheduled);
    assert_eq!(h.row(&retryable).await.state, JobState::Retryable);

    let before = [h.row(&scheduled).await, h.row(&retryable).await];
    h.advance(Duration::from_secs(3600));
    let due = before.map(|job| job.shown_at(h.now()));
    assert!(due.iter().all(|job| job.state == JobState::Available));
    assert_eq!([h.row(&scheduled).await, h.row(&retryable).await], due);
    h.store.promote(100).await.unwrap();
    assert_eq!([h.row(&scheduled).await, h.row(&retryable).await], due);
}
