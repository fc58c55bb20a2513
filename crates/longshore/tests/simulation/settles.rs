//! Each settle, sent again at each moment when its lease is lost: refused, and not one row of the
//! store changes.

use std::time::Duration;

use longshore_core::{ErrorKind, Keep, Outcome};
use longshore_testkit::harness::{
    Harness, Subject, assert_refused, complete, failure, retry_at, settlement,
};

use crate::rows;
use crate::subject::{memory, sqlite};

/// How the lease was lost.
#[derive(Clone, Copy, Debug)]
enum Lost {
    /// By the very settle that is sent again.
    Settled,
    /// By a rescue: the settle comes too late.
    Rescued,
}

/// What happened to the job since.
#[derive(Clone, Copy, Debug)]
enum Since {
    Nothing,
    ClaimedByAnother,
    CompletedByAnother,
}

const HOUR: Duration = Duration::from_secs(3600);

const OUTCOMES: usize = 6;

fn outcomes(h: &Harness) -> [Outcome; OUTCOMES] {
    let available_at = h.now().after(Duration::from_secs(60));
    [
        complete(),
        retry_at(available_at),
        Outcome::Snooze { available_at },
        Outcome::HandBack,
        Outcome::Cancel { error: None },
        Outcome::Discard { error: failure() },
    ]
}

async fn is_refused(h: &Harness, outcome: Outcome, lost: Lost, since: Since) {
    let claimed = h.running("parent").await;
    let child = h.new_job("child").await;
    let child_id = child.id.clone();
    let mut settle = settlement(&claimed, outcome);
    settle.follow_ups = vec![child];
    settle.keep = Some(Keep {
        reason: "sent again".to_owned(),
        at: h.now(),
    });
    match lost {
        Lost::Settled => {
            h.try_settle(settle.clone()).await.unwrap();
        }
        Lost::Rescued => {
            h.advance(Harness::LEASE * 2);
            assert_eq!(h.store.rescue(10).await.unwrap().len(), 1);
        }
    }
    h.advance(HOUR);
    if !matches!(since, Since::Nothing) {
        let again = h.claim("parent", 1).await.pop();
        if let (Since::CompletedByAnother, Some(again)) = (since, again) {
            h.settle(&again, complete()).await;
        }
    }
    let before = rows::all(&*h.store).await;
    let repeated = [settle.clone(), settle.clone()].to_vec();
    for answer in h.store.settle(repeated).await.unwrap() {
        assert_refused(answer, ErrorKind::LeaseLost);
    }
    h.advance(HOUR);
    assert_refused(h.try_settle(settle).await, ErrorKind::LeaseLost);
    let later = rows::all(&*h.store).await;
    assert_eq!(before, later);
    let made = matches!(lost, Lost::Settled);
    assert_eq!(later.contains_key(&child_id), made);
    assert_eq!(h.claim("child", 10).await.len(), usize::from(made));
    rows::are_counted(&rows::all(&*h.store).await, &*h.store).await;
}

pub(crate) async fn everything_is_refused<F, S>(fresh: F)
where
    F: Fn(
        std::sync::Arc<dyn longshore_core::Clock>,
        std::sync::Arc<dyn longshore_core::Random>,
    ) -> S,
    S: Into<Subject>,
{
    for lost in [Lost::Settled, Lost::Rescued] {
        for since in [
            Since::Nothing,
            Since::ClaimedByAnother,
            Since::CompletedByAnother,
        ] {
            for number in 0..OUTCOMES {
                let h = Harness::new(async |clock, random| fresh(clock, random)).await;
                let outcome = outcomes(&h).into_iter().nth(number).unwrap();
                is_refused(&h, outcome, lost, since).await;
            }
        }
    }
}

#[tokio::test]
async fn a_settle_sent_again_is_refused_by_memory() {
    everything_is_refused(memory).await;
}

#[tokio::test]
async fn a_settle_sent_again_is_refused_by_sqlite() {
    everything_is_refused(sqlite).await;
}
