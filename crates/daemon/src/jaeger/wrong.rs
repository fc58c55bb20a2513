//! What went wrong, in the words of each interface.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use longshore_api::ApiError;
use serde_json::{Value, json};

use super::Envelope;
use crate::routes::Refusal;

/// What went wrong, as Jaeger says it.
pub(super) struct Wrong(ApiError);

impl From<ApiError> for Wrong {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        let status = status_of(&self.0);
        let error = json!({ "code": status.as_u16(), "msg": self.0.to_string() });
        let envelope: Envelope<Value> = Envelope {
            data: None,
            total: 0,
            limit: 0,
            offset: 0,
            errors: Some(vec![error]),
        };
        (status, Json(envelope)).into_response()
    }
}

/// What went wrong, as the newer interface says it.
pub(super) struct WrongV3(ApiError);

impl From<ApiError> for WrongV3 {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for WrongV3 {
    fn into_response(self) -> Response {
        let status = status_of(&self.0);
        let error = json!({
            "grpcCode": grpc_code(&self.0),
            "httpCode": status.as_u16(),
            "message": self.0.to_string(),
            "httpStatus": status.canonical_reason().unwrap_or_default(),
        });
        (status, Json(json!({ "error": error }))).into_response()
    }
}

pub(super) fn status_of(error: &ApiError) -> StatusCode {
    Refusal::from(error.clone()).into_response().status()
}

const fn grpc_code(error: &ApiError) -> u8 {
    match error {
        ApiError::Invalid(_) => 3,
        ApiError::NotFound(_) => 5,
        ApiError::Forbidden(_) => 7,
        ApiError::Limited(_) => 8,
        ApiError::Conflict(_) => 9,
        ApiError::Internal(_) => 13,
        ApiError::Unavailable(_) => 14,
    }
}
