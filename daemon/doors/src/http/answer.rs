//! Writing answers: JSON, errors in the one form, and the id of the request on each.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sloth_api::{ErrorBody, ErrorCode, ErrorDetail};
use sloth_service::ServiceError;

/// Identity of a request: in its answer, in the log and in the audit trail.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestId(pub(crate) String);

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// A refusal on its way out.
pub(crate) struct Refused(pub(crate) ServiceError);

impl From<ServiceError> for Refused {
    fn from(error: ServiceError) -> Self {
        Refused(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        // The body is written by `identify`, which knows the request.
        response.extensions_mut().insert(Pending(self.0));
        response
    }
}

#[derive(Clone)]
struct Pending(ServiceError);

/// An answer as JSON.
pub(crate) type Answer<T> = Result<Json<T>, Refused>;

/// Wraps a value.
pub(crate) fn ok<T: Serialize>(result: Result<T, ServiceError>) -> Answer<T> {
    result.map(Json).map_err(Refused)
}

/// Gives each request an id and each answer the same.
pub(crate) async fn identify(mut request: Request, next: Next) -> Response {
    let sent = request.headers().get(&HEADER).and_then(|value| value.to_str().ok());
    let id = sent
        .filter(|id| {
            (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
        .map_or_else(|| crate::request_id("r"), str::to_owned);
    request.extensions_mut().insert(RequestId(id.clone()));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    if let Some(Pending(error)) = response.extensions_mut().remove::<Pending>() {
        if error.code == ErrorCode::Internal {
            tracing::error!(SLOTH_REQUEST = id, %method, path, %error, "a request failed");
        } else {
            tracing::debug!(SLOTH_REQUEST = id, %method, path, code = error.code.as_str(), %error, "a request was refused");
        }
        let status = response.status();
        response = (status, Json(body(error, &id))).into_response();
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

fn body(error: ServiceError, id: &str) -> ErrorBody {
    ErrorBody {
        error: ErrorDetail {
            code: error.code,
            message: error.message,
            hint: error.hint,
            details: *error.details,
            request_id: id.to_owned(),
        },
    }
}

/// No such route.
pub(crate) async fn no_route(request: Request) -> Refused {
    let path: String = request.uri().path().chars().take(200).collect();
    ServiceError::new(ErrorCode::NotFound, format!("there is nothing at {path:?}"))
        .hint("the routes are in /api/v1/openapi.json")
        .into()
}

/// A route, but not with this method.
pub(crate) async fn no_method(request: Request) -> Refused {
    let path: String = request.uri().path().chars().take(200).collect();
    ServiceError::new(ErrorCode::NotSupported, format!("{} is not possible at {path:?}", request.method()))
        .hint("the routes are in /api/v1/openapi.json")
        .into()
}
