//! What handlers take out of a request.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use longshore_api::{ApiError, Query};
use serde::de::DeserializeOwned;

use super::Refusal;
pub(super) use crate::caller::Caller;

/// Most bytes of a body: the args of a job and what goes with them, or of many jobs.
const BODY: usize = 20 << 20;

/// Most time for a body to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// What is asked in the address.
pub(super) struct Asked<Q>(pub(super) Q);

impl<S: Sync, Q: Query> FromRequestParts<S> for Asked<Q> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        let text = parts.uri.query().unwrap_or_default();
        Ok(Self(Q::from_address(text)?))
    }
}

/// A part of the path that can be read as a `T`.
pub(crate) struct Part<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Part<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Path(part) = Path::from_request_parts(parts, state)
            .await
            .map_err(|error| ApiError::Invalid(format!("the path is wrong: {error}")))?;
        Ok(Self(part))
    }
}

/// A body of JSON.
pub(super) struct Body<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        check_type(request.headers())?;
        let bytes = read(request).await?;
        Ok(Self(parsed(&bytes)?))
    }
}

/// No body, or an empty object. A page of another origin could send anything else unasked.
pub(super) struct NoBody;

impl<S: Sync> FromRequest<S> for NoBody {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        if request.headers().contains_key(CONTENT_TYPE) {
            check_type(request.headers())?;
        }
        let bytes = read(request).await?;
        if !bytes.is_empty() {
            let _nothing: longshore_api::answer::Nothing = parsed(&bytes)?;
        }
        Ok(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        Ok(Self::of(&parts.headers))
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let named = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = named.and_then(|named| named.split(';').next());
    if essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    let error = ApiError::Invalid(
        "the body is to be JSON: send it with `Content-Type: application/json`".to_owned(),
    );
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error))
}

async fn read(request: Request) -> Result<bytes::Bytes, Refusal> {
    let too_long = || {
        let error = ApiError::Invalid(format!(
            "the body is longer than {} MiB: send fewer jobs at once, or smaller args",
            BODY >> 20
        ));
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error)
    };
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > BODY) {
        return Err(too_long());
    }
    let collected = Limited::new(request.into_body(), BODY).collect();
    let Ok(collected) = tokio::time::timeout(BODY_TIME, collected).await else {
        let error = ApiError::Invalid(format!(
            "the body did not arrive within {} s",
            BODY_TIME.as_secs()
        ));
        return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, error));
    };
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_long()),
        Err(error) => Err(Refusal::from(ApiError::Invalid(format!(
            "the body broke off: {error}"
        )))),
    }
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| {
        Refusal::from(ApiError::Invalid(format!(
            "the body cannot be used: {error}; GET /api/openapi.json says what it may hold"
        )))
    })
}
