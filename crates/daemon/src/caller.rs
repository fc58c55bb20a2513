//! What the headers of a request say of the span that it comes from.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use longshore_core::trace_context::InvalidTraceparent;
use longshore_core::{Baggage, SpanContext};
use longshore_instrument::propagation;

/// The headers of a request that say which span it comes from, as texts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    headers: Vec<(&'static str, String)>,
}

impl Caller {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let names = propagation::OF_A_SPAN.into_iter();
        let text = |name: &'static str| {
            // A list may come as several headers.
            let values = headers.get_all(name).iter();
            let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
            (!values.is_empty()).then(|| (name, values.join(",")))
        };
        let names = names.chain([propagation::BAGGAGE]);
        Self {
            headers: names.filter_map(text).collect(),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(one, _)| *one == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The span as text, whether or not it can be read.
    pub(crate) fn traceparent(&self) -> Option<&str> {
        propagation::traceparent(|name| self.get(name))
    }

    /// The state that goes with it.
    pub(crate) fn tracestate(&self) -> Option<&str> {
        self.get(propagation::TRACESTATE)
    }

    /// The caller's own pairs.
    pub(crate) fn baggage(&self) -> Option<&str> {
        self.get(propagation::BAGGAGE)
    }

    /// The span; nothing if there is none.
    ///
    /// # Errors
    /// There is one that cannot be read.
    pub(crate) fn context(&self) -> Result<Option<SpanContext>, InvalidTraceparent> {
        propagation::extract(|name| self.get(name))
    }
}

/// Makes headers carry `context` and nothing of another span; the caller's baggage stays.
pub(crate) fn put(headers: &mut HeaderMap, context: &SpanContext) {
    for name in propagation::OF_A_SPAN {
        headers.remove(name);
    }
    propagation::inject(context, &Baggage::default(), |name, value| {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    });
}
