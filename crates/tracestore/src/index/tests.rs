use std::time::Duration;

use longshore_core::{SpanContext, SpanId, TraceFlags};
use longshore_instrument::table::{key, name};
use longshore_instrument::{Attribute, SpanLink};
use longshore_spanlog::Class;
use longshore_telemetry::encode::{Resource, request};

use super::*;

fn file(number: u64) -> FileName {
    let name = format!("{number:015}-7-0000000000000001-base.spans");
    name.parse().unwrap()
}

fn trace(number: u128) -> TraceId {
    TraceId::from_u128(number)
}

fn span(of: u128, number: u64, seconds: u64) -> Span {
    let start = Timestamp::UNIX_EPOCH.after(Duration::from_secs(1_000 + seconds));
    Span {
        start,
        end: start,
        ..Span::unknown(trace(of), SpanId::from_u64(number))
    }
}

fn attempt(of: u128, number: u64, seconds: u64, job: &'static str) -> Span {
    Span {
        name: name::PROCESS.into(),
        attributes: vec![Attribute::new(key::JOB_ID, job)],
        ..span(of, number, seconds)
    }
}

fn linking(mut span: Span, to: u128) -> Span {
    span.links.push(SpanLink {
        context: SpanContext::new(trace(to), SpanId::from_u64(1), TraceFlags::SAMPLED),
        attributes: Vec::new(),
    });
    span
}

fn add(index: &mut Index, number: u64, offset: u64, spans: &[Span]) {
    let position = Position {
        file: file(number),
        offset,
    };
    let resource = Resource::new([("service.name".to_owned(), "shop".to_owned())]);
    let body = request(&resource, spans);
    index.add((0, position), Source::Ended(Class::Base), &body);
}

fn listed(index: &Index) -> Vec<TraceId> {
    index.after(None).map(|(_, trace)| trace).collect()
}

#[test]
fn what_stood_in_a_deleted_file_alone_is_forgotten_with_all_that_finds_it() {
    let mut index = Index::default();
    // Trace 1 begins before the first file, in the second; trace 2 is in both; trace 3 is new.
    add(
        &mut index,
        1,
        40,
        &[attempt(1, 11, 20, "a"), span(2, 21, 25)],
    );
    add(&mut index, 1, 80, &[attempt(4, 41, 5, "d")]);
    add(
        &mut index,
        2,
        40,
        &[span(1, 12, 0), attempt(2, 22, 30, "b")],
    );
    add(&mut index, 2, 80, &[linking(attempt(3, 31, 40, "c"), 4)]);
    assert_eq!(listed(&index), [trace(3), trace(2), trace(4), trace(1)]);
    index.keep_files(0, &[file(2)]);
    assert_eq!(listed(&index), [trace(3), trace(2), trace(1)]);
    assert_eq!((index.len(), index.spans()), (3, 3));
    let spans = |of: u128| -> Vec<u64> {
        let outlines = index.outlines(trace(of));
        outlines.map(|(_, span)| span.span_id.to_u64()).collect()
    };
    assert_eq!(
        (spans(1), spans(2), spans(3)),
        (vec![12], vec![22], vec![31])
    );
    assert!(index.of_job("a").is_empty() && index.of_job("d").is_empty());
    assert_eq!(index.of_job("b"), [trace(2)]);
    assert_eq!(index.linked_from(trace(4)), [trace(3)]);
    index.keep_files(0, &[]);
    assert_eq!(
        (index.len(), index.spans(), listed(&index).len()),
        (0, 0, 0)
    );
    assert!(index.linked_from(trace(4)).is_empty() && index.by_job.is_empty());
    assert!(index.pool.is_empty() && index.linked_from.is_empty());
}

#[test]
fn the_oldest_traces_go_when_there_are_too_many_spans() {
    let mut index = Index::default();
    for number in 1..=20_u64 {
        let job = if number < 11 { "old" } else { "new" };
        add(
            &mut index,
            1,
            40 * number,
            &[attempt(number.into(), number, number, job)],
        );
    }
    index.bound(20);
    assert_eq!((index.len(), index.left_out), (20, 0));
    index.bound(10);
    assert_eq!((index.len(), index.spans(), index.left_out), (9, 9, 11));
    assert_eq!(listed(&index).last(), Some(&trace(12)));
    assert!(index.of_job("old").is_empty());
    assert_eq!(index.of_job("new").len(), 9);
}
