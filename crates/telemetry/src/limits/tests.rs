use longshore_core::{SpanContext, SpanId, Timestamp, TraceFlags, TraceId};
use longshore_instrument::{Attribute, SpanEvent, SpanLink};

use super::*;
use crate::keep::job_spans::tests::span;

/// More than the default of any limit.
const MANY: usize = 200;

fn attributes(count: usize) -> Vec<Attribute> {
    let one = |number: usize| Attribute {
        key: format!("key{number}").into(),
        value: AttributeValue::Int(1),
    };
    (0..count).map(one).collect()
}

fn event(name: &'static str, count: usize) -> SpanEvent {
    SpanEvent {
        name: name.into(),
        at: Timestamp::from_unix_millis(1),
        attributes: attributes(count),
    }
}

fn link(count: usize) -> SpanLink {
    let (trace, id) = (TraceId::from_u128(1), SpanId::from_u64(1));
    SpanLink {
        context: SpanContext::new(trace, id, TraceFlags::SAMPLED),
        attributes: attributes(count),
    }
}

/// A span with so many of each, and as many attributes on all of them.
fn full(count: usize) -> Span {
    let mut span = span(1, "full");
    span.attributes = attributes(count);
    span.events = (0..count).map(|_| event("one", count)).collect();
    span.links = (0..count).map(|_| link(count)).collect();
    span
}

const UNLIMITED: SpanLimits = SpanLimits {
    attributes: u32::MAX,
    events: u32::MAX,
    links: u32::MAX,
    event_attributes: u32::MAX,
    link_attributes: u32::MAX,
    value_length: usize::MAX,
};

/// How many attributes, events, links, attributes of each event and of each link there are.
fn shape(span: &Span) -> [usize; 5] {
    [
        span.attributes.len(),
        span.events.len(),
        span.links.len(),
        span.events[0].attributes.len(),
        span.links[0].attributes.len(),
    ]
}

/// How many attributes, events and links are counted as dropped.
fn dropped(span: &Span) -> [u32; 3] {
    let dropped = span.dropped;
    [dropped.attributes, dropped.events, dropped.links]
}

#[test]
fn nothing_is_dropped_below_the_limits() {
    let mut span = full(4);
    let before = span.clone();
    SpanLimits::default().limit(&mut span);
    UNLIMITED.limit(&mut span);
    assert_eq!(span, before);
}

/// Each limit alone, so that none can be left out or taken for another.
#[test]
fn each_limit_cuts_what_it_is_for_and_nothing_else() {
    let only = |set: fn(&mut SpanLimits)| {
        let mut limits = UNLIMITED;
        set(&mut limits);
        let mut span = full(4);
        limits.limit(&mut span);
        (shape(&span), dropped(&span))
    };
    let cases = [
        (
            only(|limits| limits.attributes = 1),
            [1, 4, 4, 4, 4],
            [3, 0, 0],
        ),
        (only(|limits| limits.events = 1), [4, 1, 4, 4, 4], [0, 3, 0]),
        (only(|limits| limits.links = 1), [4, 4, 1, 4, 4], [0, 0, 3]),
        (
            only(|limits| limits.event_attributes = 1),
            [4, 4, 4, 1, 4],
            [12, 0, 0],
        ),
        (
            only(|limits| limits.link_attributes = 1),
            [4, 4, 4, 4, 1],
            [12, 0, 0],
        ),
        (only(|limits| limits.value_length = 0), [4; 5], [0, 0, 0]),
    ];
    for (seen, left, dropped) in cases {
        assert_eq!(seen, (left, dropped));
    }
}

#[test]
fn the_defaults_are_limits() {
    let mut span = full(MANY);
    SpanLimits::default().limit(&mut span);
    assert_eq!(shape(&span), [128; 5]);
    let left = 2 * 128 * 72 + 72;
    assert_eq!(dropped(&span), [left, 72, 72]);
}

#[test]
fn what_comes_first_stays_and_what_was_dropped_before_still_counts() {
    let mut span = full(1);
    span.events = vec![event("first", 3), event("second", 3), event("third", 3)];
    span.dropped.events = 10;
    span.dropped.links = 5;
    span.dropped.attributes = u32::MAX;
    let limits = SpanLimits {
        events: 2,
        links: 0,
        attributes: 0,
        ..UNLIMITED
    };
    limits.limit(&mut span);
    let names: Vec<_> = span
        .events
        .iter()
        .map(|event| event.name.as_ref())
        .collect();
    assert_eq!(names, ["first", "second"]);
    assert_eq!(dropped(&span), [u32::MAX, 11, 6]);
}

/// Every value that is text is shortened, wherever it stands; by default to a thousand characters.
#[test]
fn values_are_shortened_everywhere() {
    let long = "é".repeat(1500);
    let texts = || {
        let list = vec!["short".into(), long.clone().into()];
        vec![
            Attribute::new("text", long.clone()),
            Attribute {
                key: "texts".into(),
                value: AttributeValue::Strings(list),
            },
            Attribute::new("number", 7_i64),
        ]
    };
    let mut one = full(1);
    one.attributes = texts();
    one.events[0].attributes = texts();
    one.links[0].attributes = texts();
    let mut unlimited = one.clone();
    UNLIMITED.shorten(&mut unlimited);
    assert_eq!(unlimited, one);
    SpanLimits::default().shorten(&mut one);
    let cut = long.chars().take(1000).collect::<String>();
    let expected = [
        AttributeValue::String(cut.clone().into()),
        AttributeValue::Strings(vec!["short".into(), cut.into()]),
        AttributeValue::Int(7),
    ];
    for place in [
        &one.attributes,
        &one.events[0].attributes,
        &one.links[0].attributes,
    ] {
        let values: Vec<_> = place
            .iter()
            .map(|attribute| attribute.value.clone())
            .collect();
        assert_eq!(values, expected);
    }
    assert_eq!(dropped(&one), [0, 0, 0], "shortened is not dropped");
}

#[test]
fn values_are_cut_between_characters() {
    for (most, expected) in [(0, ""), (1, "é"), (3, "élé"), (5, "éléph"), (9, "éléphant")] {
        let mut text = Cow::Borrowed("éléphant");
        shorten(&mut text, most);
        assert_eq!(text, expected);
    }
}
