//! Lists, searches, stories, the live tail and what completion offers.

use longshore_core::Timestamp;
use longshore_instrument::table::{key, name};
use longshore_instrument::{Attribute, Span};
use longshore_spanlog::Class;
use longshore_trace::{TraceSummary, query};
use longshore_tracestore::{Filter, StoryOf, TraceStore, TraceStoreError};

use crate::sealed::{at_once, upkeep};
use crate::support::{Folder, at, id, job, linking, span, trace};

fn all(store: &TraceStore, filter: &dyn Filter, limit: usize) -> (Vec<u128>, usize) {
    let (mut found, mut pages, mut cursor) = (Vec::new(), 0, None);
    loop {
        let page = store.search(filter, limit, cursor.as_deref()).unwrap();
        assert!(page.traces.len() <= limit);
        found.extend(page.traces.iter().map(|trace| trace.trace_id.to_u128()));
        pages += 1;
        cursor = page.next_cursor;
        if cursor.is_none() {
            return (found, pages);
        }
    }
}

fn any(_: &TraceSummary) -> bool {
    true
}

/// Traces 1 to 10, a second apart, every third of them failed, some beginning together.
fn shop() -> Folder {
    let folder = Folder::new();
    let mut log = folder.log();
    for number in 1..=10_u128 {
        let from = 1_000 * i64::try_from(number.min(8)).unwrap();
        let spans = job(number, &format!("j-{number}"), from, number % 3 == 0);
        log.append(Class::Base, &spans);
    }
    folder
}

#[test]
fn pages_follow_each_other_newest_first() {
    let folder = shop();
    let store = folder.store();
    let wanted = vec![8, 9, 10, 7, 6, 5, 4, 3, 2, 1];
    for limit in [1, 3, 10, 100] {
        assert_eq!(all(&store, &any, limit).0, wanted, "{limit}");
    }
    let failed = |summary: &TraceSummary| summary.failed;
    assert_eq!(all(&store, &failed, 2).0, [9, 6, 3]);
    // What comes meanwhile comes first, and disturbs nothing.
    let page = store.search(&any, 4, None).unwrap();
    let mut log = folder.log();
    log.append(Class::Base, &job(11, "j-11", 20_000, false));
    store.refresh_all().unwrap();
    let next = store.search(&any, 1, page.next_cursor.as_deref()).unwrap();
    assert_eq!(next.traces[0].trace_id, trace(6));
    assert_eq!(all(&store, &any, 5).0[0], 11);
    for wrong in ["", "7", "x-1", "7-xyz", "é"] {
        let refused = store.search(&any, 1, Some(wrong)).unwrap_err();
        assert!(matches!(refused, TraceStoreError::Cursor(_)));
    }
}

/// A filter with everything in it.
#[derive(Default)]
struct Asked {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    job: Option<&'static str>,
    message: Option<&'static str>,
}

impl Filter for Asked {
    fn since(&self) -> Option<Timestamp> {
        self.since
    }

    fn until(&self) -> Option<Timestamp> {
        self.until
    }

    fn job(&self) -> Option<&str> {
        self.job
    }

    fn decide(&self, summary: &TraceSummary) -> Option<bool> {
        let in_time = self.since.is_none_or(|since| summary.end >= since)
            && self.until.is_none_or(|until| summary.start <= until);
        match self.message {
            Some(_) if in_time => None,
            _ => Some(in_time),
        }
    }

    fn matches(&self, _: &TraceSummary, spans: &[Span]) -> bool {
        let events = spans.iter().flat_map(|span| &span.events);
        let mut attributes = events.flat_map(|event| &event.attributes);
        attributes.any(|attribute| {
            Some(attribute)
                == self
                    .message
                    .map(|said| Attribute::new("exception.message", said))
                    .as_ref()
        })
    }
}

#[test]
fn times_jobs_and_spans_narrow_a_search() {
    let store = shop().store();
    let found = |asked: Asked| all(&store, &asked, 2).0;
    let asked = Asked {
        since: Some(at(6_009)),
        ..Asked::default()
    };
    assert_eq!(found(asked), [8, 9, 10, 7, 6]);
    let asked = Asked {
        until: Some(at(3_000)),
        ..Asked::default()
    };
    assert_eq!(found(asked), [3, 2, 1]);
    let asked = Asked {
        since: Some(at(2_010)),
        until: Some(at(4_000)),
        ..Asked::default()
    };
    assert_eq!(found(asked), [4, 3]);
    let asked = Asked {
        job: Some("j-9"),
        ..Asked::default()
    };
    assert_eq!(found(asked), [9]);
    let asked = Asked {
        job: Some("none"),
        ..Asked::default()
    };
    assert!(found(asked).is_empty());
}

#[test]
fn spans_are_read_where_a_summary_does_not_say() {
    let folder = shop();
    let store = folder.store();
    let asked = Asked {
        message: Some("no answer"),
        ..Asked::default()
    };
    assert_eq!(all(&store, &asked, 10).0, [9, 6, 3]);
    let asked = Asked {
        message: Some("something else"),
        ..Asked::default()
    };
    assert!(all(&store, &asked, 10).0.is_empty());
}

#[test]
fn the_search_language_is_a_filter() {
    let folder = shop();
    let store = folder.store();
    let found = |text: &str| all(&store, &query::parse(text, at(9_000)).unwrap(), 3).0;
    assert_eq!(found("orders error"), [9, 6, 3]);
    assert_eq!(found("job=j-4"), [4]);
    assert_eq!(found("since:2s until:1s"), [8, 9, 10, 7]);
    assert_eq!(found("exception.message=\"no answer\" -job=j-6"), [9, 3]);
    assert!(found("tenant=t-18").is_empty());
}

#[test]
fn a_search_for_little_among_much_goes_on_from_page_to_page() {
    let folder = Folder::new();
    let mut log = folder.log();
    let spans: Vec<Span> = (1..=1_200_u64)
        .map(|number| {
            span(
                number.into(),
                1,
                None,
                i64::try_from(number).unwrap(),
                2_000,
            )
        })
        .collect();
    for some in spans.chunks(100) {
        log.append(Class::Base, some);
    }
    let store = folder.store();
    let asked = Asked {
        message: Some("none"),
        ..Asked::default()
    };
    let (found, pages) = all(&store, &asked, 10);
    assert!(found.is_empty() && pages >= 2, "{pages}");
    let oldest = |summary: &TraceSummary| summary.trace_id == trace(1);
    assert_eq!(all(&store, &oldest, 10).0, [1]);
}

#[test]
fn a_story_joins_what_links() {
    let folder = Folder::new();
    let mut log = folder.log();
    // One call enqueued three jobs; each attempt has a trace of its own that links to the call.
    let call = Span {
        name: name::ENQUEUE.into(),
        ..span(1, 1, None, 0, 1)
    };
    log.append(Class::Base, &[call]);
    for number in 2..=4_u128 {
        let mut spans = job(number, &format!("j-{number}"), 10, false);
        spans[0] = linking(spans[0].clone(), 1);
        log.append(Class::Base, &spans);
    }
    let retried = linking(job(5, "j-2", 50, false).remove(2), 1);
    log.append(Class::Base, &[retried]);
    // A claim of several jobs has nothing to do with them, nor has a daemon with what it is asked.
    for (number, name) in [(6, name::CLAIM), (7, name::HTTP_REQUEST)] {
        let other = Span {
            name: name.into(),
            ..linking(span(number, 1, None, 0, 1), 2)
        };
        log.append(Class::Base, &[other]);
    }
    let store = folder.store();
    let numbers = |of| -> Vec<u128> {
        store
            .traces_of(of)
            .iter()
            .map(|trace| trace.to_u128())
            .collect()
    };
    assert_eq!(numbers(StoryOf::Job("j-2")), [2, 5, 1]);
    assert_eq!(numbers(StoryOf::Trace(trace(3))), [3, 1]);
    assert_eq!(numbers(StoryOf::Trace(trace(1))), [1, 2, 3, 4, 5]);
    assert_eq!(numbers(StoryOf::Trace(trace(6))), [6]);
    assert_eq!(numbers(StoryOf::Trace(trace(7))), [7]);
    assert_eq!(store.story(StoryOf::Job("j-2")).unwrap().len(), 5);
    assert!(store.story(StoryOf::Job("none")).unwrap().is_empty());
    assert_eq!(store.summary(trace(1)).unwrap().linked.len(), 4);
    let back = &store.summary(trace(2)).unwrap().linked;
    assert_eq!(*back, [trace(1)]);
}

#[test]
fn the_tail_tells_what_changed() {
    let folder = shop();
    let store = folder.store();
    let begin = store.tail(None, 10).unwrap();
    assert!(begin.traces.is_empty() && !begin.more);
    let nothing = store.tail(Some(&begin.cursor), 10).unwrap();
    assert!(nothing.traces.is_empty() && nothing.cursor == begin.cursor);
    let mut log = folder.log();
    for number in [3, 20, 21] {
        log.append(Class::Base, &[span(number, 9, None, 30_000, 30_001)]);
    }
    log.append(Class::Base, &[span(20, 10, None, 30_000, 30_001)]);
    store.refresh_all().unwrap();
    let numbers = |changes: &longshore_tracestore::Changes| -> Vec<(u128, u32)> {
        let traces = changes.traces.iter();
        traces
            .map(|trace| (trace.trace_id.to_u128(), trace.spans))
            .collect()
    };
    let first = store.tail(Some(&begin.cursor), 2).unwrap();
    assert_eq!(numbers(&first), [(3, 4), (21, 1)]);
    assert!(first.more);
    let second = store.tail(Some(&first.cursor), 2).unwrap();
    assert_eq!(numbers(&second), [(20, 2)]);
    assert!(!second.more);
    // A cursor of another life says that something may have been missed.
    let later = folder.store();
    let anew = later.tail(Some(&second.cursor), 2).unwrap();
    assert!(anew.missed && anew.traces.is_empty());
    assert!(!later.tail(Some(&anew.cursor), 2).unwrap().missed);
    assert!(store.tail(Some("x"), 2).is_err());
}

#[test]
fn completion_knows_what_there_is() {
    let folder = shop();
    let mut log = folder.log_of("web");
    let mut request = span(50, 1, None, 0, 1);
    request.attributes = vec![
        Attribute::new("http.route", "/Orders"),
        Attribute::new("http.status", 200_i64),
    ];
    log.append(Class::Base, &[request]);
    let store = folder.store();
    assert_eq!(store.services(), ["shop", "web"]);
    assert_eq!(store.operations("web"), ["work"]);
    assert_eq!(
        store.operations("shop"),
        [name::PROCESS, name::DEQUEUE, name::ENQUEUE]
    );
    assert_eq!(store.values("queue", "o").unwrap(), ["orders"]);
    assert_eq!(store.values(key::TENANT, "").unwrap(), ["t-17"]);
    assert_eq!(store.values("service", "W").unwrap(), ["web"]);
    assert_eq!(store.values("http.route", "/o").unwrap(), ["/Orders"]);
    assert_eq!(store.values("http.status", "2").unwrap(), ["200"]);
    assert!(store.values("http.route", "x").unwrap().is_empty());
    assert_eq!(store.keys("http.").unwrap(), ["http.route", "http.status"]);
}

/// Of a large trace as of a small one, wherever it lies: in many frames of the log, in sealed files, in
/// both, and while it is open.
#[test]
fn one_span_of_many_is_read_and_what_it_is_in_counted() {
    let folder = Folder::new();
    let mut log = folder.log();
    let named = |number: u64, name: &str| Span {
        name: name.to_owned().into(),
        attributes: vec![Attribute::new("app.number", number.to_string())],
        ..span(7, number, Some(1), 0, i64::try_from(number).unwrap())
    };
    let steps: Vec<Span> = (1..=6_000).map(|number| named(number, "step")).collect();
    for some in steps.chunks(500) {
        log.append(Class::Base, some);
    }
    // Neighbours that are not asked for.
    log.append(Class::Base, &job(6, "j-6", 0, false));
    log.append(Class::Base, &job(8, "j-8", 0, false));
    let check = |store: &TraceStore, spans: u32| {
        for number in [1, 499, 500, 501, 3_000, 6_000] {
            let found = store.span(trace(7), id(number)).unwrap().unwrap();
            assert_eq!(found.end, at(i64::try_from(number).unwrap()));
            let said = found.attribute("app.number").cloned();
            assert_eq!(said, Some(number.to_string().into()));
        }
        assert_eq!(store.span(trace(7), id(6_001)).unwrap(), None);
        assert_eq!(store.span(trace(5), id(1)).unwrap(), None);
        assert_eq!(
            store.trace(trace(7)).unwrap().unwrap().len(),
            spans as usize
        );
        assert_eq!(store.summary(trace(7)).unwrap().spans, spans);
        let part = store.story_within(StoryOf::Trace(trace(7)), 5_000).unwrap();
        assert_eq!((part.spans.len(), part.cut), (5_000, true));
        let steps = query::parse("app.number=3000", at(0)).unwrap();
        assert_eq!(all(store, &steps, 10).0, [7]);
        let step = store.summary(trace(7)).unwrap();
        assert!(store.is_match(&steps, &step).unwrap());
        let none = query::parse("app.number=7000", at(0)).unwrap();
        assert!(!store.is_match(&none, &step).unwrap());
    };
    let store = folder.store();
    check(&store, 6_000);
    assert_eq!(store.size_of(StoryOf::Alone(trace(7))), 6_000);
    drop(log);
    let _sealed = upkeep(&store, &at_once());
    store.refresh_all().unwrap();
    assert_eq!(store.holdings().spans, 0);
    check(&store, 6_000);
    assert_eq!(store.size_of(StoryOf::Trace(trace(7))), 6_000);
    assert_eq!(store.size_of(StoryOf::Job("j-6")), 3);
    assert_eq!(store.size_of(StoryOf::Alone(trace(9))), 0);
    // What is open does not count where it has ended; what is new does.
    let mut log = folder.log();
    log.open(&[named(3_000, "open"), named(6_002, "open")]);
    store.refresh_all().unwrap();
    check(&store, 6_001);
    let open = store.span(trace(7), id(6_002)).unwrap().unwrap();
    assert_eq!(open.name, "open");
    assert_eq!(store.size_of(StoryOf::Alone(trace(7))), 6_002);
}
