//! The trace context of whoever runs the program: typed, or inherited through the environment.

use longshore_core::SpanContext;
use longshore_core::trace_context::{InvalidTraceparent, TraceState};
use longshore_queue::JobRequest;
use longshore_telemetry::Environment;

use crate::args::CallerWords;
use crate::exit::Usage;

/// The caller's context. A broken one is kept as it is, so that it is counted where it is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Caller {
    traceparent: Option<String>,
    tracestate: String,
    baggage: String,
}

impl Caller {
    /// What was typed, else what the variables say; the two are never mixed, since a
    /// `tracestate` belongs to its `traceparent`. Gives also a warning if what was inherited
    /// cannot be read.
    ///
    /// # Errors
    /// What was typed cannot be read.
    pub(crate) fn new(
        typed: &CallerWords,
        environment: &Environment,
    ) -> Result<(Self, Option<String>), Usage> {
        let words = [&typed.traceparent, &typed.tracestate, &typed.baggage];
        if words.iter().all(|word| word.is_none()) {
            let inherited = |name| match environment.get(name) {
                // Not a context either, and counted as one that cannot be read.
                None if environment.is_unreadable(name) => "\u{fffd}".to_owned(),
                value => value.unwrap_or_default().to_owned(),
            };
            let traceparent = Some(inherited("TRACEPARENT")).filter(|text| !text.is_empty());
            let caller = Self {
                traceparent,
                tracestate: inherited("TRACESTATE"),
                baggage: inherited("BAGGAGE"),
            };
            let warning = caller.context().and_then(Result::err).map(warning);
            return Ok((caller, warning));
        }
        let text = |word: &Option<String>| word.clone().unwrap_or_default();
        let caller = Self {
            traceparent: typed.traceparent.clone(),
            tracestate: text(&typed.tracestate),
            baggage: text(&typed.baggage),
        };
        match caller.context() {
            Some(Ok(_)) => Ok((caller, None)),
            Some(Err(error)) => Err(unreadable(&text(&typed.traceparent), error)),
            None => Err(Usage(
                "--tracestate and --baggage need the --traceparent they belong to".to_owned(),
            )),
        }
    }

    /// The span that calls, if there is one and it can be read.
    pub(crate) fn context(&self) -> Option<Result<SpanContext, InvalidTraceparent>> {
        let read = SpanContext::from_traceparent(self.traceparent.as_deref()?);
        Some(read.map(|mut context| {
            context.trace_state = TraceState::parse(&self.tracestate).0;
            context
        }))
    }

    /// The request, made by this caller.
    pub(crate) fn makes(&self, request: JobRequest) -> JobRequest {
        match &self.traceparent {
            Some(traceparent) => request.traceparent(traceparent, &self.tracestate, &self.baggage),
            None => request,
        }
    }
}

fn warning(error: InvalidTraceparent) -> String {
    format!(
        "TRACEPARENT of the environment cannot be read ({error}), so the trace of the caller is \
         not carried on"
    )
}

fn unreadable(typed: &str, error: InvalidTraceparent) -> Usage {
    let shown = crate::text::one_line(typed, 80);
    Usage(format!(
        "--traceparent `{shown}` cannot be read ({error}): write 00-TRACE_ID-SPAN_ID-FLAGS with \
         32, 16 and 2 lower-case hex digits"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const OTHER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    fn environment(traceparent: &str) -> Environment {
        let (state, baggage) = (("TRACESTATE", "a=b"), ("BAGGAGE", "user=ann"));
        Environment::from_pairs([("TRACEPARENT", traceparent), state, baggage])
    }

    fn typed(traceparent: Option<&str>, tracestate: Option<&str>) -> CallerWords {
        CallerWords {
            traceparent: traceparent.map(str::to_owned),
            tracestate: tracestate.map(str::to_owned),
            baggage: None,
        }
    }

    #[test]
    fn the_environment_is_the_caller_unless_one_was_typed() {
        let (caller, _) = Caller::new(&typed(None, None), &environment(PARENT)).unwrap();
        let context = caller.context().unwrap().unwrap();
        assert_eq!(context.traceparent(), PARENT);
        assert_eq!(context.trace_state.as_str(), "a=b");
        let (caller, _) = Caller::new(&typed(Some(OTHER), None), &environment(PARENT)).unwrap();
        let context = caller.context().unwrap().unwrap();
        assert_eq!(context.traceparent(), OTHER);
        assert_eq!(context.trace_state.as_str(), "", "not that of another span");
        assert_eq!(caller.baggage, "");
        let (nobody, _) = Caller::new(&typed(None, None), &Environment::default()).unwrap();
        assert_eq!((nobody.context(), nobody), (None, Caller::default()));
    }

    #[test]
    fn broken_context_is_an_error_if_typed_and_a_warning_if_inherited() {
        let nothing = typed(None, None);
        let (_, warning) = Caller::new(&nothing, &environment("00-zz")).unwrap();
        assert!(warning.unwrap().contains("TRACEPARENT"));
        assert!(Caller::new(&typed(Some("00-zz"), None), &environment(PARENT)).is_err());
        assert!(Caller::new(&typed(None, Some("a=b")), &environment(PARENT)).is_err());
    }
}
