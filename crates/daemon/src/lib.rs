//! The daemon: what `longshore serve` answers over HTTP.
//!
//! It is optional. Producers, workers, the command line and the terminal interface need nothing but
//! the store; the daemon is for those who are on another machine or speak HTTP.
//!
//! | to find | look in |
//! | --- | --- |
//! | everything that is answered, as one router | [`app`] |
//! | what the answers are made of | [`AppState`] |
//! | the paths, and who answers | `routes.rs` |
//! | a store of this machine, asked without HTTP | [`LocalBackend`] |
//! | what programs send over OTLP | [`otlp`] |
//! | who may ask | [`auth`] |
//! | what Jaeger's interface asks | `jaeger.rs` |
//! | answers that may be large | `large.rs` |
//! | what listeners are told while it happens | `live.rs` |
//! | the OpenAPI document | `openapi.rs` |
//! | its own spans: its start, and the requests that it answers | `traced.rs` |
//! | how connections are taken and ended | [`serve`] |
//!
//! ```
//! use std::sync::Arc;
//! use longshore_core::SystemClock;
//! use longshore_daemon::{AppState, app};
//!
//! let clock = Arc::new(SystemClock::new());
//! let store = Arc::new(longshore_memory::MemoryStore::new());
//! let router = app(AppState::new(store, clock));
//! # let _: axum::Router = router;
//! ```

pub mod auth;
mod caller;
mod jaeger;
mod large;
mod live;
mod local;
mod memory;
mod openapi;
pub mod otlp;
mod routes;
pub mod serve;
mod state;
mod traced;
mod view;

use axum::Router;

pub use auth::Access;
pub use local::{HeldBack, LocalBackend, LocalOptions, held_back};
pub use state::AppState;
pub use traced::Tracing;

/// Everything the daemon answers.
pub fn app(state: AppState) -> Router {
    let mut router = routes::router(&state);
    if let Some(receiver) = &state.receiver {
        router = router.merge(receiver.router());
    }
    let tracing = state.tracing.clone();
    router
        .with_state(state)
        .layer(axum::middleware::from_fn_with_state(
            tracing,
            traced::traced,
        ))
}
