use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::id::JobId;
use crate::new_job::NewJob;
use crate::time::Timestamp;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(seconds * 1000)
}

fn id() -> BatchId {
    "b/1".parse().unwrap()
}

fn callback(kind: &str) -> Callback {
    let (queue, kind) = ("q".parse().unwrap(), kind.parse().unwrap());
    let mut job = NewJob::new(JobId::lossy("any"), queue, kind, r#"{"n":1}"#);
    job.timeout = Some(std::time::Duration::from_secs(3));
    Callback::of(job).unwrap()
}

fn batch(members: usize) -> Batch {
    let callbacks = (Some(callback("on_end")), Some(callback("on_success")));
    Batch::new(members, callbacks, at(0)).unwrap()
}

fn kinds(jobs: &[NewJob]) -> Vec<&str> {
    jobs.iter().map(|job| job.kind.as_str()).collect()
}

#[test]
fn an_empty_batch_is_over_at_once() {
    let mut empty = batch(0);
    assert_eq!(empty.state(), State::Ended);
    let due = empty.due(&id());
    assert_eq!(kinds(&due), ["on_end", "on_success"]);
    assert_eq!(due[0].id.as_str(), "batch.b/1.end");
    assert_eq!(due[0].metadata[METADATA_ENDED], "b/1");
    assert!(due.iter().all(|job| job.validate().is_ok()));
    assert!(empty.finish());
    assert!(!empty.finish());
    assert_eq!(empty.due(&id()), []);
}

#[test]
fn a_batch_has_bounds() {
    assert_eq!(batch(Batch::MAX_MEMBERS).pages().len(), 1000);
    let none = (None, None);
    let refused = Batch::new(Batch::MAX_MEMBERS + 1, none, at(0)).unwrap_err();
    assert!(refused.to_string().contains("1000000"), "{refused}");
    let mut full = batch(Batch::MAX_MEMBERS);
    assert!(full.add(1, at(1)).is_err());
    let mut patched = batch(1);
    for _ in 0..Batch::MAX_ADDED_PAGES {
        patched.add(1, at(1)).unwrap();
    }
    let refused = patched.add(1, at(1)).unwrap_err();
    assert!(refused.to_string().contains("1000 times"), "{refused}");
}

fn job_with_args(args: String) -> NewJob {
    let (queue, kind) = ("q".parse().unwrap(), "on_end".parse().unwrap());
    NewJob::new(JobId::lossy("any"), queue, kind, args)
}

/// What counts is what a callback takes in the document: quotes take two bytes there.
#[test]
fn a_callback_has_a_bound() {
    let tried = |args: String| Callback::of(job_with_args(args));
    tried("x".repeat(Callback::MAX_BYTES - 200)).unwrap();
    for args in ["x".repeat(Callback::MAX_BYTES), "\"".repeat(9 << 10)] {
        let refused = tried(args).unwrap_err();
        assert_eq!(refused.kind(), crate::ErrorKind::Invalid);
        assert!(refused.to_string().contains("16384"), "{refused}");
    }
    let mut tagged = job_with_args("x".repeat(15 << 10));
    tagged.metadata = [("k".to_owned(), "\n".repeat(2 << 10))].into();
    assert!(Callback::of(tagged).is_err());
}

/// The largest callback.
fn largest_callback() -> Callback {
    let tried = |length| Callback::of(job_with_args("x".repeat(length)));
    (0..Callback::MAX_BYTES)
        .rev()
        .find_map(|length| tried(length).ok())
        .unwrap()
}

/// The largest batch, all of whose pages tell most, fits into its document; so does the fullest page.
#[test]
fn what_is_allowed_fits_into_documents() {
    let members = Batch::MAX_MEMBERS - Batch::MAX_ADDED_PAGES;
    let callbacks = (Some(largest_callback()), Some(largest_callback()));
    let mut largest = Batch::new(members, callbacks, at(0)).unwrap();
    for _ in 0..Batch::MAX_ADDED_PAGES {
        largest.add(1, Timestamp::MAX).unwrap();
    }
    for page in 0..1999 {
        let most = u32::from(Batch::PAGE);
        largest.fold(page, Counts::from([most; 5]), Timestamp::MAX);
    }
    let size = largest.encode().unwrap().len();
    assert!(size < crate::store::Document::MAX_BYTES, "{size}");
    let page = vec![JobId::lossy(&"x".repeat(JobId::MAX_LENGTH)); usize::from(Batch::PAGE)];
    let size = Members(page).encode().unwrap().len();
    assert!(size < crate::store::Document::MAX_BYTES);
}

#[test]
fn a_callback_says_what_it_cannot_have() {
    let job = || {
        NewJob::new(
            JobId::lossy("any"),
            "q".parse().unwrap(),
            "k".parse().unwrap(),
            "{}",
        )
    };
    let refused = |change: fn(&mut NewJob)| {
        let mut job = job();
        change(&mut job);
        Callback::of(job).unwrap_err().to_string()
    };
    assert!(refused(|job| job.scheduled_at = Some(Timestamp::MAX)).contains("delay"));
    assert!(refused(|job| job.args = vec![b'x'; 20_000].into()).contains("16384"));
    assert!(refused(|job| job.args = vec![0xff].into()).contains("UTF-8"));
    let key = |job: &mut NewJob| {
        job.unique_key = Some(crate::unique::UniqueKey::new("k", &job.kind, b"{}"))
    };
    assert!(refused(key).contains("unique key"));
}

#[test]
fn who_is_missing_is_told_by_the_page() {
    let mut one = batch(1);
    assert_eq!(
        one.missing(0, at(1_000_000)),
        None,
        "the call may be repeated"
    );
    one.fill();
    assert_eq!(one.missing(0, at(1)), Some(End::Gone));
    let pages = one.add(2, at(10)).unwrap();
    assert_eq!(pages, 1..2);
    assert_eq!(one.missing(1, at(910)), None);
    assert_eq!(one.missing(1, at(911)), Some(End::Absent));
    one.fill_added(pages);
    assert_eq!(one.missing(1, at(11)), Some(End::Gone));
}

#[test]
fn members_that_never_came_are_not_counted() {
    let mut one = batch(1);
    one.add(2, at(10)).unwrap();
    let mut ends = Ends::new(2);
    assert!(ends.mark(0, End::Absent) && ends.mark(1, End::Completed));
    one.fold(1, ends.counts(), at(4000));
    let mut first = Ends::new(1);
    first.mark(0, End::Completed);
    one.fold(0, first.counts(), at(4000));
    assert_eq!((one.members(), one.counts().ended()), (2, 2));
    assert_eq!(kinds(&one.due(&id())), ["on_end", "on_success"]);
}

#[test]
fn a_batch_is_kept_for_a_week_after_it_is_over() {
    let week = 7 * 86_400;
    let mut one = batch(1);
    assert!(one.is_past(at(week + 1)), "its call was never ended");
    one.fill();
    assert!(!one.is_past(at(10 * week)), "its member is not over");
    let mut ends = Ends::new(1);
    ends.mark(0, End::Discarded);
    one.fold(0, ends.counts(), at(week));
    assert!(!one.is_past(at(10 * week)), "its callback is not enqueued");
    assert_eq!(kinds(&one.due(&id())), ["on_end"]);
    one.finish();
    assert!(!one.is_past(at(2 * week)));
    assert!(one.is_past(at(2 * week + 1)));
}

fn an_end() -> impl Strategy<Value = End> {
    prop::sample::select(vec![
        End::Absent,
        End::Gone,
        End::Cancelled,
        End::Discarded,
        End::Completed,
    ])
}

proptest! {
    /// Marks in any order, any number of times, end in the same page.
    #[test]
    fn the_order_of_marks_does_not_matter(
        marks in prop::collection::vec((0u16..8, an_end()), 0..40).prop_shuffle(),
        seed in any::<u64>(),
    ) {
        let mut one = Ends::new(6);
        marks.iter().for_each(|(slot, end)| { one.mark(*slot, *end); });
        let mut turned = marks.clone();
        turned.rotate_left(usize::try_from(seed % 41).unwrap().min(marks.len()));
        turned.extend(marks);
        let mut other = Ends::new(6);
        turned.iter().for_each(|(slot, end)| { other.mark(*slot, *end); });
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(&Ends::decode(&one.encode()).unwrap(), &one);
        let counts = one.counts();
        let pending = one.pending().count();
        prop_assert_eq!(counts.ended() as usize + counts.absent as usize + pending, 6);
        prop_assert_eq!(one.is_complete(), pending == 0);
    }

    /// A batch is over exactly when all members of all pages are, whatever came in which order;
    /// then its callbacks are due once, and nothing changes any more.
    #[test]
    fn a_batch_is_over_when_its_members_are(
        members in 0usize..5,
        steps in prop::collection::vec((0u8..8, 0u16..5, 0u16..3, an_end()), 0..60),
    ) {
        let mut one = batch(members);
        let mut pages: BTreeMap<u16, Ends> = one.planned()
            .map(|page| (page, Ends::new(one.pages()[usize::from(page)].members)))
            .collect();
        let mut fired = 0;
        let mut time = 0;
        for (step, page, slot, end) in steps {
            time += 1;
            let was_over = one.over_at();
            match step {
                0 => one.fill(),
                1 => match one.add(usize::from(slot) + 1, at(time)) {
                    Ok(added) => for page in added {
                        let size = one.pages()[usize::from(page)].members;
                        pages.insert(page, Ends::new(size));
                    },
                    Err(_) => prop_assert!(was_over.is_some()),
                },
                2 => fired += usize::from(one.finish()),
                _ => if let Some(ends) = pages.get_mut(&page) {
                    ends.mark(slot, end);
                    if ends.is_complete() {
                        one.fold(page, ends.counts(), at(time));
                    }
                },
            }
            if was_over.is_some() {
                prop_assert_eq!(one.over_at(), was_over);
            }
            let all = pages.values().all(Ends::is_complete);
            prop_assert_eq!(one.over_at().is_some(), all);
            prop_assert_eq!(one.due(&id()).is_empty(), !all || one.is_finished());
            prop_assert_eq!(&Batch::decode(&one.encode().unwrap()).unwrap(), &one);
        }
        prop_assert!(fired <= 1);
    }

    /// Whatever lies in the documents, reading them does no harm.
    #[test]
    fn anything_may_be_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _read = (Batch::decode(&bytes), Members::decode(&bytes), Ends::decode(&bytes));
    }
}
