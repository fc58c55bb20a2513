//! Secrets of every kind, planted everywhere.

use std::borrow::Cow;

use fastrand::Rng;
use longshore_core::{SpanContext, SpanId, Timestamp, TraceFlags, TraceId, TraceState};
use longshore_instrument::{
    Attribute, AttributeValue, Dropped, Span, SpanEvent, SpanKind, SpanLink, SpanStatus,
};
use proptest::prelude::*;

use super::redactor;
use super::secrets::plant;

/// No piece of eight characters of a secret stands in a text.
fn leaked(secret: &str, shown: &str) -> Option<String> {
    let letters: Vec<char> = secret.chars().collect();
    let pieces = letters.windows(8.min(letters.len()));
    pieces
        .map(|piece| piece.iter().collect::<String>())
        .find(|piece| shown.contains(piece.as_str()))
}

#[test]
fn secrets_do_not_survive_anywhere_in_a_text() {
    let redactor = redactor();
    let mut leaks = Vec::new();
    for seed in 0..60_000 {
        let (secret, text) = plant(seed);
        let shown = redactor.text(&text);
        if let Some(piece) = leaked(&secret, &shown) {
            leaks.push(format!("{piece:?} of {text:?} in {shown:?}"));
        }
        assert_eq!(redactor.text(&shown), shown, "redacting twice, {text:?}");
    }
    assert!(
        leaks.is_empty(),
        "{} leaks:\n{}",
        leaks.len(),
        leaks[..leaks.len().min(40)].join("\n")
    );
}

#[test]
fn secrets_do_not_survive_several_in_a_text() {
    let redactor = redactor();
    for seed in 0..10_000 {
        let (first, left) = plant(seed * 2 + 1_000_000);
        let (second, right) = plant(seed * 2 + 1_000_001);
        let text = format!("{left} {right}");
        let shown = redactor.text(&text);
        for secret in [&first, &second] {
            assert_eq!(leaked(secret, &shown), None, "{text:?} became {shown:?}");
        }
        assert_eq!(redactor.text(&shown), shown, "redacting twice, {text:?}");
    }
}

fn text_attribute(key: &'static str, text: &str) -> Attribute {
    Attribute::new(key, text.to_owned())
}

/// A span with a text everywhere that a text can stand.
fn span_of(text: &str, engine: bool) -> Span {
    let owned = || Cow::<'static, str>::Owned(text.to_owned());
    let attributes = || {
        vec![
            text_attribute("messaging.destination.name", text),
            text_attribute("app.note", text),
            text_attribute("url.path", text),
            text_attribute("exception.message", text),
            Attribute {
                key: Cow::Borrowed("app.notes"),
                value: AttributeValue::Strings(vec![owned(), Cow::Borrowed("x"), owned()]),
            },
            Attribute {
                key: owned(),
                value: AttributeValue::Int(1),
            },
        ]
    };
    let context = SpanContext {
        trace_id: TraceId::from_u128(1),
        span_id: SpanId::from_u64(1),
        flags: TraceFlags::new(1),
        trace_state: TraceState::parse("").0,
    };
    Span {
        trace_id: context.trace_id,
        span_id: context.span_id,
        parent_span_id: None,
        parent_is_remote: false,
        flags: context.flags,
        trace_state: context.trace_state.clone(),
        name: owned(),
        kind: SpanKind::Internal,
        start: Timestamp::from_unix_millis(1),
        end: Timestamp::from_unix_millis(2),
        attributes: attributes(),
        events: vec![SpanEvent {
            name: owned(),
            at: Timestamp::from_unix_millis(1),
            attributes: attributes(),
        }],
        links: vec![SpanLink {
            context,
            attributes: attributes(),
        }],
        status: SpanStatus::Error(owned()),
        scope: if engine {
            Cow::Borrowed(Span::ENGINE_SCOPE)
        } else {
            owned()
        },
        dropped: Dropped::default(),
        resource: None,
    }
}

#[test]
fn secrets_do_not_survive_anywhere_in_a_span() {
    let redactor = redactor();
    for seed in 0..1_000 {
        let (secret, text) = plant(seed + 2_000_000);
        for engine in [true, false] {
            let mut span = span_of(&text, engine);
            redactor.span(&mut span);
            // What Debug escapes, such as a newline, would hide a leak.
            let shown = format!("{span:?}")
                .replace("\\n", "\n")
                .replace("\\t", "\t")
                .replace("\\\"", "\"");
            assert_eq!(leaked(&secret, &shown), None, "{text:?} became {shown}");
            let once = span.clone();
            redactor.span(&mut span);
            assert_eq!(span, once);
        }
    }
}

#[test]
fn long_texts_are_cut_and_leak_nothing_at_the_cut() {
    let redactor = redactor();
    for seed in 0..3_000 {
        let (secret, text) = plant(seed + 3_000_000);
        let mut rng = Rng::with_seed(seed);
        // Around the limit of what leaves, and around that of what is searched.
        let room = [950, 12_100][rng.usize(..2)] + rng.usize(..200);
        let text = format!(
            "{}{text}{}",
            "lorem ipsum ".repeat(room / 12),
            " dolor sit amet".repeat(rng.usize(..200))
        );
        let shown = redactor.text(&text);
        assert!(shown.chars().count() <= 1_000);
        assert_eq!(leaked(&secret, &shown), None, "{shown:?}");
        assert_eq!(redactor.text(&shown), shown);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_redacted_once_and_for_all(text in "\\PC{0,200}") {
        let redactor = redactor();
        let once = redactor.text(&text).into_owned();
        prop_assert_eq!(redactor.text(&once), once.as_str());
    }

    #[test]
    fn texts_of_telling_pieces_are_redacted_once_and_for_all(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        let text: String = pieces.concat();
        for key in ["", "db.query.text", "url.full", "url.query", "http.request.header.cookie", "stderr"] {
            for length in [1_000, 20] {
                let redactor = super::with(|policy| policy.max_attribute_length = length);
                let once = redactor.pair(key, &text).unwrap().into_owned();
                prop_assert!(once.chars().count() <= length.max(64));
                prop_assert_eq!(redactor.pair(key, &once).unwrap(), once.as_str(), "{} {}", key, text);
            }
        }
    }

    #[test]
    fn any_bytes_are_borne(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        let redactor = redactor();
        for key in ["", "db.query.text", "url.full", "url.query"] {
            let _ = redactor.pair(key, &text);
        }
        let _ = redactor.baggage(&text);
    }
}

/// Pieces that detectors look for.
const PIECES: &[&str] = &[
    "@",
    ":",
    "=",
    "%",
    "%40",
    "%3D",
    "%22",
    ">",
    "<",
    "'",
    "\"",
    "`",
    "-",
    "--",
    "~",
    "[",
    "]",
    "[REDACTED:",
    "[REDACTED:email]",
    "[HASHED:",
    "password",
    "token",
    "basic",
    "bearer",
    "eyJ",
    "eyJhbGciOiJIUzI1NiJ9",
    ".",
    "4111 1111 1111 1111",
    "4111",
    "1111",
    "1",
    "DE89370400440532013000",
    "AKIAIOSFODNN7EXAMPLE",
    "sk-",
    "ghp_",
    "-----BEGIN PRIVATE KEY-----",
    "-----END",
    "://",
    "//",
    "a",
    "x.com",
    "user",
    " ",
    "\n",
    "\\",
    "\\\"",
    "ü",
    "日",
    "…",
    "SELECT",
    "$$",
    "$1",
    "?",
    "(",
    ")",
    ",",
    ";",
    "/*",
    "*/",
    "&",
    "#",
    "E'",
    "0x1F",
    "authorization",
    "cookie",
    "Some(",
    "{",
    "}",
];
