//! The cases of the W3C trace-context test suite, in its strict mode, that concern the text of the
//! headers. Which headers there are, and how often, is the transport's matter: several
//! `tracestate` headers come here joined by a comma, as HTTP joins them.
//!
//! The suite's cases about vendors in keys (`tenant@vendor`, at most 241 and 14 characters) are of
//! level 1 of the recommendation; by level 2 an `@` may stand anywhere but in front.

use longshore_core::trace_context::InvalidTraceparent::{
    self, Malformed, SpanId, TraceId, Version,
};
use longshore_core::{SpanContext, TraceState};

const TRACE: &str = "12345678901234567890123456789012";
const SPAN: &str = "1234567890123456";

/// A `traceparent`, where `T` and `S` stand for good ids.
fn header(text: &str) -> String {
    text.replace('T', TRACE).replace('S', SPAN)
}

#[test]
fn traceparents_that_are_valid() {
    let cases = [
        ("00-T-S-01", 1),
        ("00-T-S-00", 0),
        ("00-T-S-02", 2),
        ("00-T-S-03", 3),
        ("00-T-S-ff", 3),
        ("00-ffffffffffffffffffffffffffffffff-S-00", 0),
        ("00-T-ffffffffffffffff-00", 0),
        ("01-T-S-00", 0),
        ("02-T-S-00", 0),
        ("cc-T-S-01", 1),
        ("cc-T-S-01-what-the-future-will-be-like", 1),
        ("fe-T-S-01-", 1),
        (" 00-T-S-01", 1),
        ("\t00-T-S-01", 1),
        ("00-T-S-01 ", 1),
        ("00-T-S-01\t", 1),
        ("\t 00-T-S-01 \t", 1),
    ];
    for (text, flags) in cases {
        let text = header(text);
        let context = SpanContext::from_traceparent(&text).unwrap();
        assert_eq!(context.flags.bits(), flags, "{text:?}");
        let printed = context.traceparent();
        assert_eq!(
            printed,
            format!("00-{}-{}-{flags:02x}", context.trace_id, context.span_id)
        );
        assert!(text.contains(&printed[3..52]), "{text:?}: {printed}");
    }
}

#[test]
fn traceparents_that_are_not() {
    let cases: &[(&str, InvalidTraceparent)] = &[
        ("", Malformed),
        (" ", Malformed),
        ("00-T-S-01.", Malformed),
        ("00-T-S-01-", Malformed),
        ("00-T-S-01-what-the-future-will-be-like", Malformed),
        ("cc-T-S-01.what-the-future-will-be-like", Malformed),
        ("ff-T-S-01", Version),
        (".0-T-S-01", Malformed),
        ("0.-T-S-01", Malformed),
        ("+0-T-S-01", Malformed),
        ("000-T-S-01", Malformed),
        ("0000-T-S-01", Malformed),
        ("0-T-S-01", Malformed),
        ("CC-T-S-01", Malformed),
        ("00-00000000000000000000000000000000-S-01", TraceId),
        ("00-.2345678901234567890123456789012-S-01", Malformed),
        ("00-1234567890123456789012345678901.-S-01", Malformed),
        ("00-+2345678901234567890123456789012-S-01", Malformed),
        ("00-123456789012345678901234567890123-S-01", Malformed),
        ("00-1234567890123456789012345678901-S-01", Malformed),
        ("00-T-0000000000000000-01", SpanId),
        ("00-T-.234567890123456-01", Malformed),
        ("00-T-123456789012345.-01", Malformed),
        ("00-T-12345678901234567-01", Malformed),
        ("00-T-123456789012345-01", Malformed),
        ("00-T-S-.0", Malformed),
        ("00-T-S-0.", Malformed),
        ("00-T-S-001", Malformed),
        ("00-T-S-1", Malformed),
        ("00-T-S-", Malformed),
        ("00-T-S-0A", Malformed),
        ("00-T-S", Malformed),
        ("00-T", Malformed),
        ("00", Malformed),
        ("00-T-S-01,00-T-S-01", Malformed),
        ("00 -T-S-01", Malformed),
        ("\u{a0}00-T-S-01", Malformed),
    ];
    for (text, reason) in cases {
        let text = header(text);
        assert_eq!(
            SpanContext::from_traceparent(&text),
            Err(*reason),
            "{text:?}"
        );
    }
}

/// The members `bar01=01` to `bar<count>=<count>`.
fn bars(count: usize) -> String {
    let bars: Vec<String> = (1..=count).map(|n| format!("bar{n:02}={n:02}")).collect();
    bars.join(",")
}

/// Every character a key may have, and every one a value may have.
fn every_character() -> String {
    let value: String = (0x20..=0x7e_u8)
        .map(char::from)
        .filter(|c| *c != ',' && *c != '=')
        .collect();
    format!("abcdefghijklmnopqrstuvwxyz0123456789_-*/@a-z0-9_-*/={value}")
}

#[test]
fn tracestates_that_are_valid() {
    let long = |letter: &str| letter.repeat(256);
    let cases = [
        (String::new(), String::new()),
        ("foo=1".into(), "foo=1".into()),
        ("foo=1,bar=2".into(), "foo=1,bar=2".into()),
        // Several headers, some of them empty.
        ("foo=1,".into(), "foo=1".into()),
        (",foo=1".into(), "foo=1".into()),
        (
            "foo=1,bar=2,rojo=1,congo=2,baz=3".into(),
            "foo=1,bar=2,rojo=1,congo=2,baz=3".into(),
        ),
        (every_character(), every_character()),
        (
            "foo=1 \t , \t bar=2, \t baz=3".into(),
            "foo=1,bar=2,baz=3".into(),
        ),
        (
            "foo=1\t \t,\t \tbar=2,\t \tbaz=3".into(),
            "foo=1,bar=2,baz=3".into(),
        ),
        (" foo=1".into(), "foo=1".into()),
        ("\tfoo=1".into(), "foo=1".into()),
        ("foo=1 ".into(), "foo=1".into()),
        ("foo=1\t".into(), "foo=1".into()),
        ("\t foo=1 \t".into(), "foo=1".into()),
        (bars(32), bars(32)),
        (
            format!("foo=1,{}=1", long("z")),
            format!("foo=1,{}=1", long("z")),
        ),
        (format!("foo={}", long("x")), format!("foo={}", long("x"))),
        (
            "1special=a,special@=b,s@@v=c,s@v@t=d".into(),
            "1special=a,special@=b,s@@v=c,s@v@t=d".into(),
        ),
        // Exactly as much as travels.
        (
            format!("foo={},bar={}", long("x"), "y".repeat(247)),
            format!("foo={},bar={}", long("x"), "y".repeat(247)),
        ),
        // And one byte more: whole members go.
        (
            format!("foo={},bar={}", long("x"), "y".repeat(248)),
            format!("foo={}", long("x")),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(TraceState::parse(&text).0.as_str(), expected, "{text:?}");
    }
}

#[test]
fn tracestates_that_are_discarded() {
    let cases = [
        ("foo=1,foo=1".to_owned(), 2),
        ("foo=1,foo=2".to_owned(), 2),
        ("foo =1".to_owned(), 1),
        ("FOO=1".to_owned(), 1),
        ("foo.bar=1".to_owned(), 1),
        ("special.vendor=a,bar=2".to_owned(), 2),
        ("@foo=1,bar=2".to_owned(), 2),
        ("_foo=1".to_owned(), 1),
        ("-foo=1".to_owned(), 1),
        ("=1".to_owned(), 1),
        ("foobarbaz".to_owned(), 1),
        (bars(33), 33),
        (format!("foo=1,{}=1", "z".repeat(257)), 2),
        (format!("foo={}", "x".repeat(257)), 1),
        ("foo=bar=baz".to_owned(), 1),
        ("foo=,bar=3".to_owned(), 2),
        ("foo=b\u{e9}".to_owned(), 1),
        ("foo=1\u{7f}".to_owned(), 1),
        ("foo=a\tb".to_owned(), 1),
        ("foo=1\nbar=2".to_owned(), 1),
        ("\u{a0}foo=1".to_owned(), 1),
    ];
    for (text, members) in cases {
        let (state, cut) = TraceState::parse(&text);
        assert_eq!((state.as_str(), cut), ("", members), "{text:?}");
    }
}

#[test]
fn a_member_more_pushes_out_the_oldest() {
    let (state, _) = TraceState::parse(&bars(32));
    let state = state.with("ot", Some("th:0"));
    assert_eq!(state.as_str(), format!("ot=th:0,{}", bars(31)));
    assert_eq!(TraceState::parse(state.as_str()), (state, 0));
}
