//! Schedules.

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use axum::routing::{delete, get, post};
use longshore_api::Backend as _;
use longshore_api::answer::{NamedSchedule, Schedules};
use longshore_api::schedule::{ChangeSchedule, ScheduleChange};

use super::extract::{Caller, NoBody, Part};
use super::{Answers, Endpoint, Refusal};
use crate::AppState;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::read(
            "/api/v1/schedules",
            "list_schedules",
            "Every schedule and how it stands.",
            Answers::Json(|all| all.subschema_for::<Schedules>()),
            || get(list),
        ),
        Endpoint::write(
            Method::POST,
            "/api/v1/schedules/{name}/pause",
            "pause_schedule",
            "Lets a schedule rest: its times pass, and are not caught up later. Repeating it is \
             safe.",
            Answers::Json(|all| all.subschema_for::<NamedSchedule>()),
            || post(pause),
        ),
        Endpoint::write(
            Method::POST,
            "/api/v1/schedules/{name}/resume",
            "resume_schedule",
            "Lets a schedule go on with its next time. Repeating it is safe.",
            Answers::Json(|all| all.subschema_for::<NamedSchedule>()),
            || post(resume),
        ),
        Endpoint::write(
            Method::POST,
            "/api/v1/schedules/{name}/trigger",
            "trigger_schedule",
            "Enqueues the job of a schedule now, resting or not. Repeating a call whose outcome \
             is unknown may enqueue a second job: look for the first one at `GET /api/v1/jobs`.",
            Answers::Json(|all| all.subschema_for::<NamedSchedule>()),
            || post(trigger),
        ),
        Endpoint::write(
            Method::DELETE,
            "/api/v1/schedules/{name}",
            "remove_schedule",
            "Removes a schedule; its jobs stay. Repeating it is safe: 404 then says that it is \
             gone.",
            Answers::Json(|all| all.subschema_for::<NamedSchedule>()),
            || delete(remove),
        ),
    ]
}

async fn list(State(state): State<AppState>) -> Result<Json<Schedules>, Refusal> {
    let schedules = state.view.backend.schedules().await?;
    Ok(Json(Schedules { schedules }))
}

type Changed = Result<Json<NamedSchedule>, Refusal>;

async fn pause(state: State<AppState>, name: Part<String>, by: Caller, _none: NoBody) -> Changed {
    change(state, name, &by, ScheduleChange::Pause).await
}

async fn resume(state: State<AppState>, name: Part<String>, by: Caller, _none: NoBody) -> Changed {
    change(state, name, &by, ScheduleChange::Resume).await
}

async fn trigger(state: State<AppState>, name: Part<String>, by: Caller, _none: NoBody) -> Changed {
    change(state, name, &by, ScheduleChange::Trigger).await
}

async fn remove(state: State<AppState>, name: Part<String>, by: Caller, _none: NoBody) -> Changed {
    change(state, name, &by, ScheduleChange::Remove).await
}

async fn change(
    State(state): State<AppState>,
    Part(name): Part<String>,
    caller: &Caller,
    change: ScheduleChange,
) -> Changed {
    let backend = state.view.called_by(caller);
    let change = ChangeSchedule { change, name };
    backend.change_schedule(&change).await?;
    Ok(Json(NamedSchedule { name: change.name }))
}
