//! Carrying a context over a boundary as headers or environment variables.

use longshore_core::{Baggage, SpanContext, TraceState};

/// The header that some front ends rewrite.
pub const TRACEPARENT: &str = "traceparent";
/// The header beside it.
pub const TRACESTATE: &str = "tracestate";
/// The header of the caller's own pairs.
pub const BAGGAGE: &str = "baggage";
/// Our own copy of `traceparent`, since some front ends rewrite the standard one.
pub const OWN_TRACEPARENT: &str = "x-longshore-traceparent";

/// The headers that say which span something comes from. Whoever puts another span in its place
/// takes all of them away first, since one that stayed would go with the wrong span.
pub const OF_A_SPAN: [&str; 3] = [TRACEPARENT, OWN_TRACEPARENT, TRACESTATE];

/// Hands the headers that carry `context` to `set`; empty ones are left out.
pub fn inject(context: &SpanContext, baggage: &Baggage, mut set: impl FnMut(&str, &str)) {
    let traceparent = context.traceparent();
    set(TRACEPARENT, &traceparent);
    set(OWN_TRACEPARENT, &traceparent);
    if !context.trace_state.is_empty() {
        set(TRACESTATE, context.trace_state.as_str());
    }
    if !baggage.is_empty() {
        set(BAGGAGE, baggage.as_str());
    }
}

/// The `traceparent` of headers as text, ours before the standard one.
pub fn traceparent<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<&'a str> {
    get(OWN_TRACEPARENT).or_else(|| get(TRACEPARENT))
}

/// Reads a context from headers, ours before the standard one. `Ok(None)`: there is none.
///
/// # Errors
/// A `traceparent` is there and cannot be read.
pub fn extract<'a>(
    get: impl Fn(&str) -> Option<&'a str>,
) -> Result<Option<SpanContext>, longshore_core::trace_context::InvalidTraceparent> {
    let Some(text) = traceparent(&get) else {
        return Ok(None);
    };
    let mut context = SpanContext::from_traceparent(text)?;
    if let Some(state) = get(TRACESTATE) {
        context.trace_state = TraceState::parse(state).0;
    }
    Ok(Some(context))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn headers_round_trip_and_ours_wins() {
        let mut context = SpanContext::from_traceparent(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        .unwrap();
        context.trace_state = TraceState::parse("ot=th:0,x=1").0;
        let mut headers = BTreeMap::new();
        inject(&context, &Baggage::default(), |key, value| {
            headers.insert(key.to_owned(), value.to_owned());
        });
        headers.insert(
            TRACEPARENT.to_owned(),
            "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00".to_owned(),
        );
        let back = extract(|key| headers.get(key).map(String::as_str)).unwrap();
        assert_eq!(back, Some(context));
        assert!(!headers.contains_key(BAGGAGE));
    }
}
