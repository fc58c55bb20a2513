use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use super::*;
use crate::time::Timestamp;

/// Goes on by a millisecond whenever it is looked at.
#[derive(Debug, Default)]
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(Ticking::default())
}

fn server() -> Arc<Server> {
    Arc::new(Server {
        system: "test",
        ..Server::default()
    })
}

fn insert() -> Request {
    begin(&server(), "INSERT", || Target::Collection("job"))
}

/// Polls until it is ready; gives back how often that took.
fn run<F: Future>(future: F) -> (F::Output, usize) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for polls in 1.. {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return (done, polls);
        }
        assert!(!insert().is_watched(), "between two polls nobody watches");
    }
    unreachable!()
}

fn boxed<F: Future>(future: F) -> Pin<Box<F>> {
    Box::pin(future)
}

async fn pause() {
    let mut paused = false;
    poll_fn(|_| match std::mem::replace(&mut paused, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

#[test]
fn what_is_made_within_a_watch_is_noted_whenever_it_is_polled() {
    let clock = clock();
    let call = watch(
        Some(&clock),
        boxed(async {
            let mut one = insert().of(7).repeats(1);
            pause().await;
            one.sent();
            pause().await;
            one.end(Answer::Good);
            take()
        }),
    );
    let (trips, polls) = run(call);
    assert_eq!(polls, 3);
    let [one] = trips.list.as_slice() else {
        panic!("{trips:?}");
    };
    assert_eq!((one.items, one.repeats), (7, 1));
    let millis = [one.began, one.waited, one.took].map(|time| time.as_millis());
    assert_eq!(millis, [1, 1, 2]);
    assert_eq!((trips.count(), trips.failures()), (1, 0));
}

#[test]
fn nothing_is_noted_or_asked_where_nobody_watches() {
    let asked = begin(&server(), "INSERT", || panic!("nobody watches"));
    asked.end(Answer::Good);
    let (trips, _) = run(watch(
        None,
        boxed(async {
            insert().end(Answer::Good);
            take()
        }),
    ));
    assert_eq!(trips, RoundTrips::default());
}

#[test]
fn a_watch_within_a_watch_has_its_own() {
    let clock = clock();
    let ((inner, outer), _) = run(watch(
        Some(&clock),
        boxed(async {
            let inner = watch(
                Some(&clock),
                boxed(async {
                    insert().end(Answer::Good);
                    pause().await;
                    take()
                }),
            );
            let inner = inner.await;
            insert().end(Answer::Refused);
            (inner, take())
        }),
    ));
    assert_eq!(inner.list[0].answer, Answer::Good);
    assert_eq!(outer.list[0].answer, Answer::Refused);
    assert_eq!((inner.count(), outer.count()), (1, 1));
}

#[test]
fn who_gives_up_waiting_leaves_a_failure() {
    let clock = clock();
    let (trips, _) = run(watch(
        Some(&clock),
        boxed(async {
            let mut waiting = Box::pin(async {
                let _request = insert();
                std::future::pending::<()>().await;
            });
            let mut polled = false;
            poll_fn(|context| {
                let _pending = waiting.as_mut().poll(context);
                match std::mem::replace(&mut polled, true) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
            .await;
            drop(waiting);
            take()
        }),
    ));
    assert_eq!(trips.failures(), 1);
    assert_eq!(trips.list[0].answer, Answer::failed("no_answer"));
}

#[test]
fn a_panic_leaves_no_watch_behind() {
    let clock = clock();
    let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        run(watch(Some(&clock), boxed(async { panic!("as told") })));
    }));
    assert!(panics.is_err());
    assert!(!insert().is_watched());
}

#[test]
fn there_is_a_bound_and_the_last_is_known() {
    let clock = clock();
    let (trips, _) = run(watch(
        Some(&clock),
        boxed(async {
            for _ in 0..100 {
                insert().end(Answer::Good);
            }
            insert().end(Answer::code("40001"));
            take()
        }),
    ));
    assert_eq!(trips.list.len(), RoundTrips::MAX);
    assert_eq!(trips.count(), 101);
    assert!(
        trips
            .list
            .last()
            .is_some_and(|last| last.answer.is_failure())
    );
}

#[test]
fn of_a_part_that_is_not_watched_nothing_is_noted() {
    let clock = clock();
    let (trips, _) = run(watch(
        Some(&clock),
        boxed(async {
            insert().end(Answer::Good);
            unwatched(boxed(async {
                pause().await;
                assert!(!insert().is_watched());
            }))
            .await;
            insert().end(Answer::Good);
            take()
        }),
    ));
    assert_eq!(trips.count(), 2);
}

#[test]
fn what_was_waited_for_is_part_of_the_next_request() {
    let clock = clock();
    let (trips, _) = run(watch(
        Some(&clock),
        boxed(async {
            begin(&server(), "CONNECT", || Target::Nothing).into_next();
            insert().end(Answer::Good);
            insert().end(Answer::Good);
            take()
        }),
    ));
    let millis = |time: Duration| time.as_millis();
    let times = trips.list.iter();
    let times = times.map(|trip| [trip.began, trip.waited, trip.took].map(millis));
    assert_eq!(times.collect::<Vec<_>>(), [[1, 1, 2], [4, 0, 1]]);
}
