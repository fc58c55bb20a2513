//! Which web requests are being answered: the routes of spans that run, for rules that look at
//! them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longshore_core::SpanId;

/// Most spans whose route is known at one time; jobs enqueued in others have none.
const MAX_SPANS: usize = 10_000;
/// Most characters of a route.
const MAX_CHARS: usize = 200;

/// The `http.route` that running spans were started with, and those above them. Only sampled
/// spans are here: beneath one that is not, no rule has a say.
#[derive(Debug, Default)]
pub(crate) struct Routes(Mutex<HashMap<SpanId, Arc<str>>>);

impl Routes {
    /// A span starts under `parent`; `stated` is its own route, if it has one.
    pub(crate) fn started(&self, span: SpanId, parent: Option<SpanId>, stated: Option<&str>) {
        let mut routes = self.routes();
        let inherited = || parent.and_then(|parent| routes.get(&parent).cloned());
        let own = stated.map(|route| route.chars().take(MAX_CHARS).collect::<String>());
        let route = own.map(Arc::from).or_else(inherited);
        if let Some(route) = route.filter(|_| routes.len() < MAX_SPANS) {
            routes.insert(span, route);
        }
    }

    /// A span has ended.
    pub(crate) fn ended(&self, span: SpanId) {
        self.routes().remove(&span);
    }

    /// The route of the request that a span belongs to.
    pub(crate) fn of(&self, span: SpanId) -> Option<Arc<str>> {
        self.routes().get(&span).cloned()
    }

    fn routes(&self) -> MutexGuard<'_, HashMap<SpanId, Arc<str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_the_route_of_the_request_they_belong_to() {
        let routes = Routes::default();
        let [server, child, other] = [1, 2, 3].map(SpanId::from_u64);
        routes.started(server, None, Some("/orders/{id}"));
        routes.started(child, Some(server), None);
        routes.started(other, Some(SpanId::from_u64(9)), None);
        assert_eq!(routes.of(child).as_deref(), Some("/orders/{id}"));
        assert_eq!(routes.of(other), None);
        routes.ended(child);
        assert_eq!(routes.of(child), None);
        assert!(routes.of(server).is_some());
    }

    #[test]
    fn routes_are_bounded() {
        let routes = Routes::default();
        for nth in 1..=MAX_SPANS as u64 + 5 {
            routes.started(SpanId::from_u64(nth), None, Some(&"/".repeat(1000)));
        }
        assert_eq!(routes.routes().len(), MAX_SPANS);
        assert_eq!(routes.of(SpanId::from_u64(1)).unwrap().len(), MAX_CHARS);
    }
}
