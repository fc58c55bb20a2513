//! The paths, and who answers: one table, from which the router and the OpenAPI document are made.

mod extract;
mod health;
mod jobs;
mod queues;
mod refusal;
mod schedules;
mod traces;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, HeaderName, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodRouter;
use longshore_api::ApiError;
use schemars::{Schema, SchemaGenerator};
use tokio::sync::Semaphore;

pub(crate) use self::extract::Part;
pub(crate) use self::refusal::Refusal;
use crate::AppState;
use crate::auth::{Door, Scope, may_read, may_write};
use crate::jaeger;

/// Most requests that are answered at once; others are told to come again.
const AT_ONCE: usize = 512;

/// What a body looks like.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A path with a method: who may ask, who answers, and what is said of it in the OpenAPI document.
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// What programs that are made of the document call it.
    pub(crate) id: &'static str,
    pub(crate) about: &'static str,
    /// Who may ask; nothing: anybody.
    pub(crate) scope: Option<Scope>,
    /// What may stand in the address, after the path.
    pub(crate) asks: &'static [Param],
    /// What is sent.
    pub(crate) body: Option<SchemaOf>,
    pub(crate) answers: Answers,
    /// Whether it is answered however many requests are being answered.
    always: bool,
    pub(crate) route: fn() -> MethodRouter<AppState>,
}

impl Endpoint {
    /// A question, for whoever may look.
    pub(crate) fn read(
        path: &'static str,
        id: &'static str,
        about: &'static str,
        answers: Answers,
        route: fn() -> MethodRouter<AppState>,
    ) -> Self {
        Self {
            method: Method::GET,
            path,
            id,
            about,
            scope: Some(Scope::Read),
            asks: &[],
            body: None,
            answers,
            always: false,
            route,
        }
    }

    /// A question that needs a body.
    fn look(
        path: &'static str,
        id: &'static str,
        about: &'static str,
        answers: Answers,
        route: fn() -> MethodRouter<AppState>,
    ) -> Self {
        Self {
            method: Method::POST,
            ..Self::read(path, id, about, answers, route)
        }
    }

    /// A change, for whoever may make it.
    fn write(
        method: Method,
        path: &'static str,
        id: &'static str,
        about: &'static str,
        answers: Answers,
        route: fn() -> MethodRouter<AppState>,
    ) -> Self {
        Self {
            method,
            scope: Some(Scope::Write),
            ..Self::read(path, id, about, answers, route)
        }
    }

    /// The same for anybody.
    fn for_anybody(self) -> Self {
        Self {
            scope: None,
            ..self
        }
    }

    /// The same, answered however many requests are being answered: it is asked when things are bad,
    /// and costs little.
    fn at_any_time(self) -> Self {
        Self {
            always: true,
            ..self
        }
    }

    /// The same with what may stand in the address.
    pub(crate) fn asking(self, asks: &'static [Param]) -> Self {
        Self { asks, ..self }
    }

    /// The same with a body.
    fn taking(self, body: SchemaOf) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }
}

/// What a successful answer is.
#[derive(Clone, Copy)]
pub(crate) enum Answers {
    Json(SchemaOf),
    /// JSON, and what went wrong in a form of its own.
    Other(SchemaOf, SchemaOf),
    /// 201 if something was made, else 200.
    Made(SchemaOf),
    Text,
    /// Server-sent events.
    Events,
}

/// A key in an address.
#[derive(Clone, Copy)]
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) holds: Holds,
    pub(crate) about: &'static str,
}

/// What the value of a key in an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Text,
    /// Text, any number of times.
    Texts,
    Time,
    Number,
    /// `true` or `false`.
    Yes,
}

impl Param {
    pub(crate) const fn new(name: &'static str, holds: Holds, about: &'static str) -> Self {
        Self { name, holds, about }
    }
}

/// Every path with what is said of it.
pub(crate) fn table() -> Vec<Endpoint> {
    let mut table = health::endpoints();
    table.extend(jobs::endpoints());
    table.extend(queues::endpoints());
    table.extend(schedules::endpoints());
    table.extend(traces::endpoints());
    table.extend(jaeger::endpoints());
    table
}

/// The daemon's own paths.
pub(crate) fn router(state: &AppState) -> Router<AppState> {
    let (mut always, mut router) = (Router::new(), Router::new());
    for endpoint in table() {
        let guarded = guard((endpoint.route)(), endpoint.scope, &state.view.door);
        let into = if endpoint.always {
            &mut always
        } else {
            &mut router
        };
        *into = std::mem::take(into).route(endpoint.path, guarded);
    }
    let busy = Arc::new(Semaphore::new(AT_ONCE));
    router
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(busy, in_turn))
        .merge(always)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::map_response(sealed))
}

fn guard(
    route: MethodRouter<AppState>,
    scope: Option<Scope>,
    door: &Door,
) -> MethodRouter<AppState> {
    match scope {
        None => route,
        Some(Scope::Read) => {
            route.route_layer(middleware::from_fn_with_state(door.clone(), may_read))
        }
        Some(Scope::Write) => {
            route.route_layer(middleware::from_fn_with_state(door.clone(), may_write))
        }
    }
}

/// Answers if not too many are being answered.
async fn in_turn(State(busy): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let Ok(_turn) = busy.try_acquire() else {
        let words = format!("{AT_ONCE} requests are being answered: ask again in a second");
        return Refusal::from(ApiError::Unavailable(words)).into_response();
    };
    next.run(request).await
}

/// No answer is kept on the way, taken for something else, or read by a page of another origin; and
/// one that could not be given says when to ask again.
async fn sealed(mut response: Response) -> Response {
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        let soon = HeaderValue::from_static("1");
        response.headers_mut().insert(RETRY_AFTER, soon);
    }
    let policy = HeaderName::from_static("cross-origin-resource-policy");
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (policy, "same-origin"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

async fn unknown(uri: Uri) -> Refusal {
    let path: String = uri.path().chars().take(200).collect();
    Refusal::from(ApiError::NotFound(format!(
        "there is no {path} here: GET /api/openapi.json says what there is"
    )))
}

async fn wrong_method(method: Method, uri: Uri) -> Refusal {
    let path: String = uri.path().chars().take(200).collect();
    let error = ApiError::Invalid(format!(
        "{path} does not take {method}: GET /api/openapi.json says what it takes"
    ));
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, error)
}
